"""Attention's kernels against float64 references that store the whole score matrix."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from reference_attention import (
    assert_near,
    attention,
    attention_backward,
    limit,
    operands,
    unbroadcast,
)

import spinetail
from spinetail.ops import attention as ops
from spinetail.ops import attention_terms as asked

DTYPES = [np.float32, np.float64]
MASKS = ["none", "causal", "bool", "float", "keys", "queries", "transposed"]
# Batch, heads, key heads, queries, keys, width, value width: blocks are 48 queries (24 in float64, fewer on smaller
# CPUs) × 128 keys, score tiles 8 or 4 keys, output tiles 12, 6 or 4 rows × 1 or 2 vectors.
SIZES = [
    (1, 1, 1, 1, 1, 1, 1),
    (2, 4, 2, 16, 16, 16, 16),
    (1, 2, 1, 48, 128, 64, 64),
    (1, 2, 2, 50, 131, 33, 17),
    (2, 2, 1, 130, 300, 32, 80),
    (1, 1, 1, 7, 5, 3, 2),
    (1, 1, 1, 300, 20, 40, 40),
    (1, 1, 1, 33, 257, 128, 100),
    (1, 6, 3, 97, 97, 8, 200),
    (1, 1, 1, 5, 3, 512, 511),
    (3, 1, 1, 260, 259, 4, 1),
    (1, 4, 1, 1, 700, 64, 64),
    (2, 4, 4, 2, 1030, 20, 33),
    (1, 8, 2, 3, 129, 128, 128),
]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_forward_and_backward(dtype, mask):
    causal = mask == "causal"
    for seed, sizes in enumerate(SIZES):
        q, k, v, m = operands(sizes, dtype, mask, seed)
        out, saved = ops.scaled_dot_product_attention_forward(q, k, v, m, causal, enable_gqa=True)
        expected, lse = attention(q, k, v, m, causal, gqa=True)
        assert_near(out, expected, dtype)
        seen = np.isfinite(lse)
        assert np.array_equal(np.isneginf(saved.lse), ~seen)
        assert_near(saved.lse[seen], lse[seen], dtype, 2)
        assert np.array_equal(out, ops.scaled_dot_product_attention(q, k, v, m, causal, enable_gqa=True))
        grad = np.random.default_rng(seed).standard_normal(out.shape).astype(dtype)
        wants = m is not None and m.dtype != bool
        results = ops.scaled_dot_product_attention_backward(
            grad, saved, q, k, v, m, causal, enable_gqa=True, mask_gradient=wants
        )
        *wanted, scores = attention_backward(grad, q, k, v, m, causal, gqa=True)
        for result, gradient in zip(results[:3], wanted, strict=True):
            assert_near(result, gradient, dtype, 4)
        if wants:
            # Sums over all keys are exactly 0, and keep the rounding of the long products that they are made of.
            products = grad.astype(np.float64) @ np.repeat(v, sizes[1] // sizes[2], 1).swapaxes(-1, -2)
            wanted = unbroadcast(scores, m.shape)
            near = max(8 * limit(dtype, np.abs(wanted).max()), limit(dtype, np.abs(products).max()))
            assert results[3].dtype == dtype and results[3].shape == wanted.shape
            assert np.abs(results[3] - wanted).max() <= near
        else:
            assert results[3] is None


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_length(dtype):
    """Every tail of the tiles, along queries and keys, causal and not."""
    rng = np.random.default_rng(3)
    lengths = [1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 15, 16, 17, 23, 24, 25, 31, 33, 47, 48, 49]
    for queries, keys, causal in itertools.product(lengths, lengths, (False, True)):
        q, k, v = (rng.standard_normal((1, 1, n, 5)).astype(dtype) for n in (queries, keys, keys))
        assert_near(ops.scaled_dot_product_attention(q, k, v, None, causal), attention(q, k, v, None, causal)[0], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_width(dtype):
    rng = np.random.default_rng(4)
    for width in [*range(1, 36), 48, 63, 64, 65, 96, 127, 129]:
        q, k, v, grad = (rng.standard_normal((1, 2, n, width)).astype(dtype) for n in (9, 21, 21, 9))
        out, saved = ops.scaled_dot_product_attention_forward(q, k, v)
        assert_near(out, attention(q, k, v)[0], dtype)
        results = ops.scaled_dot_product_attention_backward(grad, saved, q, k, v)
        for result, wanted in zip(results[:3], attention_backward(grad, q, k, v)[:3], strict=True):
            assert_near(result, wanted, dtype, 4)


@pytest.mark.parametrize("mask", ["none", "causal", "bool", "float"])
def test_same_bits_for_any_number_of_threads(mask):
    for sizes in [(1, 2, 1, 700, 900, 64, 64), (4, 3, 3, 40, 40, 16, 16), (1, 1, 1, 1, 5000, 64, 64)]:
        q, k, v, m = operands(sizes, np.float32, mask)
        results = []
        for threads in (1, 2, 5):
            spinetail.set_num_threads(threads)
            out, saved = ops.scaled_dot_product_attention_forward(q, k, v, m, mask == "causal", enable_gqa=True)
            grads = ops.scaled_dot_product_attention_backward(
                out, saved, q, k, v, m, mask == "causal", enable_gqa=True, mask_gradient=mask == "float"
            )
            results.append([a.tobytes() for a in (out, saved.lse, *grads) if a is not None])
        assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("window", [None, 70, (300, 20)])
@pytest.mark.parametrize("values", [40, 128])
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_that_are_copied(dtype, values, window):
    """Rows that are padded or straddle cache lines are copied once for many blocks of queries: the same bits."""
    terms = asked.terms(window=window)
    q, k, v, _ = operands((2, 4, 2, 500, 420, 24, values), dtype)
    wide = np.zeros((*v.shape[:3], 192), dtype)
    results = []
    for threads in (1, 2, 5):
        spinetail.set_num_threads(threads)
        for first in (0, 1, 16):
            wide[..., first : first + values] = v
            view = wide[..., first : first + values]
            out = ops.scaled_dot_product_attention(q, k, view, enable_gqa=True, terms=terms)
            results.append(out.tobytes())
    assert len(set(results)) == 1
    places = np.arange(420) - np.arange(500)[:, None]
    left, right = (window if isinstance(window, tuple) else (window, window)) if window else (1000, 1000)
    mask = (places >= -left) & (places <= right)
    assert_near(out, attention(q, k, v, mask, gqa=True)[0], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_strides(dtype):
    """Views of a fused projection are taken as they are, and the result's memory is ordered like the queries'."""
    rng = np.random.default_rng(5)
    fused = rng.standard_normal((2, 70, 3, 4, 24)).astype(dtype)
    q, k, v = (fused[:, :, i].swapaxes(1, 2) for i in range(3))
    out, saved = ops.scaled_dot_product_attention_forward(q, k, v, is_causal=True)
    assert_near(out, attention(q, k, v, causal=True)[0], dtype)
    assert out.swapaxes(1, 2).flags.c_contiguous
    grads = ops.scaled_dot_product_attention_backward(out, saved, q, k, v, is_causal=True)
    copies = [np.ascontiguousarray(a) for a in (q, k, v)]
    same, saved = ops.scaled_dot_product_attention_forward(*copies, is_causal=True)
    assert np.array_equal(out, same)
    for a, b in zip(
        grads[:3], ops.scaled_dot_product_attention_backward(same, saved, *copies, is_causal=True)[:3], strict=True
    ):
        assert np.array_equal(a, b)
    for array in (q[..., ::-1], q[:, :, ::-1], np.asfortranarray(q), q.astype(q.dtype.newbyteorder())):
        assert_near(ops.scaled_dot_product_attention(array, k, v), attention(array, k, v)[0], dtype)


def test_leading_axes():
    rng = np.random.default_rng(6)

    def make(*shape):
        return rng.standard_normal((*shape, 4))

    for shapes in [
        ((5,), (6,), (6,)),
        ((3, 5), (3, 6), (3, 6)),
        ((2, 3, 1, 5), (2, 3, 1, 6), (2, 3, 1, 6)),
        ((2, 3, 2, 5), (1, 3, 1, 6), (3, 2, 6)),
        ((2, 1, 5), (1, 3, 6), (3, 6)),
        ((1, 5), (2, 3, 6), (2, 3, 6)),
    ]:
        q, k, v = (make(*s) for s in shapes)
        for mask in (None, rng.standard_normal((5, 6)), rng.standard_normal((5, 1)), rng.standard_normal(6)):
            out, saved = ops.scaled_dot_product_attention_forward(q, k, v, mask)
            assert_near(out, attention(q, k, v, mask)[0], np.float64)
            grad = rng.standard_normal(out.shape)
            results = ops.scaled_dot_product_attention_backward(
                grad, saved, q, k, v, mask, mask_gradient=mask is not None
            )
            wanted = attention_backward(grad, q, k, v, mask)
            for result, gradient, array in zip(results, wanted, (q, k, v, mask), strict=True):
                if array is not None:
                    assert_near(result, unbroadcast(gradient, array.shape), np.float64, 8)
    q, k, v = make(2, 6, 5), make(3, 7), make(3, 7)
    out, saved = ops.scaled_dot_product_attention_forward(q, k, v, enable_gqa=True)
    assert_near(out, attention(q, np.stack([k, k]), np.stack([v, v]), gqa=True)[0], np.float64)
    grads = ops.scaled_dot_product_attention_backward(out, saved, q, k, v, enable_gqa=True)
    wanted = attention_backward(out, q, np.stack([k, k]), np.stack([v, v]), gqa=True)
    assert_near(grads[1], wanted[1].sum(0), np.float64, 8)


def test_zero_sizes():
    for shape in [
        (0, 2, 3, 4, 5, 6),
        (2, 0, 3, 4, 5, 6),
        (2, 2, 0, 4, 5, 6),
        (2, 2, 3, 0, 5, 6),
        (2, 2, 3, 4, 0, 6),
        (2, 2, 3, 4, 5, 0),
    ]:
        batch, heads, queries, keys, width, values = shape
        q, k, v = (
            np.ones((batch, heads, queries, width)),
            np.ones((batch, heads, keys, width)),
            np.ones((batch, heads, keys, values)),
        )
        out, saved = ops.scaled_dot_product_attention_forward(q, k, v)
        assert out.shape == (batch, heads, queries, values)
        # Without keys there is nothing to attend to; without a width all scores are equal.
        assert np.all(out == (keys > 0))
        grads = ops.scaled_dot_product_attention_backward(np.ones_like(out), saved, q, k, v)
        for grad, array in zip(grads[:3], (q, k, v), strict=True):
            assert grad.shape == array.shape
        assert np.allclose(grads[2].sum(), out.size if keys else 0)
        assert not grads[0].any()
        assert not grads[1].any()


def test_halves_are_computed_in_float32():
    q, k, v, _ = operands((1, 2, 2, 9, 12, 8, 8), np.float16)
    out, saved = ops.scaled_dot_product_attention_forward(q, k, v)
    assert out.dtype == np.float16
    assert np.abs(out - attention(q, k, v)[0]).max() < 2e-3
    grads = ops.scaled_dot_product_attention_backward(out, saved, q, k, v)
    assert [g.dtype for g in grads[:3]] == [np.float16] * 3


def test_golden():
    """Results of PyTorch, options and edges included."""
    stored = np.load(Path(__file__).parents[1] / "golden" / "attention.npz")
    names = {name.split(".")[0] for name in stored.files if "." in name}
    assert len(names) >= 8
    for name in names:
        case = {key.split(".")[1]: stored[key] for key in stored.files if key.startswith(name + ".")}
        options = {"is_causal": bool(case["causal"]), "scale": float(case["scale"]), "enable_gqa": bool(case["gqa"])}
        inputs = (case["q"], case["k"], case["v"], case.get("mask"))
        out, saved = ops.scaled_dot_product_attention_forward(*inputs, **options)
        assert np.abs(out - case["out"]).max() < 1e-12, name
        wants = "dmask" in case
        grads = ops.scaled_dot_product_attention_backward(case["dout"], saved, *inputs, **options, mask_gradient=wants)
        for grad, key in zip(grads, ("dq", "dk", "dv", "dmask"), strict=True):
            if key in case:
                assert np.abs(grad - case[key]).max() < 1e-12, (name, key)
