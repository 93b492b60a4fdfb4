"""Attention's dropout: which weights are dropped, and the gradients that choose the same ones."""

from __future__ import annotations

import numpy as np
import pytest
from reference_attention import assert_near, limit, operands, repeat_heads, unbroadcast, weights

from spinetail.ops import attention as ops

DTYPES = [np.float32, np.float64]


def dropped_weights(sizes, dtype, dropout, mask="none"):
    """The weights that the kernel uses: with the identity as values the output is the weights."""
    q, k, _, m = operands(sizes, dtype, mask)
    identity = np.broadcast_to(np.eye(k.shape[2], dtype=dtype), (*k.shape[:3], k.shape[2]))
    return q, k, m, ops.scaled_dot_product_attention(q, k, identity, m, mask == "causal", dropout=dropout)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout(dtype):
    sizes = (2, 3, 3, 100, 150, 8, 8)
    for mask in ("none", "causal"):
        q, k, m, used = dropped_weights(sizes, dtype, ops.Dropout(0.3, 2**64 - 5, 7), mask)
        p, _ = weights(q.astype(float), k.astype(float), m, mask == "causal")
        kept = used != 0
        share = kept[p > 0].mean()
        assert abs(share - 0.7) < 5 * np.sqrt(0.3 * 0.7 / (p > 0).sum())
        assert np.abs(used - np.where(kept, p / 0.7, 0)).max() < limit(dtype)
        # Neither heads, queries nor keys repeat one another's choice.
        assert not np.array_equal(kept[0, 0], kept[0, 1])
        assert not np.array_equal(kept[0, 0], kept[1, 0])
        if mask == "none":
            assert abs(np.corrcoef(kept[0, 0, :50].ravel(), kept[0, 0, 50:].ravel())[0, 1]) < 0.06
            assert abs(np.corrcoef(kept[0, 0, :, :75].ravel(), kept[0, 0, :, 75:].ravel())[0, 1]) < 0.06
        _, _, _, other = dropped_weights(sizes, dtype, ops.Dropout(0.3, 2**64 - 5, 8), mask)
        assert not np.array_equal(other != 0, kept)
        _, _, _, same = dropped_weights(sizes, dtype, ops.Dropout(0.3, 2**64 - 5, 7), mask)
        assert np.array_equal(same, used)
    _, _, _, nothing = dropped_weights(sizes, dtype, ops.Dropout(1.0, 1, 2))
    assert not nothing.any()
    for bad in (-0.1, 1.5, np.nan):
        with pytest.raises(ValueError, match="dropout_p must be between 0 and 1"):
            dropped_weights(sizes, dtype, ops.Dropout(bad, 1, 2))


def test_dropout_is_the_same_in_both_dtypes():
    """So it depends on the weight's place, not on the blocks, which are half as wide in float64."""
    sizes = (1, 2, 2, 70, 130, 8, 8)
    for p in (0.1, 0.5):
        dropout = ops.Dropout(p, 3, 4)
        masks = [dropped_weights(sizes, dtype, dropout)[3] != 0 for dtype in DTYPES]
        assert np.array_equal(*masks)


@pytest.mark.parametrize("mask", ["none", "causal", "float"])
def test_dropout_backward(mask):
    """The gradients are those of the function with the forward pass's choice."""
    causal = mask == "causal"
    for seed, sizes in enumerate([(1, 2, 1, 60, 140, 8, 5), (2, 2, 2, 3, 9, 4, 4), (1, 1, 1, 130, 33, 16, 16)]):
        q, k, v, m = operands(sizes, np.float64, mask, seed)
        dropout = ops.Dropout(0.4, 11, seed)
        identity = np.broadcast_to(np.eye(k.shape[2]), (*k.shape[:3], k.shape[2]))
        used = ops.scaled_dot_product_attention(q, k, identity, m, causal, enable_gqa=True, dropout=dropout)
        keep = (used != 0) / 0.6
        out, saved = ops.scaled_dot_product_attention_forward(q, k, v, m, causal, enable_gqa=True, dropout=dropout)
        heads = q.shape[1]
        wide_k, wide_v = repeat_heads(k, heads), repeat_heads(v, heads)
        p, _ = weights(q, wide_k, m, causal)
        assert_near(out, (p * keep) @ wide_v, np.float64)
        grad = np.random.default_rng(seed).standard_normal(out.shape)
        dq, dk, dv, dmask = ops.scaled_dot_product_attention_backward(
            grad, saved, q, k, v, m, causal, enable_gqa=True, dropout=dropout, mask_gradient=m is not None
        )
        dp = grad @ wide_v.swapaxes(-1, -2) * keep
        ds = p * (dp - (p * dp).sum(-1, keepdims=True))
        scale = 1 / np.sqrt(q.shape[-1])
        groups = (k.shape[0], k.shape[1], heads // k.shape[1])
        assert_near(dq, ds @ wide_k * scale, np.float64, 4)
        for result, wanted in ((dk, ds.swapaxes(-1, -2) @ q * scale), (dv, (p * keep).swapaxes(-1, -2) @ grad)):
            assert_near(result, wanted.reshape(*groups, *wanted.shape[2:]).sum(2), np.float64, 4)
        if m is not None:
            assert_near(dmask, unbroadcast(ds, m.shape), np.float64, 8)
