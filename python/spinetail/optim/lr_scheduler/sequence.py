"""Schedules made of others: together, or one after another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from ..optimizer import Optimizer
from .plateau import ReduceLROnPlateau
from .scheduler import LRScheduler


class _Composite(LRScheduler):
    """A schedule that has others inside."""

    _schedulers: Sequence[LRScheduler]

    def _check(self, optimizer: Optimizer | None, schedulers: Sequence[LRScheduler], suffix: str = "") -> Optimizer:
        name = type(self).__name__
        if len(schedulers) < 1:
            raise ValueError(f"{name} expects at least one scheduler{suffix}, but got no scheduler.")
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(f"{name} at index {i} should have `optimizer` as its attribute.")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{name} does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs to be "
                    f"specified when calling `step`, but got one at index {i} in the given schedulers sequence."
                )
            optimizer = optimizer or schedulers[0].optimizer
            if optimizer is not scheduler.optimizer:
                raise ValueError(
                    f"{name} expects all schedulers to belong to the same optimizer, but got scheduler "
                    f"{type(scheduler).__name__} at index {i} has {scheduler.optimizer}, which is different from "
                    f"{type(optimizer).__name__}."
                )
        return optimizer  # type: ignore[return-value]

    def _reset_rates(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, with the states of the schedulers inside."""
        return {**super().state_dict(), "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave, in the schedulers inside too.

        Raises: ValueError where it has another number of schedulers.
        """
        states = state_dict["_schedulers"]
        if len(states) != len(self._schedulers):
            raise ValueError(
                f"[{type(self).__name__}] the state has {len(states)} schedulers, but there are {len(self._schedulers)}"
            )
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "_schedulers"})
        for scheduler, state in zip(self._schedulers, states, strict=True):
            scheduler.load_state_dict(state)


class ChainedScheduler(_Composite):
    """Several schedules at once: `step` steps each of `schedulers` in turn, and their factors multiply.

    Raises: ValueError for an empty list, a ReduceLROnPlateau, or schedulers of different optimizers.

    >>> import numpy as np
    >>> import spinetail as st
    >>> optimizer = st.optim.SGD([np.zeros(1)], lr=1.0)
    >>> constant = st.optim.lr_scheduler.ConstantLR(optimizer, 0.1, 2)
    >>> falling = st.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    >>> scheduler = st.optim.lr_scheduler.ChainedScheduler([constant, falling], optimizer=optimizer)
    >>> optimizer.step(); scheduler.step(); scheduler.get_last_lr()
    [0.05]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self.optimizer = self._check(optimizer, schedulers, " to be chained")
        self._schedulers = schedulers
        self._last_lr = self._rates()

    def step(self) -> None:  # type: ignore[override]
        """Step each of the schedulers."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._rates()

    # What a SequentialLR around it asks for. (PyTorch's misses the first epoch, or raises NotImplementedError.)

    def _initial_step(self) -> None:
        for scheduler in self._schedulers:
            scheduler.last_epoch = -1
            scheduler._initial_step()
        self._last_lr = self._rates()

    def _update_lr(self, epoch: int | None = None) -> None:
        self._reset_rates()
        self._initial_step()


class SequentialLR(_Composite):
    """Schedules one after another: at epoch `milestones[i]` the next of `schedulers` begins at its epoch 0.

    Raises: ValueError for an empty list, a ReduceLROnPlateau, schedulers of different optimizers, or a number of
    milestones that is not one less than the schedulers'.

    >>> import numpy as np
    >>> import spinetail as st
    >>> optimizer = st.optim.SGD([np.zeros(1)], lr=1.0)
    >>> warm = st.optim.lr_scheduler.ConstantLR(optimizer, 0.25, 9)
    >>> scheduler = st.optim.lr_scheduler.SequentialLR(
    ...     optimizer, [warm, st.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)], milestones=[1])
    >>> rates = []
    >>> for _ in range(3):
    ...     rates += scheduler.get_last_lr(); optimizer.step(); scheduler.step()
    >>> rates
    [0.25, 1.0, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        self._check(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than the number of "
                f"milestone points, but got number of schedulers {len(schedulers)} and the number of milestones to be "
                f"equal to {len(milestones)}"
            )
        self.optimizer = optimizer
        self._schedulers = schedulers
        self._milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        self._reset_rates()
        _undo(self)
        self._begin()

    def _first(self) -> LRScheduler:
        return self._schedulers[bisect_right(self._milestones, 0)]

    def _begin(self) -> None:
        self._first()._initial_step()
        self._last_lr = self._first().get_last_lr()

    def step(self) -> None:  # type: ignore[override]
        """Step the scheduler whose turn it is."""
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[turn]
        if turn > 0 and self._milestones[turn - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def _initial_step(self) -> None:
        """What a SequentialLR around it asks for."""
        self.last_epoch, self._first().last_epoch = 0, -1
        self._begin()

    def _update_lr(self, epoch: int | None = None) -> None:
        self._reset_rates()
        self._initial_step()


def _undo(scheduler: Any) -> None:
    """Take back the step that schedulers make when they are made."""
    if hasattr(scheduler, "_schedulers"):
        for inner in scheduler._schedulers:
            _undo(inner)
    elif hasattr(scheduler, "last_epoch"):
        scheduler.last_epoch -= 1
