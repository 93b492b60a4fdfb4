"""Attention and its gradients in float64, written with the whole score matrix."""

from __future__ import annotations

import numpy as np


def weights(query, key, mask=None, causal=False, scale=None):
    """Softmax of the scores, zeros for rows that see nothing, and the rows' log-sum-exp; heads already equal."""
    scale = 1 / np.sqrt(query.shape[-1] or 1) if scale is None else scale
    scores = query @ key.swapaxes(-1, -2) * scale
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask.astype(np.float64)
    if causal:
        scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    largest = scores.max(-1, keepdims=True, initial=-np.inf)
    powers = np.exp(scores - np.where(np.isneginf(largest), 0, largest))
    sums = powers.sum(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        lse = np.where(sums > 0, np.log(sums) + largest, -np.inf)[..., 0]
    return powers / np.where(sums == 0, 1, sums), lse


def repeat_heads(array, heads):
    """Grouped keys or values, a copy for each head of queries."""
    return np.repeat(array, heads // array.shape[-3], -3) if array.ndim > 2 and array.shape[-3] else array


def attention(query, key, value, mask=None, causal=False, scale=None, gqa=False):
    """The output and the log-sum-exp, in float64."""
    query, key, value = (a.astype(np.float64) for a in (query, key, value))
    if gqa:
        key, value = repeat_heads(key, query.shape[-3]), repeat_heads(value, query.shape[-3])
    p, lse = weights(query, key, mask, causal, scale)
    return p @ value, lse


def attention_backward(grad, query, key, value, mask=None, causal=False, scale=None, gqa=False):
    """Gradients to query, key, value and the scores."""
    shapes = key.shape
    grad, query, key, value = (a.astype(np.float64) for a in (grad, query, key, value))
    if gqa:
        key, value = repeat_heads(key, query.shape[-3]), repeat_heads(value, query.shape[-3])
    scale = 1 / np.sqrt(query.shape[-1] or 1) if scale is None else scale
    p, _ = weights(query, key, mask, causal, scale)
    dp = grad @ value.swapaxes(-1, -2)
    ds = p * (dp - (p * dp).sum(-1, keepdims=True))
    dq, dk, dv = ds @ key * scale, ds.swapaxes(-1, -2) @ query * scale, p.swapaxes(-1, -2) @ grad
    if gqa:
        dk, dv = (
            g.reshape(*g.shape[:-3], shapes[-3], -1, *g.shape[-2:]).sum(-3) if g.size else g[..., : shapes[-3], :, :]
            for g in (dk, dv)
        )
    return dq, dk, dv, ds
