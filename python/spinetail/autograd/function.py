"""`Function`: operations with a gradient of one's own."""

from __future__ import annotations

from functools import wraps

import numpy as np

from .inplace import rebase
from .mode import enabled, no_grad
from .tape import bump, like_output, make_node, ndarray, record, record_many, storage, unbroadcast, wrap
from .tensor import Tensor


class FunctionCtx:
    """What `forward` leaves for `backward`: saved tensors, flags, and any attribute that is set on it."""

    def __init__(self, needs_input_grad: tuple) -> None:
        self.needs_input_grad = needs_input_grad
        self.materialize_grads = True
        self.to_save: tuple = ()
        self.dirty: tuple = ()
        self.non_differentiable: tuple = ()
        self._outputs: dict = {}  # of saved tensors that are outputs: position -> (array, output number)
        self._graph = False

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs, outputs or other tensors for `backward`; a change in place of one of them is noticed."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Tensor):
                raise TypeError(f"[save_for_backward] can only save tensors, not {type(tensor).__name__}")
        self.to_save = tensors

    @property
    def saved_tensors(self) -> tuple:
        """The tensors that `save_for_backward` was given."""
        if self.to_save is None:
            from .engine import FREED

            raise RuntimeError(FREED)
        if not self._outputs:
            return self.to_save
        found = list(self.to_save)
        for place, array in self._outputs.items():
            found[place] = like_output(None, array) if self._graph else wrap(array)
        return tuple(found)

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Say that `forward` has changed these inputs in place (and returns them)."""
        self.dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say that these outputs have no gradient."""
        self.non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (the default) or None for outputs that nothing used."""
        self.materialize_grads = value


class Function:
    """Base of operations with static methods `forward(ctx, *args)` and `backward(ctx, *grads)`; call `apply(*args)`.

    `backward` returns one gradient, or None, for each argument of `forward`. Written with tensor operations it can be
    differentiated again. `forward(*args)` with `setup_context(ctx, inputs, output)` works too.

    >>> import spinetail as st
    >>> class Double(st.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         return grad * 2
    >>> x = st.ones(2, requires_grad=True)
    >>> Double.apply(x).sum().backward(); x.grad
    tensor([2., 2.])
    """

    @staticmethod
    def forward(*args, **kwargs):
        """Compute the outputs; to be written by the subclass."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        """Prepare `ctx` when `forward` does not take one; to be written by the subclass."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """Compute the gradients of the arguments; to be written by the subclass."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function."
        )

    @classmethod
    def apply(cls, *args):
        """Run the operation and record it."""
        needs = tuple(isinstance(a, Tensor) and a._requires_grad for a in args)
        ctx = FunctionCtx(needs)
        recording = enabled() and any(needs)
        with no_grad():
            if cls.setup_context is not Function.setup_context:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args)
        outputs = result if isinstance(result, tuple) else (result,)
        for output in outputs:
            if output is not None and not isinstance(output, Tensor):
                raise TypeError(f"{cls.__name__}.forward: expected to return Tensors, but got {type(output).__name__}")
        for tensor in ctx.dirty:
            bump(tensor)
        if not recording:
            fresh = tuple(_alias(o, args, ctx) for o in outputs)
            return fresh if isinstance(result, tuple) else fresh[0]
        fresh = _record(cls, ctx, args, outputs)
        return fresh if isinstance(result, tuple) else fresh[0]


def _alias(output, args: tuple, ctx: FunctionCtx):
    """An output that is an argument as a tensor of its own, unless it was changed in place."""
    if output is None or any(output is d for d in ctx.dirty) or not any(output is a for a in args):
        return output
    return output.detach()


def _record(cls: type, ctx: FunctionCtx, args: tuple, outputs: tuple) -> tuple:
    inputs = tuple(a if isinstance(a, Tensor) else None for a in args)
    shapes = [None if i is None else (i._array.shape, i._array.dtype) for i in inputs]
    forms = [None if o is None else (o._array.shape, o._array.dtype) for o in outputs]
    for place, saved in enumerate(ctx.to_save):  # a saved output must not keep itself alive
        if saved is not None and any(saved is o for o in outputs) and not any(saved is i for i in inputs):
            ctx._outputs[place] = saved._array
    label = cls.__name__

    def backward(*grads):
        graph = any(isinstance(g, Tensor) for g in grads)
        ctx._graph = graph
        given = []
        for grad, form in zip(grads, forms, strict=True):
            if grad is None and ctx.materialize_grads and form is not None:
                grad = np.zeros(*form)
            given.append(wrap(grad) if isinstance(grad, (ndarray, np.generic)) else grad)
        returned = cls.backward(ctx, *given)
        returned = returned if isinstance(returned, tuple) else (returned,)
        surplus = returned[len(inputs) :]
        if len(returned) < len(inputs) or any(r is not None for r in surplus):
            raise RuntimeError(
                f"function {label}Backward returned an incorrect number of gradients "
                f"(expected {len(inputs)}, got {len(returned)})"
            )
        return tuple(_fitting(label, i, r, s, graph) for i, (r, s) in enumerate(zip(returned, shapes, strict=False)))

    saved = tuple(t for place, t in enumerate(ctx.to_save) if t is not None and place not in ctx._outputs)
    extra = [storage(o) for o in outputs if o is not None and any(o is s for s in ctx.to_save)]
    plain = [o is None or any(o is n for n in ctx.non_differentiable) for o in outputs]
    if len(outputs) == 1 and not plain[0]:
        (output,) = outputs
        if any(output is d for d in ctx.dirty):
            node = make_node(inputs, backward, saved, label, True)
            rebase(output, node)
            made = output
        else:
            made = record(output._array, inputs, backward, saved, label, twice=True)
            if extra:
                made._storage = extra[0]
                made._node.saved = (*saved, *extra)
        node, results = made._node, (made,)
    else:
        results = record_many(
            [np.empty(0) if o is None else o._array for o in outputs], inputs, backward, saved, label, True
        )
        node = next((r._node.edges[0] for r in results if r._node is not None), None)
        results = tuple(
            None if o is None else o.detach() if drop else r for o, r, drop in zip(outputs, results, plain, strict=True)
        )
    for place in ctx._outputs:
        ctx.to_save = (*ctx.to_save[:place], None, *ctx.to_save[place + 1 :])
    del node
    return results


def _fitting(label: str, number: int, grad, form, graph: bool):
    """A returned gradient in its argument's shape and dtype."""
    if grad is None or form is None:
        return None
    if not isinstance(grad, Tensor):
        grad = wrap(np.asarray(grad))
    shape, dtype = form
    if grad._array.shape != shape:
        try:
            grad = unbroadcast(grad, shape)
        except (ValueError, IndexError):
            raise RuntimeError(
                f"Function {label}Backward returned an invalid gradient at index {number} - got "
                f"{list(grad._array.shape)} but expected shape compatible with {list(shape)}"
            ) from None
    if grad._array.dtype != dtype:
        grad = grad.to(dtype)
    return grad if graph else grad._array


def once_differentiable(function):
    """Mark a `backward` whose own gradient is not available: what it returns is constant."""

    @wraps(function)
    def run(ctx, *grads):
        with no_grad():
            return function(ctx, *grads)

    return run
