"""Extremes: the largest, the smallest, the middle, and where they are."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from ..autograd.tape import enabled, ndarray, record, wrap
from ..autograd.tensor import Tensor
from ..ops import reduction as ops
from .arithmetic import maximum, minimum
from .door import operation
from .reduction import _dims, _spread
from .scatter import gather
from .size import wrap_dim

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "median", "min", "nanmedian", "quantile"]

Found = namedtuple("values_indices", ("values", "indices"))


def _largest(x: ndarray, dims: tuple | None, keepdims: bool) -> ndarray:
    return ops.reduce(x, dims, keepdims, ops.LARGEST) if ops.takes(x) else np.max(x, dims, keepdims=keepdims)


def _smallest(x: ndarray, dims: tuple | None, keepdims: bool) -> ndarray:
    return ops.reduce(x, dims, keepdims, ops.SMALLEST) if ops.takes(x) else np.min(x, dims, keepdims=keepdims)


def _extreme(name: str, compute, doc: str):
    def function(input, dim=None, keepdim=False, *, axis=None, keepdims=False, out=None):
        return _spread_extreme(name, compute, input, _dims(name, dim, axis, input._array.ndim), keepdim or keepdims)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = __name__
    return operation(function)


def _spread_extreme(name: str, compute, input: Tensor, dims: tuple | None, keep: bool) -> Tensor:
    """The extreme over several dimensions; equal elements share the gradient."""
    x = input._array
    if not (input._requires_grad and enabled()) and ops.takes(x):
        return wrap(compute(x, dims, keep))
    if not x.size and (dims is None or any(x.shape[d] == 0 for d in dims)):
        raise ValueError(
            f"[{name}] expected reduction over elements, but the input of shape {list(x.shape)} has none there"
        )
    y = np.asarray(compute(x, dims, keep))
    if not (input._requires_grad and enabled()):
        return wrap(y)
    shape = x.shape

    def backward(grad):
        top = _spread(y, shape, dims, keep)
        hits = x == top
        if np.isnan(y).any():  # NaN wins
            hits |= np.isnan(x) & np.isnan(top)
        share = np.reciprocal(np.count_nonzero(hits, dims, keepdims=True).astype(x.dtype))
        return (_spread(grad, shape, dims, keep) * np.where(hits, share, x.dtype.type(0)),)

    return record(y, (input,), backward, (input,), name, saved_output=True, twice=True)


amax = _extreme(
    "amax",
    _largest,
    """The largest element over `dim` (one, several or all); ties share the gradient.

    Raises: ValueError when there are no elements.

    >>> import spinetail as st
    >>> st.amax(st.tensor([[1, 2], [3, 0]]), 1)
    tensor([2, 3])
    """,
)
amin = _extreme("amin", _smallest, "The smallest element over `dim` (one, several or all); ties share the gradient.")


def aminmax(input, *, dim=None, keepdim=False):
    """The smallest and the largest element over `dim`."""
    return amin(input, dim, keepdim), amax(input, dim, keepdim)


def _place(name: str, compute, largest: bool, doc: str):
    def function(input, dim=None, keepdim=False, *, axis=None, keepdims=False, out=None):
        x, dim, keep = input._array, axis if dim is None else dim, keepdim or keepdims
        if dim is not None:
            dim = wrap_dim(name, dim, x.ndim)
        if ops.takes(x):
            return wrap(ops.find(x, dim, keep, largest, values=False)[1])
        if not x.size and (dim is None or x.shape[dim] == 0):
            raise IndexError(
                f"[{name}] expected reduction dim to have elements, but the input has shape {list(x.shape)}"
            )
        if x.ndim == 0:
            return wrap(np.zeros((), np.int64))
        y = compute(x, dim)
        if keep:
            y = np.asarray(y).reshape([1] * x.ndim) if dim is None else np.expand_dims(y, dim)
        return wrap(np.asarray(y, np.int64))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = __name__
    return operation(function)


argmax = _place(
    "argmax",
    np.argmax,
    True,
    """The index of the largest element: of `dim`, or of the flattened tensor.

    The first of equal elements wins, and NaN wins over all. Raises: IndexError when there are no elements.

    >>> import spinetail as st
    >>> st.argmax(st.tensor([[1, 5], [7, 0]]), dim=1), st.argmax(st.tensor([[1, 5], [7, 0]]))
    (tensor([1, 0]), tensor(2))
    """,
)
argmin = _place("argmin", np.argmin, False, "The index of the smallest element: of `dim`, or of the flattened tensor.")


def _picker(name: str, whole, place, pair, doc: str):
    def function(input, dim=None, keepdim=False, *, other=None, axis=None, keepdims=False, out=None):
        dim = axis if dim is None else dim
        other = dim if isinstance(dim, (Tensor, ndarray)) else other
        if other is not None:
            return pair(input, other)
        if dim is None:
            return _spread_extreme(name, whole, input, None, keepdim or keepdims)
        x, dim = input._array, wrap_dim(name, dim, input._array.ndim)
        if x.ndim and ops.takes(x) and not (input._requires_grad and enabled()):
            values, indices = ops.find(x, dim, keepdim or keepdims, whole is _largest)
            return Found(wrap(values), wrap(indices))
        places = place.__wrapped__(input, dim)
        if not (input._requires_grad and enabled()) and input._array.ndim:
            keep = keepdim or keepdims
            values = wrap(whole(input._array, dim, keep))
            return Found(values, places.unsqueeze(dim) if keep else places)
        return _pick(input, dim, places._array, keepdim or keepdims)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = __name__
    return operation(function)


def _pick(input: Tensor, dim: int, places: ndarray, keep: bool) -> Found:
    """(values, indices) of one element for each row along `dim`."""
    if input._array.ndim == 0:
        return Found(input.clone(), wrap(places))
    indices = wrap(np.expand_dims(places, dim))
    values = gather.__wrapped__(input, dim, indices)
    return Found(values, indices) if keep else Found(values.squeeze(dim), wrap(places))


max = _picker(
    "max",
    _largest,
    argmax,
    maximum,
    """The largest element; with `dim` (values, indices); with a second tensor `maximum`.

    Over all elements ties share the gradient; along `dim` the first of them gets it. NaN wins.
    Raises: ValueError or IndexError when there are no elements.

    >>> import spinetail as st
    >>> st.max(st.tensor([[1, 5], [7, 0]])), st.max(st.tensor([[1, 5], [7, 0]]), 1).indices
    (tensor(7), tensor([1, 0]))
    """,
)
min = _picker(
    "min",
    _smallest,
    argmin,
    minimum,
    "The smallest element; with `dim` (values, indices); with a second tensor `minimum`.",
)


@operation
def median(input, dim=None, keepdim=False):
    """The middle element, the lower of two middle ones; with `dim` (values, indices). NaN wins.

    >>> import spinetail as st
    >>> st.median(st.tensor([4.0, 1.0, 3.0, 2.0]))
    tensor(2.)
    """
    if dim is None:
        return _spread_extreme(
            "median", lambda a, dims, keepdims: a.reshape(-1)[_middle(a.reshape(-1), 0, True)], input, None, False
        )
    dim = wrap_dim("median", dim, input._array.ndim)
    return _pick(input, dim, _middle(input._array, dim, True), keepdim)


@operation
def nanmedian(input, dim=None, keepdim=False):
    """The middle of the elements that are not NaN, the lower of two; with `dim` (values, indices)."""
    if dim is None:
        return _spread_extreme(
            "nanmedian", lambda a, dims, keepdims: a.reshape(-1)[_middle(a.reshape(-1), 0, False)], input, None, False
        )
    dim = wrap_dim("nanmedian", dim, input._array.ndim)
    return _pick(input, dim, _middle(input._array, dim, False), keepdim)


def _middle(x: ndarray, dim: int, nan_wins: bool) -> ndarray:
    if x.ndim == 0:
        return np.zeros((), np.int64)
    if not x.shape[dim]:
        raise IndexError(
            f"[median] expected reduction dim {dim} to have elements, but the input has shape {list(x.shape)}"
        )
    order = np.argsort(x, dim, kind="stable")
    missing = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
    count = np.add.reduce(missing, dim, keepdims=True)
    there = x.shape[dim] - count
    rank = np.where(count > 0, there, (x.shape[dim] - 1) // 2) if nan_wins else np.maximum(there - 1, 0) // 2
    return np.take_along_axis(order, rank, dim).squeeze(dim).astype(np.int64)


@operation
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The value below which the share `q` of the elements lies, interpolated between neighbours.

    Raises: ValueError for q outside [0, 1] or no elements.

    >>> import spinetail as st
    >>> st.quantile(st.tensor([1.0, 2.0, 3.0, 4.0]), 0.5)
    tensor(2.5000)
    """
    if interpolation not in ("linear", "lower", "higher", "nearest", "midpoint"):
        raise ValueError(f"[quantile] interpolation {interpolation!r} is unknown")
    shares = np.asarray(q._array if isinstance(q, Tensor) else q, np.float64)
    if ((shares < 0) | (shares > 1)).any():
        raise ValueError("[quantile] q must be in the range [0, 1]")
    flat = input.reshape(-1) if dim is None else input
    dim_ = 0 if dim is None else wrap_dim("quantile", dim, input._array.ndim)
    ordered = flat.gather(dim_, wrap(np.argsort(flat._array, dim_, kind="stable"))).movedim(dim_, 0)
    extent = ordered._array.shape[0]
    if not extent:
        raise ValueError("[quantile] input tensor must be non-empty")
    place = shares.reshape(-1) * (extent - 1)
    low, high = np.floor(place).astype(np.intp), np.ceil(place).astype(np.intp)
    if interpolation == "nearest":
        low = high = np.round(place).astype(np.intp)
    weight = {"lower": place * 0, "higher": place * 0 + 1, "midpoint": place * 0 + 0.5}.get(interpolation, place - low)
    weight = weight.astype(ordered._array.dtype).reshape(-1, *[1] * (ordered._array.ndim - 1))
    result = ordered[low] + (ordered[high] - ordered[low]) * wrap(weight)
    missing = np.isnan(ordered._array).any(0)
    if missing.any():
        result = result.masked_fill(wrap(np.broadcast_to(missing, result._array.shape)), float("nan"))
    if keepdim:
        result = result.unsqueeze(dim_ + 1) if dim is not None else result.reshape(-1, *[1] * input._array.ndim)
        result = result if dim is None else result.movedim(dim_ + 1, dim_ + 1)
    return result[0] if shares.ndim == 0 else result
