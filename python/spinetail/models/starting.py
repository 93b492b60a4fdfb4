"""How the networks for images draw their weights."""

from __future__ import annotations

from .. import nn

__all__ = ["start"]


def start(model: nn.Module, linear: bool) -> None:
    """Convolutions from N(0, 2/fan_out) and, if `linear`, linear layers from N(0, 0.01²), both with biases of 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif linear and isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
        else:
            continue
        if module.bias is not None and (linear or isinstance(module, nn.Conv2d)):
            nn.init.zeros_(module.bias)
