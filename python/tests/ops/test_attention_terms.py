"""Bands of keys (causal, windows, alignments), soft-cap and ALiBi against the float64 reference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from reference_attention import assert_near, attention, attention_backward, unbroadcast

import spinetail
from spinetail.ops import attention as ops
from spinetail.ops import attention_terms as asked

DTYPES = [np.float32, np.float64]
# Batch, heads, key heads, queries, keys, width, value width: tails of every tile, more keys than queries and fewer, and
# few queries, which go through keys without tiles.
SIZES = [
    (1, 2, 1, 50, 131, 33, 17),
    (1, 2, 2, 130, 300, 16, 20),
    (1, 1, 1, 260, 90, 8, 8),
    (2, 4, 2, 97, 97, 16, 16),
    (1, 2, 1, 3, 700, 24, 20),
    (1, 2, 2, 1, 1500, 16, 16),
]
WINDOWS = [None, (-1, 5), (0, 0), (3, 0), (17, 4), (60, -1), (129, 40), (5, 300)]
CAUSAL = [None, "upper_left", "lower_right"]


def operands(sizes, dtype, seed=0):
    rng = np.random.default_rng(seed)
    batch, heads, groups, queries, keys, width, values = sizes
    shapes = ((heads, queries, width), (groups, keys, width), (groups, keys, values), (heads, queries, values))
    return [rng.standard_normal((batch, *shape)).astype(dtype) for shape in shapes]


def compare(sizes, dtype, causal=None, window=None, slopes=None, softcap=None, mask=None, seed=0):
    """Forward and backward against the reference."""
    q, k, v, grad = operands(sizes, dtype, seed)
    terms = asked.terms(False, causal, window, slopes, softcap)
    reference = {"causal": causal, "window": window, "slopes": slopes, "softcap": softcap, "gqa": True}
    out, saved = ops.scaled_dot_product_attention_forward(q, k, v, mask, enable_gqa=True, terms=terms)
    expected, lse = attention(q, k, v, mask, **reference)
    assert_near(out, expected, dtype, 2)
    seen = np.isfinite(lse)
    assert np.array_equal(np.isneginf(saved.lse), ~seen)
    assert not out[~seen].any()
    assert_near(saved.lse[seen], lse[seen], dtype, 2)
    wants = mask is not None and mask.dtype != bool
    *grads, dmask = ops.scaled_dot_product_attention_backward(
        grad, saved, q, k, v, mask, enable_gqa=True, terms=terms, mask_gradient=wants
    )
    *wanted, ds = attention_backward(grad, q, k, v, mask, **reference)
    for result, gradient in zip(grads, wanted, strict=True):
        assert_near(result, gradient, dtype, 8)
    assert not grads[0][~seen].any()
    if wants:
        assert_near(dmask, unbroadcast(ds, mask.shape), dtype, 16)


@pytest.mark.parametrize("causal", CAUSAL)
@pytest.mark.parametrize("dtype", DTYPES)
def test_bands(dtype, causal):
    for seed, (sizes, window) in enumerate(itertools.product(SIZES, WINDOWS)):
        if causal and window:
            window = (window[0], 0)
        compare(sizes, dtype, causal, window, seed=seed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bands_of_every_width(dtype):
    """Edges at every place relative to the tiles."""
    for left, right in itertools.product([0, 1, 2, 5, 7, 8, 11, 12, 13, 23, 24, 47, 48, 49], [0, 1, 6, 11, 12, 25]):
        compare((1, 1, 1, 53, 61, 3, 5), dtype, None, (left, right), seed=left)
        compare((1, 1, 1, 53, 31, 3, 5), dtype, "lower_right", (left, 0), seed=left)


@pytest.mark.parametrize(
    "options", [{"softcap": 1.5}, {"softcap": 30.0}, {"slopes": True}, {"softcap": 2.0, "slopes": True}]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_soft_cap_and_slopes(dtype, options):
    rng = np.random.default_rng(8)
    for seed, sizes in enumerate(SIZES):
        batch, heads, _, queries, keys, *_ = sizes
        for causal, window, kind in [
            (None, None, None),
            ("upper_left", None, None),
            ("lower_right", (40, 0), "float"),
            (None, (9, 20), "bool"),
        ]:
            slopes = None
            if "slopes" in options:
                slopes = rng.random((batch, heads) if seed % 2 else heads).astype(dtype)
            mask = None
            if kind == "float":
                mask = rng.standard_normal((1, queries, keys)).astype(dtype)
            elif kind == "bool":
                mask = rng.random((heads, queries, keys)) > 0.3
            compare(sizes, dtype, causal, window, slopes, options.get("softcap"), mask, seed)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("queries", [1, 3, 150])
def test_hidden_keys_do_not_leak(queries, dtype, bad):
    """What a key or value outside of the window holds cannot be seen, forward or backward."""
    q, k, v, grad = operands((1, 1, 1, queries, 190, 8, 8), dtype)
    terms = asked.terms(False, None, (20, 11))
    clean, saved = ops.scaled_dot_product_attention_forward(q, k, v, terms=terms)
    dq = ops.scaled_dot_product_attention_backward(grad, saved, q, k, v, terms=terms)[0]
    rows = np.arange(queries)
    for position in (0, 1, 7, 8, 12, 23, 24, 47, 48, 127, 128, 149, 189):
        unseen = (position < rows - 20) | (position > rows + 11)
        for which in ("key", "value"):
            other = (k if which == "key" else v).copy()
            other[..., position, :] = bad
            args = (q, other, v) if which == "key" else (q, k, other)
            out, saved = ops.scaled_dot_product_attention_forward(*args, terms=terms)
            assert np.array_equal(out[0, 0, unseen], clean[0, 0, unseen])
            grads = ops.scaled_dot_product_attention_backward(grad, saved, *args, terms=terms)
            assert np.array_equal(grads[0][0, 0, unseen], dq[0, 0, unseen])
            if unseen.all():
                assert all(np.isfinite(g).all() for g in grads[:3])


def test_same_bits_for_any_number_of_threads():
    slopes = np.array([0.3, 0.1], np.float32)
    for sizes in [(1, 2, 1, 700, 900, 64, 64), (1, 2, 1, 2, 5000, 64, 64)]:
        q, k, v, grad = operands(sizes, np.float32)
        for terms in (
            asked.terms(False, "lower_right"),
            asked.terms(False, "lower_right", 1200),
            asked.terms(False, None, (30, 200), slopes, 5.0),
        ):
            results = []
            for threads in (1, 2, 5):
                spinetail.set_num_threads(threads)
                out, saved = ops.scaled_dot_product_attention_forward(q, k, v, enable_gqa=True, terms=terms)
                grads = ops.scaled_dot_product_attention_backward(grad, saved, q, k, v, enable_gqa=True, terms=terms)
                results.append([a.tobytes() for a in (out, saved.lse, *grads) if a is not None])
            assert results[0] == results[1] == results[2]


def test_no_upper_bound_is_too_large():
    q, k, v, _ = operands((1, 1, 1, 9, 12, 4, 4), np.float64)
    plain = ops.scaled_dot_product_attention(q, k, v)
    for n in (12, 2**31, 2**48, 2**63 - 1, 2**80):
        assert np.array_equal(plain, ops.scaled_dot_product_attention(q, k, v, terms=asked.terms(window=n)))
