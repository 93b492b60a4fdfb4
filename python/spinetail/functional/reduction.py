"""Reductions: sums, means, extremes and their like over one, several or all dimensions."""

from __future__ import annotations

import math

import numpy as np

from ..autograd.tape import enabled, record, wrap
from ..autograd.tensor import Tensor
from .door import operation
from .shape import wrap_dims

__all__ = [
    "mean",
    "sum",
]

# `axis` and `keepdims` are NumPy's words for `dim` and `keepdim`: np.sum(tensor) calls the method with them.


def _dims(name: str, dim, axis, ndim: int) -> tuple | None:
    dims = wrap_dims(name, axis if dim is None else dim, ndim)
    return None if not dims or ndim == 0 else dims


def _spread(grad, shape: tuple, dims: tuple | None, keepdim: bool):
    """A reduction's gradient (array or tensor) in the shape that was reduced, as a broadcast."""
    if not keepdim:
        kept = tuple(1 if dims is None or i in dims else s for i, s in enumerate(shape))
        grad = grad.reshape(kept)
    return grad.expand(shape) if isinstance(grad, Tensor) else np.broadcast_to(grad, shape)


@operation
def sum(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False, out=None):
    """The sum over `dim` (one, several, or all dimensions).

    Integers and bools are summed in int64. The sum of nothing is 0.
    Raises: IndexError for a dimension that is not there.

    >>> import spinetail as st
    >>> st.sum(st.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    if dtype is not None:
        input = input.to(dtype)
    x = input._array
    if dim is None and axis is None:
        dims = None
    else:
        dims = _dims("sum", dim, axis, x.ndim)
    keep = keepdim or keepdims
    y = np.add.reduce(x, dims, dtype=np.int64 if dtype is None and x.dtype.kind in "biu" else None, keepdims=keep)
    if not (input._requires_grad and enabled()):
        return wrap(y)
    shape = x.shape
    return record(y, (input,), lambda grad: (_spread(grad, shape, dims, keep),), name="sum", twice=True)


@operation
def mean(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False, out=None):
    """The mean over `dim` (one, several, or all dimensions); the mean of nothing is NaN.

    Raises: TypeError for integers and bools, unless `dtype` is a floating-point one.

    >>> import spinetail as st
    >>> st.mean(st.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    tensor([1.5000, 3.5000])
    """
    if dtype is not None:
        input = input.to(dtype)
    x = input._array
    if x.dtype.kind in "biu":
        raise TypeError(
            f"[mean] could not infer output dtype. Input dtype must be a floating point dtype. Got: {input.dtype}"
        )
    dims = None if dim is None and axis is None else _dims("mean", dim, axis, x.ndim)
    keep = keepdim or keepdims
    shape = x.shape
    count = x.size if dims is None else math.prod([shape[d] for d in dims])
    scale = x.dtype.type(1 / count) if count else x.dtype.type(math.nan)
    y = np.add.reduce(x, dims, keepdims=keep)
    y = y / x.dtype.type(count) if count else np.asarray(y) * scale
    if not (input._requires_grad and enabled()):
        return wrap(y)
    number = float(scale)
    return record(
        y,
        (input,),
        lambda grad: (_spread(grad * (scale if not isinstance(grad, Tensor) else number), shape, dims, keep),),
        name="mean",
        twice=True,
    )
