"""Functions that the engine calls when a gradient is known."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from weakref import ref

import numpy as np

from .tensor import Tensor

next_key = count().__next__
RETAIN = -1  # the key of the entry that fills `.grad` of a non-leaf; it runs after all hooks


class RemovableHandle:
    """What registering a hook returns; `remove()` takes the hook away, and so does leaving a `with` block."""

    __slots__ = ("hooks", "key")

    def __init__(self, hooks: dict, key: int) -> None:
        self.hooks = hooks
        self.key = key

    def remove(self) -> None:
        self.hooks.pop(self.key, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def add(node, hook: Callable) -> RemovableHandle:
    """Hang a hook on a node."""
    if node.hooks is None:
        node.hooks = {}
    key = next_key()
    node.hooks[key] = hook
    return RemovableHandle(node.hooks, key)


def register(tensor: Tensor, hook: Callable) -> RemovableHandle:
    """Hang a hook on a tensor: on its node, or on a leaf itself."""
    if not tensor._requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    return add(tensor._node, hook) if tensor._node is not None else _leaf(tensor, 0, hook)


def register_post(tensor: Tensor, hook: Callable) -> RemovableHandle:
    """Hang a hook on a leaf that runs after its `.grad` has been updated."""
    if tensor._node is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    if not tensor._requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    return _leaf(tensor, 1, hook)


def _leaf(tensor: Tensor, kind: int, hook: Callable) -> RemovableHandle:
    if tensor._hooks is None:
        tensor._hooks = ({}, {})
    key = next_key()
    tensor._hooks[kind][key] = hook
    return RemovableHandle(tensor._hooks[kind], key)


def retain(tensor: Tensor) -> None:
    """Let the engine fill `.grad` of a non-leaf."""
    node, weak = tensor._node, ref(tensor)

    def fill(grad: Tensor) -> None:
        owner = weak()
        if owner is not None and owner._node is node:
            kept = grad if grad._requires_grad else tape.wrap(grad._array.copy())
            owner.grad = kept if owner.grad is None else owner.grad + kept

    if node.hooks is None:
        node.hooks = {}
    node.hooks[RETAIN] = fill


def run(hooks: dict, grad):
    """Pass a gradient (array or Tensor) through hooks; the result is of the same kind."""
    tensor = tape.wrap(grad) if type(grad) is np.ndarray else grad
    for key, hook in list(hooks.items()):
        if key == RETAIN:
            continue
        replaced = hook(tensor)
        if replaced is not None:
            if not isinstance(replaced, Tensor) or replaced._array.shape != tensor._array.shape:
                raise RuntimeError(f"[hook] a hook must return None or a Tensor of shape {tuple(tensor._array.shape)}")
            tensor = replaced
    if RETAIN in hooks:
        hooks[RETAIN](tensor)
    return tensor._array if type(grad) is np.ndarray else tensor


from . import tape  # noqa: E402
