"""Attention's special values and its rounding."""

from __future__ import annotations

import numpy as np
import pytest
from reference_attention import assert_near, attention, operands

from spinetail.ops import attention as ops

DTYPES = [np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_rows_that_see_nothing(dtype, kind):
    q, k, v, mask = operands((1, 2, 2, 60, 200, 16, 16), dtype, "bool")
    mask[0, 1, 17:40] = False
    mask[0, 0, 5, :150] = False  # its first block of keys is hidden, the second is not
    given = mask if kind == "bool" else np.where(mask, 0, -np.inf).astype(dtype)
    hidden = ~mask.any(-1)
    assert hidden.sum() > 20
    out, saved = ops.scaled_dot_product_attention_forward(q, k, v, given)
    assert np.all(out[hidden] == 0)
    assert_near(out, attention(q, k, v, mask)[0], dtype)
    grads = ops.scaled_dot_product_attention_backward(
        np.ones_like(out), saved, q, k, v, given, mask_gradient=kind == "float"
    )
    assert np.all(grads[0][hidden] == 0)
    assert all(np.isfinite(g).all() for g in grads if g is not None)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_causal_keys_do_not_leak(dtype, bad):
    """What a later key or value holds cannot be seen, at any position relative to the tiles."""
    q, k, v, _ = operands((1, 1, 1, 150, 150, 8, 8), dtype)
    clean = ops.scaled_dot_product_attention(q, k, v, is_causal=True)
    for position in (1, 3, 7, 8, 12, 23, 24, 47, 48, 127, 128, 149):
        for which in ("key", "value"):
            other = (k if which == "key" else v).copy()
            other[..., position, :] = bad
            args = (q, other, v) if which == "key" else (q, k, other)
            out = ops.scaled_dot_product_attention(*args, is_causal=True)
            assert np.array_equal(out[..., :position, :], clean[..., :position, :])
            assert not np.isfinite(out[..., position:, :]).all(-1).any() or (which == "key" and bad == np.inf)


def test_infinities_and_nan_propagate():
    q, k, v, _ = operands((1, 1, 1, 20, 30, 8, 8), np.float32)
    for array in (k, v):
        spoilt = array.copy()
        spoilt[0, 0, 11, 2] = np.nan
        out = ops.scaled_dot_product_attention(*((q, spoilt, v) if array is k else (q, k, spoilt)))
        expected = attention(*((q, spoilt, v) if array is k else (q, k, spoilt)))[0]
        assert np.array_equal(np.isnan(out), np.isnan(expected))
    spoilt = v.copy()
    spoilt[0, 0, 11, 2] = np.inf
    assert np.all(np.isposinf(ops.scaled_dot_product_attention(q, k, spoilt)[..., 2]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_scores(dtype):
    """Differences of hundreds between scores neither overflow nor lose the small ones' exact zeros."""
    q, k, v, _ = operands((1, 1, 1, 40, 300, 16, 16), dtype)
    out = ops.scaled_dot_product_attention(q * 100, k, v)
    expected = attention(q * 100, k, v)[0]
    assert np.abs(out - expected).max() < (2e-4 if dtype == np.float32 else 1e-12)
    tiny = ops.scaled_dot_product_attention(q, k, v, scale=1e-30)
    assert_near(tiny, np.broadcast_to(v.astype(float).mean(-2, keepdims=True), tiny.shape), dtype)
    assert_near(ops.scaled_dot_product_attention(q, k, v, scale=-0.7), attention(q, k, v, scale=-0.7)[0], dtype, 2)


@pytest.mark.parametrize("queries", [2, 96])
def test_many_keys_round_little(queries):
    """Weights that sum to one: what is left of the difference is how they and their products are summed."""
    q, k, v, _ = operands((1, 1, 1, queries, 4096, 40, 40), np.float32)
    assert np.abs(ops.scaled_dot_product_attention(q, k, np.ones_like(v)) - 1).max() <= 4e-7


def test_scores_round_little():
    """The root mean square; one chain of products over the width would leave 9e-8 of the largest."""
    q, k, v, _ = operands((1, 1, 1, 96, 2048, 64, 64), np.float32)
    expected = attention(q, k, v)[0]
    error = ops.scaled_dot_product_attention(q, k, v) - expected
    assert np.sqrt(np.mean(error**2)) <= 7.5e-8 * np.abs(expected).max()


def test_sums_do_not_shrink():
    """Blocks of keys without a larger score leave the sums of those before as they are: 2^0 is 1 at every level."""
    q, k, v, _ = operands((1, 1, 1, 96, 4096, 64, 64), np.float32)
    _, saved = ops.scaled_dot_product_attention_forward(q, k, v)
    assert abs((saved.lse - attention(q, k, v)[1]).mean()) <= 2e-7
