"""`Optimizer`: parameter groups, state, and the step that all optimizers share.

An optimizer takes tensors, and reads their `.grad`, or bare arrays, whose gradients are given to `step`. Both are
updated in place, all parameters of a group in one native call.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from operator import is_
from typing import Any, TypedDict, Unpack

import numpy as np

from ..autograd import RemovableHandle, Tensor, enable_grad, wrap
from ..autograd.tape import bump
from ..ops.arrays import zeros
from ..ops.optimizer import Change, power_sums
from . import checks
from .hooks import global_post_hooks, global_pre_hooks, register
from .state import State

__all__ = ["Optimizer", "required"]

required = object()
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class FusedOptions(TypedDict, total=False):
    """What a step does to gradients in its own pass over them."""

    max_grad_norm: float | None
    max_grad_value: float | None
    l1_decay: float


class Optimizer:
    """The base of all optimizers; `defaults` are the options of groups that do not set their own.

    A subclass gives `_names(group)`, what is remembered about each parameter, and `_update(group, arrays, states,
    gradients, fresh)`, one step over lists of arrays (`states[name][i]` belongs to `arrays[i]`; with `fresh`, the
    states have just been made).

    Every optimizer takes three more options, which cost no pass over the gradients of their own: `max_grad_norm` scales
    all gradients by min(1, max_grad_norm/(norm + 1e-6)), as `nn.utils.clip_grad_norm_` does but leaving `.grad` as it
    is, the norm being that of all parameters together, which `grad_norm` then holds; `max_grad_value` cuts gradients to
    ±max_grad_value; `l1_decay` adds l1_decay·sign(p) to them. The last two may differ from group to group.

    Raises: TypeError for a parameter that is neither Tensor nor ndarray; ValueError for an empty list, a tensor that is
    not a leaf, a read-only array, a parameter in two groups.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any], **fused: Unpack[FusedOptions]) -> None:
        if isinstance(params, (Tensor, np.ndarray)):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors, arrays or dicts, "
                f"but got {type(params).__name__}"
            )
        self.defaults = defaults | checks.fused(fused)
        self.grad_norm: float | None = None  # of the last step that clipped by it
        self._factor = 1.0
        self.param_groups: list[dict[str, Any]] = []
        self._pre_hooks: dict[int, Callable[..., Any]] = {}
        self._post_hooks: dict[int, Callable[..., Any]] = {}
        self._opt_called = False  # whether step() has been called, which the schedulers warn about
        self._plans: dict[int, _Plan] = {}  # by group number
        self._state = State(self._plans.clear)
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            if not isinstance(group, dict):
                raise TypeError(f"param group must be a dict, but got {type(group).__name__}")
            self.add_param_group(dict(group))

    _scalars: tuple[str, ...] = ("step",)  # states that are one float32 number

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The names of what is remembered about each parameter of a group."""
        raise NotImplementedError

    def _initial(self, group: dict[str, Any], name: str, array: np.ndarray) -> np.ndarray:
        """What the state `name` of a parameter begins with."""
        shape, dtype = self._kept(group, name, array)
        return zeros(shape, dtype) if shape else np.zeros(shape, dtype)

    def _kept(self, group: dict[str, Any], name: str, array: np.ndarray) -> tuple[tuple[int, ...], np.dtype]:
        """The shape and dtype of the state `name` of a parameter."""
        return ((), FLOATS[0]) if name in self._scalars else (array.shape, array.dtype)

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        raise NotImplementedError

    # ---- groups

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, with options of its own, to those that are optimized."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group).__name__}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, (Tensor, np.ndarray)) else list(params)
        if params and all(isinstance(item, tuple) for item in params):
            param_group["param_names"] = [name for name, _ in params]
            params = [parameter for _, parameter in params]
        for i, parameter in enumerate(params):
            self._check_parameter(parameter, f"group {len(self.param_groups)}, parameter {i}")
        most = self.defaults.get("max_grad_norm")
        if param_group.get("max_grad_norm", most) != most:
            raise ValueError(
                f"group {len(self.param_groups)}: max_grad_norm is for all groups together, so it is an option of the "
                f"optimizer (expected {most}, got {param_group['max_grad_norm']})"
            )
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        ids = [id(parameter) for parameter in params]
        if len(set(ids)) != len(ids):
            warnings.warn("optimizer contains a parameter group with duplicate parameters", stacklevel=3)
        if any(id(p) in ids for group in self.param_groups for p in group["params"]):
            raise ValueError("some parameters appear in more than one parameter group")
        param_group["params"] = params
        self.param_groups.append(param_group)

    def _check_parameter(self, parameter: Any, where: str) -> None:
        name = type(self).__name__
        if isinstance(parameter, Tensor):
            if parameter._node is not None and not getattr(parameter, "retains_grad", False):
                raise ValueError("can't optimize a non-leaf Tensor")
        elif not isinstance(parameter, np.ndarray) or isinstance(parameter, np.ma.MaskedArray):
            raise TypeError(
                f"[{name}] {where}: optimizer can only optimize Tensors and plain numpy.ndarrays, "
                f"but one of the params is {type(parameter).__name__}"
            )
        elif parameter.dtype not in FLOATS:
            raise TypeError(f"[{name}] {where}: expected dtype float32 or float64, but got {parameter.dtype}")
        elif not parameter.flags.writeable:
            raise ValueError(f"[{name}] {where}: the array is read-only, but it is to be updated in place")

    @property
    def state(self) -> State:
        """What is remembered about each parameter: a mapping from parameters to dicts of tensors (or arrays)."""
        return self._state

    @state.setter
    def state(self, value: Any) -> None:
        self._plans.clear()
        self._state = State(self._plans.clear, value.items())

    # ---- stepping

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters (or fill them with zeros, without `set_to_none`)."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    if type(parameter) is not np.ndarray:
                        parameter.grad = None
                elif isinstance(parameter, Tensor) and parameter.grad is not None:
                    parameter.grad._array[...] = 0
                    bump(parameter.grad)

    def step(self, closure: Callable[[], Any] | Sequence[Any] | None = None) -> Any:
        """Update all parameters once.

        `closure` is a function that computes the loss again and returns it, or the gradients, one per parameter in the
        order of the groups, for parameters that are bare arrays. A parameter without gradient (None) is left alone.

        Raises: ValueError and TypeError for a gradient of another shape or dtype than its parameter, which names group
        and parameter; nothing is updated then.
        """
        self._opt_called = True
        if self._pre_hooks or global_pre_hooks:
            closure = self._run_pre_hooks(closure)
        loss = given = None
        if closure is not None:
            if callable(closure):
                with enable_grad():
                    loss = closure()
            else:
                given = self._split(closure)
        groups = self.param_groups
        clips = groups[0].get("max_grad_norm")
        if len(groups) > 1 or clips is not None:  # a single group is checked by its kernel
            for i, group in enumerate(groups):
                self._check_group(i, group, None if given is None else given[i])
        if clips is not None:
            self._clip(clips, given)
        for i, group in enumerate(groups):
            self._step_group(i, group, None if given is None else given[i])
        if self._post_hooks or global_post_hooks:
            for hook in (*self._post_hooks.values(), *global_post_hooks.values()):
                hook(self, () if closure is None else (closure,), {})
        return loss

    def _step_group(self, number: int, group: dict[str, Any], given: Sequence[Any] | None) -> None:
        params = group["params"]
        plan = self._plans.get(number)
        if plan is not None and plan.fits(params):
            # The usual case: parameters as they were the last time, each with a gradient.
            try:
                if given is None:
                    gradients = [p.grad._array for p in params]
                    self._update(group, [p._array for p in params], plan.states, gradients, False)
                    bump(params)
                    return
                if plan.bare:
                    self._update(group, params, plan.states, given, False)
                    return
            except (AttributeError, KeyError, TypeError, ValueError):
                # No gradient, changed options, or something that is refused before anything is changed: look closely.
                self._plans.clear()
        self._step_any(number, group, given)

    def _clip(self, most: float, given: list[Sequence[Any]] | None) -> None:
        """Find the factor that makes the norm of all gradients at most `most`."""
        parts = [given[i] if given else None for i in range(len(self.param_groups))]
        found = [
            parameter_gradient(parameter, i, part)
            for group, part in zip(self.param_groups, parts, strict=True)
            for i, parameter in enumerate(group["params"])
        ]
        self.grad_norm = math.sqrt(power_sums([gradient for gradient in found if gradient is not None]).sum())
        factor = most / (self.grad_norm + 1e-6)
        self._factor = 1.0 if factor >= 1.0 else factor

    def _change(self, group: dict[str, Any], decay: bool = True) -> Change:
        """What the step does to gradients on the way."""
        factor = self._factor if "max_grad_norm" in group else 1.0
        return Change(
            -factor if group.get("maximize") else factor,
            group.get("max_grad_value", math.inf),
            group.get("l1_decay", 0.0),
            group.get("weight_decay", 0.0) if decay else 0.0,
        )

    def _step_any(self, number: int, group: dict[str, Any], given: Sequence[Any] | None) -> None:
        """A step of the parameters that have a gradient, whatever they are and whether or not they have state."""
        self._check_group(number, group, given)
        params = group["params"]
        gradients = [parameter_gradient(p, i, given) for i, p in enumerate(params)]
        ready: dict[bool, list[int]] = {False: [], True: []}
        for i, gradient in enumerate(gradients):
            if gradient is not None:
                ready[self._ensure_state(group, params[i])].append(i)
        for fresh, members in ready.items():
            if members:
                states = self._lists(group, [params[i] for i in members])
                arrays = [array_of(params[i]) for i in members]
                self._update(group, arrays, states, [gradients[i] for i in members], fresh)
                for i in members:
                    if isinstance(params[i], Tensor):
                        bump(params[i])
        if not any(gradient is None for gradient in gradients):
            self._plans[number] = _Plan(params, self._lists(group, params))

    def _ensure_state(self, group: dict[str, Any], parameter: Any) -> bool:
        """Make what is missing of a parameter's state; whether there was none."""
        entry = self._state[parameter]
        fresh = not entry
        for name in self._names(group):
            if entry.get(name) is None:
                array = self._initial(group, name, array_of(parameter))
                entry[name] = wrap(array) if isinstance(parameter, Tensor) else array
        return fresh

    def _lists(self, group: dict[str, Any], params: list[Any]) -> dict[str, list[Any]]:
        entries = [self._state[parameter] for parameter in params]
        return {name: [array_of(entry[name]) for entry in entries] for name in self._names(group)}

    # ---- what can be wrong with gradients

    def _split(self, given: Sequence[Any]) -> list[Sequence[Any]]:
        """The gradients of each group."""
        given = [given] if isinstance(given, (np.ndarray, Tensor)) else list(given)
        wanted = sum(len(group["params"]) for group in self.param_groups)
        if len(given) != wanted:
            raise ValueError(f"[{type(self).__name__}] got {len(given)} gradients for {wanted} parameters")
        parts: list[Sequence[Any]] = []
        start = 0
        for group in self.param_groups:
            parts.append(given[start : start + len(group["params"])])
            start += len(group["params"])
        return parts

    def _check_group(self, number: int, group: dict[str, Any], given: Sequence[Any] | None) -> None:
        for i, parameter in enumerate(group["params"]):
            gradient = parameter_gradient(parameter, i, given)
            if gradient is None:
                continue
            array = array_of(parameter)
            where = f"[{type(self).__name__}] group {number}, parameter {i}"
            if array.dtype not in FLOATS:
                raise TypeError(f"{where}: expected dtype float32 or float64, but got {array.dtype}")
            if not isinstance(gradient, np.ndarray) or isinstance(gradient, np.ma.MaskedArray):
                raise TypeError(f"{where}: expected a Tensor or ndarray as gradient, but got {type(gradient).__name__}")
            if gradient.shape != array.shape:
                raise ValueError(f"{where} has shape {array.shape}, but its gradient has shape {gradient.shape}")
            if gradient.dtype != array.dtype:
                raise TypeError(f"{where} has dtype {array.dtype}, but its gradient has dtype {gradient.dtype}")
            if not array.flags.writeable:
                raise ValueError(f"{where}: the array is read-only, but it is to be updated in place")

    # ---- hooks

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return new (args, kwargs)."""
        return register(self._pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return register(self._post_hooks, hook)

    def _run_pre_hooks(self, closure: Any) -> Any:
        for hook in (*global_pre_hooks.values(), *self._pre_hooks.values()):
            result = hook(self, () if closure is None else (closure,), {})
            if result is not None:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(
                        f"{hook} must return None or a tuple of (new_args, new_kwargs), but got {result}."
                    )
                args, kwargs = result
                closure = args[0] if args else kwargs.get("closure")
        return closure

    # ---- saving

    def state_dict(self) -> dict[str, Any]:
        """The state and the options, with parameters numbered in order, as PyTorch lays them out."""
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for parameter in group["params"]:
                numbers.setdefault(id(parameter), len(numbers))
            packed = {name: value for name, value in group.items() if name != "params"}
            packed["params"] = [numbers[id(parameter)] for parameter in group["params"]]
            groups.append(packed)
        state = {numbers.get(id(p), p): dict(entry) for p, entry in self._state.items() if entry}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state made by `state_dict`, PyTorch's own included; arrays are copied."""
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(a["params"]) != len(b["params"]) for a, b in zip(self.param_groups, saved, strict=True)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        parameters = {
            number: (parameter, place)
            for place, (group, old) in enumerate(zip(self.param_groups, saved, strict=True))
            for number, parameter in zip(old["params"], group["params"], strict=True)
        }
        groups = []
        for group, old in zip(self.param_groups, saved, strict=True):
            options = {name: value for name, value in old.items() if name != "params"}
            if "param_names" in group:
                options["param_names"] = group["param_names"]
            groups.append(
                {**{n: d for n, d in self.defaults.items() if n not in options}, **options, "params": group["params"]}
            )
        state = []
        for number, entry in state_dict["state"].items():
            if number in parameters:
                parameter, place = parameters[number]
                values = {
                    name: self._loaded(groups[place], name, value, parameter, number)
                    for name, value in entry.items()
                    if value is not None
                }
                state.append((parameter, values))
        self._plans.clear()
        self._state = State(self._plans.clear, state)
        self.param_groups[:] = groups

    def _loaded(self, group: dict[str, Any], name: str, value: Any, parameter: Any, number: int) -> Any:
        target = array_of(parameter)
        shape, dtype = self._kept(group, name, target)
        array = np.asarray(array_of(value))
        if dtype.kind in "iu" and array.dtype != dtype:
            raise ValueError(
                f"[{type(self).__name__}] loaded state {name!r} of parameter {number} has dtype {array.dtype}, but "
                f"this optimizer keeps it in {dtype}"
            )
        array = np.array(array, dtype, order="C")
        if array.shape not in ((), shape):
            raise ValueError(
                f"[{type(self).__name__}] loaded state {name!r} of parameter {number} has shape {array.shape}, "
                f"but the parameter has shape {target.shape}"
            )
        return wrap(array) if isinstance(parameter, Tensor) else array

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_plans": None, "_state": list(self._state.items())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._plans = {}
        self._state = State(self._plans.clear, state["_state"])

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += [f"Parameter Group {i}", *(f"    {n}: {group[n]}" for n in sorted(group) if n != "params")]
        return "\n".join([*lines, ")"])


class _Plan:
    """The state arrays of a group, found once and used until something changes."""

    __slots__ = ("bare", "params", "states")

    def __init__(self, params: list[Any], states: dict[str, list[Any]]) -> None:
        self.params = [*params]
        self.bare = all(isinstance(parameter, np.ndarray) for parameter in params)
        self.states = states

    def fits(self, params: list[Any]) -> bool:
        """Whether these are the very parameters that the plan was made for."""
        return len(params) == len(self.params) and all(map(is_, params, self.params))


def array_of(value: Any) -> Any:
    """The array of a Tensor; anything else as it is."""
    return value._array if isinstance(value, Tensor) else value


def parameter_gradient(parameter: Any, index: int, given: Sequence[Any] | None) -> Any:
    """The gradient that a step uses for a parameter: an array, or None."""
    if given is not None:
        return array_of(given[index])
    return array_of(parameter.grad) if isinstance(parameter, Tensor) else None
