"""Reductions of floating point arrays: one value for each line along one, several or all axes.

float32 and float64 are computed as they come; float16 and bfloat16 in float32, and returned as they came. Arrays whose
reduced axes are neighbours are read where they lie, transposed ones too; others are copied or reduced in two steps.
"""

from __future__ import annotations

from math import prod as _product

import numpy as np

from .._native import kernels
from .arrays import FLOAT32, FLOAT64, is_half

Array = np.ndarray
Axes = tuple[int, ...] | None

# The operations of reduction.h.
SUM, SUM_ABS, SUM_SQUARES, PRODUCT, LARGEST, SMALLEST, LARGEST_ABS, SMALLEST_ABS = range(8)
FIND_LARGEST, FIND_SMALLEST, SPREAD, LOG_SUM_EXP, NORM = range(8, 13)

#: What the second of two steps does with the first one's results, where a reduction can be taken in two.
_SECOND = {
    **{SUM: SUM, SUM_ABS: SUM, SUM_SQUARES: SUM, PRODUCT: PRODUCT, LARGEST: LARGEST, SMALLEST: SMALLEST},
    **{LARGEST_ABS: LARGEST, SMALLEST_ABS: SMALLEST, LOG_SUM_EXP: LOG_SUM_EXP, NORM: NORM},
}
_empty, _kernel = np.empty, kernels.reduction
_BOOL, _INT64 = np.dtype(np.bool_), np.dtype(np.int64)
_TRUTHS = frozenset(map(np.dtype, ("?", "i1", "u1", "i4", "i8", "f2", "f4", "f8")))


def takes(x: Array) -> bool:
    """Whether the kernels take the array: floating point numbers, and not none of them."""
    dtype = x.dtype
    if not (dtype is FLOAT32 or dtype is FLOAT64):
        if not (dtype.kind == "f" and dtype.itemsize <= 8) and not is_half(dtype):
            return False
    return x.size > 0


def reduce(x: Array, axes: Axes, keepdims: bool, operation: int, parameter: float = 1.0) -> Array:
    """One of the operations above along some axes (None: all) of an array that is not empty."""
    dtype, shape = x.dtype, x.shape
    if (dtype is FLOAT32 or dtype is FLOAT64) and x.flags.c_contiguous:
        if axes is None:
            y = _empty((1,) * len(shape) if keepdims else (), dtype)
            _kernel(y, None, x, 0, len(shape) - 1 if shape else 0, operation, parameter)
            return y
        first, last = (axes[0], axes[0]) if len(axes) == 1 else (min(axes), max(axes))
        if last - first == len(axes) - 1:
            y = _empty(shape[:first] + (1,) * (len(axes) if keepdims else 0) + shape[last + 1 :], dtype)
            _kernel(y, None, x, first, last, operation, parameter)
            return y
        return _in_steps(x, sorted(axes), keepdims, operation, parameter)
    if is_half(dtype):
        with np.errstate(over="ignore"):
            return reduce(x.astype(np.float32), axes, keepdims, operation, parameter).astype(dtype)
    if dtype is FLOAT32 or dtype is FLOAT64:
        return _strided(x, tuple(range(x.ndim)) if axes is None else axes, keepdims, operation, parameter)
    return reduce(_native(x), axes, keepdims, operation, parameter)


def find(x: Array, axis: int | None, keepdims: bool, largest: bool, values: bool = True) -> tuple[Array | None, Array]:
    """The largest or smallest elements along an axis (None: all) and their indices; the first of equal ones, NaN first.

    >>> import numpy as np
    >>> find(np.array([[1.0, 5.0], [7.0, 0.0]]), 1, False, True)
    (array([5., 7.]), array([1, 0]))
    """
    dtype, shape = x.dtype, x.shape
    if is_half(dtype):
        y, places = find(x.astype(np.float32), axis, keepdims, largest, values)
        return None if y is None else y.astype(dtype), places
    if not ((dtype is FLOAT32 or dtype is FLOAT64) and x.flags.c_contiguous):
        x = _native(x)
    first, last = (0, len(shape) - 1 if shape else 0) if axis is None else (axis, axis)
    kept = shape[:first] + ((1,) * (last + 1 - first) if keepdims else ()) + shape[last + 1 :]
    best = _empty(kept, x.dtype) if values else None
    places = _empty(kept, _INT64)
    _kernel(best, places, x, first, last, FIND_LARGEST if largest else FIND_SMALLEST, 1.0)
    return best, places


def top(x: Array, k: int, axis: int, largest: bool) -> tuple[Array, Array]:
    """The k largest or smallest elements along an axis in order, and their indices; NaN is the largest of all.

    >>> import numpy as np
    >>> top(np.array([1.0, 4.0, 3.0, 4.0]), 3, 0, True)
    (array([4., 4., 3.]), array([1, 3, 2]))
    """
    if is_half(x.dtype):
        best, places = top(x.astype(np.float32), k, axis, largest)
        return best.astype(x.dtype), places
    last = axis == x.ndim - 1
    rows = x if last else x.swapaxes(axis, -1)
    if not ((rows.dtype is FLOAT32 or rows.dtype is FLOAT64) and rows.flags.c_contiguous):
        rows = _native(rows)
    lead = rows.shape[:-1]
    best, places = _empty((*lead, k), rows.dtype), _empty((*lead, k), np.int64)
    count = _product(lead)
    kernels.top(best.reshape(count, k), places.reshape(count, k), rows.reshape(count, rows.shape[-1]), int(largest))
    if last:
        return best, places
    return np.ascontiguousarray(best.swapaxes(axis, -1)), np.ascontiguousarray(places.swapaxes(axis, -1))


def sum(x: Array, axes: Axes = None, keepdims: bool = False) -> Array:
    """Σ x. float32 is summed in float64; the error is at most 4·eps·Σ|x|, and 8·eps·Σ|x| in float64."""
    return reduce(x, axes, keepdims, SUM)


def mean(x: Array, axes: Axes = None, keepdims: bool = False) -> Array:
    """Σ x / n, with the error of `sum` over n."""
    return reduce(x, axes, keepdims, SUM, float(count(x.shape, axes)))


def count(shape: tuple[int, ...], axes: Axes) -> int:
    """How many elements become one."""
    return _product(shape) if axes is None else _product([shape[a] for a in axes])


def _kept(shape: tuple[int, ...], axes, keepdims: bool) -> tuple[int, ...]:
    if keepdims:
        return tuple([1 if i in axes else s for i, s in enumerate(shape)])
    return tuple([s for i, s in enumerate(shape) if i not in axes])


def _strided(x: Array, axes: tuple[int, ...], keepdims: bool, operation: int, parameter: float) -> Array:
    """Arrays that are not C-contiguous: transposed ones are turned, others read in place where the kernel can."""
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    turned = x.transpose(order)
    if turned.flags.c_contiguous:
        y = reduce(turned, tuple([order.index(a) for a in axes]), True, operation, parameter)
        y = y.transpose(np.argsort(order))
        return y if keepdims else y.reshape(_kept(x.shape, axes, False))
    first, last = min(axes), max(axes)
    if last - first == len(axes) - 1:
        shape = x.shape
        lines = x.reshape(_product(shape[:first]), _product(shape[first : last + 1]), _product(shape[last + 1 :]))
        step, size = lines.strides, lines.itemsize
        if step[2] == size if lines.shape[2] > 1 else step[1] == size or lines.shape[1] == 1:
            y = _empty(_kept(shape, axes, keepdims), x.dtype)
            _kernel(y, None, lines, 1, 1, operation, parameter)
            return y
    return reduce(_native(x), axes, keepdims, operation, parameter)


def _native(x: Array) -> Array:
    """A copy as the kernels take it, with the very dtype that the quick checks look for."""
    copy = _empty(x.shape, FLOAT32 if x.dtype.itemsize == 4 else FLOAT64)  # numpy.array keeps an equal dtype
    copy[...] = x
    return copy


def _in_steps(x: Array, axes: list[int], keepdims: bool, operation: int, parameter: float) -> Array:
    """A reduction over axes that are not neighbours: the last ones first, or over a copy with all of them last."""
    if operation not in _SECOND:
        rest = [a for a in range(x.ndim) if a not in axes]
        moved = _native(x.transpose(*rest, *axes)).reshape(*[x.shape[a] for a in rest], -1)
        y = reduce(moved, (len(rest),), False, operation, parameter)
        return y.reshape(_kept(x.shape, axes, keepdims))
    start = len(axes) - 1
    while start and axes[start - 1] == axes[start] - 1:
        start -= 1
    part = reduce(x, tuple(axes[start:]), True, operation)
    y = reduce(part, tuple(axes[:start]), True, _SECOND[operation], parameter)
    return y if keepdims else y.reshape(_kept(x.shape, axes, False))


def any_or_all(x: Array, axes: Axes, keepdims: bool, every: bool) -> Array:
    """Whether some element, or every one, of each line is not zero: bool. NaN is not zero.

    >>> import numpy as np
    >>> any_or_all(np.array([[0.0, 5.0], [0.0, 0.0]]), (1,), False, False)
    array([ True, False])
    """
    shape = x.shape
    if x.dtype.kind not in "biuf" and not is_half(x.dtype):
        raise TypeError(f"[{'all' if every else 'any'}] expected numbers or bools, but got {x.dtype}")
    if x.dtype not in _TRUTHS or not x.dtype.isnative:
        x = np.asarray(x != 0)
    axes = tuple(range(len(shape))) if axes is None else tuple(sorted(axes))
    first, last = (axes[0], axes[-1]) if axes else (0, 0)
    if last - first != len(axes) - 1 and axes:  # not neighbours: moved to the end
        x = x.transpose(*[a for a in range(len(shape)) if a not in axes], *axes)
        first, last = len(shape) - len(axes), len(shape) - 1
    y = _empty(_kept(shape, axes, keepdims), _BOOL)
    kernels.truth(y, x if x.flags.c_contiguous else np.array(x, order="C"), first, last, int(every))
    return y
