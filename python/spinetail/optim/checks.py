"""What optimizers ask of their options, with PyTorch's messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def number(label: str, value: Any) -> None:
    """Refuse a negative number or NaN."""
    if not float(value) >= 0.0:
        raise ValueError(f"Invalid {label}: {value}")


def betas(values: tuple[float, float]) -> None:
    """Refuse decay rates outside [0, 1)."""
    for i, value in enumerate(values):
        if not 0.0 <= float(value) < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {value}")


def modes(
    foreach: bool | None, fused: bool | None, capturable: bool = False, differentiable: bool = False
) -> dict[str, Any]:
    """The options that choose PyTorch's implementation. Every step is fused here, so two of them change nothing."""
    if foreach and fused:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if capturable:
        raise ValueError("capturable=True is for CUDA graphs, and there is no such device (expected False)")
    if differentiable:
        raise ValueError("differentiable=True is not supported: steps are not recorded by the tape (expected False)")
    return {"foreach": foreach, "capturable": capturable, "differentiable": differentiable, "fused": fused}


def fused(options: Mapping[str, Any]) -> dict[str, float]:
    """The options that every optimizer has, without those that are off."""
    unknown = options.keys() - {"max_grad_norm", "max_grad_value", "l1_decay"}
    if unknown:
        raise TypeError(f"got an unexpected keyword argument {min(unknown)!r}")
    for name, value in options.items():
        if value is not None:
            number(name, value)
    on = {name: float(value) for name, value in options.items() if value is not None}
    if on.get("l1_decay") == 0.0:
        del on["l1_decay"]
    return on
