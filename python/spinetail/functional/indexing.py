"""Indexing: reading and writing elements by position, mask or list."""

from __future__ import annotations

import math

import numpy as np

from ..autograd.inplace import check, rebase
from ..autograd.tape import bump, enabled, make_node, ndarray, record, unbroadcast, view, wrap
from ..autograd.tensor import Tensor, method
from .door import kinds, lift, mutable, operands, operation, writes
from .shape import wrap_dim

__all__ = [
    "argwhere",
    "gather",
    "index_add",
    "index_copy",
    "index_fill",
    "index_select",
    "masked_fill",
    "masked_select",
    "narrow",
    "nonzero",
    "scatter",
    "scatter_add",
    "select",
    "take",
    "take_along_dim",
    "where",
]


def _translate(index) -> tuple[tuple, tuple | None]:
    """An index as NumPy takes it, in two steps: integers and slices first, lists and masks of what is left second.

    The second step is None when there are no lists and masks. Two steps, because in NumPy an integer beside a list
    counts as a list and may move its dimension to the front; in PyTorch it does not.
    """
    items = index if type(index) is tuple else (index,)
    plain: list = []
    lists = False
    for item in items:
        if isinstance(item, Tensor):
            array = item._array
            item = int(array) if array.ndim == 0 and array.dtype.kind in "iu" else array
        if isinstance(item, (list, tuple, range)):
            item = np.array([i._array if isinstance(i, Tensor) else i for i in item])
            item = item.astype(np.intp) if item.size == 0 else item
        if isinstance(item, (ndarray, bool, np.bool_)):
            item = np.asarray(item)
            if item.dtype == np.uint8:
                item = item.astype(bool)
            if item.dtype.kind not in "iub":
                raise IndexError(
                    f"[index] tensors used as indices must be long, int, byte or bool tensors, not {item.dtype}"
                )
            lists = True
        plain.append(item)
    if not lists:
        if Ellipsis not in plain:
            plain.append(Ellipsis)  # keeps a fully indexed element a view
        return tuple(plain), None
    if not any(isinstance(i, (int, np.integer)) for i in plain):
        return (Ellipsis,), tuple(plain)
    first, second = [], []
    for item in plain:
        if isinstance(item, ndarray):
            first.extend([slice(None)] * (item.ndim if item.dtype == bool else 1))
            second.append(item)
        elif item is Ellipsis:
            first.append(item)
            second.append(item)
        else:
            first.append(item)
            if not isinstance(item, (int, np.integer)):
                second.append(slice(None))
    return tuple(first), tuple(second)


def _place(grad, shape: tuple, key: tuple):
    """Zeros of `shape` with `grad` (array or tensor) added at the basic index `key`."""
    array = grad._array if isinstance(grad, Tensor) else grad
    result = np.zeros(shape, array.dtype)
    result[key] = array
    if isinstance(grad, Tensor):
        return (
            record(result, (grad,), lambda g: (g[key],), name="place", twice=True)
            if grad._requires_grad
            else wrap(result)
        )
    return result


def _accumulate(grad, shape: tuple, key: tuple):
    """Zeros of `shape` with `grad` (array or tensor) added at the advanced index `key`; repeated places add up."""
    array = grad._array if isinstance(grad, Tensor) else grad
    if len(key) == 1 and key[0].dtype.kind in "iu":
        result = add_rows(shape, key[0].reshape(-1), array.reshape(-1, *shape[1:]))
    elif len(key) == 1:
        result = np.zeros(shape, array.dtype)
        result[key] = array
    else:
        places = np.arange(math.prod(shape)).reshape(shape)[key].reshape(-1)
        total = np.bincount(places, array.reshape(-1), math.prod(shape)) if places.size else np.zeros(shape)
        result = total.astype(array.dtype).reshape(shape)
    if isinstance(grad, Tensor):
        return (
            record(result, (grad,), lambda g: (g[key],), name="accumulate", twice=True)
            if grad._requires_grad
            else wrap(result)
        )
    return result


def add_rows(shape: tuple, rows: ndarray, values: ndarray) -> ndarray:
    """Zeros of `shape` with `values[i]` added to row `rows[i]`."""
    result = np.zeros(shape, values.dtype)
    if rows.size:
        rows = np.where(rows < 0, rows + shape[0], rows)
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        starts = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
        result[rows[starts]] = np.add.reduceat(values[order], starts, axis=0)
    return result


@method
def __getitem__(self, index):
    first, second = _translate(index)
    array = self._array
    shape = array.shape
    result = self
    if second is None or first != (Ellipsis,):
        result = view(self, array[first], lambda a: a[first], lambda grad: (_place(grad, shape, first),), "select")
        if second is None:
            return result
    array = result._array
    out = array[second]
    if not (result._requires_grad and enabled()):
        return wrap(out)
    inner = array.shape
    return record(out, (result,), lambda grad: (_accumulate(grad, inner, second),), name="index", twice=True)


@method
def __setitem__(self, index, value) -> None:
    check(self)
    if not self._array.flags.writeable:
        raise RuntimeError(
            "[setitem] the tensor's memory is read-only, or shared by several of its elements; clone() it first"
        )
    first, second = _translate(index)
    target = self._array[first] if second is not None else self._array
    key = first if second is None else second
    source = value._array if isinstance(value, Tensor) else value
    try:
        with np.errstate(invalid="ignore"):
            target[key] = source
    except ValueError as error:
        raise ValueError(f"[setitem] {error}") from None
    node = None
    tracked = isinstance(value, Tensor) and value._requires_grad
    if enabled() and (self._requires_grad or tracked):
        shape, dtype = (source.shape, source.dtype) if tracked else ((), None)

        def backward(grad):
            rest = np.array(grad)
            inner = rest[first] if second is not None else rest
            part = None
            if tracked:
                part = np.array(inner[key])
                squeezed = shape[len(shape) - part.ndim :] if len(shape) > part.ndim else shape
                part = unbroadcast(part, squeezed).reshape(shape).astype(dtype, copy=False)
            inner[key] = 0
            return rest, part

        node = make_node((self, value if tracked else None), backward, (), "index_put", False)
    bump(self)
    if node is not None:
        rebase(self, node)


@writes
def where(condition, input=None, other=None):
    """`input` where the condition holds and `other` elsewhere, with broadcasting; alone, the places where it holds.

    Shapes: all three broadcast to the output's shape. Gradients flow to the chosen side only.
    Raises: TypeError unless the condition is of bool dtype.

    >>> import spinetail as st
    >>> x = st.tensor([-1.0, 2.0])
    >>> st.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if input is None:
        return nonzero(condition, as_tuple=True)
    tensors = isinstance(input, Tensor) or isinstance(other, Tensor) or isinstance(condition, Tensor)
    mask = condition._array if isinstance(condition, Tensor) else np.asarray(condition)
    if mask.dtype != bool:
        if mask.dtype != np.uint8:
            raise TypeError(f"[where] expected condition to have the dtype bool, but got {mask.dtype}")
        mask = mask.astype(bool)
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        input = lift(input) if not isinstance(input, kinds) or isinstance(other, kinds) else input
        other = lift(other) if not isinstance(other, kinds) or not isinstance(input, Tensor) else other
    a, b, x, y = operands("where", input, other)
    try:
        out = np.where(mask, x, y)
    except ValueError:
        raise ValueError(
            f"[where] shapes {list(mask.shape)}, {list(np.shape(x))} and {list(np.shape(y))} cannot be broadcast"
        ) from None
    kind = (x if a is not None else y).dtype
    out = out if out.dtype == kind else out.astype(kind)
    need_a = a is not None and a._requires_grad
    need_b = b is not None and b._requires_grad
    if not (need_a or need_b) or not enabled():
        return wrap(out) if tensors else out
    shapes = (x.shape if need_a else None), (y.shape if need_b else None)

    def backward(grad):
        zero = 0 if isinstance(grad, Tensor) else grad.dtype.type(0)
        return (
            unbroadcast(_choose(mask, grad, zero), shapes[0]) if need_a else None,
            unbroadcast(_choose(mask, zero, grad), shapes[1]) if need_b else None,
        )

    return record(out, (a, b), backward, name="where", twice=True)


def _choose(mask, x, y):
    return where(mask, x, y) if isinstance(x, Tensor) or isinstance(y, Tensor) else np.where(mask, x, y)


Tensor.where = lambda self, condition, other: where(condition, self, other)


@operation
def masked_fill(input, mask, value):
    """`value` where the mask holds, `input` elsewhere.

    Raises: TypeError unless the mask is of bool dtype.

    >>> import spinetail as st
    >>> st.masked_fill(st.tensor([1.0, 2.0]), st.tensor([True, False]), 0)
    tensor([0., 2.])
    """
    mask = mask._array if isinstance(mask, Tensor) else np.asarray(mask)
    if mask.dtype != bool:
        raise TypeError(f"[masked_fill] expected the mask to have the dtype bool, but got {mask.dtype}")
    if isinstance(value, Tensor):
        if value._array.ndim:
            raise ValueError(f"[masked_fill] value must be a number or have 0 dimensions, not {value._array.ndim}")
        value = value.to(input._array.dtype)
    elif input._array.dtype.kind in "iu":
        value = int(value)
    return where(mask, value, input)


@operation
def nonzero(input, *, as_tuple=False):
    """The indices of the elements that are not zero: one row for each, or one tensor for each dimension.

    >>> import spinetail as st
    >>> st.nonzero(st.tensor([0, 3, 4]))
    tensor([[1],
            [2]])
    """
    places = np.nonzero(np.atleast_1d(input._array))
    if as_tuple:
        return tuple(wrap(p.astype(np.int64, copy=False)) for p in places)
    if input._array.ndim == 0:
        return wrap(np.zeros((len(places[0]), 0), np.int64))
    return wrap(np.stack(places, -1).astype(np.int64, copy=False))


def argwhere(input):
    """The indices of the elements that are not zero, one row for each."""
    return nonzero(input)


Tensor.argwhere = nonzero.__wrapped__


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
def masked_select(input, mask):
    """The elements where the mask holds, in one dimension; both are broadcast first.

    >>> import spinetail as st
    >>> st.masked_select(st.tensor([1, 2, 3]), st.tensor([True, False, True]))
    tensor([1, 3])
    """
    mask = mask._array if isinstance(mask, Tensor) else np.asarray(mask)
    if mask.dtype != bool:
        raise TypeError(f"[masked_select] expected the mask to have the dtype bool, but got {mask.dtype}")
    shape = np.broadcast_shapes(input._array.shape, mask.shape)
    return input.expand(shape)[np.broadcast_to(mask, shape)]


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


@operation
def select(input, dim, index):
    """One slice of a dimension, as a view without that dimension."""
    dim = wrap_dim("select", dim, input._array.ndim)
    return input[(slice(None),) * dim + (int(index),)]


@operation
def narrow(input, dim, start, length):
    """The slices start … start + length - 1 of a dimension, as a view.

    >>> import spinetail as st
    >>> st.narrow(st.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    dim = wrap_dim("narrow", dim, input._array.ndim)
    extent = input._array.shape[dim]
    start = int(start)
    start = start + extent if start < 0 else start
    if length < 0 or start < 0 or start + length > extent:
        raise IndexError(f"[narrow] start {start} + length {length} exceeds dimension size {extent}")
    return input[(slice(None),) * dim + (slice(start, start + length),)]


for _function in (masked_fill, scatter, scatter_add, index_add, index_fill, index_copy):
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


@method
def fill_diagonal_(self, fill_value, wrap=False):
    """Write one value onto the diagonal of a matrix."""
    self.diagonal().fill_(fill_value)
    return self


def _put(self: Tensor, indices: tuple, values) -> Tensor:
    key = tuple(lift(i)._array for i in indices)
    values = lift(values)
    part = values.expand(self._array[key].shape)
    return (
        _sum_into(self._array.shape, key, part)
        if part._requires_grad
        else wrap(_sum_into(self._array.shape, key, part._array))
    )
