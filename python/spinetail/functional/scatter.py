"""Gather and scatter: elements by their number along a dimension, read, written and added."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import enabled, ndarray, record, wrap
from ..autograd.tensor import Tensor, method
from .door import lift, mutable, operation
from .indexing import masked_fill
from .size import wrap_dim

__all__ = [
    "gather",
    "index_add",
    "index_copy",
    "index_fill",
    "index_select",
    "scatter",
    "scatter_add",
    "take",
    "take_along_dim",
]


def _along(name: str, input: Tensor, dim: int, index) -> tuple:
    """(dimension, index array, key): the key addresses `input` as gather and scatter do."""
    places = index._array if isinstance(index, Tensor) else np.asarray(index)
    array = input._array
    if places.dtype.kind not in "iu":
        raise TypeError(f"[{name}] expected an index of dtype int64, but got {places.dtype}")
    dim = wrap_dim(name, dim, array.ndim)
    if max(places.ndim, 1) != max(array.ndim, 1):
        raise ValueError(
            f"[{name}] index must have the same number of dimensions as the input ({array.ndim}), but has {places.ndim}"
        )
    extent = array.shape[dim] if array.ndim else 1
    if places.size and (places.min() < 0 or places.max() >= extent):
        bad = places.min() if places.min() < 0 else places.max()
        raise IndexError(f"[{name}] index {bad} is out of bounds for dimension {dim} with size {extent}")
    for axis, (i, s) in enumerate(zip(places.shape, array.shape, strict=False)):
        if axis != dim and i > s:
            raise ValueError(
                f"[{name}] index of shape {list(places.shape)} exceeds the input's shape {list(array.shape)} "
                f"outside of dimension {dim}"
            )
    if array.ndim == 0:
        return 0, places, ()
    grid = list(np.ogrid[tuple(slice(n) for n in places.shape)]) if places.ndim else []
    grid[dim] = places
    return dim, places, tuple(grid)


@operation
def gather(input, dim, index, *, sparse_grad=False):
    """Pick along one dimension: out[i][j] = input[index[i][j]][j] for dim 0.

    Shapes: the output has the index's shape. Raises: IndexError for an index out of range.

    >>> import spinetail as st
    >>> st.gather(st.tensor([[1, 2], [3, 4]]), 1, st.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    dim, places, key = _along("gather", input, dim, index)
    array = input._array
    out = array[key] if key else np.broadcast_to(array, places.shape).copy()
    if not (input._requires_grad and enabled()):
        return wrap(out)
    shape = array.shape
    return record(out, (input,), lambda grad: (_sum_into(shape, key, grad),), name="gather", twice=True)


def _sum_into(shape: tuple, key: tuple, grad):
    """Zeros of `shape` with `grad` (array or tensor) added at `key`."""
    array = grad._array if isinstance(grad, Tensor) else grad
    result = np.zeros(shape, array.dtype)
    if key:
        np.add.at(result, key, array)
    else:
        result += array.sum()
    if isinstance(grad, Tensor) and grad._requires_grad:
        return record(
            result, (grad,), lambda g: (g[key] if key else g.expand(array.shape),), name="sum_into", twice=True
        )
    return wrap(result) if isinstance(grad, Tensor) else result


@operation
def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    """Write along one dimension: out[index[i][j]][j] = src[i][j] for dim 0; the other elements stay.

    `reduce` "add" or "multiply" combines with what is there. Raises: IndexError for an index out of range.

    >>> import spinetail as st
    >>> st.scatter(st.zeros(2, 3), 1, st.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    src = value if src is None else src
    if reduce == "add":
        return scatter_add.__wrapped__(
            input, dim, index, src if isinstance(src, Tensor) else _filled(input, index, src)
        )
    dim, places, key = _along("scatter", input, dim, index)
    source = src._array if isinstance(src, Tensor) else src
    cut = _cut("scatter", source, places)
    if isinstance(src, Tensor) and source.dtype != input._array.dtype:
        raise TypeError(f"[scatter] expected src of dtype {input.dtype}, but got {src.dtype}")
    out = input._array.copy()
    if reduce == "multiply":
        np.multiply.at(out, key, source if cut is None else source[cut])
        return wrap(out)
    if reduce is not None:
        raise ValueError(f"[scatter] reduce must be None, 'add' or 'multiply', not {reduce!r}")
    out[key] = source if cut is None else source[cut]
    tracked = isinstance(src, Tensor) and src._requires_grad
    if not ((input._requires_grad or tracked) and enabled()):
        return wrap(out)
    shape = source.shape if tracked else None

    def backward(grad):
        rest = np.array(grad)
        rest[key] = 0
        part = None
        if tracked:
            part = np.zeros(shape, grad.dtype)
            part[cut] = grad[key]
        return rest, part

    return record(out, (input, src if tracked else None), backward, name="scatter")


def _filled(input: Tensor, index, value) -> Tensor:
    return wrap(np.full(index.shape, value, input._array.dtype))


def _cut(name: str, source, places: ndarray) -> tuple | None:
    """The part of the source that the index has places for."""
    if not isinstance(source, ndarray) or source.ndim == 0:
        return None
    if source.ndim != places.ndim or any(i > s for i, s in zip(places.shape, source.shape, strict=True)):
        raise ValueError(
            f"[{name}] index of shape {list(places.shape)} does not fit into src of shape {list(source.shape)}"
        )
    return tuple(slice(n) for n in places.shape)


@operation
def scatter_add(input, dim, index, src):
    """Add along one dimension: out[index[i][j]][j] += src[i][j] for dim 0; repeated places add up.

    >>> import spinetail as st
    >>> st.scatter_add(st.zeros(3), 0, st.tensor([0, 0, 2]), st.tensor([1.0, 2.0, 3.0]))
    tensor([3., 0., 3.])
    """
    dim, places, key = _along("scatter_add", input, dim, index)
    source = src._array if isinstance(src, Tensor) else np.asarray(src)
    if source.dtype != input._array.dtype:
        raise TypeError(f"[scatter_add] expected src of dtype {input._array.dtype}, but got {source.dtype}")
    cut = _cut("scatter_add", source, places)
    out = input._array.copy()
    np.add.at(out, key, source if cut is None else source[cut])
    tracked = isinstance(src, Tensor) and src._requires_grad
    if not ((input._requires_grad or tracked) and enabled()):
        return wrap(out)
    shape = source.shape

    def backward(grad):
        part = None
        if tracked:
            part = np.zeros(shape, grad.dtype)
            part[cut] = grad[key]
        return grad, part

    return record(out, (input, src if tracked else None), backward, name="scatter_add")


@operation
def index_select(input, dim, index):
    """The slices of one dimension that the index names.

    Raises: IndexError for an index out of range.

    >>> import spinetail as st
    >>> st.index_select(st.tensor([[1, 2], [3, 4]]), 1, st.tensor([1]))
    tensor([[2],
            [4]])
    """
    places = index._array if isinstance(index, Tensor) else np.asarray(index)
    dim = wrap_dim("index_select", dim, input._array.ndim)
    if places.ndim > 1:
        raise IndexError(f"[index_select] index is supposed to be a vector, but has {places.ndim} dimensions")
    if places.dtype.kind not in "iu":
        raise TypeError(f"[index_select] expected an index of dtype int64 or int32, but got {places.dtype}")
    if places.size and places.min() < 0:
        raise IndexError(f"[index_select] index {places.min()} is out of range")
    return input[(slice(None),) * dim + (places.reshape(-1),)]


@operation
def index_add(input, dim, index, source, *, alpha=1):
    """Add slices: out[index[i]] += alpha · source[i] along `dim`; repeated places add up.

    >>> import spinetail as st
    >>> st.index_add(st.zeros(3), 0, st.tensor([0, 0, 2]), st.ones(3))
    tensor([2., 0., 1.])
    """
    places, source = index._array if isinstance(index, Tensor) else np.asarray(index), lift(source)
    dim = wrap_dim("index_add", dim, input._array.ndim)
    key = (slice(None),) * dim + (places,)
    if source._array.dtype != input._array.dtype:
        raise TypeError(f"[index_add] expected source of dtype {input.dtype}, but got {source.dtype}")
    out = input._array.copy()
    try:
        np.add.at(out, key, source._array if alpha == 1 else source._array * out.dtype.type(alpha))
    except ValueError as error:
        raise ValueError(f"[index_add] {error}") from None
    if not ((input._requires_grad or source._requires_grad) and enabled()):
        return wrap(out)
    return record(
        out,
        (input, source),
        lambda grad: (grad, grad[key] if alpha == 1 else grad[key] * grad.dtype.type(alpha)),
        name="index_add",
    )


@operation
def index_fill(input, dim, index, value):
    """`value` in the slices of `dim` that the index names, `input` elsewhere."""
    places = index._array if isinstance(index, Tensor) else np.asarray(index)
    mask = np.zeros(input._array.shape, bool)
    mask[(slice(None),) * wrap_dim("index_fill", dim, input._array.ndim) + (places,)] = True
    return masked_fill.__wrapped__(input, mask, value)


@operation
def index_copy(input, dim, index, source):
    """`source[i]` in place of slice `index[i]` of `dim`."""
    result = input.clone()
    result[(slice(None),) * wrap_dim("index_copy", dim, input._array.ndim) + (index,)] = source
    return result


@operation
def take(input, index):
    """The elements at positions of the flattened input, in the index's shape.

    >>> import spinetail as st
    >>> st.take(st.tensor([[1, 2], [3, 4]]), st.tensor([0, 3]))
    tensor([1, 4])
    """
    return input.reshape(-1)[lift(index)._array]


@operation
def take_along_dim(input, indices, dim=None):
    """Pick along one dimension at indices that broadcast with the input; without `dim`, from the flattened input."""
    indices = lift(indices)
    if dim is None:
        return gather.__wrapped__(input.reshape(-1), 0, indices.reshape(-1))
    dim = wrap_dim("take_along_dim", dim, input._array.ndim)
    shape = list(
        np.broadcast_shapes(*[(*s[:dim], 1, *s[dim + 1 :]) for s in (input._array.shape, indices._array.shape)])
    )
    wide, places = list(shape), list(shape)
    wide[dim], places[dim] = input._array.shape[dim], indices._array.shape[dim]
    return gather.__wrapped__(input.expand(wide), dim, indices.expand(places))


for _function in (scatter, scatter_add, index_add, index_fill, index_copy):
    mutable(_function)


@method
def index_put_(self, indices, values, accumulate=False):
    """Write `values` at an advanced index; with `accumulate` add them."""
    if accumulate:
        self += _put(self, tuple(indices), values)
    else:
        self[tuple(indices)] = values
    return self


@method
def index_put(self, indices, values, accumulate=False):
    """A copy with `values` written at an advanced index, or added with `accumulate`."""
    return self.clone().index_put_(indices, values, accumulate)


def _put(self: Tensor, indices: tuple, values) -> Tensor:
    key = tuple(lift(i)._array for i in indices)
    values = lift(values)
    part = values.expand(self._array[key].shape)
    return (
        _sum_into(self._array.shape, key, part)
        if part._requires_grad
        else wrap(_sum_into(self._array.shape, key, part._array))
    )
