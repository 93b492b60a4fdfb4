"""Norms of gradients, and what makes them smaller."""

from __future__ import annotations

import numpy as np

from ..._native import kernels
from .run import Arrays, check_arrays, plain, run


def power_sums(gradients: Arrays, order: float = 2.0) -> np.ndarray:
    """Σ|g|^order of each array, or max|g| for `order` = inf, as float64; sums are made in float64.

    >>> import numpy as np
    >>> power_sums([np.array([3.0, -4.0]), np.array([1.0])])
    array([25.,  1.])
    """
    if not order > 0:
        raise ValueError(f"[power_sums] expected order > 0, got {order}")
    totals = np.empty(len(gradients))
    check_arrays("power_sums", gradients)
    kernels.optimizer_power_sums(totals, tuple([plain(g) for g in gradients]), order)
    return totals


def scale(gradients: list[np.ndarray], factor: float) -> None:
    """g *= factor, in place."""
    run("scale", kernels.optimizer_scale, (gradients,), (), (factor,))


def clamp(gradients: list[np.ndarray], low: float, high: float) -> None:
    """g = min(max(g, low), high), in place; NaN stays."""
    run("clamp", kernels.optimizer_clamp, (gradients,), (), (low, high))
