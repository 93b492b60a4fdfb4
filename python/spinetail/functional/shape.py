"""Shape work: views where NumPy can make them, copies where it must, as in PyTorch."""

from __future__ import annotations

import math

import numpy as np

from .. import dtypes
from ..autograd.tape import enabled, ndarray, record, wrap
from ..autograd.tape import view as make_view
from ..autograd.tensor import Tensor, method
from .door import operation
from .size import sizes, wrap_dim, wrap_dims

__all__ = [
    "adjoint",
    "flatten",
    "moveaxis",
    "movedim",
    "permute",
    "ravel",
    "reshape",
    "squeeze",
    "swapaxes",
    "swapdims",
    "t",
    "transpose",
    "unflatten",
    "unsqueeze",
]


@operation
def reshape(input, *shape, **keyword):
    """The same elements in another shape; one extent may be -1. A view where the layout allows it.

    Raises: ValueError when the number of elements does not fit.

    >>> import spinetail as st
    >>> st.reshape(st.arange(4), (2, -1))
    tensor([[0, 1],
            [2, 3]])
    """
    target = sizes("reshape", shape, keyword, "shape")
    return _reshape(input, target, "reshape")


def _reshape(input: Tensor, target: tuple, name: str) -> Tensor:
    array = input._array
    try:
        out = array.reshape(target)
    except ValueError:
        raise ValueError(
            f"[{name}] shape {list(target)} is invalid for input of shape {list(array.shape)} and size {array.size}"
        ) from None
    if out.base is None and array.size:  # a copy, because the layout does not allow a view
        old = array.shape
        if input._requires_grad and enabled():
            return record(out, (input,), lambda grad: (grad.reshape(old),), name=name, twice=True)
        return wrap(out)
    old, new = array.shape, out.shape
    return make_view(input, out, lambda a: a.reshape(new), lambda grad: (grad.reshape(old),), name)


@method
def view(self, *shape, **keyword):
    """The same memory in another shape or, given a dtype, with its bytes read as that dtype.

    Raises: ValueError when the layout does not allow a view; use `reshape` then.
    """
    if keyword.keys() == {"dtype"} and not shape:
        shape, keyword = (keyword["dtype"],), {}
    if len(shape) == 1 and isinstance(shape[0], (dtypes.dtype, np.dtype, type)):
        return wrap(self._array.view(dtypes.as_dtype(shape[0]).numpy))
    target = sizes("view", shape, keyword)
    result = _reshape(self, target, "view")
    if result._view is None and self._array.size:
        raise ValueError(
            "[view] view size is not compatible with input tensor's size and stride (at least one dimension spans "
            "across two contiguous subspaces). Use .reshape(...) instead."
        )
    return result


@method
def view_as(self, other):
    """The same memory in the shape of `other`."""
    return self.view(other._array.shape)


@method
def reshape_as(self, other):
    """The same elements in the shape of `other`."""
    return _reshape(self, other._array.shape, "reshape_as")


@operation
def flatten(input, start_dim=0, end_dim=-1):
    """The dimensions from `start_dim` to `end_dim` as one.

    >>> import spinetail as st
    >>> st.flatten(st.zeros(2, 3, 4), 1).shape
    spinetail.Size([2, 12])
    """
    shape = input._array.shape
    start, end = wrap_dim("flatten", start_dim, len(shape)), wrap_dim("flatten", end_dim, len(shape))
    if start > end:
        raise ValueError("[flatten] start_dim cannot come after end_dim")
    if len(shape) == 0:
        return _reshape(input, (1,), "flatten")
    if start == end:
        return input
    return _reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]), "flatten")


@operation
def ravel(input):
    """All elements in one dimension."""
    return _reshape(input, (input._array.size,), "ravel")


@operation
def unflatten(input, dim, sizes):
    """One dimension as several of the given sizes; one of them may be -1.

    >>> import spinetail as st
    >>> st.unflatten(st.zeros(2, 12), 1, (3, -1)).shape
    spinetail.Size([2, 3, 4])
    """
    shape = input._array.shape
    dim = wrap_dim("unflatten", dim, len(shape))
    known = math.prod(s for s in sizes if s != -1)
    inner = tuple(shape[dim] // known if s == -1 and known else s for s in sizes)
    if math.prod(inner) != shape[dim]:
        raise ValueError(f"[unflatten] sizes {tuple(sizes)} don't multiply up to the size of dim {dim} ({shape[dim]})")
    return _reshape(input, (*shape[:dim], *inner, *shape[dim + 1 :]), "unflatten")


@operation
def squeeze(input, dim=None):
    """Without the dimensions of extent 1, or without the given ones if their extent is 1.

    >>> import spinetail as st
    >>> st.squeeze(st.zeros(1, 2, 1)).shape
    spinetail.Size([2])
    """
    shape = input._array.shape
    dims = range(len(shape)) if dim is None else wrap_dims("squeeze", dim, len(shape))
    return _reshape(input, tuple(s for i, s in enumerate(shape) if not (s == 1 and i in dims)), "squeeze")


@operation
def unsqueeze(input, dim):
    """With a new dimension of extent 1 at `dim`.

    >>> import spinetail as st
    >>> st.unsqueeze(st.zeros(2), -1).shape
    spinetail.Size([2, 1])
    """
    shape = input._array.shape
    dim = wrap_dim("unsqueeze", dim, len(shape) + 1)
    return _reshape(input, (*shape[:dim], 1, *shape[dim:]), "unsqueeze")


def _permute(input: Tensor, order: tuple, name: str) -> Tensor:
    inverse = sorted(range(len(order)), key=order.__getitem__)
    out = input._array.transpose(order)
    return make_view(
        input,
        out,
        lambda a: a.transpose(order),
        lambda grad: (grad.transpose(inverse) if type(grad) is ndarray else _permute(grad, tuple(inverse), name),),
        name,
    )


@operation
def transpose(input, dim0, dim1):
    """With two dimensions swapped.

    >>> import spinetail as st
    >>> st.transpose(st.zeros(2, 3), 0, 1).shape
    spinetail.Size([3, 2])
    """
    ndim = input._array.ndim
    first, second = wrap_dim("transpose", dim0, ndim), wrap_dim("transpose", dim1, ndim)
    order = list(range(ndim))
    if ndim:
        order[first], order[second] = second, first
    return _permute(input, tuple(order), "transpose")


for _alias in ("swapaxes", "swapdims"):
    setattr(Tensor, _alias, transpose.__wrapped__)
swapaxes = swapdims = transpose


@operation
def permute(input, *dims, **keyword):
    """With the dimensions in another order.

    Raises: ValueError unless `dims` names every dimension once.

    >>> import spinetail as st
    >>> st.permute(st.zeros(2, 3, 4), (2, 0, 1)).shape
    spinetail.Size([4, 2, 3])
    """
    ndim = input._array.ndim
    order = wrap_dims("permute", sizes("permute", dims, keyword, "dims"), ndim)
    if len(order) != ndim:
        raise ValueError(f"[permute] the input has {ndim} dimensions, but {len(order)} were given")
    return _permute(input, order, "permute")


@operation
def t(input):
    """The transpose of a matrix; fewer dimensions are left alone."""
    if input._array.ndim > 2:
        raise ValueError(f"[t] expects a tensor with <= 2 dimensions, but self is {input._array.ndim}D")
    return _permute(input, tuple(range(input._array.ndim))[::-1], "t")


@operation
def movedim(input, source, destination):
    """With dimensions moved to other places.

    >>> import spinetail as st
    >>> st.movedim(st.zeros(2, 3, 4), 0, -1).shape
    spinetail.Size([3, 4, 2])
    """
    ndim = input._array.ndim
    sources, targets = wrap_dims("movedim", source, ndim), wrap_dims("movedim", destination, ndim)
    if len(sources) != len(targets):
        raise ValueError(f"[movedim] {len(sources)} source dimensions, but {len(targets)} destinations")
    order = [d for d in range(ndim) if d not in sources]
    for place, d in sorted(zip(targets, sources, strict=True)):
        order.insert(place, d)
    return _permute(input, tuple(order), "movedim")


moveaxis = movedim
Tensor.moveaxis = movedim.__wrapped__


@operation
def adjoint(input):
    """With the last two dimensions swapped."""
    return input.transpose(-2, -1)


Tensor.T = property(
    lambda self: _permute(self, tuple(range(self._array.ndim))[::-1], "T"), doc="With the dimensions reversed."
)
Tensor.mT = property(lambda self: self.transpose(-2, -1), doc="With the last two dimensions swapped.")
Tensor.H = Tensor.mH = Tensor.mT
Tensor.real = property(lambda self: self, doc="The tensor itself: tensors are real.")


def _in_place(name: str, function) -> None:
    """The method that gives the tensor itself another shape over the same memory."""

    def method(self, *args):
        if self._requires_grad and self._node is None and enabled():
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        result = function(self, *args)
        self._array, self._node, self._view = result._array, result._node, self._view and result._view
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In-place version of `{function.__name__}`."
    setattr(Tensor, name, method)


for _name, _function in (("squeeze_", squeeze), ("unsqueeze_", unsqueeze), ("t_", t), ("transpose_", transpose)):
    _in_place(_name, _function.__wrapped__)


@method
def get_device(self) -> int:
    """The number of the device: -1 for the CPU."""
    return -1


@method
def contiguous(self, memory_format=None):
    """The tensor itself if its elements lie in row-major order, else a copy that does; or that of a memory format.

    Raises: RuntimeError for a memory format of another number of dimensions.

    >>> import spinetail as st
    >>> st.zeros(1, 2, 3, 4).contiguous(memory_format=st.channels_last).stride()
    (24, 1, 8, 2)
    """
    if self.is_contiguous(memory_format):
        return self
    order = None if memory_format is None else memory_format.order
    if order is None:
        out = np.ascontiguousarray(self._array)
    elif len(order) != self._array.ndim:
        raise RuntimeError(f"[contiguous] {memory_format} takes {len(order)} dimensions, got {self._array.ndim}")
    else:
        out = np.moveaxis(np.ascontiguousarray(self._array.transpose(order)), -1, 1)
    if self._requires_grad and enabled():
        return record(out, (self,), lambda grad: (grad,), name="contiguous", twice=True)
    return wrap(out)
