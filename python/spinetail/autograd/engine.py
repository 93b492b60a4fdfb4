"""The engine: gradients from outputs back to leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._tape import connect, deliver, propagate
from ..ops.arithmetic import add
from .mode import state
from .tensor import Tensor

ndarray = np.ndarray
_ones: dict = {}

FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been "
    "freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors "
    "after calling backward."
)


# Operations whose float32 and float64 gradients are computed by kernels alone.
NATIVE = frozenset(("cross_entropy", "linear", "relu"))


def run(edges: Sequence, grads: Sequence, retain: bool, graph: bool, targets: Sequence | None) -> tuple[dict, dict]:
    """Send `grads` into `edges` and on through the graph (Sources/PythonModule/engine.c).

    Returns what arrived: {id: [leaf, gradient]} and, for nodes among `targets`, {number: gradient}. With `targets`
    (edges) only what leads to them is visited. With `graph` the gradients are Tensors and their arithmetic is recorded.
    """
    useful = None if targets is None else reach(edges, targets)
    wanted = None if targets is None else {t.number for t in targets if type(t) is Node}
    return propagate(tuple(edges), grads, retain, graph, useful, wanted, False)


# What C asks for.


def silence() -> np.errstate:
    """NumPy's warnings off, until `__exit__` of the result."""
    quiet = np.errstate(all="ignore")
    quiet.__enter__()
    return quiet


def recording(node: Node | None) -> None:
    """Note which node runs while second derivatives are recorded."""
    state.node = node


def refuse(node: Node, graph: bool) -> None:
    """Raise for a node without its function, or (`graph`) with one whose gradient cannot be differentiated."""
    if not graph:
        raise RuntimeError(FREED)
    raise RuntimeError(
        f"[{node.label}] create_graph=True is not supported here: the gradient of {node.name()} "
        "cannot be differentiated a second time"
    )


def accumulate(grad: Tensor, more: ndarray) -> None:
    """Add to a gradient in its memory."""
    add(grad._array, more, grad._array)
    tape.bump(grad)


def after(leaf: Tensor) -> None:
    """Call the hooks of a leaf that come after its gradient has been accumulated."""
    for hook in list(leaf._hooks[1].values()):
        hook(leaf)


def verify(node) -> None:
    """Raise if a tensor that the node saved was changed in place since then."""
    for saved in node.saved:
        shared = saved._storage if isinstance(saved, Tensor) else saved
        if shared is not None and shared.changed < node.number:
            shape = f"[tensor of shape {list(saved.shape)}] " if isinstance(saved, Tensor) else "[its output] "
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"{shape}saved by {node.name()} is at version {shared.version} now. Hint: clone() the tensor before "
                "the in-place operation, or use the operation that returns a new tensor"
            )


def reach(edges: Sequence, targets: Sequence) -> set:
    """The ids of the nodes and leaves from which the engine, started at `edges`, comes to one of `targets`."""
    goals = {id(t) for t in targets}
    seen: dict = {}
    stack = [e for e in edges if e is not None]
    while stack:
        edge = stack.pop()
        if id(edge) not in seen:
            seen[id(edge)] = edge
            if type(edge) is Node:
                stack.extend(e for e in edge.edges if e is not None)
    useful = goals & seen.keys()
    nodes = sorted((e for e in seen.values() if type(e) is Node), key=lambda node: -node.number)
    for node in nodes:  # oldest first: a node is useful when one of its inputs is
        if any(id(e) in useful for e in node.edges if e is not None):
            useful.add(id(node))
    return useful


def seed(outputs: Sequence, gradients: Sequence) -> tuple | None:
    """What `seeds` gives in the usual case, one scalar whose dtype has been seen; None in any other."""
    if len(outputs) == 1 == len(gradients) and gradients[0] is None and outputs[0]._requires_grad:
        array = outputs[0]._array
        found = None if array.ndim else _ones.get(array.dtype)
        return None if found is None else (found,)
    return None


def seeds(outputs: Sequence, gradients: Sequence, graph: bool) -> list:
    """The gradients to start with; 1 for a scalar output that has none."""
    result = []
    for number, (output, gradient) in enumerate(zip(outputs, gradients, strict=True)):
        if not output._requires_grad:
            raise RuntimeError(f"element {number} of tensors does not require grad and does not have a grad_fn")
        array = output._array
        if gradient is None:
            if array.size != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            if array.ndim:
                seed = np.ones_like(array)
            else:
                seed = _ones.get(array.dtype)
                if seed is None:
                    seed = _ones[array.dtype] = np.ones((), array.dtype)
            result.append(tape.wrap(seed) if graph else seed)
            continue
        seed = gradient._array if isinstance(gradient, Tensor) else np.asarray(gradient)
        if seed.shape != array.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{number}] has a shape of {list(seed.shape)} and output[{number}] has "
                f"a shape of {list(array.shape)}."
            )
        if graph:
            result.append(gradient if isinstance(gradient, Tensor) else tape.wrap(seed))
        else:
            result.append(seed if seed.dtype == array.dtype else seed.astype(array.dtype))
    return result


def backward(
    tensors: Sequence[Tensor],
    grad_tensors: Sequence,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Tensor] | Tensor | None = None,
) -> None:
    """Add the gradients of `tensors` to `.grad` of the leaves, or of `inputs` only."""
    retain = create_graph if retain_graph is None else retain_graph
    edges = tuple([t._node or t for t in tensors])
    grads = seed(tensors, grad_tensors) if not create_graph else None
    if grads is None:
        grads = seeds(tensors, grad_tensors, create_graph)
    if inputs is None:
        propagate(edges, grads, retain, create_graph, None, None, True)
        return
    chosen = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if not chosen:
        raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    leaves, captured = run(edges, grads, retain, create_graph, [t._node or t for t in chosen])
    for tensor in chosen:
        entry = leaves.get(id(tensor)) if tensor._node is None else None
        if tensor._node is not None and tensor._node.number in captured:
            entry = [tensor, captured[tensor._node.number]]
        if entry is not None:
            deliver(*entry, create_graph)


def grad(
    outputs: Sequence[Tensor] | Tensor,
    inputs: Sequence[Tensor] | Tensor,
    grad_outputs: Sequence | Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple:
    """The gradients of the sum of `outputs` with respect to `inputs`, without touching `.grad`.

    Equation: grad_i = Σ_o grad_outputs_o · ∂outputs_o / ∂inputs_i. Each gradient has its input's shape and dtype.
    `create_graph` makes the gradients differentiable, which works through NumPy-made operations only.

    Raises: RuntimeError when an input was not used (and `allow_unused` is false) or requires no gradient.

    >>> import spinetail as st
    >>> x = st.tensor(2.0, requires_grad=True)
    >>> (first,) = st.autograd.grad(x ** 3, x, create_graph=True)
    >>> first.item(), st.autograd.grad(first, x)[0].item()
    (12.0, 12.0)
    """
    if is_grads_batched:
        raise NotImplementedError("[grad] is_grads_batched is not supported: call grad once for each gradient")
    starts = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
    chosen = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if grad_outputs is None:
        given: tuple = (None,) * len(starts)
    else:
        given = (grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs)
    if len(given) != len(starts):
        raise RuntimeError(f"[grad] got {len(starts)} outputs and {len(given)} grad_outputs")
    for tensor in chosen:
        if not tensor._requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    retain = create_graph if retain_graph is None else retain_graph
    first = seeds(starts, given, create_graph)
    targets = [t._node or t for t in chosen]
    leaves, captured = run([t._node or t for t in starts], first, retain, create_graph, targets)
    results = []
    for tensor in chosen:
        if tensor._node is None:
            entry = leaves.get(id(tensor))
            found = None if entry is None else entry[1]
            if found is not None and tensor._hooks is not None and tensor._hooks[0]:
                found = entry[1] = hooks.run(tensor._hooks[0], found)
        else:
            found = captured.get(tensor._node.number)
        if found is None:
            if materialize_grads:
                found = np.zeros_like(tensor._array)
            elif not allow_unused:
                raise RuntimeError(
                    "One of the differentiated Tensors appears to not have been used in the graph. Set "
                    "allow_unused=True if this is the desired behavior."
                )
        results.append(found if found is None or isinstance(found, Tensor) else tape.wrap(np.array(found)))
    return tuple(results)


from . import hooks, tape  # noqa: E402
from .tape import Node  # noqa: E402

connect(Tensor, silence, verify, hooks.run, after, accumulate, refuse, NATIVE, recording, add)
