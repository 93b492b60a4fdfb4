"""Attention and its gradients in float64, written with the whole score matrix."""

from __future__ import annotations

import numpy as np


def scores(query, key, mask=None, causal=False, scale=None, window=None, slopes=None, softcap=None):
    """What the softmax is taken of, and the soft-cap's derivatives; heads already equal.

    `causal`: False, True (as "upper_left"), "upper_left" or "lower_right". `window`: (left, right), -1 for all.
    """
    scale = 1 / np.sqrt(query.shape[-1] or 1) if scale is None else scale
    s = query @ key.swapaxes(-1, -2) * scale
    slope = 1.0
    if softcap is not None:
        ratio = np.tanh(s / softcap)
        s, slope = softcap * ratio, 1 - ratio**2
    rows, keys = s.shape[-2:]
    distance = np.arange(keys) - np.arange(rows)[:, None] - (keys - rows if causal == "lower_right" else 0)
    if slopes is not None:
        s = s - np.asarray(slopes, np.float64)[..., None, None] * np.abs(distance)
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask.astype(np.float64)
    left, right = (-1, -1) if window is None else window
    if causal:
        right = 0
    seen = np.ones(distance.shape, bool)
    if left >= 0:
        seen &= distance >= -left
    if right >= 0:
        seen &= distance <= right
    return np.where(seen, s, -np.inf), slope


def weights(query, key, mask=None, causal=False, scale=None, **terms):
    """Softmax of the scores, zeros for rows that see nothing, and the rows' log-sum-exp; heads already equal."""
    s, _ = scores(query, key, mask, causal, scale, **terms)
    largest = s.max(-1, keepdims=True, initial=-np.inf)
    powers = np.exp(s - np.where(np.isneginf(largest), 0, largest))
    sums = powers.sum(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        lse = np.where(sums > 0, np.log(sums) + largest, -np.inf)[..., 0]
    return powers / np.where(sums == 0, 1, sums), lse


def repeat_heads(array, heads):
    """Grouped keys or values, a copy for each head of queries."""
    return np.repeat(array, heads // array.shape[-3], -3) if array.ndim > 2 and array.shape[-3] else array


def attention(query, key, value, mask=None, causal=False, scale=None, gqa=False, **terms):
    """The output and the log-sum-exp, in float64."""
    query, key, value = (a.astype(np.float64) for a in (query, key, value))
    if gqa:
        key, value = repeat_heads(key, query.shape[-3]), repeat_heads(value, query.shape[-3])
    p, lse = weights(query, key, mask, causal, scale, **terms)
    return p @ value, lse


def attention_backward(grad, query, key, value, mask=None, causal=False, scale=None, gqa=False, **terms):
    """Gradients to query, key, value and the scores."""
    shapes = key.shape
    grad, query, key, value = (a.astype(np.float64) for a in (grad, query, key, value))
    if gqa:
        key, value = repeat_heads(key, query.shape[-3]), repeat_heads(value, query.shape[-3])
    scale = 1 / np.sqrt(query.shape[-1] or 1) if scale is None else scale
    p, _ = weights(query, key, mask, causal, scale, **terms)
    dp = grad @ value.swapaxes(-1, -2)
    ds = p * (dp - (p * dp).sum(-1, keepdims=True))
    raw = ds * scores(query, key, None, False, scale, softcap=terms.get("softcap"))[1] * scale
    dq, dk, dv = raw @ key, raw.swapaxes(-1, -2) @ query, p.swapaxes(-1, -2) @ grad
    if gqa:
        dk, dv = (
            g.reshape(*g.shape[:-3], shapes[-3], -1, *g.shape[-2:]).sum(-3) if g.size else g[..., : shapes[-3], :, :]
            for g in (dk, dv)
        )
    return dq, dk, dv, ds


def limit(dtype, size=1.0):
    return (2e-6 if dtype == np.float32 else 4e-15) * max(1.0, float(size))


def assert_near(result, expected, dtype, slack=1.0):
    assert result.dtype == dtype
    assert result.shape == expected.shape
    if expected.size:
        assert np.abs(result - expected).max() <= slack * limit(dtype, np.abs(expected).max())


def unbroadcast(gradient, shape):
    extra = gradient.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(extra + i for i, n in enumerate(shape) if n == 1)
    return gradient.sum(axes, keepdims=True).reshape(shape)


def operands(sizes, dtype, mask="none", seed=0):
    """Random queries, keys, values and mask; sizes: batch, heads, key heads, queries, keys, width, value width."""
    rng = np.random.default_rng(seed)
    batch, heads, groups, queries, keys, width, values = sizes
    q = rng.standard_normal((batch, heads, queries, width)).astype(dtype)
    k = rng.standard_normal((batch, groups, keys, width)).astype(dtype)
    v = rng.standard_normal((batch, groups, keys, values)).astype(dtype)
    if mask == "bool":
        m = rng.random((batch, heads, queries, keys)) > 0.4
        m[:, :, 0] = False
    elif mask == "float":
        m = rng.standard_normal((batch, 1, queries, keys)).astype(dtype)
        m[:, :, -1, : keys // 2] = -np.inf
    elif mask == "keys":
        m = rng.random((batch, 1, 1, keys)) > 0.3
    elif mask == "queries":
        m = rng.standard_normal((queries, 1)).astype(dtype)
    elif mask == "transposed":
        m = rng.standard_normal((keys, queries)).astype(dtype).T
    else:
        m = None
    return q, k, v, m
