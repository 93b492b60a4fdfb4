"""Averages of a model's weights over its training: equally weighted (SWA) or exponential (EMA).

A joint of `nn` and `optim`, which do not know of each other; `optim.swa_utils` is its public name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from itertools import chain
from typing import Any

import numpy as np

from . import nn
from .autograd import Tensor, no_grad, wrap
from .nn.normalization import _BatchNorm
from .optim.lr_scheduler.swa import SWALR

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def _blend(averaged: Tensor, current: Tensor, share: float) -> None:
    """averaged ← averaged + share·(current - averaged), in place; whole numbers are truncated."""
    if averaged.is_floating_point():
        averaged.lerp_(current, share)
    else:
        averaged.copy_(averaged + (current - averaged) * share)


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., None]:
    """A `multi_avg_fn` for an exponential average: w̄ ← decay·w̄ + (1 - decay)·w for all parameters, in place.

    Raises: ValueError for a decay outside [0, 1].
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(averaged: Sequence[Tensor], current: Sequence[Tensor], num_averaged: Any) -> None:
        for mean, value in zip(averaged, current, strict=True):
            _blend(mean, value, 1 - decay)

    return ema_update


def get_swa_multi_avg_fn() -> Callable[..., None]:
    """A `multi_avg_fn` for the plain mean: w̄ ← w̄ + (w - w̄)/(n + 1) for all parameters, in place."""

    @no_grad()
    def swa_update(averaged: Sequence[Tensor], current: Sequence[Tensor], num_averaged: Any) -> None:
        for mean, value in zip(averaged, current, strict=True):
            _blend(mean, value, 1.0 / (int(num_averaged) + 1))

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> Callable[..., Tensor]:
    """An `avg_fn` for an exponential average: decay·w̄ + (1 - decay)·w. Raises: ValueError as above."""
    _check_decay(decay)

    @no_grad()
    def ema_update(averaged: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
        return decay * averaged + (1 - decay) * current

    return ema_update


def get_swa_avg_fn() -> Callable[..., Tensor]:
    """An `avg_fn` for the plain mean: w̄ + (w - w̄)/(n + 1)."""

    @no_grad()
    def swa_update(averaged: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
        return averaged + (current - averaged) / (num_averaged + 1)

    return swa_update


class AveragedModel(nn.Module):
    """A copy of `model` whose weights are an average over those of `update_parameters(model)`.

    The first update copies; later ones take `avg_fn(averaged, current, number)` for each parameter or
    `multi_avg_fn(averaged, current, number)` for lists of them, in place; the plain mean by default. Buffers are
    copied, or averaged too with `use_buffers`. `number` is the buffer `n_averaged`, how many models have been averaged.

    Raises: AssertionError for both functions; ValueError for a model of other parameters or shapes.

    Source: Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization (2018).

    >>> import spinetail as st
    >>> model = st.nn.Linear(1, 1, bias=False)
    >>> mean = st.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = st.nn.init.constant_(model.weight, value)
    ...     mean.update_parameters(model)
    >>> mean.module.weight.item(), mean.n_averaged.item()
    (3.0, 3)
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: nn.Module,
        device: Any = None,
        avg_fn: Callable[[Tensor, Tensor, Any], Tensor] | None = None,
        multi_avg_fn: Callable[[list[Tensor], list[Tensor], Any], None] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", wrap(np.array(0, np.int64)))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take the present weights of `model` into the average."""
        averaged, current = self._values(self.module), self._values(model)
        if [value.shape for value in averaged] != [value.shape for value in current]:
            raise ValueError(
                "[AveragedModel] the model's parameters and buffers are not those of the model that was copied: "
                f"{len(current)} of them with {sum(v.numel() for v in current)} elements, "
                f"expected {len(averaged)} with {sum(v.numel() for v in averaged)}, of the same shapes"
            )
        if self.n_averaged == 0:
            for mean, value in zip(averaged, current, strict=True):
                mean.copy_(value)
        elif self.avg_fn is not None:
            for mean, value in zip(averaged, current, strict=True):
                mean.copy_(self.avg_fn(mean.detach(), value.detach(), self.n_averaged))
        else:
            function = self.multi_avg_fn or get_swa_multi_avg_fn()
            for kind in dict.fromkeys(mean.dtype for mean in averaged):  # as in PyTorch, one dtype at a time
                of_kind = [i for i, mean in enumerate(averaged) if mean.dtype == kind]
                means, values = ([several[i].detach() for i in of_kind] for several in (averaged, current))
                function(means, values, self.n_averaged)
        if not self.use_buffers:
            for mean, value in zip(self.module.buffers(), model.buffers(), strict=True):
                mean.copy_(value)
        self.n_averaged += 1

    def _values(self, model: nn.Module) -> list[Tensor]:
        return list(chain(model.parameters(), model.buffers()) if self.use_buffers else model.parameters())


@no_grad()
def update_bn(loader: Iterable[Any], model: nn.Module, device: Any = None) -> None:
    """Estimate the running statistics of the model's batch norms anew, in one pass over the batches of `loader`.

    Each batch is the input, or a list or tuple whose first element is. For an averaged model, whose own statistics are
    those of the last model and not of the average.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta, training = [norm.momentum for norm in norms], model.training
    model.train()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches
        for batch in loader:
            given = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(given if device is None else given.to(device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.train(training)
