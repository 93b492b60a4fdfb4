"""Filling: new tensors of a shape or a range: zeros, ones, empty, full, eye, arange and their like."""

from __future__ import annotations

import numpy as np

from .. import dtypes
from ..autograd.tensor import Tensor
from .creation import _dtype, _finish, _named, _shape, tensor
from .door import expect, writes

__all__ = [
    "arange",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]


@writes
def zeros(*size, out=None, dtype=None, layout=None, device=None, requires_grad=False, **size_) -> Tensor:
    """A tensor of zeros.

    >>> import spinetail as st
    >>> st.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return _finish(np.zeros(_shape("zeros", _named(size, size_)), _dtype(dtype)), requires_grad, device)


@writes
def ones(*size, out=None, dtype=None, layout=None, device=None, requires_grad=False, **size_) -> Tensor:
    """A tensor of ones.

    >>> import spinetail as st
    >>> st.ones(2)
    tensor([1., 1.])
    """
    return _finish(np.ones(_shape("ones", _named(size, size_)), _dtype(dtype)), requires_grad, device)


@writes
def empty(
    *size,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    pin_memory=False,
    memory_format=None,
    **size_,
) -> Tensor:
    """A tensor whose values are not set.

    >>> import spinetail as st
    >>> st.empty(2, 3).shape
    spinetail.Size([2, 3])
    """
    return _finish(np.empty(_shape("empty", _named(size, size_)), _dtype(dtype)), requires_grad, device)


@writes
def full(size, fill_value, *, out=None, dtype=None, layout=None, device=None, requires_grad=False) -> Tensor:
    """A tensor filled with one value; its dtype follows from the value.

    >>> import spinetail as st
    >>> st.full((2,), 7), st.full((2,), 0.5)
    (tensor([7, 7]), tensor([0.5000, 0.5000]))
    """
    value = fill_value.item() if isinstance(fill_value, (Tensor, np.generic)) else fill_value
    if dtype is None:
        dtype = dtypes.get_default_dtype() if isinstance(value, float) else type(value)
    return _finish(np.full(_shape("full", (size,)), value, _dtype(dtype)), requires_grad, device)


@writes
def eye(n, m=None, *, out=None, dtype=None, layout=None, device=None, requires_grad=False) -> Tensor:
    """The identity matrix, n by m, with ones on the diagonal.

    >>> import spinetail as st
    >>> st.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    if n < 0 or (m is not None and m < 0):
        raise ValueError(f"[eye] n and m must not be negative, got {n} and {m}")
    return _finish(np.eye(n, m, dtype=_dtype(dtype)), requires_grad, device)


@writes
def arange(start, end=None, step=1, *, out=None, dtype=None, layout=None, device=None, requires_grad=False) -> Tensor:
    """The values start, start + step, … below `end`.

    Raises: ValueError for a step of zero or one that leads away from `end`.

    >>> import spinetail as st
    >>> st.arange(3), st.arange(1, 2, 0.5)
    (tensor([0, 1, 2]), tensor([1.0000, 1.5000]))
    """
    if end is None:
        start, end = 0, start
    bounds = [v.item() if isinstance(v, (Tensor, np.generic)) else v for v in (start, end, step)]
    first, last, stride = bounds
    if stride == 0:
        raise ValueError("[arange] step must be nonzero")
    if (last - first) * stride < 0:
        raise ValueError(f"[arange] upper bound and lower bound inconsistent with step sign: {first}, {last}, {stride}")
    if dtype is None:
        dtype = dtypes.get_default_dtype() if any(isinstance(v, float) for v in bounds) else dtypes.int64
    target = _dtype(dtype)
    count = int(np.ceil((last - first) / stride))
    values = (
        first + np.arange(count) * stride
        if any(isinstance(v, float) for v in bounds)
        else np.arange(first, last, stride)
    )
    return _finish(values.astype(target), requires_grad, device)


@writes
def linspace(start, end, steps, *, out=None, dtype=None, layout=None, device=None, requires_grad=False) -> Tensor:
    """`steps` values, evenly spaced from `start` to `end`, both included.

    >>> import spinetail as st
    >>> st.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    if steps < 0:
        raise ValueError(f"[linspace] number of steps must be non-negative, got {steps}")
    bounds = [v.item() if isinstance(v, Tensor) else v for v in (start, end)]
    return _finish(np.linspace(bounds[0], bounds[1], int(steps)).astype(_dtype(dtype)), requires_grad, device)


def logspace(start, end, steps, base=10.0, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """`steps` values from base**start to base**end, evenly spaced on a logarithmic scale.

    >>> import spinetail as st
    >>> st.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    values = np.power(float(base), np.linspace(float(start), float(end), int(steps)))
    return _finish(values.astype(_dtype(dtype)), requires_grad, device)


def _like(name: str, function):
    def like(input, *args, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, **kwargs):
        expect(name, input)
        array = input._array if isinstance(input, Tensor) else input
        target = array.dtype if dtype is None else dtypes.as_dtype(dtype).numpy
        result = function(array, target, *args, **kwargs)
        return _finish(result, requires_grad, device) if isinstance(input, Tensor) else result

    return like


def _named_like(name: str, doc: str, function):
    like = _like(name, function)
    like.__name__ = like.__qualname__ = name
    like.__doc__ = doc
    return like


zeros_like = _named_like("zeros_like", "Zeros in the shape and dtype of `input`.", lambda a, d: np.zeros(a.shape, d))
ones_like = _named_like("ones_like", "Ones in the shape and dtype of `input`.", lambda a, d: np.ones(a.shape, d))
empty_like = _named_like(
    "empty_like", "An unset tensor in the shape and dtype of `input`.", lambda a, d: np.empty(a.shape, d)
)
full_like = _named_like(
    "full_like",
    "`fill_value` in the shape and dtype of `input`.",
    lambda a, d, fill_value: np.full(a.shape, fill_value.item() if isinstance(fill_value, Tensor) else fill_value, d),
)


def _new(name: str, function) -> None:
    def new(self, *args, dtype=None, device=None, requires_grad=False, **kwargs):
        return function(
            *args, dtype=self.dtype if dtype is None else dtype, device=device, requires_grad=requires_grad, **kwargs
        )

    new.__name__ = new.__qualname__ = "new_" + name
    new.__doc__ = f"`{name}` in the dtype of this tensor."
    setattr(Tensor, new.__name__, new)


for _name, _function in (("zeros", zeros), ("ones", ones), ("empty", empty), ("full", full), ("tensor", tensor)):
    _new(_name, _function)
