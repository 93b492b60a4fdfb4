"""Folding of batch norms into the convolutions and linear layers in front of them."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from itertools import pairwise
from typing import Any

from ... import nn
from ...autograd.graph import Operation, trace
from ...evaluate.running import arguments, probing
from ...nn import Module
from ...nn.sequential import _plain as _without_hooks
from ...nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

__all__ = ["fuse"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LAYERS = (*CONVOLUTIONS, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fuse(model: Module, example: Any = None) -> Module:
    """A new model in which each batch norm is folded into the convolution or linear layer in front; `model` is kept.

    weight · s and (bias - mean) · s + shift, s = scale / √(variance + eps), take the place of the layer's weight and
    bias, and `nn.Identity` that of the norm, so that all other paths stay. The results are the same up to rounding.

    With an `example` (an input, or a tuple of them) the model runs once, and pairs are read from the recorded graph: a
    norm of what a layer put out, and that nothing else reads. Without one they are the neighbours in each
    `nn.Sequential`. Norms without running statistics, layers and norms that are used twice, and layers with hooks or
    shared weights are left alone.

    Raises: ValueError for a model, or a part of one, in training mode: its norms would go on with each batch's values.
    Source: Jacob et al., Quantization and training of neural networks (2017), section 3.2, for the formula.

    >>> import spinetail as st
    >>> model = st.nn.Sequential(st.nn.Conv2d(3, 8, 3, bias=False), st.nn.BatchNorm2d(8), st.nn.ReLU()).eval()
    >>> fused = st.compress.restructure.fuse(model)
    >>> x = st.randn(1, 3, 6, 6)
    >>> fused[1], st.allclose(fused(x), model(x), atol=1e-5)
    (Identity(), True)
    """
    if not isinstance(model, Module):
        raise TypeError(f"[fuse] expected a Module, but got {type(model).__name__}")
    for path, module in model.named_modules():
        if module.training:
            where = f"its module {path!r} is" if path else "it is"
            raise ValueError(f"[fuse] expected a model in evaluation mode, but {where} training: call model.eval()")
    fused = deepcopy(model)
    found = _neighbours(fused) if example is None else _followed(fused, arguments("fuse", example))
    places = Counter(id(module) for _, module in fused.named_modules(remove_duplicate=False))
    owners = Counter(id(p) for module in fused.modules() for p in module._parameters.values() if p is not None)
    for layer, norm in found:
        once = places[id(layer)] == places[id(norm)] == 1 and all(owners[id(p)] == 1 for p in layer.parameters())
        if once and _fit(layer, norm):
            _fold(fused, layer, norm)
    return fused


def _plain(module: Any) -> bool:
    """Whether the module does what its class in `nn` does, and nothing else."""
    return type(module) is getattr(nn, type(module).__name__, None) and _without_hooks(module)


def _fit(layer: Any, norm: Any) -> bool:
    """Whether the layer can take the norm into itself."""
    if not (isinstance(norm, NORMS) and _plain(norm) and norm.running_mean is not None and _plain(layer)):
        return False
    if isinstance(layer, CONVOLUTIONS):
        return layer.out_channels == norm.num_features and layer.rank + 2 in norm.ranks
    return isinstance(layer, nn.Linear) and layer.out_features == norm.num_features and 2 in norm.ranks


def _neighbours(model: Module) -> list[tuple[Module, Module]]:
    """Modules that follow each other in a `Sequential`."""
    chains = (module for module in model.modules() if isinstance(module, nn.Sequential))
    return [pair for chain in chains for pair in pairwise(chain)]


def _followed(model: Module, inputs: tuple[Any, ...]) -> list[tuple[Module, Module]]:
    """(layer, norm) where the norm alone reads what the layer put out, and both ran once."""
    modules = dict(model.named_modules())
    paths = {id(module.weight): path for path, module in modules.items() if isinstance(module, LAYERS)}
    with probing(model, inputs) as watched:
        recorded = trace(model, watched)
    readers = Counter(id(source) for operation in recorded.operations for source in operation.sources)
    readers.update(id(recorded.by_node.get(id(tensor._node))) for tensor in recorded.outputs)
    norms = [operation for operation in recorded.operations if operation.name == "batch_norm"]
    runs = Counter(operation.module for operation in norms)
    found = []
    for norm in norms:
        made = norm.sources[0]
        if not isinstance(made, Operation) or readers[id(made)] > 1 or runs[norm.module] > 1:
            continue
        weight = made.sources[1] if len(made.sources) > 1 else None
        path = paths.get(id(weight))
        if path is None or readers[id(weight)] > 1:
            continue
        # A Sequential calls the functions of its linear layers itself.
        linear = made.name == "linear" and len(made.shape or ()) == 2
        inside = made.module == path or (linear and isinstance(modules[made.module], nn.Sequential))
        if inside and (linear or made.name.startswith("conv")):
            found.append((modules[path], modules[norm.module]))
    return found


def _fold(model: Module, layer: Any, norm: Any) -> None:
    if isinstance(layer, nn.Linear):
        fused = fuse_linear_bn_eval(layer, norm)
    else:
        fused = fuse_conv_bn_eval(layer, norm, layer.transposed)
    replaced = {id(layer): fused, id(norm): nn.Identity().eval()}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if id(child) in replaced:
                parent._modules[name] = replaced[id(child)]
