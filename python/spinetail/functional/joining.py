"""Joining and splitting tensors along a dimension."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .. import dtypes
from ..autograd.tape import enabled, record, wrap
from ..autograd.tensor import Tensor
from .door import expect, lift, lower, operation, writes
from .size import wrap_dim

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "block_diag",
    "cat",
    "chunk",
    "column_stack",
    "concat",
    "concatenate",
    "dstack",
    "hsplit",
    "hstack",
    "meshgrid",
    "row_stack",
    "split",
    "stack",
    "tensor_split",
    "unbind",
    "vsplit",
    "vstack",
]


def _list(name: str, tensors) -> tuple[list, bool]:
    """The operands as tensors, and whether one of them was one."""
    tensors = list(tensors)
    if not tensors:
        raise ValueError(f"[{name}] expected a non-empty list of Tensors")
    return [lift(t) for t in tensors], any(isinstance(t, Tensor) for t in tensors)


def _common(tensors: list) -> list:
    """The tensors in their common dtype."""
    first = tensors[0]._array.dtype
    if all(t._array.dtype is first for t in tensors):
        return tensors
    target = dtypes.of(first)
    for t in tensors[1:]:
        target = dtypes.promote_types(target, t._array.dtype)
    return [t.to(target.numpy) for t in tensors]


@writes
def cat(tensors, dim=0, *, axis=None, out=None):
    """Join tensors along a dimension they have; other extents must agree. Empty one-dimensional tensors are skipped.

    Raises: ValueError for shapes that do not fit.

    >>> import spinetail as st
    >>> st.cat([st.ones(2), st.zeros(1)])
    tensor([1., 1., 0.])
    """
    tensors, wrapped = _list("cat", tensors)
    tensors = _common(tensors)
    arrays = [t._array for t in tensors]
    rank = max(a.ndim for a in arrays)
    if rank > 1:  # PyTorch lets empty vectors stand beside anything
        tensors = [t for t, a in zip(tensors, arrays, strict=True) if a.shape != (0,)]
        arrays = [t._array for t in tensors]
    if arrays[0].ndim == 0:
        raise ValueError("[cat] zero-dimensional tensors cannot be concatenated; use stack")
    dim = wrap_dim("cat", dim if axis is None else axis, arrays[0].ndim)
    try:
        joined = np.concatenate(arrays, dim)
    except ValueError:
        shapes = ", ".join(str(list(a.shape)) for a in arrays)
        raise ValueError(
            f"[cat] sizes of tensors must match except in dimension {dim}, but got shapes {shapes}"
        ) from None
    if not (enabled() and any(t._requires_grad for t in tensors)):
        return wrap(joined) if wrapped else joined
    bounds = [0]
    for a in arrays:
        bounds.append(bounds[-1] + a.shape[dim])
    lead = (slice(None),) * dim

    def backward(grad):
        return tuple([grad[(*lead, slice(i, j))] for i, j in pairwise(bounds)])

    return record(joined, tensors, backward, name="cat", twice=True)


concat = concatenate = cat


@writes
def stack(tensors, dim=0, *, out=None):
    """Join tensors of one shape along a new dimension.

    >>> import spinetail as st
    >>> st.stack([st.ones(2), st.zeros(2)])
    tensor([[1., 1.],
            [0., 0.]])
    """
    tensors, wrapped = _list("stack", tensors)
    shape = tensors[0]._array.shape
    for t in tensors:
        if t._array.shape != shape:
            raise ValueError(
                f"[stack] expects each tensor to be equal size, but got {list(shape)} and {list(t._array.shape)}"
            )
    dim = wrap_dim("stack", dim, len(shape) + 1)
    tensors = _common(tensors)
    joined = np.stack([t._array for t in tensors], dim)
    if not (enabled() and any(t._requires_grad for t in tensors)):
        return wrap(joined) if wrapped else joined
    lead, count = (slice(None),) * dim, len(tensors)
    return record(
        joined, tensors, lambda grad: tuple([grad[(*lead, i)] for i in range(count)]), name="stack", twice=True
    )


def _pile(name: str, dims: int, dim: int, tensors):
    tensors, wrapped = _list(name, tensors)
    raised = []
    for t in tensors:
        while t._array.ndim < dims:
            t = t.unsqueeze(0) if t._array.ndim == 0 or dims == 2 else t.unsqueeze(0 if t._array.ndim == 1 else -1)
        raised.append(t)
    result = cat(raised, dim)
    return result if wrapped else lower(result)


def hstack(tensors):
    """Join side by side: along dimension 1, or 0 for vectors."""
    tensors = list(tensors)
    return _pile("hstack", 1, 0 if all(np.ndim(getattr(t, "_array", t)) < 2 for t in tensors) else 1, tensors)


def vstack(tensors):
    """Join one below the other: along dimension 0; vectors are rows."""
    return _pile("vstack", 2, 0, tensors)


def dstack(tensors):
    """Join in depth: along dimension 2."""
    return _pile("dstack", 3, 2, tensors)


row_stack = vstack


def column_stack(tensors):
    """Join as columns: vectors are columns."""
    tensors = list(tensors)
    expect("column_stack", *tensors)
    return hstack([t.reshape(-1, 1) if np.ndim(getattr(t, "_array", t)) < 2 else t for t in tensors])


def _slices(input: Tensor, dim: int, bounds: list) -> tuple:
    lead = (slice(None),) * dim
    return tuple([input[(*lead, slice(i, j))] for i, j in pairwise(bounds)])


@operation
def split(tensor, split_size_or_sections, dim=0):
    """Cut into views of a given extent along a dimension (the last may be smaller), or of given extents.

    >>> import spinetail as st
    >>> st.split(st.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    dim = wrap_dim("split", dim, tensor._array.ndim)
    extent = tensor._array.shape[dim]
    size = split_size_or_sections
    if isinstance(size, (int, np.integer)):
        if size < 0 or (size == 0 and extent):
            raise ValueError(f"[split] split_size must be positive, got {size}")
        return _slices(tensor, dim, [*range(0, max(extent, 1), max(size, 1)), extent])
    if sum(size) != extent:
        raise ValueError(f"[split] split_sizes {list(size)} do not sum to the extent {extent} of dimension {dim}")
    bounds = [0]
    for s in size:
        bounds.append(bounds[-1] + int(s))
    return _slices(tensor, dim, bounds)


@operation
def chunk(input, chunks, dim=0):
    """Cut into at most `chunks` views of equal extent along a dimension (the last may be smaller).

    >>> import spinetail as st
    >>> [c.tolist() for c in st.chunk(st.arange(5), 2)]
    [[0, 1, 2], [3, 4]]
    """
    if chunks <= 0:
        raise ValueError(f"[chunk] chunks must be greater than 0, got {chunks}")
    extent = input._array.shape[wrap_dim("chunk", dim, input._array.ndim)]
    if extent == 0:
        return tuple(input for _ in range(chunks))
    return split.__wrapped__(input, -(-extent // chunks), dim)


@operation
def tensor_split(input, indices_or_sections, dim=0):
    """Cut into views: a number of nearly equal ones, or at the given indices."""
    dim = wrap_dim("tensor_split", dim, input._array.ndim)
    extent = input._array.shape[dim]
    if isinstance(indices_or_sections, (int, np.integer)):
        small, larger = divmod(extent, indices_or_sections)
        bounds = [0]
        for i in range(indices_or_sections):
            bounds.append(bounds[-1] + small + (i < larger))
    else:
        bounds = [0, *[int(i) for i in indices_or_sections], extent]
    return _slices(input, dim, bounds)


@operation
def unbind(input, dim=0):
    """The slices of a dimension, as views without it.

    >>> import spinetail as st
    >>> st.unbind(st.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    dim = wrap_dim("unbind", dim, input._array.ndim)
    lead = (slice(None),) * dim
    return tuple([input[(*lead, i)] for i in range(input._array.shape[dim])])


def meshgrid(*tensors, indexing="ij"):
    """Coordinate grids of vectors, as views; `indexing` "ij" or "xy".

    >>> import spinetail as st
    >>> st.meshgrid(st.arange(2), st.arange(3), indexing="ij")[1]
    tensor([[0, 1, 2],
            [0, 1, 2]])
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tensors[0]
    if indexing not in ("ij", "xy"):
        raise ValueError(f"[meshgrid] indexing must be 'ij' or 'xy', not {indexing!r}")
    vectors, wrapped = _list("meshgrid", tensors)
    swap = indexing == "xy" and len(vectors) > 1
    ordered = [vectors[1], vectors[0], *vectors[2:]] if swap else vectors
    shape = tuple(v._array.size for v in ordered)
    grids = [
        v.reshape([-1 if i == axis else 1 for i in range(len(shape))]).expand(shape) for axis, v in enumerate(ordered)
    ]
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids) if wrapped else lower(tuple(grids))


def atleast_1d(input):
    """The tensor with at least one dimension."""
    expect("atleast_1d", input)
    return input.reshape(1) if np.ndim(getattr(input, "_array", input)) == 0 else input


def atleast_2d(input):
    """The tensor with at least two dimensions; new ones come first."""
    expect("atleast_2d", input)
    return input.reshape((1,) * max(2 - input.ndim, 0) + tuple(input.shape)) if input.ndim < 2 else input


@operation
def hsplit(input, indices_or_sections):
    """Cut side by side: along dimension 1, or 0 for vectors."""
    return tensor_split.__wrapped__(input, indices_or_sections, 0 if input._array.ndim == 1 else 1)


@operation
def vsplit(input, indices_or_sections):
    """Cut one below the other: along dimension 0."""
    return tensor_split.__wrapped__(input, indices_or_sections, 0)


def block_diag(*tensors):
    """A matrix with the given matrices on its diagonal."""
    wrapped = any(isinstance(t, Tensor) for t in tensors)
    matrices = [t if t.ndim == 2 else t.reshape(1, -1) for t in map(lift, tensors)]
    width = sum(m._array.shape[1] for m in matrices)
    rows, start = [], 0
    for m in matrices:
        height, own = m._array.shape
        kind = m._array.dtype
        rows.append(
            cat([wrap(np.zeros((height, start), kind)), m, wrap(np.zeros((height, width - start - own), kind))], 1)
        )
        start += own
    return cat(rows, 0) if wrapped else lower(cat(rows, 0))
