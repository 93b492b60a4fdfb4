"""Scaled dot product attention on ndarrays: (..., heads, length, width), any strides but for a contiguous last axis."""

from __future__ import annotations

from math import inf, prod, sqrt
from operator import index
from typing import NamedTuple

import numpy as np

from .._native import kernels
from .arrays import empty, is_half

_NAME = "scaled_dot_product_attention"


class Saved(NamedTuple):
    """What the backward pass needs of the forward pass: the kernel's output and each row's log-sum-exp."""

    output: np.ndarray
    lse: np.ndarray


class Dropout(NamedTuple):
    """The probability with which a weight becomes 0, and what (with the weight's place) decides which ones do."""

    probability: float
    seed: int
    offset: int


class Terms(NamedTuple):
    """Which keys a query sees, and what happens to its scores: query i stands at key i, or with `lower_right` at key
    i + keys - queries, and sees `left` keys before and `right` keys after that one (-1: all)."""

    left: int = -1
    right: int = -1
    lower_right: bool = False
    softcap: float = 0.0
    slopes: np.ndarray | None = None


PLAIN, CAUSAL = Terms(), Terms(right=0)


def terms(
    is_causal: bool = False,
    causal: str | None = None,
    window: int | tuple[int, int] | None = None,
    alibi_slopes: np.ndarray | None = None,
    softcap: float | None = None,
    name: str = _NAME,
) -> Terms:
    """The options of the public functions as Terms; raises what is wrong with them."""
    if causal is None and window is None and alibi_slopes is None and softcap is None:
        return CAUSAL if is_causal else PLAIN
    if causal is not None and causal not in ("upper_left", "lower_right"):
        raise ValueError(f'[{name}] causal must be "upper_left" or "lower_right", got {causal!r}')
    if causal is not None and is_causal:
        raise RuntimeError(f"[{name}] is_causal=True and causal={causal!r} exclude each other: give one of them")
    bounded = is_causal or causal is not None
    left = right = -1
    if window is not None:
        try:
            left, right = (index(n) for n in window) if isinstance(window, (tuple, list)) else (index(window),) * 2
        except (TypeError, ValueError):
            raise TypeError(f"[{name}] window must be an integer or two of them, got {window!r}") from None
        if left < -1 or right < -1:
            raise ValueError(f"[{name}] window must be at least 0, or -1 for all keys on a side, got {window!r}")
    if softcap is not None and not 0.0 < softcap < inf:
        raise ValueError(f"[{name}] softcap must be positive and finite, got {softcap}")
    if alibi_slopes is not None:
        if not isinstance(alibi_slopes, np.ndarray) or isinstance(alibi_slopes, np.ma.MaskedArray):
            raise TypeError(f"[{name}] alibi_slopes must be a numpy.ndarray, got {type(alibi_slopes).__name__}")
        if (
            alibi_slopes.dtype.kind != "f" and alibi_slopes.dtype.name != "bfloat16"
        ) or alibi_slopes.dtype.itemsize > 8:
            raise TypeError(f"[{name}] alibi_slopes must be floating point, got dtype {alibi_slopes.dtype}")
    least = 1 << 62  # the kernel takes 64 bits
    return Terms(
        min(left, least), 0 if bounded else min(right, least), causal == "lower_right", softcap or 0.0, alibi_slopes
    )


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
    half = dtype.char not in "fd" and _is_half(query)
    if half:
        attn_mask, grad_output = _wide(attn_mask), grad_output.astype(dtype, copy=False)
    (q, k, v, mask), query_lead, key_lead = _aligned(query, key, value, attn_mask, enable_gqa)
    if dtype.char not in "fd" and not (half and q.size == query.size and k.size == key.size and v.size == value.size):
        # Sums over broadcast axes are rounded once too.
        saved = Saved(_wide(saved.output), saved.lse)
        grads = scaled_dot_product_attention_backward(
            _wide(grad_output), saved, *map(_wide, (query, key, value, attn_mask)), is_causal, scale, enable_gqa,
            dropout, terms, mask_gradient,
        )  # fmt: skip
        return tuple(g if g is None else g.astype(dtype) for g in grads)
    computed = _computed(query)
    doutput = _contiguous_rows(grad_output.reshape(saved.output.shape))
    dq, dk, dv = _thirds(q, k, v) or (_like(q, q.shape[3]), _like(k, k.shape[3]), _like(v, v.shape[3]))
    dmask = np.zeros((*q.shape[:3], k.shape[2]), computed) if mask_gradient else None
    kernels.attention_backward(
        dq, dk, dv, dmask, doutput, saved.output, saved.lse, q, k, v, mask, _slopes(terms, query_lead, computed),
        None, None, _scale(scale, query), *_numbers(is_causal, terms, dropout),
    )  # fmt: skip
    if dmask is not None:
        dmask = _unbroadcast(dmask, query_lead, attn_mask.shape).astype(dtype, copy=False)
    return (
        _unbroadcast(dq, query_lead, query.shape),
        _unbroadcast(dk, key_lead, key.shape),
        _unbroadcast(dv, key_lead, value.shape),
        dmask,
    )


def _forward(query, key, value, attn_mask, is_causal, scale, enable_gqa, dropout, terms, save):
    if attn_mask is not None and is_causal:
        raise RuntimeError(f"[{_NAME}] attn_mask and is_causal=True exclude each other: put the triangle into the mask")
    if not isinstance(query, np.ndarray) or query.dtype.char not in "fd":
        _explain(query, key, value, attn_mask, enable_gqa)
        if _is_half(query):
            attn_mask = _wide(attn_mask)
        else:
            wide = map(_wide, (query, key, value, attn_mask))
            out, saved = _forward(*wide, is_causal, scale, enable_gqa, dropout, terms, save)
            return out.astype(query.dtype), saved
    try:
        (q, k, v, mask), lead, _ = _aligned(query, key, value, attn_mask, enable_gqa)
        out = _like(q, v.shape[3])
        computed = _computed(query)
        lse = np.empty(q.shape[:3], computed) if save else None
        slopes = _slopes(terms, lead, computed)
        kernels.attention_forward(
            out, lse, q, k, v, mask, slopes, None, None, None, None, None, None, _scale(scale, query),
            *_numbers(is_causal, terms, dropout),
        )  # fmt: skip
    except (TypeError, ValueError, IndexError, AttributeError):
        _explain(query, key, value, attn_mask, enable_gqa)
        raise
    return out if len(lead) == 2 else out.reshape(*lead, *out.shape[2:]), Saved(out, lse) if save else None


def _aligned(query, key, value, mask, enable_gqa):
    """The operands with rank 4 and equal batches, not copied where views do; leading axes of queries and of keys."""
    query, key, value = _contiguous_rows(query), _contiguous_rows(key), _contiguous_rows(value)
    lead, key_lead = query.shape[:-2], key.shape[:-2]
    if query.ndim < 2 or key.ndim < 2 or value.ndim < 2:
        raise ValueError
    if lead == key_lead == value.shape[:-2]:
        if len(lead) != 2:
            query, key, value = _rank4(query), _rank4(key), _rank4(value)
    else:
        if enable_gqa:
            batch = np.broadcast_shapes(lead[:-1], key_lead[:-1], value.shape[:-3])
            lead, key_lead = (*batch, lead[-1]), (*batch, key_lead[-1])
            if value.shape[-3] != key_lead[-1]:
                raise ValueError
        else:
            lead = key_lead = np.broadcast_shapes(lead, key_lead, value.shape[:-2])
        query = _rank4(np.broadcast_to(query, (*lead, *query.shape[-2:])))
        key = _rank4(np.broadcast_to(key, (*key_lead, *key.shape[-2:])))
        value = _rank4(np.broadcast_to(value, (*key_lead, *value.shape[-2:])))
    if mask is not None:
        mask = _rank4(np.broadcast_to(mask, (*lead, query.shape[2], key.shape[2])))
    return (query, key, value, mask), lead, key_lead


def _rank4(array: np.ndarray) -> np.ndarray:
    """Leading axes joined to a batch, and added where there are too few."""
    if array.ndim == 4:
        return array
    if array.ndim < 4:
        return array.reshape((1,) * (4 - array.ndim) + array.shape)
    batch = 1
    for size in array.shape[:-3]:
        batch *= size
    return array.reshape(batch, *array.shape[-3:])


def _contiguous_rows(array: np.ndarray) -> np.ndarray:
    """The array, or a copy of it where neighbours along the last axis are not neighbours in memory."""
    return array if array.strides[-1] == array.itemsize or array.shape[-1] <= 1 else np.ascontiguousarray(array)


def _like(array: np.ndarray, width: int) -> np.ndarray:
    """An uninitialised array of the same leading shape and order of axes: heads inside lengths stay so."""
    batch, heads, length, _ = array.shape
    strides = array.strides
    if 0 < strides[1] < strides[2]:
        return empty((batch, length, heads, width), np.dtype(array.dtype.type)).swapaxes(1, 2)
    return empty((batch, heads, length, width), np.dtype(array.dtype.type))


def _thirds(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, ...] | None:
    """Uninitialised gradients of operands that are thirds of each row of one array, as a fused projection gives them:
    thirds of one array too, so that the projection's gradient need not be put together."""
    batch, heads, length, width = q.shape
    part = heads * width * q.itemsize
    if not q.strides == k.strides == v.strides or q.shape != k.shape or q.shape != v.shape:
        return None
    if q.strides[1:] != (width * q.itemsize, q.strides[2], q.itemsize) or 0 in q.shape:
        return None
    first, second, third = (a.__array_interface__["data"][0] for a in (q, k, v))
    if second - first != part or third - second != part:
        return None
    if q.strides[0] == length * q.strides[2] == length * 3 * part:
        whole = empty((batch, length, 3, heads, width), q.dtype)
    elif q.strides[2] == batch * q.strides[0] == batch * 3 * part:  # the batch inside lengths
        whole = empty((length, batch, 3, heads, width), q.dtype).swapaxes(0, 1)
    else:
        return None
    return tuple(whole[:, :, i].swapaxes(1, 2) for i in range(3))


def _unbroadcast(gradient: np.ndarray, lead: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """A gradient of rank 4 in its operand's shape, summed where the operand was broadcast."""
    if gradient.shape == shape:
        return gradient
    gradient = gradient.reshape(*lead, *gradient.shape[2:])
    extra = gradient.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + i for i, size in enumerate(shape) if size == 1 and gradient.shape[extra + i] != 1
    )
    return (gradient.sum(axes, keepdims=True) if axes else gradient).reshape(shape)


def _scale(scale: float | None, query: np.ndarray) -> float:
    return 1.0 / sqrt(query.shape[-1] or 1) if scale is None else scale


def _slopes(terms: Terms, lead: tuple[int, ...], dtype: type) -> np.ndarray | None:
    """ALiBi's slopes for each batch and head."""
    if terms.slopes is None:
        return None
    try:
        slopes = np.broadcast_to(terms.slopes.astype(dtype), lead)
    except ValueError:
        raise ValueError(
            f"[{_NAME}] alibi_slopes of shape {terms.slopes.shape} does not broadcast to the leading axes {lead}"
        ) from None
    return slopes.reshape(-1 if slopes.size else prod(lead[:-1]), lead[-1] if lead else 1)


def _numbers(
    is_causal: bool, terms: Terms, dropout: Dropout | None, splits: int = 0
) -> tuple[float, float, tuple[int, ...]]:
    """The kernel's soft-cap, probability of dropout, and options: seeds as the signed numbers of the same bits."""
    band = (terms.left, 0 if is_causal else terms.right, terms.lower_right)
    if dropout is None:
        return terms.softcap, 0.0, (*band, 0, 0, splits)
    probability, *numbers = dropout
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"[{_NAME}] dropout_p must be between 0 and 1, got {probability}")
    seed, offset = ((n & 0xFFFFFFFFFFFFFFFF) - ((n & 0x8000000000000000) << 1) for n in numbers)
    return terms.softcap, probability, (*band, seed, offset, splits)


def _is_half(array: np.ndarray) -> bool:
    """Whether the kernel reads the array as it is and computes in float32; the kernels learn of bfloat16 here."""
    if not is_half(array.dtype):
        return False
    if array.dtype.kind != "f":
        kernels.register_bfloat16(array.dtype)
    return True


def _computed(array: np.ndarray) -> type:
    return np.float32 if array.dtype.itemsize == 2 else array.dtype.type


def _wide(array):
    """float16 and bfloat16 are computed in float32."""
    return array if array is None or array.dtype == bool else array.astype(np.float32)


def _explain(query, key, value, mask, enable_gqa) -> None:
    """Raises what is wrong with the arguments, if anything is."""
    arrays = {"query": query, "key": key, "value": value}
    for name, array in (*arrays.items(), *([] if mask is None else [("attn_mask", mask)])):
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"[{_NAME}] {name} must be a numpy.ndarray, got {type(array).__name__}")
    for name, array in arrays.items():
        if (array.dtype.kind != "f" and array.dtype.name != "bfloat16") or array.dtype.itemsize > 8:
            raise TypeError(f"[{_NAME}] {name} must be floating point, got dtype {array.dtype}")
        if array.dtype != query.dtype:
            raise TypeError(f"[{_NAME}] expected one dtype, got query {query.dtype} and {name} {array.dtype}")
        if array.ndim < 2:
            raise ValueError(f"[{_NAME}] {name} must have shape (..., length, width), got {array.shape}")
    if key.shape[-1] != query.shape[-1]:
        raise ValueError(
            f"[{_NAME}] query has width {query.shape[-1]}, but key has width {key.shape[-1]} (expected the same)"
        )
    if value.shape[-2] != key.shape[-2]:
        raise ValueError(f"[{_NAME}] key has {key.shape[-2]} rows, but value has {value.shape[-2]} (expected the same)")
    lead = _explain_heads(query, key, value, enable_gqa)
    if mask is None:
        return
    if mask.dtype != bool and mask.dtype != query.dtype:
        raise TypeError(
            f"[{_NAME}] attn_mask must be bool (True = attend) or the query's {query.dtype} (added to the scores), "
            f"got {mask.dtype}"
        )
    scores = (*lead, query.shape[-2], key.shape[-2])
    try:
        fits = np.broadcast_shapes(mask.shape, scores) == scores
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"[{_NAME}] attn_mask of shape {mask.shape} does not broadcast to the scores' {scores}")


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
                f"[{_NAME}] query has {query.shape[-3]} heads, but key has {key.shape[-3]}: pass enable_gqa=True to "
                f"share each key head among {query.shape[-3] // key.shape[-3]} ({shapes})"
            ) from None
        raise RuntimeError(f"[{_NAME}] leading axes do not fit: {shapes}") from None
    heads, key_heads = query.shape[-3], key.shape[-3]
    if key_heads != value.shape[-3] or (heads % key_heads if key_heads else heads):
        raise RuntimeError(
            f"[{_NAME}] query has {heads} heads, key {key_heads} and value {value.shape[-3]} (with enable_gqa=True, "
            f"key and value need the same number, a divisor of the query's)"
        )
    return (*batch, heads)
