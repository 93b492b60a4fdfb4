"""`Sequential`: modules called one after another; a `Linear` takes the activation behind it into its product."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from ..autograd import Tensor
from ..functional.gemm import linear, linear_activation, linear_relu
from .activation import GELU, ReLU, Sigmoid, SiLU, Tanh
from .container import _Listed, _place
from .linear import Linear
from .module import Module

__all__ = ["Sequential"]


def _plain(module: Module) -> bool:
    """Whether calling the module does what its class does: no hooks, and no forward of its own."""
    return not module._hooked and "forward" not in module.__dict__


_CODES: dict[type, int] = {GELU: 5, SiLU: 7, Sigmoid: 9, Tanh: 11}


def _activation(module: Module) -> int:
    """The code of an activation that a product can end with, or 0."""
    code = _CODES.get(type(module), 0)
    if code == 0 or not _plain(module):
        return 0
    if code == 5 and module.approximate != "none":
        return 6 if module.approximate == "tanh" else 0
    return code


class Sequential(_Listed):
    """Modules that are called one after another, each with the output of the one before.

    output = moduleₙ(... module₁(input)). Takes modules, or one OrderedDict of them; indexes, slices and grows like a
    list.

    >>> import spinetail as st
    >>> net = st.nn.Sequential(st.nn.Linear(4, 3), st.nn.ReLU(), st.nn.Linear(3, 2))
    >>> net(st.ones(5, 4)).shape == (5, 2), len(net[:2])
    (True, 2)
    """

    def __init__(self, *args: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(args):
                self.add_module(str(i), module)  # type: ignore[arg-type]

    def forward(self, input: Any) -> Any:
        waiting = None  # a Linear that may take the activation behind it into its own product
        for module in self._modules.values():
            if waiting is not None:
                if type(module) is ReLU and _plain(module):
                    input = linear_relu(input, waiting.weight, waiting.bias)
                    waiting = None
                    continue
                if code := _activation(module):
                    output = linear_activation(input, waiting.weight, waiting.bias, code)
                    if output is not None:
                        input, waiting = output, None
                        continue
                input = linear(input, waiting.weight, waiting.bias)
                waiting = None
            if type(module) is Linear and _plain(module) and isinstance(input, Tensor):
                waiting = module
            else:
                input = module(input)  # type: ignore[misc]
        return input if waiting is None else linear(input, waiting.weight, waiting.bias)

    def __getitem__(self, index: int | slice) -> Any:
        items = list(self._modules.items())
        if isinstance(index, slice):
            return type(self)(OrderedDict(items[index]))
        return items[_place(self, index, len(items))][1]

    def _renumber(self, modules: Iterable[Module]) -> None:
        kept = list(modules)
        names = self._names()
        if all(name.isdigit() for name in names) or len(kept) > len(names):
            super()._renumber(kept)
            return
        old = {id(module): name for name, module in self._modules.items()}
        self._modules.clear()
        for module in kept:
            self._modules[old[id(module)]] = module

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(f"only a Sequential can be added to a Sequential, but got {type(other).__name__}")
        return Sequential(*self, *other)

    def __iadd__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(f"only a Sequential can be added to a Sequential, but got {type(other).__name__}")
        self.extend(other)
        return self

    def __mul__(self, count: int) -> Sequential:
        if not isinstance(count, int):
            raise TypeError(f"a Sequential can be multiplied by an int, but got {type(count).__name__}")
        if count <= 0:
            raise ValueError(f"a Sequential can be multiplied by a positive number, but got {count}")
        return Sequential(*(list(self) * count))

    __rmul__ = __mul__
