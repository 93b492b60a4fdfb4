"""Lion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

from ..ops import optimizer as ops
from . import checks
from .optimizer import FusedOptions, Optimizer


class Lion(Optimizer):
    r"""Lion: steps of one size, by the sign of a momentum.

    p ← p·(1 - lr·weight_decay);  p ← p - lr·sign(β₁m + (1-β₁)g);  m ← β₂m + (1-β₂)g.

    `params` are float32 or float64 tensors or arrays of any shape, or dicts that make groups. Rates are a third to a
    tenth of Adam's, weight decays three to ten times as large. `maximize` turns the sign of g.

    Raises: ValueError for a negative option or betas outside [0, 1).

    Source: Chen et al., Symbolic Discovery of Optimization Algorithms (2023).

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.array([1.0, 2.0])
    >>> st.optim.Lion([w], lr=0.5).step([np.array([3.0, -4.0])])
    >>> w.round(4)
    array([0.5, 2.5])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        **fused_options: Unpack[FusedOptions],
    ) -> None:
        checks.number("learning rate", lr)
        checks.betas(betas)
        checks.number("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, **fused_options)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg",)

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        beta1, beta2 = group["betas"]
        ops.lion(arrays, states["exp_avg"], gradients, group["lr"], beta1, beta2, self._change(group))
