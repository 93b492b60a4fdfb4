"""Scaled dot product attention on ndarrays: (..., heads, length, width), any strides but for a contiguous last axis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._native import kernels
from .attention_operands import (
    aligned,
    computed_type,
    contiguous_rows,
    numbers_for,
    rows_like,
    scale_for,
    slopes_for,
    summed_to,
    takes_half,
    thirds_like,
    widened,
)
from .attention_terms import NAME, PLAIN, Dropout, Terms


class Saved(NamedTuple):
    """What the backward pass needs of the forward pass: the kernel's output and each row's log-sum-exp."""

    output: np.ndarray
    lse: np.ndarray


def scaled_dot_product_attention(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    attn_mask: np.ndarray | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    dropout: Dropout | None = None,
    terms: Terms = PLAIN,
) -> np.ndarray:
    """softmax(scale · query keyᵀ + mask) value; with `dropout` some weights are 0, and the others larger."""
    return _forward(query, key, value, attn_mask, is_causal, scale, enable_gqa, dropout, terms, False)[0]


def scaled_dot_product_attention_forward(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    attn_mask: np.ndarray | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    dropout: Dropout | None = None,
    terms: Terms = PLAIN,
) -> tuple[np.ndarray, Saved]:
    """The same, and what `scaled_dot_product_attention_backward` needs."""
    return _forward(query, key, value, attn_mask, is_causal, scale, enable_gqa, dropout, terms, True)


def scaled_dot_product_attention_backward(
    grad_output: np.ndarray,
    saved: Saved,
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    attn_mask: np.ndarray | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    dropout: Dropout | None = None,
    terms: Terms = PLAIN,
    mask_gradient: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Gradients to query, key, value and, with `mask_gradient`, to an additive mask, each in its operand's shape."""
    dtype = query.dtype
    half = dtype.char not in "fd" and takes_half(query)
    if half:
        attn_mask, grad_output = widened(attn_mask), grad_output.astype(dtype, copy=False)
    (q, k, v, mask), query_lead, key_lead = aligned(query, key, value, attn_mask, enable_gqa)
    if dtype.char not in "fd" and not (half and q.size == query.size and k.size == key.size and v.size == value.size):
        # Sums over broadcast axes are rounded once too.
        saved = Saved(widened(saved.output), saved.lse)
        grads = scaled_dot_product_attention_backward(
            widened(grad_output), saved, *map(widened, (query, key, value, attn_mask)), is_causal, scale, enable_gqa,
            dropout, terms, mask_gradient,
        )  # fmt: skip
        return tuple(g if g is None else g.astype(dtype) for g in grads)
    computed = computed_type(query)
    doutput = contiguous_rows(grad_output.reshape(saved.output.shape))
    dq, dk, dv = thirds_like(q, k, v) or (rows_like(q, q.shape[3]), rows_like(k, k.shape[3]), rows_like(v, v.shape[3]))
    dmask = np.zeros((*q.shape[:3], k.shape[2]), computed) if mask_gradient else None
    kernels.attention_backward(
        dq, dk, dv, dmask, doutput, saved.output, saved.lse, q, k, v, mask, slopes_for(terms, query_lead, computed),
        None, None, scale_for(scale, query), *numbers_for(is_causal, terms, dropout),
    )  # fmt: skip
    if dmask is not None:
        dmask = summed_to(dmask, query_lead, attn_mask.shape).astype(dtype, copy=False)
    return (
        summed_to(dq, query_lead, query.shape),
        summed_to(dk, key_lead, key.shape),
        summed_to(dv, key_lead, value.shape),
        dmask,
    )


def _forward(query, key, value, attn_mask, is_causal, scale, enable_gqa, dropout, terms, save):
    if attn_mask is not None and is_causal:
        raise RuntimeError(f"[{NAME}] attn_mask and is_causal=True exclude each other: put the triangle into the mask")
    if not isinstance(query, np.ndarray) or query.dtype.char not in "fd":
        _explain(query, key, value, attn_mask, enable_gqa)
        if takes_half(query):
            attn_mask = widened(attn_mask)
        else:
            wide = map(widened, (query, key, value, attn_mask))
            out, saved = _forward(*wide, is_causal, scale, enable_gqa, dropout, terms, save)
            return out.astype(query.dtype), saved
    try:
        (q, k, v, mask), lead, _ = aligned(query, key, value, attn_mask, enable_gqa)
        out = rows_like(q, v.shape[3])
        computed = computed_type(query)
        lse = np.empty(q.shape[:3], computed) if save else None
        slopes = slopes_for(terms, lead, computed)
        kernels.attention_forward(
            out, lse, q, k, v, mask, slopes, None, None, None, None, None, None, scale_for(scale, query),
            *numbers_for(is_causal, terms, dropout),
        )  # fmt: skip
    except (TypeError, ValueError, IndexError, AttributeError):
        _explain(query, key, value, attn_mask, enable_gqa)
        raise
    return out if len(lead) == 2 else out.reshape(*lead, *out.shape[2:]), Saved(out, lse) if save else None


def _explain(query, key, value, mask, enable_gqa) -> None:
    """Raises what is wrong with the arguments, if anything is."""
    arrays = {"query": query, "key": key, "value": value}
    for name, array in (*arrays.items(), *([] if mask is None else [("attn_mask", mask)])):
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"[{NAME}] {name} must be a numpy.ndarray, got {type(array).__name__}")
    for name, array in arrays.items():
        if (array.dtype.kind != "f" and array.dtype.name != "bfloat16") or array.dtype.itemsize > 8:
            raise TypeError(f"[{NAME}] {name} must be floating point, got dtype {array.dtype}")
        if array.dtype != query.dtype:
            raise TypeError(f"[{NAME}] expected one dtype, got query {query.dtype} and {name} {array.dtype}")
        if array.ndim < 2:
            raise ValueError(f"[{NAME}] {name} must have shape (..., length, width), got {array.shape}")
    if key.shape[-1] != query.shape[-1]:
        raise ValueError(
            f"[{NAME}] query has width {query.shape[-1]}, but key has width {key.shape[-1]} (expected the same)"
        )
    if value.shape[-2] != key.shape[-2]:
        raise ValueError(f"[{NAME}] key has {key.shape[-2]} rows, but value has {value.shape[-2]} (expected the same)")
    lead = _explain_heads(query, key, value, enable_gqa)
    if mask is None:
        return
    if mask.dtype != bool and mask.dtype != query.dtype:
        raise TypeError(
            f"[{NAME}] attn_mask must be bool (True = attend) or the query's {query.dtype} (added to the scores), "
            f"got {mask.dtype}"
        )
    scores = (*lead, query.shape[-2], key.shape[-2])
    try:
        fits = np.broadcast_shapes(mask.shape, scores) == scores
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"[{NAME}] attn_mask of shape {mask.shape} does not broadcast to the scores' {scores}")


def _explain_heads(query, key, value, enable_gqa) -> tuple[int, ...]:
    """The leading axes of the result; raises where those of the operands do not fit."""
    shapes = f"query {query.shape}, key {key.shape}, value {value.shape}"
    try:
        if not enable_gqa:
            return np.broadcast_shapes(*(a.shape[:-2] for a in (query, key, value)))
        if min(a.ndim for a in (query, key, value)) < 3:
            raise ValueError
        batch = np.broadcast_shapes(*(a.shape[:-3] for a in (query, key, value)))
    except ValueError:
        grouped = query.ndim > 2 and key.ndim > 2 and key.shape[-3] and query.shape[-3] % key.shape[-3] == 0
        if grouped and not enable_gqa:
            raise RuntimeError(
                f"[{NAME}] query has {query.shape[-3]} heads, but key has {key.shape[-3]}: pass enable_gqa=True to "
                f"share each key head among {query.shape[-3] // key.shape[-3]} ({shapes})"
            ) from None
        raise RuntimeError(f"[{NAME}] leading axes do not fit: {shapes}") from None
    heads, key_heads = query.shape[-3], key.shape[-3]
    if key_heads != value.shape[-3] or (heads % key_heads if key_heads else heads):
        raise RuntimeError(
            f"[{NAME}] query has {heads} heads, key {key_heads} and value {value.shape[-3]} (with enable_gqa=True, "
            f"key and value need the same number, a divisor of the query's)"
        )
    return (*batch, heads)
