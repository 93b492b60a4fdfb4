"""The shape of a tensor and what follows from it: extents, strides, dimensions counted from either end."""

from __future__ import annotations

import math

import numpy as np

from ..autograd.tape import ndarray
from ..autograd.tensor import Tensor, method

__all__ = [
    "Size",
    "numel",
]


class Size(tuple):
    """The shape of a tensor: a tuple with `numel()`."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"spinetail.Size({list(self)})"

    def __getitem__(self, key):
        item = tuple.__getitem__(self, key)
        return Size(item) if type(item) is tuple else item

    def __add__(self, other):
        return Size(tuple.__add__(self, tuple(other)))


Tensor.shape = property(lambda self: Size(self._array.shape), doc="The extents of the dimensions.")
Tensor.ndim = property(lambda self: self._array.ndim, doc="The number of dimensions.")
Tensor.itemsize = property(lambda self: self._array.itemsize, doc="Bytes of an element.")
Tensor.nbytes = property(lambda self: self._array.nbytes, doc="Bytes of all elements.")


@method
def size(self, dim=None):
    """The shape, or the extent of one dimension."""
    if dim is None:
        return Size(self._array.shape)
    return self._array.shape[wrap_dim("size", dim, self._array.ndim)]


@method
def dim(self) -> int:
    """The number of dimensions."""
    return self._array.ndim


Tensor.ndimension = dim


@method
def element_size(self) -> int:
    """Bytes of an element."""
    return self._array.itemsize


@method
def nelement(self) -> int:
    """The number of elements."""
    return self._array.size


@method
def stride(self, dim=None):
    """The steps, in elements, from one index to the next in each dimension."""
    steps = tuple(s // self._array.itemsize for s in self._array.strides)
    return steps if dim is None else steps[wrap_dim("stride", dim, self._array.ndim)]


@method
def storage_offset(self) -> int:
    """The position of the first element in the memory of the array that owns it."""
    owner = self._array
    while isinstance(owner.base, ndarray):
        owner = owner.base
    return (self._array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]) // self._array.itemsize


@method
def data_ptr(self) -> int:
    """The address of the first element."""
    return self._array.__array_interface__["data"][0]


@method
def is_contiguous(self, memory_format=None) -> bool:
    """Whether the elements lie without gaps in row-major order, or in that of a memory format such as channels_last."""
    order = None if memory_format is None else memory_format.order
    if order is None:
        return self._array.flags.c_contiguous
    return self._array.ndim == len(order) and self._array.transpose(order).flags.c_contiguous


def numel(input) -> int:
    """The number of elements."""
    return input._array.size if isinstance(input, Tensor) else np.asarray(input).size


Tensor.numel = numel


def wrap_dim(name: str, dim: int, ndim: int) -> int:
    """The dimension as a non-negative index; an IndexError if there is none such."""
    extent = max(ndim, 1)
    if not -extent <= dim < extent:
        raise IndexError(
            f"[{name}] Dimension out of range (expected to be in range of [{-extent}, {extent - 1}], but got {dim})"
        )
    return dim + extent if dim < 0 else int(dim)


def wrap_dims(name: str, dim, ndim: int) -> tuple | None:
    """One dimension or several as a tuple of distinct non-negative indices; None stays None."""
    if dim is None:
        return None
    dims = (
        (wrap_dim(name, dim, ndim),)
        if isinstance(dim, (int, np.integer))
        else tuple(wrap_dim(name, d, ndim) for d in dim)
    )
    if len(set(dims)) != len(dims):
        raise ValueError(f"[{name}] a dimension appears twice in {tuple(dim)}")
    return dims


def sizes(name: str, shape: tuple, keyword: dict | None = None, word: str = "size") -> tuple:
    """The extents given as f(2, 3), f((2, 3)) or f(word=(2, 3)), where `keyword` is what came by name."""
    if keyword:
        others = [key for key in keyword if key != word]
        if others:
            raise TypeError(f"[{name}] got an unexpected keyword argument {others[0]!r} (expected {word!r})")
        if shape:
            raise TypeError(f"[{name}] got {word!r} twice, by position and by name")
        shape = (keyword[word],)
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    return tuple([int(s) for s in shape])
