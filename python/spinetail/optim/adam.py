"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..ops import optimizer as ops
from . import checks
from .optimizer import Optimizer


class Adam(Optimizer):
    r"""Adam: steps of the size of the learning rate, from running means of gradients and of their squares.

    g ← g + weight_decay·p;  m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;
    p ← p - lr · (m/(1-β₁ᵗ)) / (√v/√(1-β₂ᵗ) + eps).

    `params` are float32 or float64 tensors or arrays of any shape, or dicts that make groups. With `amsgrad` the
    largest v so far takes the place of v. With `decoupled_weight_decay`, p ← p·(1 - lr·weight_decay) in place of the
    first term. `maximize` turns the sign of g. `foreach`, `fused`, `capturable` and `differentiable` are PyTorch's; all
    steps are fused.

    Raises: ValueError for a negative option or betas outside [0, 1).

    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization (2015).

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.array([1.0, 2.0])
    >>> st.optim.Adam([w], lr=0.5).step([np.array([3.0, -4.0])])
    >>> w
    array([0.5, 2.5])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
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
            "amsgrad": amsgrad,
            "maximize": maximize,
            **checks.modes(foreach, fused, capturable, differentiable),
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        names = ("step", "exp_avg", "exp_avg_sq")
        return (*names, "max_exp_avg_sq") if group["amsgrad"] else names

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        beta1, beta2 = group["betas"]
        ops.adam(
            arrays,
            states["exp_avg"],
            states["exp_avg_sq"],
            states["max_exp_avg_sq"] if group["amsgrad"] else [],
            states["step"],
            gradients,
            group["lr"],
            beta1,
            beta2,
            group["eps"],
            group["weight_decay"],
            group["decoupled_weight_decay"],
            group["maximize"],
        )


class AdamW(Adam):
    r"""Adam with weight decay of its own: p ← p·(1 - lr·weight_decay) before the step of `Adam`.

    Options are those of `Adam`, with `weight_decay` 0.01.

    Raises: ValueError for a negative option or betas outside [0, 1).

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019).

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.array([1.0, 2.0])
    >>> st.optim.AdamW([w], lr=0.5, weight_decay=0.1).step([np.array([3.0, -4.0])])
    >>> w
    array([0.45, 2.4 ])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state made by `state_dict`; the weight decay stays decoupled."""
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
