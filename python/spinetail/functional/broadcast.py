"""Broadcasting: views in which one element stands in many places, and the sums that undo it."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import unbroadcast
from ..autograd.tape import view as make_view
from ..autograd.tensor import Tensor, method
from .door import expect, lift, operation
from .size import Size, sizes

__all__ = [
    "broadcast_shapes",
    "broadcast_tensors",
    "broadcast_to",
]


@method
def expand(self, *size, implicit=False):
    """A view with extents of 1 repeated to the given ones; -1 keeps an extent.

    Raises: ValueError when another extent would have to change.

    >>> import spinetail as st
    >>> st.tensor([[1], [2]]).expand(2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    shape = self._array.shape
    target = sizes("expand", size)
    extra = len(target) - len(shape)
    if extra < 0:
        raise ValueError(f"[expand] {list(target)} has fewer dimensions than the tensor's shape {list(shape)}")
    target = tuple(shape[i - extra] if s == -1 and i >= extra else s for i, s in enumerate(target))
    return broadcast_to.__wrapped__(self, target)


@method
def expand_as(self, other):
    """A view with extents of 1 repeated to those of `other`."""
    return broadcast_to.__wrapped__(self, other._array.shape)


@operation
def broadcast_to(input, size):
    """A read-only view with extents of 1 repeated to the given ones.

    >>> import spinetail as st
    >>> st.broadcast_to(st.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    size, shape = tuple(size), input._array.shape
    try:
        out = np.broadcast_to(input._array, size)
    except ValueError:
        raise ValueError(f"[expand] shape {list(shape)} cannot be expanded to {list(size)}") from None
    return make_view(input, out, lambda a: np.broadcast_to(a, size), lambda grad: (unbroadcast(grad, shape),), "expand")


def broadcast_tensors(*tensors):
    """Views of all tensors in the shape that they broadcast to."""
    expect("broadcast_tensors", *tensors)
    shape = np.broadcast_shapes(*[t.shape for t in tensors])
    if any(isinstance(t, Tensor) for t in tensors):
        tensors = tuple(map(lift, tensors))
    return tuple(broadcast_to(t, shape) for t in tensors)


def broadcast_shapes(*shapes):
    """The shape that the shapes broadcast to."""
    return Size(np.broadcast_shapes(*shapes))


@method
def sum_to_size(self, *size):
    """The sum over the dimensions that have to go or become 1 so that the shape is `size`."""
    return unbroadcast(self, sizes("sum_to_size", size))
