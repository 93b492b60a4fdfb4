"""In-place operations: change the memory, and let the tape know.

A change goes to the memory that all views share. The history of the base (the tensor that is not a view) is rewritten
so that it leads to the new values, and every live view of it gets a history that starts at the new base.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import dtypes
from .tape import Node, bump, enabled, make_node, storage, wrap
from .tensor import Tensor


def check(target: Tensor) -> None:
    """Refuse a recorded in-place change of a leaf that requires a gradient, or of a view of one."""
    if enabled():
        if target._requires_grad and target._node is None:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        view = target._view
        if view is not None and view[0]._requires_grad and view[0]._node is None:
            raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")


def write(target: Tensor, source: np.ndarray, name: str) -> None:
    """Copy `source` into the tensor's memory, under PyTorch's rules for shapes and dtypes."""
    array = target._array
    if source.shape != array.shape:
        raise ValueError(
            f"[{name}] output with shape {list(array.shape)} doesn't match the broadcast shape {list(source.shape)}"
        )
    if source.dtype is not array.dtype and not dtypes.can_cast(source.dtype, array.dtype):
        raise TypeError(
            f"[{name}] result type {dtypes.of(source.dtype)} can't be cast to the desired output type {target.dtype}"
        )
    if not array.flags.writeable:
        raise RuntimeError(
            f"[{name}] the written-to tensor is read-only or several of its elements refer to a single memory "
            "location; clone() the tensor before performing the operation"
        )
    np.copyto(array, source, casting="unsafe")
    bump(target)


def inplace(function: Callable, name: str, keeps: bool = True) -> Callable:
    """The in-place method for a function that returns a new tensor, attached to Tensor as `name`.

    `keeps`: the function's gradient reads the old values, which are copied when the operation is recorded.
    """

    def method(self, *args, **kwargs):
        check(self)
        source = _old(self) if keeps and enabled() and (self._requires_grad or _tracked(args)) else self
        result = function(source, *args, **kwargs)
        if result is NotImplemented:
            return result
        write(self, result._array, name)
        if result._requires_grad:
            if result._array.dtype != self._array.dtype:
                result = result.to(self.dtype)
            rebase(self, result._node)
        elif self._requires_grad and enabled():
            rebase(self, make_node((self,), lambda grad: (grad * 0,), (), name, True))
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In-place version of `{function.__name__}`: the result replaces the tensor's values."
    setattr(Tensor, name, method)
    return method


def _old(tensor: Tensor) -> Tensor:
    """The tensor as it is now, history included, in memory of its own."""
    copy = wrap(tensor._array.copy())
    copy._node = tensor._node
    copy._requires_grad = tensor._requires_grad
    return copy


def _tracked(args: tuple) -> bool:
    return any(isinstance(a, Tensor) and a._requires_grad for a in args)


def rebase(target: Tensor, node: Node) -> None:
    """Make `node` the history of the tensor's new values."""
    origin = target._view
    if origin is None:
        base = target
        base._node = node
    else:
        base, chain = origin
        shape = base._array.shape

        def backward(grad):
            places = _places(shape, chain)
            rest = np.array(grad, order="C")
            part = rest.reshape(-1)[places]
            rest.reshape(-1)[places] = 0
            return rest, part

        slices = make_node((), backward, (), "copy_slices", False)
        slices.edges = ((base._node or base) if base._requires_grad else None, node)
        base._node = slices
    base._requires_grad = True
    for weak in storage(base).views or ():
        tensor = weak()
        if tensor is not None and tensor._view is not None and tensor._view[0] is base:
            _refresh(tensor, base)


def _refresh(tensor: Tensor, base: Tensor) -> None:
    """Give a view a history that starts at its base's present one."""
    chain, shape = tensor._view[1], base._array.shape

    def backward(grad):
        result = np.zeros(shape, grad.dtype)
        np.add.at(result.reshape(-1), _places(shape, chain), grad)
        return (result,)

    tensor._node = make_node((base,), backward, (), "as_strided", False)
    tensor._requires_grad = True


def _places(shape: tuple, chain: tuple) -> np.ndarray:
    """For each element of a view, its position in the base."""
    places = np.arange(int(np.prod(shape)), dtype=np.intp).reshape(shape)
    for function in chain:
        places = function(places)
    return places
