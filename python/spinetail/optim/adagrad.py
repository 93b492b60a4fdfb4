"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import numpy as np

from ..ops import optimizer as ops
from . import checks
from .optimizer import FusedOptions, Optimizer


class Adagrad(Optimizer):
    r"""Adagrad: the gradient divided by the root of the sum of all its squares so far.

    g ← g + weight_decay·p;  s ← s + g²;  p ← p - lr/(1 + (t-1)·lr_decay) · g/(√s + eps), with s =
    initial_accumulator_value at first.

    `params` are float32 or float64 tensors or arrays of any shape, or dicts that make groups. `maximize` turns the sign
    of g. `foreach`, `fused` and `differentiable` are PyTorch's; all steps are fused.

    Raises: ValueError for a negative option.

    Source: Duchi, Hazan and Singer, Adaptive Subgradient Methods for Online Learning and Stochastic Optimization
    (2011).

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.array([1.0, 2.0])
    >>> st.optim.Adagrad([w], lr=0.5).step([np.array([3.0, -4.0])])
    >>> w
    array([0.5, 2.5])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        **fused_options: Unpack[FusedOptions],
    ) -> None:
        checks.number("learning rate", lr)
        checks.number("lr_decay value", lr_decay)
        checks.number("weight_decay value", weight_decay)
        checks.number("initial_accumulator_value value", initial_accumulator_value)
        checks.number("epsilon value", eps)
        options = checks.modes(foreach, fused, differentiable=differentiable)
        del options["capturable"]
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
            **options,
        }
        super().__init__(params, defaults, **fused_options)
        for group in self.param_groups:  # as in PyTorch, the sums are there before the first step
            for parameter in group["params"]:
                self._ensure_state(group, parameter)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("step", "sum")

    def _initial(self, group: dict[str, Any], name: str, array: np.ndarray) -> np.ndarray:
        if name == "sum":
            return np.full(array.shape, group["initial_accumulator_value"], array.dtype)
        return super()._initial(group, name, array)

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        ops.adagrad(
            arrays,
            states["sum"],
            states["step"],
            gradients,
            group["lr"],
            group["lr_decay"],
            group["eps"],
            self._change(group),
        )
