"""One rise and one fall over the whole training."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..optimizer import Optimizer
from .momentum import begin, per_group, set_momentum, uses_beta1
from .scheduler import LRScheduler


class OneCycleLR(LRScheduler):
    """lr rises from max_lr/div_factor to `max_lr`, then falls to initial/final_div_factor; momentum goes the other way.

    The whole has `total_steps` batches, or `epochs` · `steps_per_epoch`; the first `pct_start` of them rise. Ways are
    "cos" or "linear" (`anneal_strategy`). With `three_phase` the fall back to the initial rate is as long as the rise,
    and what is left goes to the end. With `cycle_momentum` the momentum of SGD or RMSprop, or Adam's beta1, goes from
    `max_momentum` to `base_momentum` and back. Limits may differ between groups. Call `step` after each batch.

    Raises: ValueError for options out of range, and for a step beyond the last one.

    Source: Smith and Topin, Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates (2018).

    >>> import numpy as np
    >>> import spinetail as st
    >>> optimizer = st.optim.SGD([np.zeros(1)], lr=1.0, momentum=0.9)
    >>> scheduler = st.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=10)
    >>> for _ in range(2):
    ...     optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr(), optimizer.param_groups[0]["momentum"]
    ([1.0], 0.85)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.total_steps = _total(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        self.cycle_momentum = cycle_momentum
        # Each phase: its last step, and the names in the group of the rates and momenta that it goes between.
        first, last = float(pct_start * self.total_steps) - 1, self.total_steps - 1
        rise = _phase(first, "initial_lr", "max_lr", "max_momentum", "base_momentum")
        if three_phase:
            middle = float(2 * pct_start * self.total_steps) - 2
            fall = _phase(middle, "max_lr", "initial_lr", "base_momentum", "max_momentum")
            phases = [rise, fall, _phase(last, "initial_lr", "min_lr", "max_momentum", "max_momentum")]
        else:
            phases = [rise, _phase(last, "max_lr", "min_lr", "base_momentum", "max_momentum")]
        self._schedule_phases = phases
        rates = per_group("max_lr", optimizer, max_lr)
        if cycle_momentum:
            self.use_beta1 = uses_beta1(optimizer)
        if last_epoch == -1:
            if cycle_momentum:
                begin(optimizer, self.use_beta1, base_momentum, max_momentum)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["initial_lr"], group["max_lr"] = rate / div_factor, rate
                group["min_lr"] = group["initial_lr"] / final_div_factor
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        start = 0.0
        for phase in self._schedule_phases[:-1]:
            if step <= phase["end_step"]:
                break
            start = phase["end_step"]
        else:
            phase = self._schedule_phases[-1]
        length = phase["end_step"] - start
        share = (step - start) / length if length else 1.0
        for group in self.optimizer.param_groups:
            if self.cycle_momentum:
                value = self._between(group[phase["start_momentum"]], group[phase["end_momentum"]], share)
                set_momentum(group, value, self.use_beta1)
        return [self._between(g[phase["start_lr"]], g[phase["end_lr"]], share) for g in self.optimizer.param_groups]

    def _between(self, start: float, end: float, share: float) -> float:
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)
        return (end - start) * share + start


def _phase(end: float, start_lr: str, end_lr: str, start_momentum: str, end_momentum: str) -> dict:
    return {
        "end_step": end,
        "start_lr": start_lr,
        "end_lr": end_lr,
        "start_momentum": start_momentum,
        "end_momentum": end_momentum,
    }


def _total(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    named = {"total_steps": total_steps}
    if total_steps is None:
        if epochs is None or steps_per_epoch is None:
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        named = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
    for name, value in named.items():
        if not isinstance(value, int) or value <= 0:
            raise ValueError(f"Expected positive integer {name}, but got {value}")
    return math.prod(named.values())  # type: ignore[arg-type]
