"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import numpy as np

from .. import dtypes
from ..ops import optimizer as ops
from ..ops.optimizer.run import BLOCK
from . import checks
from .optimizer import FusedOptions, Optimizer


class Adam(Optimizer):
    r"""Adam: steps of the size of the learning rate, from running means of gradients and of their squares.

    g ← g + weight_decay·p;  m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;
    p ← p - lr · (m/(1-β₁ᵗ)) / (√v/√(1-β₂ᵗ) + eps).

    `params` are float32 or float64 tensors or arrays of any shape, or dicts that make groups. With `amsgrad` the
    largest v so far takes the place of v. With `decoupled_weight_decay`, p ← p·(1 - lr·weight_decay) in place of the
    first term. `state_dtype` keeps the running means of float32 parameters smaller: "bfloat16" in 4 bytes a parameter,
    "int8" in 2.03, in blocks of 256 that share a scale. They are rounded up or down at random, so that they are right
    in the mean; an int8 m is off by less than 2·max|m|/127, a √v by less than 4·max√v/255. `maximize` turns the sign
    of g. `foreach`, `fused`, `capturable` and `differentiable` are PyTorch's; all steps are fused.

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
        state_dtype: Any = None,
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
            "amsgrad": amsgrad,
            "maximize": maximize,
            **checks.modes(foreach, fused, capturable, differentiable),
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        if state_dtype is not None:
            defaults["state_dtype"] = _state_dtype(state_dtype)
            if amsgrad:
                raise ValueError("amsgrad=True keeps its maxima in full, and is not combined with a state_dtype")
        super().__init__(params, defaults, **fused_options)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        names = ("step", "exp_avg", "exp_avg_sq")
        if group.get("state_dtype") == "int8":
            return (*names, "exp_avg_scale", "exp_avg_sq_scale")
        return (*names, "max_exp_avg_sq") if group["amsgrad"] else names

    def _kept(self, group: dict[str, Any], name: str, array: np.ndarray) -> tuple[tuple[int, ...], np.dtype]:
        kind = group.get("state_dtype")
        if kind is None or name == "step":
            return super()._kept(group, name, array)
        if array.dtype != np.float32:
            raise TypeError(
                f"[{type(self).__name__}] state_dtype={kind!r} is for float32 parameters, not {array.dtype}"
            )
        if name.endswith("_scale"):
            return (-(-array.size // BLOCK),), np.dtype(np.float32)
        if kind == "bfloat16":
            return array.shape, dtypes.bfloat16.numpy
        return array.shape, np.dtype(np.uint8 if name == "exp_avg_sq" else np.int8)

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        beta1, beta2 = group["betas"]
        if group.get("state_dtype") is not None:
            return ops.adam_packed(
                arrays,
                states["exp_avg"],
                states["exp_avg_sq"],
                states.get("exp_avg_scale", []),
                states.get("exp_avg_sq_scale", []),
                states["step"],
                gradients,
                group["lr"],
                beta1,
                beta2,
                group["eps"],
                group["decoupled_weight_decay"],
                self._change(group),
            )
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
            group["decoupled_weight_decay"],
            self._change(group),
        )


def _state_dtype(value: Any) -> str:
    name = dtypes.as_dtype(value).name
    if name not in ("bfloat16", "int8"):
        raise ValueError(f"Invalid state_dtype: {value} (expected None, 'bfloat16' or 'int8')")
    return name


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
        state_dtype: Any = None,
        **fused_options: Unpack[FusedOptions],
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
            state_dtype=state_dtype,
            **fused_options,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state made by `state_dict`; the weight decay stays decoupled."""
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
