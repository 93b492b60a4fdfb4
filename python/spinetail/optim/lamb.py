"""LAMB."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any, Unpack

from ..ops import optimizer as ops
from . import checks
from .optimizer import FusedOptions, Optimizer


class LAMB(Optimizer):
    r"""Adam whose steps are scaled, tensor by tensor, to the size of the parameters: for very large batches.

    m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;  r = m/(1-β₁ᵗ) / (√(v/(1-β₂ᵗ)) + eps) + weight_decay·p;
    p ← p - lr · ‖p‖/‖r‖ · r, the ratio being 1 where a norm is 0.

    `params` are float32 or float64 tensors or arrays of any shape, or dicts that make groups. With
    `trust_clip` the ratio is at most 1. `maximize` turns the sign of g.

    Raises: ValueError for a negative option or betas outside [0, 1).

    Source: You et al., Large Batch Optimization for Deep Learning: Training BERT in 76 Minutes (2020).

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.array([1.0, 2.0])
    >>> st.optim.LAMB([w], lr=0.5).step([np.array([3.0, -4.0])])
    >>> w.round(4)
    array([0.2094, 2.7906])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0,
        trust_clip: bool = False,
        *,
        maximize: bool = False,
        **fused_options: Unpack[FusedOptions],
    ) -> None:
        checks.number("learning rate", lr)
        checks.number("epsilon value", eps)
        checks.betas(betas)
        checks.number("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "trust_clip": trust_clip,
            "maximize": maximize,
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
        ops.lamb(
            arrays,
            states["exp_avg"],
            states["exp_avg_sq"],
            states["step"],
            gradients,
            group["lr"],
            beta1,
            beta2,
            group["eps"],
            1.0 if group["trust_clip"] else inf,
            self._change(group),
        )
