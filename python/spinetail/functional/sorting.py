"""Sorting and searching: order, the k best, distinct values, counts."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import enabled, wrap
from ..autograd.tensor import Tensor
from ..ops import reduction as ops
from .door import lift, operation
from .extremes import Found, _pick
from .scatter import gather
from .size import wrap_dim

__all__ = [
    "argsort",
    "bincount",
    "bucketize",
    "histc",
    "isin",
    "kthvalue",
    "msort",
    "searchsorted",
    "sort",
    "topk",
    "unique",
    "unique_consecutive",
]


def _order(x: np.ndarray, dim: int, descending: bool) -> np.ndarray:
    """The stable order of the elements along `dim`; NaN counts as the largest."""
    if x.ndim == 0:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(x, dim, kind="stable")
    return x.shape[dim] - 1 - np.flip(np.argsort(np.flip(x, dim), dim, kind="stable"), dim)


def _taken(input: Tensor, dim: int, order: np.ndarray) -> Found:
    indices = wrap(np.ascontiguousarray(order, np.int64))
    return Found(gather.__wrapped__(input, dim, indices), indices)


@operation
def sort(input, dim=-1, descending=False, stable=False):
    """The elements of `dim` in order, and their indices: (values, indices). Always stable; NaN counts as the largest.

    >>> import spinetail as st
    >>> st.sort(st.tensor([3.0, 1.0, 2.0])).values
    tensor([1., 2., 3.])
    """
    dim = wrap_dim("sort", dim, input._array.ndim)
    return _taken(input, dim, _order(input._array, dim, descending))


@operation
def argsort(input, dim=-1, descending=False, stable=False):
    """The indices that put `dim` in order.

    >>> import spinetail as st
    >>> st.argsort(st.tensor([3.0, 1.0, 2.0]), descending=True)
    tensor([0, 2, 1])
    """
    dim = wrap_dim("argsort", dim, input._array.ndim)
    return wrap(np.ascontiguousarray(_order(input._array, dim, descending), np.int64))


@operation
def msort(input):
    """The elements in order along dimension 0."""
    return sort.__wrapped__(input, 0).values


@operation
def topk(input, k, dim=-1, largest=True, sorted=True):
    """The k largest (or smallest) elements of `dim` in order, and their indices; the lower index wins among equals.

    Raises: ValueError when there are fewer than k.

    >>> import spinetail as st
    >>> st.topk(st.tensor([1.0, 4.0, 3.0]), 2)
    values_indices(values=tensor([4., 3.]), indices=tensor([1, 2]))
    """
    dim = wrap_dim("topk", dim, input._array.ndim)
    extent = input._array.shape[dim] if input._array.ndim else 1
    if not 0 <= k <= extent:
        raise ValueError(f"[topk] selected index k={k} out of range for dimension {dim} of size {extent}")
    x, k = input._array, int(k)
    if x.ndim and ops.takes(x):
        values, indices = ops.top(x, k, dim, bool(largest))
        places = wrap(indices)
        recorded = input._requires_grad and enabled()
        return Found(gather.__wrapped__(input, dim, places) if recorded else wrap(values), places)
    order = _order(x, dim, largest)
    return _taken(input, dim, order[(slice(None),) * dim + (slice(int(k)),)] if order.ndim else order)


@operation
def kthvalue(input, k, dim=-1, keepdim=False):
    """The k-th smallest element of `dim`, counted from 1, and its index.

    >>> import spinetail as st
    >>> st.kthvalue(st.tensor([3.0, 1.0, 2.0]), 2).values
    tensor(2.)
    """
    dim = wrap_dim("kthvalue", dim, input._array.ndim)
    extent = input._array.shape[dim] if input._array.ndim else 1
    if not 1 <= k <= extent:
        raise ValueError(f"[kthvalue] selected number k={k} out of range for dimension {dim} of size {extent}")
    order = _order(input._array, dim, False)
    return _pick(input, dim, np.take(order, k - 1, dim) if order.ndim else order, keepdim)


def _results(*arrays):
    found = [wrap(np.asarray(a)) for a in arrays]
    return found[0] if len(found) == 1 else tuple(found)


@operation
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements in ascending order (or slices of `dim`); also each element's place in them, and counts.

    >>> import spinetail as st
    >>> st.unique(st.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    x = input._array
    found, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=dim)
    inverse = inverse.reshape(x.shape) if dim is None else inverse.reshape(-1)
    return _results(found, *[inverse] * bool(return_inverse), *[counts] * bool(return_counts))


@operation
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements without repetitions of a neighbour; also each element's place in them and the run lengths."""
    x = input._array.reshape(-1) if dim is None else np.moveaxis(input._array, dim, 0)
    changed = x[1:] != x[:-1]
    new = np.concatenate(
        ([True] * bool(len(x)), changed if changed.ndim == 1 else changed.reshape(len(changed), -1).any(1))
    )
    starts = np.flatnonzero(new)
    inverse, counts = np.cumsum(new) - 1, np.diff(np.append(starts, len(x)))
    found = x[starts] if dim is None else np.moveaxis(x[starts], 0, dim)
    inverse = inverse.reshape(input._array.shape) if dim is None else inverse
    return _results(found, *[inverse] * bool(return_inverse), *[counts] * bool(return_counts))


@operation
def bincount(input, weights=None, minlength=0):
    """How often each of 0, 1, 2, … occurs, or the sums of their weights.

    Raises: ValueError for negative values or more than one dimension.

    >>> import spinetail as st
    >>> st.bincount(st.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    x = input._array
    if x.ndim != 1 or x.dtype.kind not in "iub" or (x.size and x.min() < 0):
        raise ValueError("[bincount] only supports 1-d non-negative integral inputs")
    return wrap(np.bincount(x, None if weights is None else lift(weights)._array, minlength))


@operation
def histc(input, bins=100, min=0, max=0):
    """How many elements lie in each of `bins` equal intervals of [min, max], by default of the input's own range.

    >>> import spinetail as st
    >>> st.histc(st.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    x = input._array
    if min == max and x.size:
        min, max = float(x.min()), float(x.max())
    if min == max:
        min, max = min - 1, max + 1
    return wrap(np.histogram(x, bins, (min, max))[0].astype(x.dtype))


def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None):
    """Where each value would have to be put into an ascending sequence (the last dimension) to keep it in order.

    >>> import spinetail as st
    >>> st.searchsorted(st.tensor([1, 3, 5]), st.tensor([3, 4]))
    tensor([1, 2])
    """
    tensors = isinstance(sorted_sequence, Tensor) or isinstance(input, Tensor)
    rows, values = lift(sorted_sequence)._array, lift(input)._array
    side = side or ("right" if right else "left")
    if rows.ndim == 1:
        places = np.searchsorted(rows, values, side)
    else:
        if rows.shape[:-1] != values.shape[:-1]:
            raise ValueError(
                f"[searchsorted] leading dimensions of {list(rows.shape)} and {list(values.shape)} must agree"
            )
        flat = zip(rows.reshape(-1, rows.shape[-1]), values.reshape(-1, values.shape[-1]), strict=True)
        places = np.array([np.searchsorted(r, v, side) for r, v in flat]).reshape(values.shape)
    result = np.asarray(places, np.int32 if out_int32 else np.int64)
    return wrap(result) if tensors else result


def bucketize(input, boundaries, *, out_int32=False, right=False):
    """The number of the interval between ascending boundaries in which each element lies."""
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@operation
def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """Whether each element is among the test elements."""
    return wrap(np.isin(elements._array, lift(test_elements)._array, assume_unique, invert))
