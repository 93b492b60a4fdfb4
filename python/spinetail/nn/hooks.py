"""Functions that a module calls around its forward and backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd import RemovableHandle, Tensor, record_many, wrap
from ..autograd.hooks import next_key
from ..autograd.tape import enabled, storage


class Hooks:
    """The part of `Module` that deals with hooks; a module without hooks pays for one attribute only."""

    _hooked = False

    def _add_hook(self, kind: str, hook: Callable[..., Any], prepend: bool, **options: bool) -> RemovableHandle:
        hooks = self.__dict__.setdefault(kind, {})
        self.__dict__["_hooked"] = True
        key = next_key()
        entry = (hook, options)
        if prepend:
            others = dict(hooks)
            hooks.clear()
            hooks[key] = entry
            hooks.update(others)
        else:
            hooks[key] = entry
        return RemovableHandle(hooks, key)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before `forward`; what it returns, if anything, replaces the arguments.

        With `with_kwargs` it is `hook(module, args, kwargs)`, and returns both.
        """
        return self._add_hook("_forward_pre_hooks", hook, prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after `forward`; what it returns, if anything, replaces the output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`; with `always_call` it is called, with None as the
        output, when `forward` raises.
        """
        return self._add_hook("_forward_hooks", hook, prepend, with_kwargs=with_kwargs, always_call=always_call)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` when the gradients of the outputs are known; it may return new ones."""
        return self._add_hook("_backward_pre_hooks", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the inputs are known; it may replace them.

        Both are tuples, with None where an input or output has no gradient. Where no input requires a gradient, the
        hook is called when the gradients of the outputs are known.
        """
        return self._add_hook("_backward_hooks", hook, prepend)

    def _call_hooked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        attributes = self.__dict__
        called: set[Any] = set()
        try:
            for hook, options in list(attributes.get("_forward_pre_hooks", {}).values()):
                if options["with_kwargs"]:
                    result = hook(self, args, kwargs)
                    if result is not None:
                        if not (isinstance(result, tuple) and len(result) == 2):
                            raise RuntimeError(
                                f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
                                f"but got {result}."
                            )
                        args, kwargs = result
                else:
                    result = hook(self, args)
                    if result is not None:
                        args = result if isinstance(result, tuple) else (result,)
            watch = None
            if (attributes.get("_backward_hooks") or attributes.get("_backward_pre_hooks")) and enabled():
                watch = BackwardWatch(self)
                args = watch.inputs(args)
            output = self.forward(*args, **kwargs)
            for key, (hook, options) in list(attributes.get("_forward_hooks", {}).items()):
                called.add(key)
                result = hook(self, args, kwargs, output) if options["with_kwargs"] else hook(self, args, output)
                if result is not None:
                    output = result
            return output if watch is None else watch.outputs(output)
        except BaseException:
            for key, (hook, options) in list(attributes.get("_forward_hooks", {}).items()):
                if options["always_call"] and key not in called:
                    hook(self, args, kwargs, None) if options["with_kwargs"] else hook(self, args, None)
            raise


class BackwardWatch:
    """Two identities on the tape, before and after one call of a module, that catch the gradients passing through."""

    def __init__(self, module: Any) -> None:
        self.before = [hook for hook, _ in module.__dict__.get("_backward_pre_hooks", {}).values()]
        self.after = [hook for hook, _ in module.__dict__.get("_backward_hooks", {}).values()]
        self.module = module
        self.places: list[int] = []
        self.count = 0
        self.grad_output: tuple[Any, ...] = ()

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, tensors that require a gradient passed through the first identity."""
        self.count = len(args)
        self.places = [i for i, arg in enumerate(args) if isinstance(arg, Tensor) and arg.requires_grad]
        if not self.places:
            return args
        passed = list(args)
        for i, tensor in zip(self.places, _identity([args[i] for i in self.places], self.reach_inputs), strict=True):
            passed[i] = tensor
        return tuple(passed)

    def outputs(self, output: Any) -> Any:
        """The output, its tensors passed through the second identity."""
        if isinstance(output, Tensor):
            return _identity([output], self.reach_outputs)[0] if output.requires_grad else output
        if not isinstance(output, (tuple, list)):
            return output
        places = [i for i, item in enumerate(output) if isinstance(item, Tensor) and item.requires_grad]
        passed = list(output)
        if places:
            for i, tensor in zip(places, _identity([output[i] for i in places], self.reach_outputs), strict=True):
                passed[i] = tensor
        if hasattr(output, "_fields"):
            return type(output)(*passed)
        return type(output)(passed)

    def reach_outputs(self, *grads: Any) -> tuple[Any, ...]:
        grads, lower = _lift(grads)
        for hook in self.before:
            result = hook(self.module, grads)
            if result is not None:
                grads = result if isinstance(result, tuple) else (result,)
        self.grad_output = grads
        if not self.places:
            for hook in self.after:
                result = hook(self.module, (None,) * self.count, grads)
                if result is not None and not all(
                    r is None for r in (result if isinstance(result, tuple) else (result,))
                ):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None"
                    )
        return lower(grads)

    def reach_inputs(self, *grads: Any) -> tuple[Any, ...]:
        grads, lower = _lift(grads)
        full: list[Any] = [None] * self.count
        for i, grad in zip(self.places, grads, strict=True):
            full[i] = grad
        for hook in self.after:
            result = hook(self.module, tuple(full), self.grad_output)
            if result is not None:
                result = result if isinstance(result, tuple) else (result,)
                if len(result) != self.count:
                    raise RuntimeError(
                        f"Backward hook returned an invalid number of grad_input, got {len(result)}, "
                        f"but expected {self.count}"
                    )
                full = list(result)
        return lower(tuple(full[i] for i in self.places))


def _identity(tensors: list[Tensor], backward: Callable[..., Any]) -> tuple[Any, ...]:
    outputs = record_many([t._array for t in tensors], tensors, backward, name="module_hook", twice=True)
    for tensor, output in zip(tensors, outputs, strict=True):
        output._storage = storage(tensor)
    return outputs


def _lift(grads: tuple[Any, ...]) -> tuple[Any, ...]:
    arrays = not any(isinstance(grad, Tensor) for grad in grads)
    if not arrays:
        return grads, lambda found: found
    return (
        tuple(None if grad is None else wrap(grad) for grad in grads),
        lambda found: tuple(None if grad is None else grad._array for grad in found),
    )
