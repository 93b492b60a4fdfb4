"""Rates that go up and down between two limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..optimizer import Optimizer
from .momentum import begin, per_group, set_momentum, uses_beta1
from .scheduler import LRScheduler


class CyclicLR(LRScheduler):
    """lr goes in straight lines from `base_lr` up to `max_lr` and back, again and again; momentum goes the other way.

    A cycle rises for `step_size_up` batches and falls for `step_size_down`. Its height is scaled: "triangular" never,
    "triangular2" by ½ at each cycle, "exp_range" by gamma**batches; or by `scale_fn`, a function of the cycle's number
    or of the batches (`scale_mode` "cycle" or "iterations"). With `cycle_momentum` the momentum of SGD or RMSprop, or
    Adam's beta1, falls from `max_momentum` to `base_momentum` as the rate rises. Limits may differ between groups.

    Raises: ValueError for an unknown mode, limits of the wrong length, momentum of an optimizer that has none.

    Source: Smith, Cyclical Learning Rates for Training Neural Networks (2017).

    >>> import numpy as np
    >>> import spinetail as st
    >>> optimizer = st.optim.SGD([np.zeros(1)], lr=1.0, momentum=0.9)
    >>> scheduler = st.optim.lr_scheduler.CyclicLR(optimizer, 0.0, 1.0, step_size_up=2)
    >>> for _ in range(3):
    ...     optimizer.step(); scheduler.step()
    ...     print(scheduler.get_last_lr(), round(optimizer.param_groups[0]["momentum"], 3))
    [0.5] 0.85
    [1.0] 0.8
    [0.5] 0.85
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        if step_size_up <= 0 or (step_size_down is not None and step_size_down <= 0):
            raise ValueError(f"[CyclicLR] expected positive step sizes, but got {step_size_up} and {step_size_down}")
        base_lrs = per_group("base_lr", optimizer, base_lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        self.total_size = float(step_size_up) + float(step_size_up if step_size_down is None else step_size_down)
        self.step_ratio = float(step_size_up) / self.total_size
        self.mode, self.gamma = mode, gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1 = uses_beta1(optimizer)
            self.base_momentums = per_group("base_momentum", optimizer, base_momentum)
            self.max_momentums = per_group("max_momentum", optimizer, max_momentum)
        if last_epoch == -1:
            if cycle_momentum:
                begin(optimizer, self.use_beta1, base_momentum, max_momentum)
            for group, rate in zip(optimizer.param_groups, base_lrs, strict=True):
                group["lr"] = rate
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """What the height of a cycle is multiplied by."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return {"triangular": 1.0, "triangular2": 0.5 ** (x - 1), "exp_range": self.gamma**x}[self.mode]

    def get_lr(self) -> list[float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            limits = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
            for group, low, high in limits:
                set_momentum(group, high - (high - low) * height * scale, self.use_beta1)
        return [low + (high - low) * height * scale for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of a `scale_fn` that is an object its attributes, of a function nothing."""
        state, custom = super().state_dict(), self._scale_fn_custom
        plain = custom is None or hasattr(custom, "__code__")
        return {**state, "_scale_fn_custom": None if plain else dict(getattr(custom, "__dict__", {}))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave; a `scale_fn` stays the one given to the constructor."""
        attributes = state_dict["_scale_fn_custom"]
        super().load_state_dict({name: v for name, v in state_dict.items() if name != "_scale_fn_custom"})
        if attributes is not None and self._scale_fn_custom is not None:
            self._scale_fn_custom.__dict__.update(attributes)
