"""What `fit` is asked for, checked before it begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..nn import Module
from ..optim import LBFGS, Optimizer
from ..optim.lr_scheduler import ReduceLROnPlateau
from .stopping import EarlyStopping


@dataclass
class Options:
    """What every step needs to know."""

    loss: Callable[[Any, Any], Any]
    metrics: Mapping[str, Any] | None
    unpack: Callable[[Any], Any]
    accumulate: int
    clip_norm: float | None
    clip_value: float | None
    bf16: bool
    guard: bool
    scheduler_each: str


def check(
    model: Any,
    optimizer: Any,
    loss: Any,
    epochs: Any,
    scheduler: Any,
    scheduler_each: str,
    accumulate: Any,
    clip_norm: float | None,
    clip_value: float | None,
    stopping: Any,
) -> None:
    """Refuse what cannot be meant."""
    for what, value, kind in (("model", model, Module), ("optimizer", optimizer, Optimizer)):
        if not isinstance(value, kind):
            raise TypeError(f"[fit] {what} should be {kind.__name__}, but it is {type(value).__name__}")
    if isinstance(optimizer, LBFGS):
        raise TypeError(
            "[fit] LBFGS computes the loss several times a step: give its step a closure, in a loop of your own"
        )
    if not callable(loss):
        raise TypeError(f"[fit] loss should be a function of (output, target), but it is {type(loss).__name__}")
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        raise ValueError("[fit] none of the optimizer's parameters is the model's (was the model copied afterwards?)")
    for what, value in (("epochs", epochs), ("accumulate", accumulate)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"[fit] {what} should be a positive integer, but it is {value!r}")
    for what, limit in (("clip_norm", clip_norm), ("clip_value", clip_value)):
        if limit is not None and not limit > 0:
            raise ValueError(f"[fit] {what} should be positive, but it is {limit!r}")
    if scheduler_each not in ("epoch", "step"):
        raise ValueError(f"[fit] scheduler_each should be 'epoch' or 'step', but it is {scheduler_each!r}")
    if scheduler is not None:
        if not hasattr(scheduler, "step") or getattr(scheduler, "optimizer", optimizer) is not optimizer:
            raise ValueError("[fit] the scheduler does not belong to the optimizer")
        if isinstance(scheduler, ReduceLROnPlateau) and scheduler_each == "step":
            raise ValueError(
                "[fit] ReduceLROnPlateau waits for the value of an epoch: scheduler_each should be 'epoch'"
            )
    if stopping is not None and not isinstance(stopping, EarlyStopping):
        raise TypeError(f"[fit] early_stopping should be an EarlyStopping, but it is {type(stopping).__name__}")
