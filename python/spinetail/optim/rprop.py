"""Rprop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import numpy as np

from ..ops import optimizer as ops
from . import checks
from .optimizer import FusedOptions, Optimizer


class Rprop(Optimizer):
    r"""Rprop: steps by the signs of gradients alone, longer while they agree and shorter when they turn.

    a = g·g₋₁;  s ← clamp(s·η₊ if a > 0, s·η₋ if a < 0, else s);  g ← 0 if a < 0;  p ← p - s·sign(g);  g₋₁ ← g.

    `params` are float32 or float64 tensors or arrays of any shape, or dicts that make groups. `maximize` turns the
    sign of g. `foreach`, `capturable` and `differentiable` are PyTorch's; all steps are fused.

    Raises: ValueError for a negative rate, or etas that are not 0 < η₋ < 1 < η₊.

    Source: Riedmiller and Braun, A Direct Adaptive Method for Faster Backpropagation Learning (1993).

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.array([1.0, 2.0])
    >>> st.optim.Rprop([w], lr=0.5).step([np.array([3.0, -4.0])])
    >>> w.round(4)
    array([0.5, 2.5])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        **fused_options: Unpack[FusedOptions],
    ) -> None:
        checks.number("learning rate", lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        options = checks.modes(foreach, None, capturable, differentiable)
        del options["fused"]
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "maximize": maximize,
            **options,
        }
        super().__init__(params, defaults, **fused_options)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("step", "prev", "step_size")

    def _initial(self, group: dict[str, Any], name: str, array: np.ndarray) -> np.ndarray:
        initial = super()._initial(group, name, array)
        if name == "step_size":
            initial[...] = group["lr"]
        return initial

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        ops.rprop(
            arrays,
            states["prev"],
            states["step_size"],
            states["step"],
            gradients,
            group["etas"],
            group["step_sizes"],
            self._change(group),
        )
