"""Losses as modules. The formulas and references are in `spinetail.nn.functional`."""

from __future__ import annotations

from typing import Any

from ..autograd import Tensor
from . import functional as F
from .module import Module

__all__ = ["CrossEntropyLoss", "MSELoss", "NLLLoss"]


class _Loss(Module):
    """What losses share: `reduction` "mean", "sum" or "none"."""

    shown: tuple[str, ...] = ()

    def __init__(self, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> None:
        super().__init__()
        name = type(self).__name__
        if size_average is not None or reduce is not None:
            raise TypeError(
                f"[{name}] size_average and reduce are not supported: use reduction='mean', 'sum' or 'none'"
            )
        if reduction not in ("mean", "sum", "none", "batchmean"):
            raise ValueError(f"[{name}] reduction should be 'mean', 'sum' or 'none', but got {reduction!r}")
        self.reduction = reduction

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.shown)


class _Weighted(_Loss):
    """A loss with a weight for each class, or None; it is a buffer, so it moves and converts with the module."""

    weight: Tensor | None

    def __init__(
        self, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class MSELoss(_Loss):
    """The mean of (input - target)².

    >>> import spinetail as st
    >>> st.nn.MSELoss()(st.tensor([1.0, 3.0]), st.tensor([1.0, 1.0]))
    tensor(2.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class CrossEntropyLoss(_Weighted):
    """The mean of -log softmax(input) at the target class.

    Shapes: input (N, C), (C,) or (N, C, d₁, ...); target of class indices (N,), (), (N, d₁, ...), or of
    probabilities in the input's shape. `weight` (C,); targets equal to `ignore_index` do not count;
    `label_smoothing` ε mixes the target with the uniform distribution.

    >>> import spinetail as st
    >>> st.nn.CrossEntropyLoss()(st.zeros(2, 4), st.tensor([0, 3]))
    tensor(1.3863)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_Weighted):
    """The mean of -input at the target class, input being log-probabilities."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)
