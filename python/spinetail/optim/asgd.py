"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import numpy as np

from ..ops import optimizer as ops
from . import checks
from .optimizer import FusedOptions, Optimizer


class ASGD(Optimizer):
    r"""Descent with a rate that falls, beside an average of the parameters from step `t0` on: `state[p]["ax"]`.

    g ← g + weight_decay·p;  p ← p·(1 - lambd·η) - η·g;  ax ← ax + μ(p - ax);
    then η = lr/(1 + lambd·lr·t)^alpha and μ = 1/max(1, t - t0).

    `params` are float32 or float64 tensors or arrays of any shape, or dicts that make groups. `maximize` turns the
    sign of g. `foreach`, `capturable` and `differentiable` are PyTorch's; all steps are fused.

    Raises: ValueError for a negative rate or weight decay.

    Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging (1992).

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.array([1.0, 2.0])
    >>> st.optim.ASGD([w], lr=0.5).step([np.array([3.0, -4.0])])
    >>> w.round(4)
    array([-0.5   ,  3.9999])
    """

    _scalars = ("step", "eta", "mu")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
        **fused_options: Unpack[FusedOptions],
    ) -> None:
        checks.number("learning rate", lr)
        checks.number("weight_decay value", weight_decay)
        options = checks.modes(foreach, None, capturable, differentiable)
        del options["fused"]
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "maximize": maximize,
            **options,
        }
        super().__init__(params, defaults, **fused_options)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("step", "eta", "mu", "ax")

    def _initial(self, group: dict[str, Any], name: str, array: np.ndarray) -> np.ndarray:
        if name in ("eta", "mu"):
            return np.array(group["lr"] if name == "eta" else 1.0, np.float32)
        return super()._initial(group, name, array)

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        ops.asgd(
            arrays,
            states["ax"],
            states["eta"],
            states["mu"],
            states["step"],
            gradients,
            group["lr"],
            group["lambd"],
            group["alpha"],
            group["t0"],
            self._change(group),
        )
