"""What every family asks of its arrays before a kernel sees them."""

from __future__ import annotations

import numpy as np

from .._native import kernels

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)

empty = kernels.empty
"""`numpy.empty(shape, dtype)` for outputs: a large one gets memory that an earlier one let go, not pages of zeros."""


def zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """`numpy.zeros(shape, dtype)` in the memory of `empty`: large ones begin at lines of the cache, as steps over them
    like it."""
    array = empty(shape, dtype)
    array.fill(0)
    return array


def floating(name: str, array: np.ndarray, argument: str = "input") -> np.ndarray:
    """A native, C-contiguous float32 or float64 array with the same values; float16 and bfloat16 become float32.

    Raises TypeError for everything that is not an ndarray of floating point numbers.
    """
    if type(array) is np.ndarray:  # the usual case
        dtype = array.dtype
        if (dtype is FLOAT32 or dtype is FLOAT64) and array.flags.c_contiguous:
            return array
    if not isinstance(array, (np.ndarray, np.generic)):
        raise TypeError(f"[{name}] {argument} must be a numpy.ndarray, got {type(array).__name__}")
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"[{name}] {argument} is a masked array, which is not supported (use .filled())")
    dtype = array.dtype
    if dtype.kind == "f" and dtype.itemsize in (4, 8):
        return np.asarray(array, dtype=dtype.newbyteorder("="), order="C")
    if is_half(dtype):
        return np.asarray(array, dtype=np.float32, order="C")
    raise TypeError(f"[{name}] {argument} must be floating point (float16, bfloat16, float32 or float64), got {dtype}")


def channels_behind(array: np.ndarray) -> np.ndarray:
    """(N, C, *spatial) seen as (N, *spatial, C): `numpy.moveaxis(array, 1, -1)` in a tenth of the time."""
    return array.transpose(0, *range(2, array.ndim), 1)


def channels_second(array: np.ndarray) -> np.ndarray:
    """The way back from `channels_behind`."""
    return array.transpose(0, array.ndim - 1, *range(1, array.ndim - 1))


def is_half(dtype: np.dtype) -> bool:
    """float16 or bfloat16, in any byte order."""
    return dtype.itemsize == 2 and (dtype.kind == "f" or dtype.name == "bfloat16")


def normal_axis(name: str, axis: int, rank: int, argument: str = "dim") -> int:
    """The axis counted from 0. A scalar has one axis, as in PyTorch."""
    span = rank or 1
    if not -span <= axis < span:
        raise IndexError(
            f"[{name}] {argument} is {axis}, but input is {rank}-dimensional (expected {-span} to {span - 1})"
        )
    return axis % span
