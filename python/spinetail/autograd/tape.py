"""The tape: what each operation leaves behind so that `backward` can run.

A functional that has computed an array calls `record`, which makes the output tensor and a `Node`. Nodes are numbered
downwards from -1; a node's number is smaller than those of everything it was computed from, so running nodes in the
order of their numbers visits each one after all of its consumers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from weakref import ref

import numpy as np

from .mode import enabled, state
from .tensor import Tensor, new

__all__ = [
    "Node",
    "Storage",
    "bump",
    "enabled",
    "like",
    "like_output",
    "record",
    "record_many",
    "storage",
    "unbroadcast",
    "view",
    "wrap",
]

ndarray = np.ndarray
next_number = count(-1, -1).__next__
last_change = 0  # the number taken by the newest in-place change of any tensor


class Node:
    """One recorded operation. `edges[i]` is where the gradient of input i goes: a node, a leaf tensor, or None."""

    __slots__ = ("__weakref__", "backward", "edges", "hooks", "index", "label", "number", "saved", "twice")

    def name(self) -> str:
        """The name of the operation, such as 'MulBackward'."""
        return "".join(part[:1].upper() + part[1:] for part in self.label.split("_")) + "Backward"

    @property
    def next_functions(self) -> tuple:
        """Pairs (node or leaf tensor or None, output index), one for each input."""
        return tuple(
            (edge.edges[0], edge.index) if isinstance(edge, Node) and edge.index is not None else (edge, 0)
            for edge in self.edges
        )

    def register_hook(self, hook: Callable):
        """Call `hook(grad)` with the gradient that arrives at the node."""
        return hooks.add(self, hook)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


class Storage:
    """What tensors over the same memory share: how often and when it was changed in place, and who they are."""

    __slots__ = ("changed", "limit", "version", "views")

    def __init__(self) -> None:
        self.changed = 0  # the number of the newest change; 0: never
        self.version = 0
        self.views: list | None = None  # weak references to the differentiable views
        self.limit = 16


def storage(tensor: Tensor) -> Storage:
    """The shared record of the tensor's memory, made on first use."""
    found = tensor._storage
    if found is None:
        found = tensor._storage = Storage()
    return found


def bump(tensor: Tensor) -> None:
    """Note that the tensor's memory has been changed in place."""
    global last_change
    shared = tensor._storage
    if shared is None:
        shared = tensor._storage = Storage()
    shared.changed = last_change = next_number()
    shared.version += 1


def wrap(array: ndarray) -> Tensor:
    """A tensor around `array` that requires no gradient."""
    tensor = new(Tensor)
    tensor._array = array if type(array) is ndarray else np.asarray(array)
    tensor._requires_grad = False
    tensor.grad = None
    tensor._node = None
    tensor._storage = None
    tensor._view = None
    tensor._hooks = None
    return tensor


def make_node(inputs: Sequence, backward: Callable, saved: tuple, label: str, twice: bool) -> Node:
    """A node for an operation on `inputs` (tensors or None)."""
    node = new(Node)
    node.backward = backward
    node.saved = saved
    node.label = label
    node.hooks = None
    node.index = None
    node.twice = twice
    if len(inputs) == 1:
        first = inputs[0]
        node.edges = (first._node or first,)
    else:
        node.edges = tuple([(i._node or i) if i is not None and i._requires_grad else None for i in inputs])
    node.number = next_number()
    return node


def record(
    array: ndarray,
    inputs: Sequence,
    backward: Callable,
    saved: tuple = (),
    name: str = "",
    saved_output: bool = False,
    twice: bool = False,
) -> Tensor:
    """The output tensor of an operation of which at least one input requires a gradient.

    `backward(grad)` returns one gradient, or None, for each of `inputs`, in the input's shape and dtype, and leaves
    `grad` alone. `saved` are the tensors whose arrays `backward` reads; with `saved_output` it reads `array` too. With
    `twice` the function also takes and returns Tensors (see `like`), which makes second derivatives possible.
    """
    tensor = new(Tensor)
    tensor._array = array if type(array) is ndarray else np.asarray(array)
    tensor._requires_grad = True
    tensor.grad = None
    tensor._view = None
    tensor._hooks = None
    node = tensor._node = new(Node)
    node.backward = backward
    node.label = name
    node.hooks = None
    node.index = None
    node.twice = twice
    if len(inputs) == 1:
        first = inputs[0]
        node.edges = (first._node or first,)
    else:
        node.edges = tuple([(i._node or i) if i is not None and i._requires_grad else None for i in inputs])
    if saved_output:
        shared = tensor._storage = Storage()
        node.saved = (*saved, shared)
    else:
        tensor._storage = None
        node.saved = saved
    node.number = next_number()
    return tensor


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
    shared = parent._storage
    if shared is None:
        shared = parent._storage = Storage()
    tensor._storage = shared
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
