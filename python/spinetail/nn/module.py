"""`Module`: the base of every layer and network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from weakref import ref

import numpy as np

from ..autograd import Tensor
from ..autograd.tape import wrap
from . import display
from .casting import Casting
from .hooks import Hooks
from .parameter import Buffer, Parameter
from .registry import Registry
from .state import State

T = TypeVar("T", bound="Module")
_missing = object()
KINDS = ("_parameters", "_buffers", "_modules")


class Module(State, Hooks, Casting):
    """The base class of layers and networks: it knows its parameters, buffers and children.

    A subclass calls `super().__init__()`, assigns parameters and other modules as attributes, and defines `forward`.
    Calling the module calls `forward`, and the hooks if there are any.

    >>> import spinetail as st
    >>> class Net(st.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fc = st.nn.Linear(3, 2)
    ...     def forward(self, x):
    ...         return self.fc(x).relu()
    >>> net = Net()
    >>> net(st.ones(4, 3)).shape == (4, 2)
    True
    >>> [name for name, _ in net.named_parameters()]
    ['fc.weight', 'fc.bias']
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def __init__(self) -> None:
        attributes = self.__dict__
        owner = ref(self)
        attributes["training"] = True
        attributes["_parameters"] = Registry(owner)
        attributes["_buffers"] = Registry(owner)
        attributes["_non_persistent_buffers_set"] = set()
        attributes["_modules"] = Registry(owner)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, input: Any = _missing, /, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs or self._hooked or input is _missing:
            if input is not _missing:
                args = (input, *args)
            return self._call_hooked(args, kwargs) if self._hooked else self.forward(*args, **kwargs)
        return self.forward(input)  # the usual call, which costs half of one with packed arguments

    # Attributes

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        if isinstance(value, Tensor):
            kind = "_parameters" if isinstance(value, Parameter) else None
            if kind is None and isinstance(value, Buffer):
                kind = "_buffers"
        else:
            kind = "_modules" if isinstance(value, Module) else None
        if "_modules" not in attributes:
            if kind is not None:
                what = {"_parameters": "parameters", "_buffers": "buffers", "_modules": "module"}[kind]
                raise AttributeError(f"cannot assign {what} before Module.__init__() call")
            object.__setattr__(self, name, value)
            return
        if kind is None:
            for known, what in (("_parameters", "parameter"), ("_modules", "child module"), ("_buffers", "buffer")):
                if name in attributes[known]:
                    if value is not None and not (known == "_buffers" and isinstance(value, Tensor)):
                        expected = {"parameter": "nn.Parameter", "child module": "nn.Module", "buffer": "a Tensor"}[
                            what
                        ]
                        raise TypeError(
                            f"cannot assign {type(value).__name__!r} object as {what} {name!r} "
                            f"({expected} or None expected)"
                        )
                    attributes[known][name] = attributes[name] = value
                    return
            object.__setattr__(self, name, value)
            return
        _check_name(name, kind)
        for other in KINDS:
            if other != kind and name in attributes[other]:
                del attributes[other][name]
        if kind == "_parameters":
            _check_leaf(name, value)
        elif kind == "_buffers":
            _persist(self, name, value.persistent)
        attributes[kind][name] = attributes[name] = value

    def __delattr__(self, name: str) -> None:
        for kind in KINDS:
            if name in self.__dict__.get(kind, ()):
                del self.__dict__[kind][name]
                self.__dict__.pop(name, None)
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return sorted(name for name in object.__dir__(self) if not name[:1].isdigit())

    def _register(self, name: str, value: Any, kind: str) -> None:
        if "_modules" not in self.__dict__:
            raise AttributeError(f"cannot assign {kind[1:]} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"the name of a module's attribute should be a string, but got {type(name).__name__}")
        _check_name(name, kind)
        if hasattr(self, name) and name not in getattr(self, kind):
            raise KeyError(f"attribute {name!r} already exists")
        getattr(self, kind)[name] = self.__dict__[name] = value

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter, or reserve its name with None."""
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign {type(param).__name__!r} object to parameter {name!r} "
                    "(nn.Parameter or None required)"
                )
            _check_leaf(name, param)
        self._register(name, param, "_parameters")

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is kept but not trained; one that is not `persistent` stays out of `state_dict`."""
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign {type(tensor).__name__!r} object to buffer {name!r} (Tensor or None required)"
            )
        self._register(name, tensor, "_buffers")
        _persist(self, name, persistent)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module under a name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._register(name, module, "_modules")

    register_module = add_module

    def _get(self, target: str, what: str, kind: type) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        value = getattr(owner, name, None)
        if name not in owner.__dict__ or not isinstance(value, kind):
            raise AttributeError(f"{type(owner).__name__!r} object has no {what} {name!r} (asked for {target!r})")
        return value

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path, such as "encoder.0.norm"; "" is the module itself."""
        module = self
        for name in target.split(".") if target else ():
            child = module._modules.get(name)
            if child is None:
                raise AttributeError(
                    f"{type(module).__name__!r} object has no submodule {name!r} (asked for {target!r})"
                )
            module = child
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path."""
        return self._get(target, "parameter", Parameter)

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path."""
        return self._get(target, "buffer", Tensor)

    def set_submodule(self, target: str, module: Module) -> None:
        """Put a module in the place of the one at a dotted path."""
        path, _, name = target.rpartition(".")
        self.get_submodule(target)
        if not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self.get_submodule(path)._modules[name] = module

    # Traversal: shared parameters and modules come once

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Pairs (path, module) of the module itself and all below it, parents first."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """The module itself and all below it."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Pairs (name, module) of the modules directly below."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly below."""
        for _, module in self.named_children():
            yield module

    def _members(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen = set()
        for path, module in (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        ):
            for name, value in getattr(module, kind).items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Pairs (path, parameter); without `recurse` of this module only."""
        return self._members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of the module and, with `recurse`, of all below it."""
        for _, parameter in self._members("_parameters", "", recurse, True):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Pairs (path, buffer)."""
        return self._members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of the module and, with `recurse`, of all below it."""
        for _, buffer in self._members("_buffers", "", recurse, True):
            yield buffer

    # Modes and conversions

    def train(self: T, mode: bool = True) -> T:
        """Set training mode here and below, which dropout and batch norm heed."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.__dict__["training"] = mode
        for module in self._modules.values():
            if module is not None:
                module.train(mode)
        return self

    def eval(self: T) -> T:
        """Set evaluation mode: `train(False)`."""
        return self.train(False)

    def requires_grad_(self: T, requires_grad: bool = True) -> T:
        """Set whether all parameters require gradients: with False they are frozen."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or set them to zero."""
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.grad = None if set_to_none else wrap(np.zeros_like(parameter.grad._array))

    def apply(self: T, fn: Callable[[Module], Any]) -> T:
        """Call `fn(module)` for every module below, then for this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # Copies and display

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for kind in KINDS:
            for name in state.get(kind, ()):
                state.pop(name, None)
            if kind in state:
                state[kind] = dict(state[kind])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        owner = ref(self)
        for kind in KINDS:
            self.__dict__[kind] = Registry(owner, state.get(kind))

    def extra_repr(self) -> str:
        """What `repr` shows in the parentheses."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return display.text(self)

    def _repr_html_(self) -> str:
        return display.html(self)


def _check_name(name: str, kind: str) -> None:
    if "." in name:
        raise KeyError(
            f'the name of a {"module" if kind == "_modules" else kind[1:-1]} can\'t contain ".", got: {name!r}'
        )
    if name == "":
        raise KeyError(f"the name of a {'module' if kind == '_modules' else kind[1:-1]} can't be the empty string")


def _check_leaf(name: str, parameter: Parameter) -> None:
    if parameter._node is not None:
        raise ValueError(
            f"cannot assign a Tensor with history to parameter {name!r}: parameters must be created explicitly; "
            f"to express {name!r} as a function of another Tensor, compute it in forward()"
        )


def _persist(module: Module, name: str, persistent: bool) -> None:
    if persistent:
        module._non_persistent_buffers_set.discard(name)
    else:
        module._non_persistent_buffers_set.add(name)
