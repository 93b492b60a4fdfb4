"""Taking a module's state out as a dict, and putting one in."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd import RemovableHandle, Tensor
from ..autograd.hooks import next_key
from ..autograd.tape import wrap

if TYPE_CHECKING:
    from .module import Module

EXTRA = "_extra_state"


class IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` returns: names that the dict lacks, and names that the module does not have."""

    __slots__ = ()

    def __repr__(self) -> str:
        return (
            "<All keys matched successfully>"
            if not self.missing_keys and not self.unexpected_keys
            else super().__repr__()
        )

    __str__ = __repr__


class State:
    """The half of `Module` that deals with its state."""

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by their path, as tensors that share the module's memory.

        With `keep_vars` the parameters themselves. Copy the tensors (`copy.deepcopy`) to keep a state while
        training on.

        >>> import spinetail as st
        >>> list(st.nn.Sequential(st.nn.Linear(2, 2), st.nn.Flatten()).state_dict())
        ['0.weight', '0.bias']
        """
        destination = OrderedDict() if destination is None else destination
        for hook in self._hooks_of("_state_dict_pre_hooks"):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._hooks_of("_state_dict_hooks"):
            result = hook(self, destination, prefix, {})
            destination = destination if result is None else result
        return destination

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        for name, value in self._own_state().items():
            destination[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not State.get_extra_state:
            destination[prefix + EXTRA] = self.get_extra_state()

    def _own_state(self) -> dict[str, Tensor]:
        own = {name: value for name, value in self._parameters.items() if value is not None}
        hidden = self._non_persistent_buffers_set
        own.update((name, value) for name, value in self._buffers.items() if value is not None and name not in hidden)
        return own

    def get_extra_state(self) -> Any:
        """More state for `state_dict`; a subclass that has some defines this and `set_extra_state`."""
        raise RuntimeError(f"{type(self).__name__} has no extra state: define get_extra_state and set_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Put in what `get_extra_state` has given."""
        raise RuntimeError(f"{type(self).__name__} has no extra state: define get_extra_state and set_extra_state")

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy the values of a state dict, tensors or arrays, into the module.

        With `strict`, its names must be exactly the module's. Values take the dtype that the module has; with `assign`
        the module takes the tensors themselves. Nothing is changed unless everything fits.

        Returns: (missing_keys, unexpected_keys). Raises: RuntimeError that lists missing and unexpected names and sizes
        that do not match; TypeError unless `state_dict` is a mapping.

        >>> import spinetail as st
        >>> layer = st.nn.Linear(1, 1)
        >>> layer.load_state_dict({"weight": st.ones(1, 1), "bias": st.zeros(1)})
        <All keys matched successfully>
        >>> layer.load_state_dict({"weight": st.ones(1, 1)}, strict=False)
        IncompatibleKeys(missing_keys=['bias'], unexpected_keys=[])
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict).__name__}")
        given: dict[str, Any] = dict(state_dict)
        staged: list[tuple[Any, ...]] = []
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []

        def visit(module: State, prefix: str) -> None:
            metadata = {"assign_to_params_buffers": assign, "staged": staged}
            module._load_from_state_dict(given, prefix, metadata, strict, missing, unexpected, errors)
            for name, child in module._modules.items():
                if child is not None:
                    visit(child, f"{prefix}{name}.")

        visit(self, "")
        if strict:
            if unexpected:
                errors.insert(
                    0, "Unexpected key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in unexpected))
                )
            if missing:
                errors.insert(0, "Missing key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in missing)))
        if errors:
            raise RuntimeError(
                "Error(s) in loading state_dict for {}:\n\t{}".format(type(self).__name__, "\n\t".join(errors))
            )
        for write, *arguments in staged:
            write(*arguments)
        result = IncompatibleKeys(missing, unexpected)
        for module in self.modules():
            for hook in module._hooks_of("_load_state_dict_post_hooks"):
                hook(module, result)
        return result

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Check what belongs to this module alone, and stage its copies for when all modules have agreed."""
        for hook in self._hooks_of("_load_state_dict_pre_hooks"):
            hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        own = self._own_state()
        staged = local_metadata["staged"]
        for name, target in own.items():
            key = prefix + name
            if key not in state_dict:
                missing_keys.append(key)
                continue
            value = _as_tensor(state_dict[key])
            if value is None:
                error_msgs.append(
                    f'While copying the parameter named "{key}", expected a Tensor or an array of numbers '
                    f"from checkpoint, but received {type(state_dict[key]).__name__}"
                )
            elif value._array.shape != target._array.shape:
                error_msgs.append(
                    f"size mismatch for {key}: copying a param with shape {_size(value)} from checkpoint, "
                    f"the shape in current model is {_size(target)}."
                )
            elif local_metadata["assign_to_params_buffers"]:
                staged.append((_assign, self, name, target, value))
            else:
                staged.append((_copy, target, value))
        extra = prefix + EXTRA
        if type(self).set_extra_state is not State.set_extra_state:
            if extra in state_dict:
                staged.append((self.set_extra_state, state_dict[extra]))
            else:
                missing_keys.append(extra)
        elif extra in state_dict:
            unexpected_keys.append(extra)
        for key in state_dict:
            if key.startswith(prefix) and key != extra:
                name, _, below = key[len(prefix) :].partition(".")
                if name not in (self._modules if below else own):
                    unexpected_keys.append(key)

    # Hooks of the state

    def _hooks_of(self, kind: str) -> list[Callable]:
        return list(self.__dict__.get(kind, {}).values())

    def _add_state_hook(self, kind: str, hook: Callable[..., Any]) -> RemovableHandle:
        hooks = self.__dict__.setdefault(kind, {})
        key = next_key()
        hooks[key] = hook
        return RemovableHandle(hooks, key)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before the state is taken."""
        return self._add_state_hook("_state_dict_pre_hooks", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after the state is taken; it changes the dict in
        place."""
        return self._add_state_hook("_state_dict_hooks", hook)

    _register_state_dict_hook = register_state_dict_post_hook

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors)` before
        loading."""
        return self._add_state_hook("_load_state_dict_pre_hooks", hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after loading."""
        return self._add_state_hook("_load_state_dict_post_hooks", hook)


def _as_tensor(value: object) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (np.ndarray, np.generic)) and not isinstance(value, np.ma.MaskedArray):
        array = np.asarray(value)
        if array.dtype.kind in "biuf" or array.dtype.name == "bfloat16":
            return wrap(array)
    return None


def _size(tensor: Tensor) -> str:
    return repr(tensor.shape)


def _copy(target: Tensor, value: Tensor) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        np.copyto(target._array, value._array, casting="unsafe")
    target._bump()


def _assign(module: Module, name: str, target: Tensor, value: Tensor) -> None:
    from .parameter import Parameter

    if isinstance(target, Parameter) and not isinstance(value, Parameter):
        value = Parameter(value, requires_grad=target.requires_grad)
    setattr(module, name, value)
