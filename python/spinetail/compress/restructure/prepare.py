"""Convolutions with prepared weights, and with the activations and sums behind them, in the place of plain ones."""

from __future__ import annotations

from typing import Any

from ... import nn
from ...nn import Module
from ...nn.fused import ACTIVATIONS, activation_of
from .pairs import Uses, followed, neighbours, plain, put, without_hooks

__all__ = ["prepare"]

KINDS: dict[type[Module], Any] = {
    nn.Conv1d: nn.fused.Conv1d,
    nn.Conv2d: nn.fused.Conv2d,
    nn.Conv3d: nn.fused.Conv3d,
}


def prepare(model: Module, inputs: tuple[Any, ...] | None) -> Module:
    """The model with its convolutions replaced in place, or what takes its place itself."""
    pairs = neighbours(model, through=True) if inputs is None else followed(model, inputs, ACTIVATIONS)
    uses, replaced = Uses(model), dict[int, Module]()
    behind = {id(layer): end for layer, end in pairs if uses.once(layer, end)}
    for layer in model.modules():
        if type(layer) in KINDS and plain(layer) and uses.own(layer):
            end = behind.get(id(layer))
            name = None if end is None else activation_of(end)
            replaced[id(layer)] = KINDS[type(layer)].from_conv(layer, name or "none")
            if name is not None:
                replaced[id(end)] = nn.Identity().eval()
    return _asked(put(model, replaced))


def _asked(model: Module) -> Module:
    """Modules that know how they are fused, replaced by what they say, parts before wholes."""
    for module in reversed(list(model.modules())):
        if hasattr(type(module), "to_fused") and without_hooks(module):
            other = module.to_fused()
            if not isinstance(other, Module):
                what = f"{type(module).__name__}.to_fused()"
                raise TypeError(f"[fuse] {what} should give a Module, but gave {type(other).__name__}")
            if other is not module:
                model = put(model, {id(module): other})
    return model
