"""NAdam."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import numpy as np

from ..ops import optimizer as ops
from . import checks
from .optimizer import FusedOptions, Optimizer


class NAdam(Optimizer):
    r"""Adam with Nesterov's momentum, which looks one step ahead.

    g ← g + weight_decay·p;  m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;  μₜ = β₁(1 - 0.96^(t·momentum_decay)/2);
    d = √(v/(1-β₂ᵗ)) + eps;  p ← p - lr·[(1-μₜ)/(1-Πμ)·g + μₜ₊₁/(1-Πμ·μₜ₊₁)·m]/d.

    `params` are float32 or float64 tensors or arrays of any shape, or dicts that make groups. With
    `decoupled_weight_decay`, p ← p·(1 - lr·weight_decay) in place of the first term. `maximize` turns the sign of g.
    `foreach`, `capturable` and `differentiable` are PyTorch's; all steps are fused.

    Raises: ValueError for a negative option or betas outside [0, 1).

    Source: Dozat, Incorporating Nesterov Momentum into Adam (2016).

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.array([1.0, 2.0])
    >>> st.optim.NAdam([w], lr=0.5).step([np.array([3.0, -4.0])])
    >>> w.round(4)
    array([0.4718, 2.5282])
    """

    _scalars = ("step", "mu_product")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
        checks.number("momentum_decay value", momentum_decay)
        options = checks.modes(foreach, None, capturable, differentiable)
        del options["fused"]
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            **options,
        }
        super().__init__(params, defaults, **fused_options)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("step", "mu_product", "exp_avg", "exp_avg_sq")

    def _initial(self, group: dict[str, Any], name: str, array: np.ndarray) -> np.ndarray:
        return np.ones((), np.float32) if name == "mu_product" else super()._initial(group, name, array)

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        beta1, beta2 = group["betas"]
        ops.nadam(
            arrays,
            states["exp_avg"],
            states["exp_avg_sq"],
            states["mu_product"],
            states["step"],
            gradients,
            group["lr"],
            beta1,
            beta2,
            group["eps"],
            group["momentum_decay"],
            group["decoupled_weight_decay"],
            self._change(group),
        )
