"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

from ..ops import optimizer as ops
from . import checks
from .optimizer import FusedOptions, Optimizer


class RMSprop(Optimizer):
    r"""RMSprop: the gradient divided by the root of a running mean of its square.

    g ← g + weight_decay·p;  v ← αv + (1-α)g²;  d = √v + eps, or with `centered` m ← αm + (1-α)g, d = √(v - m²) + eps;
    p ← p - lr·g/d, or with momentum b ← momentum·b + g/d, p ← p - lr·b.

    `params` are float32 or float64 tensors or arrays of any shape, or dicts that make groups. `maximize` turns the sign
    of g. `foreach`, `capturable` and `differentiable` are PyTorch's; all steps are fused.

    Raises: ValueError for a negative option.

    Source: Hinton, Neural Networks for Machine Learning, lecture 6 (2012); centered: Graves, Generating Sequences With
    Recurrent Neural Networks (2013).

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.array([1.0, 2.0])
    >>> st.optim.RMSprop([w], lr=0.1, alpha=0.75).step([np.array([3.0, -4.0])])
    >>> w
    array([0.8, 2.2])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        **fused_options: Unpack[FusedOptions],
    ) -> None:
        checks.number("learning rate", lr)
        checks.number("epsilon value", eps)
        checks.number("momentum value", momentum)
        checks.number("weight_decay value", weight_decay)
        checks.number("alpha value", alpha)
        options = checks.modes(foreach, None, capturable, differentiable)
        del options["fused"]
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "maximize": maximize,
            **options,
        }
        super().__init__(params, defaults, **fused_options)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        names: tuple[str, ...] = ("step", "square_avg")
        if group["momentum"] > 0:
            names = (*names, "momentum_buffer")
        return (*names, "grad_avg") if group["centered"] else names

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        ops.rmsprop(
            arrays,
            states["square_avg"],
            states["grad_avg"] if group["centered"] else [],
            states["momentum_buffer"] if group["momentum"] > 0 else [],
            states["step"],
            gradients,
            group["lr"],
            group["alpha"],
            group["eps"],
            group["momentum"],
            self._change(group),
        )
