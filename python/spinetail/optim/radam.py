"""RAdam."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

from ..ops import optimizer as ops
from . import checks
from .optimizer import FusedOptions, Optimizer


class RAdam(Optimizer):
    r"""Adam that trusts its second moment only once there are enough gradients behind it (rectified).

    g ← g + weight_decay·p;  m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;  m̂ = m/(1-β₁ᵗ);  ρ∞ = 2/(1-β₂) - 1;
    ρ = ρ∞ - 2tβ₂ᵗ/(1-β₂ᵗ);  p ← p - lr·m̂ if ρ ≤ 5, otherwise p ← p - lr·r·m̂·√(1-β₂ᵗ)/(√v + eps) with
    r = √((ρ-4)(ρ-2)ρ∞ / ((ρ∞-4)(ρ∞-2)ρ)).

    `params` are float32 or float64 tensors or arrays of any shape, or dicts that make groups. With
    `decoupled_weight_decay`, p ← p·(1 - lr·weight_decay) in place of the first term. `maximize` turns the sign of g.
    `foreach`, `capturable` and `differentiable` are PyTorch's; all steps are fused.

    Raises: ValueError for a negative option or betas outside [0, 1).

    Source: Liu et al., On the Variance of the Adaptive Learning Rate and Beyond (2020).

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.array([1.0, 2.0])
    >>> st.optim.RAdam([w], lr=0.1).step([np.array([3.0, -4.0])])
    >>> w.round(4)
    array([0.7, 2.4])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
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
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            **options,
        }
        super().__init__(params, defaults, **fused_options)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("step", "exp_avg", "exp_avg_sq")

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        beta1, beta2 = group["betas"]
        ops.radam(
            arrays,
            states["exp_avg"],
            states["exp_avg_sq"],
            states["step"],
            gradients,
            group["lr"],
            beta1,
            beta2,
            group["eps"],
            group["decoupled_weight_decay"],
            self._change(group),
        )
