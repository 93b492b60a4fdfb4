"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

from ..ops import optimizer as ops
from . import checks
from .optimizer import FusedOptions, Optimizer


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum.

    g ← g + weight_decay·p;  b ← momentum·b + (1 - dampening)·g (first step: b ← g);  p ← p - lr·b, or with `nesterov`
    p ← p - lr·(g + momentum·b). Without momentum, p ← p - lr·g.

    `params` are float32 or float64 tensors or arrays of any shape, or dicts that make groups. `maximize` turns the sign
    of g. `foreach`, `fused` and `differentiable` are PyTorch's and change nothing: all steps are fused.

    Raises: ValueError for a negative option, and for `nesterov` without momentum or with dampening.

    Source: Sutskever et al., On the importance of initialization and momentum in deep learning (2013), in PyTorch's
    form.

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.array([1.0, 2.0])
    >>> st.optim.SGD([w], lr=0.5).step([np.array([1.0, -1.0])])
    >>> w
    array([0.5, 2.5])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        **fused_options: Unpack[FusedOptions],
    ) -> None:
        checks.number("learning rate", lr)
        checks.number("momentum value", momentum)
        checks.number("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        options = checks.modes(foreach, fused, differentiable=differentiable)
        del options["capturable"]
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            **options,
        }
        super().__init__(params, defaults, **fused_options)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] else ()

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        ops.sgd(
            arrays,
            states["momentum_buffer"] if group["momentum"] else [],
            gradients,
            group["lr"],
            group["momentum"],
            group["dampening"],
            group["nesterov"],
            fresh,
            self._change(group),
        )
