"""Adadelta."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

from ..ops import optimizer as ops
from . import checks
from .optimizer import FusedOptions, Optimizer


class Adadelta(Optimizer):
    r"""Adadelta: steps in the parameters' own units, from running means of squared gradients and squared steps.

    g ← g + weight_decay·p;  v ← ρv + (1-ρ)g²;  d = √(u + eps)/√(v + eps) · g;  u ← ρu + (1-ρ)d²;  p ← p - lr·d.

    `params` are float32 or float64 tensors or arrays of any shape, or dicts that make groups. `maximize` turns the
    sign of g. `foreach`, `capturable` and `differentiable` are PyTorch's; all steps are fused.

    Raises: ValueError for a negative option or rho outside [0, 1].

    Source: Zeiler, ADADELTA: An Adaptive Learning Rate Method (2012).

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.array([1.0, 2.0])
    >>> st.optim.Adadelta([w], lr=1.0, rho=0.75, eps=1.0).step([np.array([2.0, -4.0])])
    >>> w.round(4)
    array([-0.4142,  3.7889])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
        **fused_options: Unpack[FusedOptions],
    ) -> None:
        checks.number("learning rate", lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        checks.number("epsilon value", eps)
        checks.number("weight_decay value", weight_decay)
        options = checks.modes(foreach, None, capturable, differentiable)
        del options["fused"]
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            **options,
        }
        super().__init__(params, defaults, **fused_options)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("step", "square_avg", "acc_delta")

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        ops.adadelta(
            arrays,
            states["square_avg"],
            states["acc_delta"],
            states["step"],
            gradients,
            group["lr"],
            group["rho"],
            group["eps"],
            self._change(group),
        )
