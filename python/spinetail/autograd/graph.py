"""Reading what the tape recorded: the operations of a forward pass in the order in which they ran.

`trace(model, example)` runs a model once and returns its operations: name, shapes, where each input came from, and in
which module it ran. The shapes come from a backward pass, since the tape itself does not store them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import engine, hooks
from .mode import enable_grad
from .tape import Node, next_number
from .tensor import Tensor

__all__ = ["Operation", "Trace", "operations", "tensors", "trace", "watched"]


class Operation:
    """One recorded operation. `sources[i]` made input i: an Operation, a leaf Tensor, or None (no gradient needed).

    `shape` and `dtype` are those of the output, None if nothing that was traced depends on it. `output` is which of
    several outputs this is, else None. `module` is the path of the innermost module that was running.
    """

    __slots__ = ("dtype", "module", "name", "node", "output", "shape", "sources")

    def __init__(self, node: Any) -> None:
        self.node = node
        self.name = node.label
        self.shape: tuple[int, ...] | None = None
        self.dtype: np.dtype | None = None
        self.sources: list[Operation | Tensor | None] = []
        self.output: int | None = node.index
        self.module = ""

    def source_shape(self, index: int) -> tuple[int, ...] | None:
        """The shape of an input, or None where it is not known."""
        source = self.sources[index] if index < len(self.sources) else None
        if isinstance(source, Tensor):
            return tuple(source._array.shape)
        return None if source is None else source.shape

    def pull(self, gradient: np.ndarray) -> tuple[Any, ...]:
        """What the operation's backward makes of a gradient of its output: one array or None for each input."""
        if self.output is None:
            return tuple(self.node.backward(gradient))
        parent = self.node.edges[0]
        gradients: list[Any] = [None] * -parent.index
        gradients[self.output] = gradient
        return tuple(parent.backward(*gradients))

    def __repr__(self) -> str:
        return f"<{self.name} {self.shape} in {self.module or 'the model'}>"


class Trace:
    """The operations of one forward pass, oldest first, with the tensors that came out (`outputs`)."""

    def __init__(self, outputs: list[Tensor], operations: list[Operation], spans: dict[str, tuple[int, int]]) -> None:
        self.outputs = outputs
        self.operations = operations
        self.by_node = {id(operation.node): operation for operation in operations}
        for operation in operations:
            operation.module = _innermost(operation.node.number, spans)


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors inside nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)


def operations(outputs: Sequence[Tensor]) -> list[Operation]:
    """The operations that made the outputs, oldest first. The graph is kept, and no `.grad` is touched."""
    made: dict[int, Operation] = {}
    stack: list[Any] = [t._node for t in outputs if t._node is not None]
    while stack:
        node = stack.pop()
        if id(node) in made or (node.index is not None and node.index < 0):
            continue
        made[id(node)] = Operation(node)
        edges = node.edges[0].edges if node.index is not None else node.edges
        stack.extend(edge for edge in edges if isinstance(edge, Node))
    _measure(outputs, list(made.values()))
    for operation in made.values():
        node = operation.node
        edges = node.edges[0].edges if node.index is not None else node.edges
        operation.sources = [made[id(edge)] if isinstance(edge, Node) else edge for edge in edges]
    return sorted(made.values(), key=lambda operation: -operation.node.number)


def _measure(outputs: Sequence[Tensor], found: list[Operation]) -> None:
    """Note the shape and dtype of every output, as its gradient has them in a backward pass."""
    handles = []
    for operation in found:

        def note(gradient: Tensor, operation: Operation = operation) -> None:
            operation.shape, operation.dtype = gradient._array.shape, gradient._array.dtype

        handles.append(hooks.add(operation.node, note))
    starts = [t for t in outputs if t._node is not None]
    try:
        engine.run([t._node for t in starts], [np.ones_like(t._array) for t in starts], True, False, None)
    finally:
        for handle in handles:
            handle.remove()


def trace(model: Any, example: Any) -> Trace:
    """Run `model(*example)` (or `model(example)` for what is not a tuple) with recording on, and read the graph.

    Every floating-point parameter and input should require a gradient, or what depends on neither stays unseen.
    """
    spans: dict[str, list[int]] = {}

    def enter(path: str) -> None:
        spans.setdefault(path, []).append(next_number())

    def leave(path: str, output: Any) -> None:
        spans[path].append(next_number())

    with watched(model, enter, leave), enable_grad():
        output = model(*example) if isinstance(example, tuple) else model(example)
    outputs = list(tensors(output))
    pairs = {
        f"{path}\0{i}": (numbers[i], numbers[i + 1])
        for path, numbers in spans.items()
        for i in range(0, len(numbers) - 1, 2)
    }
    return Trace(outputs, operations(outputs), pairs)


@contextmanager
def watched(model: Any, enter: Callable[[str], None], leave: Callable[[str, Any], None]) -> Iterator[None]:
    """Call `enter(path)` before and `leave(path, output)` after every module's forward."""
    before = [(path, module, module.__dict__.get("_hooked")) for path, module in model.named_modules()]
    handles = []
    for path, module, _ in before:
        handles.append(module.register_forward_pre_hook(lambda module, inputs, path=path: enter(path)))
        handles.append(module.register_forward_hook(lambda module, inputs, output, path=path: leave(path, output)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for _, module, hooked in before:
            if hooked is None:  # without hooks it is called the short way again
                module.__dict__.pop("_hooked", None)


def _innermost(number: int, spans: dict[str, tuple[int, int]]) -> str:
    """The path whose span is the shortest around a node's number (numbers run downwards)."""
    best, width = "", None
    for key, (first, last) in spans.items():
        if first > number > last and (width is None or first - last < width):
            best, width = key.partition("\0")[0], first - last
    return best
