"""The tape: what each operation leaves behind so that `backward` can run.

A functional that has computed an array calls `record`, which makes the output tensor and a `Node`. Nodes are numbered
downwards from -1; a node's number is smaller than those of everything it was computed from, so running nodes in the
order of their numbers visits each one after all of its consumers. What runs at every operation is C
(Sources/PythonModule/tape.c); the rest of the tape is here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import ref

import numpy as np

from .._tape import Node, Storage, bump, make_node, next_number, record, wrap
from .mode import enabled, state
from .tensor import Tensor

__all__ = [
    "Node",
    "Storage",
    "bump",
    "enabled",
    "like",
    "like_output",
    "make_node",
    "next_number",
    "record",
    "record_many",
    "storage",
    "unbroadcast",
    "view",
    "wrap",
]

ndarray = np.ndarray


def name(node: Node) -> str:
    """The name of the operation, such as 'MulBackward'."""
    return "".join(part[:1].upper() + part[1:] for part in node.label.split("_")) + "Backward"


def next_functions(node: Node) -> tuple:
    """Pairs (node or leaf tensor or None, output index), one for each input."""
    return tuple(
        (edge.edges[0], edge.index) if isinstance(edge, Node) and edge.index is not None else (edge, 0)
        for edge in node.edges
    )


def register_hook(node: Node, hook: Callable):
    """Call `hook(grad)` with the gradient that arrives at the node."""
    return hooks.add(node, hook)


Node.name = name
Node.next_functions = property(next_functions)
Node.register_hook = register_hook
Node.__repr__ = lambda node: f"<{node.name()}>"


def storage(tensor: Tensor) -> Storage:
    """The shared record of the tensor's memory, made on first use."""
    found = tensor._storage
    if found is None:
        found = tensor._storage = Storage()
    return found


def record_many(
    arrays: Sequence,
    inputs: Sequence,
    backward: Callable,
    saved: tuple = (),
    name: str = "",
    twice: bool = False,
) -> tuple:
    """The output tensors of an operation with several outputs; `backward` gets one gradient or None for each.

    An output of integer dtype requires no gradient.
    """
    parent = make_node(inputs, backward, saved, name, twice)
    outputs = []
    for index, array in enumerate(arrays):
        tensor = wrap(array)
        if tensor._array.dtype.kind not in "biu":
            tensor._node = make_node((), None, (), name, twice)
            tensor._node.edges = (parent,)
            tensor._node.index = index
            tensor._requires_grad = True
        outputs.append(tensor)
    parent.index = -len(outputs)
    return tuple(outputs)


def view(parent: Tensor, array: ndarray, function: Callable, backward: Callable, name: str = "") -> Tensor:
    """A tensor over part of the parent's memory: `array = function(parent._array)`.

    `backward` maps gradients of the view to gradients of the parent (it must take Tensors too). The view shares the
    parent's version, and an in-place change of either reaches the history of the other.
    """
    if parent._requires_grad and enabled():
        tensor = record(array, (parent,), backward, name=name, twice=True)
    else:
        tensor = wrap(array)
    shared = tensor._storage = storage(parent)
    origin = parent._view
    tensor._view = (parent, (function,)) if origin is None else (origin[0], (*origin[1], function))
    views = shared.views
    if views is None:
        shared.views = [ref(tensor)]
    else:
        if len(views) >= shared.limit:
            views[:] = [v for v in views if v() is not None]
            shared.limit = 2 * len(views) + 16
        views.append(ref(tensor))
    return tensor


def like(grad, tensor: Tensor):
    """A saved tensor as `grad` is: an array beside an array, the tensor itself when a second derivative is recorded."""
    return tensor._array if type(grad) is ndarray else tensor


def like_output(grad, array: ndarray):
    """The saved output of the operation whose gradient is being computed, as `grad` is (see `like`)."""
    if type(grad) is ndarray:
        return array
    tensor = wrap(array)
    tensor._node = state.node
    tensor._requires_grad = True
    return tensor


def unbroadcast(grad, shape: tuple):
    """Sum a gradient (array or Tensor) over the axes along which an input of `shape` was broadcast."""
    if grad.shape == shape:
        return grad
    extra = grad.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + axis for axis, size in enumerate(shape) if size == 1 and grad.shape[extra + axis] != 1
    )
    if axes:
        grad = grad.sum(axes, keepdims=True) if isinstance(grad, Tensor) else np.add.reduce(grad, axes, keepdims=True)
    return grad.reshape(shape)


from . import hooks  # noqa: E402
