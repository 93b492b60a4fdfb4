"""Indexing: reading and writing elements by position, mask or list."""

from __future__ import annotations

import math

import numpy as np

from ..autograd.inplace import check, rebase
from ..autograd.tape import bump, enabled, make_node, ndarray, record, unbroadcast, view, wrap
from ..autograd.tensor import Tensor, method
from .door import kinds, lift, mutable, operands, operation, writes
from .size import wrap_dim

__all__ = [
    "argwhere",
    "masked_fill",
    "masked_select",
    "narrow",
    "nonzero",
    "select",
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


mutable(masked_fill)


@method
def fill_diagonal_(self, fill_value, wrap=False):
    """Write one value onto the diagonal of a matrix."""
    self.diagonal().fill_(fill_value)
    return self
