"""Running sums and products along an axis, and the gradient of the products."""

from __future__ import annotations

import numpy as np

from .._native import kernels
from .arrays import FLOAT32, FLOAT64, empty, is_half

Array = np.ndarray

INT64 = np.dtype(np.int64)
#: Dtypes that the kernel reads.
TAKEN = frozenset(map(np.dtype, ("?", "i1", "u1", "i4", "i8", "f4", "f8")))


def running(x: Array, axis: int, product: bool = False, reverse: bool = False) -> Array:
    """y[i] = x[0] + ... + x[i] along an axis, or the product; from the end with `reverse`.

    Floating point numbers are computed in float64 and keep their dtype; integers and bools become int64.

    >>> import numpy as np
    >>> running(np.array([[1.0, 2.0, 3.0]]), 1)
    array([[1., 3., 6.]])
    >>> running(np.array([1, 2, 3], np.int8), 0, product=True)
    array([1, 2, 6])
    """
    dtype = x.dtype
    if is_half(dtype):
        with np.errstate(over="ignore"):
            return running(x.astype(np.float32), axis, product, reverse).astype(dtype)
    if dtype.kind not in "biuf" or (dtype.kind == "f" and dtype.itemsize > 8):
        raise TypeError(f"[running] expected numbers or bools, but got {dtype}")
    if not (dtype is FLOAT32 or dtype is FLOAT64):
        native = dtype.newbyteorder("=")
        target = native if native in TAKEN else INT64
        x = x if target == dtype else x.astype(target)
    if not x.flags.c_contiguous:
        x = np.array(x, order="C")
    y = empty(x.shape, x.dtype if x.dtype.kind == "f" else INT64)
    kernels.running(y, x, axis, int(product), int(reverse))
    return y


def running_product_backward(grad: Array, y: Array, x: Array, axis: int) -> Array:
    """The gradient of x, of which y are the running products; zeros are elements like others."""
    if is_half(x.dtype):
        wide = [each.astype(np.float32) for each in (grad, y, x)]
        return running_product_backward(*wide, axis).astype(x.dtype)
    arrays = [np.asarray(each, x.dtype.newbyteorder("="), order="C") for each in (grad, y, x)]
    dx = empty(x.shape, arrays[2].dtype)
    kernels.running_product_backward(dx, *arrays, axis)
    return dx
