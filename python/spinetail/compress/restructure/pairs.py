"""Which layer's output a module alone reads, by the recorded graph or by order in a `Sequential`; replacing modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any

from ... import nn
from ...autograd.graph import Operation, trace
from ...evaluate.running import probing
from ...nn import Module
from ...nn.sequential import _plain as without_hooks

__all__ = ["CONVOLUTIONS", "LAYERS", "Uses", "followed", "neighbours", "plain", "put", "without_hooks"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LAYERS = (*CONVOLUTIONS, nn.Linear)


def plain(module: Any) -> bool:
    """Whether the module does what its class in `nn` does, and nothing else."""
    return type(module) is getattr(nn, type(module).__name__, None) and without_hooks(module)


class Uses:
    """How often a model's modules and parameters stand in it."""

    def __init__(self, model: Module) -> None:
        self.places = Counter(id(module) for _, module in model.named_modules(remove_duplicate=False))
        self.owners = Counter(id(p) for module in model.modules() for p in module._parameters.values() if p is not None)

    def once(self, *modules: Module) -> bool:
        """Whether each module has one place."""
        return all(self.places[id(module)] == 1 for module in modules)

    def own(self, layer: Module) -> bool:
        """Whether the layer shares no parameter."""
        return all(self.owners[id(p)] == 1 for p in layer.parameters())


def neighbours(model: Module, through: bool = False) -> list[tuple[Module, Module]]:
    """Modules that follow each other in a `Sequential`; with `through`, also those with `nn.Identity` between them."""
    pairs: list[tuple[Module, Module]] = []
    for chain in (module for module in model.modules() if isinstance(module, nn.Sequential)):
        passed = [m for m in chain if not (through and isinstance(m, nn.Identity) and plain(m))]
        pairs += pairwise(passed)
    return pairs


def followed(model: Module, inputs: tuple[Any, ...], names: Collection[str]) -> list[tuple[Module, Module]]:
    """(layer, module) where the module's one operation, of one of the `names`, alone reads what the layer put out.

    Both ran once.
    """
    modules = dict(model.named_modules())
    paths = {id(module.weight): path for path, module in modules.items() if isinstance(module, LAYERS)}
    with probing(model, inputs) as watched:
        recorded = trace(model, watched)
    readers = Counter(id(source) for operation in recorded.operations for source in operation.sources)
    readers.update(id(recorded.by_node.get(id(tensor._node))) for tensor in recorded.outputs)
    ends = [operation for operation in recorded.operations if operation.name in names]
    runs = Counter(operation.module for operation in ends)
    found = []
    for end in ends:
        made = end.sources[0]
        if not isinstance(made, Operation) or readers[id(made)] > 1 or runs[end.module] > 1:
            continue
        weight = made.sources[1] if len(made.sources) > 1 else None
        path = paths.get(id(weight))
        if path is None or readers[id(weight)] > 1:
            continue
        # A Sequential calls the functions of its linear layers itself.
        linear = made.name == "linear" and len(made.shape or ()) == 2
        inside = made.module == path or (linear and isinstance(modules[made.module], nn.Sequential))
        if inside and (linear or made.name.startswith("conv")):
            found.append((modules[path], modules[end.module]))
    return found


def put(model: Module, replaced: Mapping[int, Module]) -> Module:
    """Other modules in the places of those with the given ids; returns the model, or what takes its place."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if id(child) in replaced:
                parent._modules[name] = replaced[id(child)]
    return replaced.get(id(model), model)
