"""Muon."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import numpy as np

from ..ops.gemm import matmul
from ..ops.optimizer import power_sums
from . import checks
from .change import changed
from .optimizer import FusedOptions, Optimizer


class Muon(Optimizer):
    r"""Momentum whose steps are made orthogonal: all directions of a weight matrix move alike.

    b ← μb + (1-μ)g;  u = (1-μ)g + μb with `nesterov`, otherwise b;  p ← p·(1 - lr·weight_decay) - lr·s·orthogonal(u).
    orthogonal(u) is near the U·Vᵀ of u = U·S·Vᵀ, by `ns_steps` Newton-Schulz iterations X ← aX + (bA + cA²)X, A = XXᵀ,
    from u/‖u‖, in the dtype of the parameter. s is √max(1, rows/columns) ("original", None), or 0.2·√max(rows, columns)
    ("match_rms_adamw"), with which rates and decays of AdamW can be kept.

    `params` are float32 or float64 matrices (tensors or arrays), or dicts that make groups: biases, embeddings and the
    last layer are better left to AdamW.

    Raises: ValueError for a parameter that is no matrix, a negative option, an unknown adjust_lr_fn.

    Source: Jordan et al., Muon: An optimizer for hidden layers in neural networks (2024); scaling: Liu et al., Muon is
    Scalable for LLM Training (2025).

    >>> import numpy as np
    >>> import spinetail as st
    >>> w = np.zeros((2, 2))
    >>> st.optim.Muon([w], lr=1.0).step([np.array([[30.0, 0.0], [0.0, 1.0]])])
    >>> bool(-w[0, 0] < 1.3 and -w[1, 1] > 0.6)
    True
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        **fused_options: Unpack[FusedOptions],
    ) -> None:
        checks.number("learning rate", lr)
        checks.number("momentum value", momentum)
        checks.number("weight_decay value", weight_decay)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        if not 0 <= ns_steps < 100:
            raise ValueError(f"Invalid ns_steps value: {ns_steps} (expected 0 to 99)")
        if len(ns_coefficients) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults, **fused_options)

    def _check_parameter(self, parameter: Any, where: str) -> None:
        super()._check_parameter(parameter, where)
        if parameter.ndim != 2:
            raise ValueError(f"[Muon] {where}: only supports 2D parameters, but got shape {tuple(parameter.shape)}")

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",)

    def _update(
        self,
        group: dict[str, Any],
        arrays: list[Any],
        states: dict[str, list[Any]],
        gradients: Sequence[Any],
        fresh: bool,
    ) -> None:
        momentum, lr = group["momentum"], group["lr"]
        change = self._change(group, decay=False)
        for p, buffer, gradient in zip(arrays, states["momentum_buffer"], gradients, strict=True):
            if p.size == 0:
                continue
            g = changed(gradient, p, change)
            buffer += (1 - momentum) * (g - buffer)
            update = g + momentum * (buffer - g) if group["nesterov"] else buffer
            p *= 1 - lr * group["weight_decay"]
            step = orthogonalize(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
            p -= lr * _ratio(group["adjust_lr_fn"], *p.shape) * step


def orthogonalize(matrix: np.ndarray, coefficients: tuple[float, float, float], steps: int, eps: float) -> np.ndarray:
    """Newton-Schulz iterations of a quintic, with the shorter side as rows: singular values go to about 1."""
    a, b, c = coefficients
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / max(math.sqrt(power_sums([matrix])[0]), eps)
    for _ in range(steps):
        square = matmul(x, x.T)
        x = a * x + matmul(b * square + c * matmul(square, square), x)
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def _ratio(kind: str | None, rows: int, columns: int) -> float:
    if kind == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1, rows / columns))
