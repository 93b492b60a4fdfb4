"""Attention's operands as its kernels take them, and the arrays that come out of these."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from .._native import kernels
from .arrays import empty, is_half
from .attention_terms import NAME, Dropout, Terms


def aligned(query, key, value, mask, enable_gqa):
    """The operands with rank 4 and equal batches, not copied where views do; leading axes of queries and of keys."""
    query, key, value = contiguous_rows(query), contiguous_rows(key), contiguous_rows(value)
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


def contiguous_rows(array: np.ndarray) -> np.ndarray:
    """The array, or a copy of it where neighbours along the last axis are not neighbours in memory."""
    return array if array.strides[-1] == array.itemsize or array.shape[-1] <= 1 else np.ascontiguousarray(array)


def rows_like(array: np.ndarray, width: int) -> np.ndarray:
    """An uninitialised array of the same leading shape and order of axes: heads inside lengths stay so."""
    batch, heads, length, _ = array.shape
    strides = array.strides
    if 0 < strides[1] < strides[2]:
        return empty((batch, length, heads, width), np.dtype(array.dtype.type)).swapaxes(1, 2)
    return empty((batch, heads, length, width), np.dtype(array.dtype.type))


def thirds_like(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, ...] | None:
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


def summed_to(gradient: np.ndarray, lead: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """A gradient of rank 4 in its operand's shape, summed where the operand was broadcast."""
    if gradient.shape == shape:
        return gradient
    gradient = gradient.reshape(*lead, *gradient.shape[2:])
    extra = gradient.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + i for i, size in enumerate(shape) if size == 1 and gradient.shape[extra + i] != 1
    )
    return (gradient.sum(axes, keepdims=True) if axes else gradient).reshape(shape)


def scale_for(scale: float | None, query: np.ndarray) -> float:
    return 1.0 / sqrt(query.shape[-1] or 1) if scale is None else scale


def slopes_for(terms: Terms, lead: tuple[int, ...], dtype: type) -> np.ndarray | None:
    """ALiBi's slopes for each batch and head."""
    if terms.slopes is None:
        return None
    try:
        slopes = np.broadcast_to(terms.slopes.astype(dtype), lead)
    except ValueError:
        raise ValueError(
            f"[{NAME}] alibi_slopes of shape {terms.slopes.shape} does not broadcast to the leading axes {lead}"
        ) from None
    return slopes.reshape(-1 if slopes.size else prod(lead[:-1]), lead[-1] if lead else 1)


def numbers_for(
    is_causal: bool, terms: Terms, dropout: Dropout | None, splits: int = 0
) -> tuple[float, float, tuple[int, ...]]:
    """The kernel's soft-cap, probability of dropout, and options: seeds as the signed numbers of the same bits."""
    band = (terms.left, 0 if is_causal else terms.right, terms.lower_right)
    if dropout is None:
        return terms.softcap, 0.0, (*band, 0, 0, splits)
    probability, *numbers = dropout
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"[{NAME}] dropout_p must be between 0 and 1, got {probability}")
    seed, offset = ((n & 0xFFFFFFFFFFFFFFFF) - ((n & 0x8000000000000000) << 1) for n in numbers)
    return terms.softcap, probability, (*band, seed, offset, splits)


def takes_half(array: np.ndarray) -> bool:
    """Whether the kernel reads the array as it is and computes in float32; the kernels learn of bfloat16 here."""
    if not is_half(array.dtype):
        return False
    if array.dtype.kind != "f":
        kernels.register_bfloat16(array.dtype)
    return True


def computed_type(array: np.ndarray) -> type:
    return np.float32 if array.dtype.itemsize == 2 else array.dtype.type


def widened(array):
    """float16 and bfloat16 are computed in float32."""
    return array if array is None or array.dtype == bool else array.astype(np.float32)
