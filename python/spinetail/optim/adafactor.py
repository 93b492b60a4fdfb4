"""Adafactor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import numpy as np

from ..ops.optimizer import power_sums
from . import checks
from .change import changed
from .optimizer import FusedOptions, Optimizer


class Adafactor(Optimizer):
    r"""Adam's scaling from the means of squared gradients of rows and of columns alone: little more than no state.

    1-β = t^beta2_decay;  r ← βr + (1-β)·mean_columns(g²);  c ← βc + (1-β)·mean_rows(g²);  V = r·cᵀ/max(mean(r), ε₁);
    u = g/√max(V, ε₁²);  p ← p·(1 - lr·weight_decay) - α·u/max(1, rms(u)/d), with α = max(ε₂, rms(p))·min(lr, 1/√t).

    `params` are float32 or float64 tensors or arrays of any shape, or dicts that make groups; the last two axes are
    factored, vectors keep a full mean of squares. eps is (ε₁, ε₂), ε₁ = None the dtype's own. `maximize` turns the sign
    of g; `foreach` is PyTorch's.

    Raises: ValueError for a negative option or a positive beta2_decay.

    Source: Shazeer and Stern, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost (2018).

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> st.optim.Adafactor([w], lr=0.5).step([np.array([[3.0, 3.0], [-4.0, -4.0]])])
    >>> w.round(4)
    array([[-0.3693,  0.6307],
           [ 4.3693,  5.3693]])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        **fused_options: Unpack[FusedOptions],
    ) -> None:
        checks.number("learning rate", lr)
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        checks.number("epsilon value", eps[0] or 0.0)
        checks.number("epsilon value", eps[1])
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        checks.number("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults, **fused_options)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("step", "row_var", "col_var", "variance")

    def _kept(self, group: dict[str, Any], name: str, array: np.ndarray) -> tuple[tuple[int, ...], np.dtype]:
        if name == "step":
            return super()._kept(group, name, array)
        # What a parameter of this rank does not need is empty.
        shapes = {"row_var": (*array.shape[:-1], 1), "col_var": (*array.shape[:-2], 1, *array.shape[-1:])}
        needed = array.ndim > 1 if name in shapes else array.ndim <= 1
        return shapes.get(name, array.shape) if needed else (0,), array.dtype

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        change = self._change(group, decay=False)
        for i, (parameter, gradient) in enumerate(zip(arrays, gradients, strict=True)):
            states["step"][i] += 1
            mine = {name: states[name][i] for name in ("row_var", "col_var", "variance")}
            _step(group, parameter, changed(gradient, parameter, change), float(states["step"][i]), **mine)


def _step(
    group: dict[str, Any],
    p: np.ndarray,
    g: np.ndarray,
    step: float,
    row_var: np.ndarray,
    col_var: np.ndarray,
    variance: np.ndarray,
) -> None:
    if p.size == 0:
        return
    first, second = group["eps"]
    first = np.finfo(p.dtype).eps if first is None else first
    share = step ** group["beta2_decay"]
    rate = max(second, _rms(p)) * min(group["lr"], 1 / math.sqrt(step))
    if group["weight_decay"]:
        p *= 1 - group["lr"] * group["weight_decay"]
    update = g * g
    if p.ndim > 1:
        row_var += share * (update.mean(-1, keepdims=True) - row_var)
        col_var += share * (update.mean(-2, keepdims=True) - col_var)
        np.multiply(row_var / np.maximum(row_var.mean(-2, keepdims=True), first), col_var, out=update)
    else:
        variance += share * (update - variance)
        update = variance.copy()
    np.maximum(update, first * first, out=update)
    np.sqrt(update, out=update)
    np.divide(g, update, out=update)
    update *= rate / max(1.0, _rms(update) / group["d"])
    p -= update


def _rms(array: np.ndarray) -> float:
    return math.sqrt(power_sums([array])[0] / array.size)
