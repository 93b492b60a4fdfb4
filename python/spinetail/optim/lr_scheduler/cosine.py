"""Rates along a cosine."""

from __future__ import annotations

import math

from ..optimizer import Optimizer
from .scheduler import LRScheduler


class CosineAnnealingLR(LRScheduler):
    """lr = eta_min + (initial_lr - eta_min) · (1 + cos(π·epoch/T_max)) / 2, computed from the present lr.

    Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017), without the restarts.

    >>> import numpy as np
    >>> import spinetail as st
    >>> optimizer = st.optim.SGD([np.zeros(1)], lr=1.0)
    >>> scheduler = st.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> optimizer.step(); scheduler.step(); round(scheduler.get_last_lr()[0], 6)
    0.5
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        if T_max <= 0:
            raise ValueError(f"[CosineAnnealingLR] expected T_max > 0, but got {T_max}")
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        epoch, period = self.last_epoch, self.T_max
        if self._is_initial:
            return self._rates()
        if self._step_count == 1 and epoch > 0:
            return self._get_closed_form_lr()
        if (epoch - 1 - period) % (2 * period) == 0:
            rise = (1 - math.cos(math.pi / period)) / 2
            rates = zip(self._rates(), self.base_lrs, strict=True)
            return [rate + (base - self.eta_min) * rise for rate, base in rates]
        ratio = (1 + math.cos(math.pi * epoch / period)) / (1 + math.cos(math.pi * (epoch - 1) / period))
        return [ratio * (rate - self.eta_min) + self.eta_min for rate in self._rates()]

    def _get_closed_form_lr(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """lr falls along a cosine to `eta_min`, and begins again: after `T_0` epochs, then after T_0·T_mult, and so on.

    lr = eta_min + (initial_lr - eta_min) · (1 + cos(π·T_cur/T_i)) / 2, with T_cur epochs since the last restart and T_i
    between two. `step(epoch)` may be given a fraction of epochs, to step after each batch.

    Raises: ValueError for T_0 or T_mult that are not positive integers, and for a negative epoch.

    Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017).

    >>> import numpy as np
    >>> import spinetail as st
    >>> optimizer = st.optim.SGD([np.zeros(1)], lr=1.0)
    >>> scheduler = st.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> rates = []
    >>> for _ in range(4):
    ...     rates += scheduler.get_last_lr(); optimizer.step(); scheduler.step()
    >>> rates
    [1.0, 0.5, 1.0, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")
        self.T_0 = self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    def _update_lr(self, epoch: float | None = None) -> None:  # type: ignore[override]
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            self._find(epoch)
        self.last_epoch = math.floor(epoch)
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate
        self._last_lr = self._rates()

    def _find(self, epoch: float) -> None:
        """Which period an epoch falls into."""
        if epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        self.T_i, self.T_cur = self.T_0, epoch
        if self.T_mult == 1:
            self.T_cur = epoch % self.T_0
            return
        while self.T_cur >= self.T_i:  # T_mult is at least 2, so this takes few turns
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult


class WarmupCosine(LRScheduler):
    """lr rises in a straight line for `warmup_iters` epochs, then falls along a cosine to `eta_min` at `total_iters`.

    It begins at initial_lr · start_factor and stays at `eta_min` afterwards. The same as a SequentialLR of LinearLR and
    CosineAnnealingLR, computed from the epoch alone.

    Raises: ValueError for negative numbers, a warm-up that is not shorter than the whole, start_factor outside [0, 1].

    >>> import numpy as np
    >>> import spinetail as st
    >>> optimizer = st.optim.SGD([np.zeros(1)], lr=1.0)
    >>> scheduler = st.optim.lr_scheduler.WarmupCosine(optimizer, 2, 6, start_factor=0.5)
    >>> rates = []
    >>> for _ in range(7):
    ...     rates += scheduler.get_last_lr(); optimizer.step(); scheduler.step()
    >>> [round(rate, 3) for rate in rates]
    [0.5, 0.75, 1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        warmup_iters: int,
        total_iters: int,
        start_factor: float = 0.01,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        if not 0 <= warmup_iters < total_iters:
            raise ValueError(
                f"[WarmupCosine] expected 0 <= warmup_iters < total_iters, but got {warmup_iters} and {total_iters}"
            )
        if not 0 <= start_factor <= 1:
            raise ValueError(f"[WarmupCosine] expected start_factor between 0 and 1, but got {start_factor}")
        self.warmup_iters, self.total_iters = warmup_iters, total_iters
        self.start_factor, self.eta_min = start_factor, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        epoch, warm = self.last_epoch, self.warmup_iters
        if epoch < warm:
            return self._from_base(self.start_factor + (1.0 - self.start_factor) * epoch / warm)
        share = min(1.0, (epoch - warm) / (self.total_iters - warm))
        height = (1 + math.cos(math.pi * share)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]
