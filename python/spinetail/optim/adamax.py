"""Adamax."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

from ..ops import optimizer as ops
from . import checks
from .optimizer import FusedOptions, Optimizer


class Adamax(Optimizer):
    r"""Adam with the largest gradient, decayed, in place of the root of their mean square.

    g ← g + weight_decay·p;  m ← β₁m + (1-β₁)g;  u ← max(β₂u, |g| + eps);  p ← p - lr/(1-β₁ᵗ) · m/u.

    `params` are float32 or float64 tensors or arrays of any shape, or dicts that make groups. `maximize` turns the
    sign of g. `foreach`, `capturable` and `differentiable` are PyTorch's; all steps are fused.

    Raises: ValueError for a negative option or betas outside [0, 1).

    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization (2015).

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.array([1.0, 2.0])
    >>> st.optim.Adamax([w], lr=0.5).step([np.array([3.0, -4.0])])
    >>> w.round(4)
    array([0.5, 2.5])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        **fused_options: Unpack[FusedOptions],
    ) -> None:
        checks.number("learning rate", lr)
        checks.number("epsilon value", eps)
        checks.betas(betas)
        checks.number("weight_decay value", weight_decay)
        options = checks.modes(foreach, None, capturable, differentiable)
        del options["fused"]
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            **options,
        }
        super().__init__(params, defaults, **fused_options)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("step", "exp_avg", "exp_inf")

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        beta1, beta2 = group["betas"]
        ops.adamax(
            arrays,
            states["exp_avg"],
            states["exp_inf"],
            states["step"],
            gradients,
            group["lr"],
            beta1,
            beta2,
            group["eps"],
            self._change(group),
        )
