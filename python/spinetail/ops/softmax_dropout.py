"""Softmax of an input and a mask, and dropout of the shares, in one sweep over ndarrays."""

from __future__ import annotations

import numpy as np

from .._native import kernels
from .arrays import empty, floating, is_half, normal_axis
from .random import word

Array = np.ndarray
NAME = "softmax_dropout"


def softmax_dropout(
    input: Array, axis: int, probability: float = 0.0, seed: int = 0, offset: int = 0, mask: Array | None = None
) -> tuple[Array, Array]:
    """dropout(softmax(input + mask)) along an axis, and what the backward pass needs: two numbers for each line.

    The mask broadcasts to the input: bool, True where an element counts, or added. A line that it hides wholly is 0.
    Which elements are kept follows from (seed, offset) and their number, counted with the axis behind the others.
    """
    x, m, axis = _operands(input, mask, axis)
    y = empty(x.shape, x.dtype)
    statistics = np.zeros((x.size // x.shape[-1] if x.size else 0, 2), x.dtype)
    if probability == 1.0:
        y.fill(0)
    elif x.size:
        kernels.softmax_dropout_forward(y, statistics, x, m, word(seed), word(offset), probability)
    return _restored(y, input, axis), statistics


def softmax_dropout_backward(
    grad_output: Array,
    statistics: Array,
    input: Array,
    axis: int,
    probability: float = 0.0,
    seed: int = 0,
    offset: int = 0,
    mask: Array | None = None,
) -> Array:
    """Gradient to the input; to an additive mask it is the same, summed where the mask was broadcast."""
    x, m, axis = _operands(input, mask, axis)
    if grad_output.shape != input.shape:
        raise ValueError(f"[{NAME}] grad_output has shape {grad_output.shape}, but input has shape {input.shape}")
    g = _last(floating(NAME, grad_output, "grad_output"), axis)
    dx = empty(x.shape, x.dtype)
    if probability == 1.0:
        dx.fill(0)
    elif x.size:
        kernels.softmax_dropout_backward(dx, g, statistics, x, m, word(seed), word(offset), probability)
    return _restored(dx, input, axis)


def _operands(input: Array, mask: Array | None, axis: int) -> tuple[Array, Array | None, int]:
    """Input and mask as the kernel takes them: the axis last."""
    x = floating(NAME, input)
    axis = normal_axis(NAME, axis, x.ndim)
    if mask is None:
        return _last(x, axis), None, axis
    if not isinstance(mask, np.ndarray) or isinstance(mask, np.ma.MaskedArray):
        raise TypeError(f"[{NAME}] mask must be a numpy.ndarray, got {type(mask).__name__}")
    if mask.dtype == np.bool_:
        m = np.where(mask, x.dtype.type(0), x.dtype.type(-np.inf))
    elif mask.dtype.newbyteorder("=") == input.dtype.newbyteorder("="):
        m = floating(NAME, mask, "mask")
    else:
        raise TypeError(f"[{NAME}] mask must be bool (True = counts) or the input's {input.dtype}, got {mask.dtype}")
    try:
        fits = np.broadcast_shapes(m.shape, x.shape) == x.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"[{NAME}] mask of shape {mask.shape} does not broadcast to the input's {input.shape}")
    x = _last(x, axis)
    m = np.moveaxis(m.reshape((1,) * (x.ndim - m.ndim) + m.shape), axis, -1)
    # Lines are read as runs of memory; all other axes stay broadcast.
    lines = np.ascontiguousarray(np.broadcast_to(m, (*m.shape[:-1], x.shape[-1])))
    return x, np.broadcast_to(lines, x.shape), axis


def _last(array: Array, axis: int) -> Array:
    """The array, contiguous, with the axis behind all others; a scalar has one axis."""
    if axis < array.ndim - 1:
        array = np.ascontiguousarray(np.moveaxis(array, axis, -1))
    return array.reshape(1) if array.ndim == 0 else array


def _restored(array: Array, like: Array, axis: int) -> Array:
    if array.ndim == like.ndim and axis < array.ndim - 1:
        array = np.ascontiguousarray(np.moveaxis(array, -1, axis))
    return array.reshape(like.shape).astype(like.dtype if is_half(like.dtype) else array.dtype, copy=False)
