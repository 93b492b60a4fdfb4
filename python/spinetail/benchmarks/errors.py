"""Errors against float64, each on the scale that its kind of function has."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def ulps(output: Array, exact: Array) -> float:
    """The largest error in units of the last place of the exact value."""
    place = np.spacing(np.maximum(np.abs(exact), np.finfo(output.dtype).tiny).astype(output.dtype)).astype(np.float64)
    return _largest(np.abs(output - exact) / place)


def relative(output: Array, exact: Array) -> float:
    """The largest error over the largest magnitude."""
    return _largest(np.abs(output.astype(np.float64) - exact)) / max(float(np.abs(exact).max()), 1e-300)


def product(output: Array, a: Array, b: Array, epsilon: float | None = None) -> float:
    """The largest error of the first rows of a·b, over eps·Σ|a·b|."""
    wide = np.float64 if a.dtype.itemsize < 8 else np.longdouble
    a, b = a[..., :8, :].astype(wide), b.astype(wide)
    columns = slice(None) if wide is np.float64 else slice(0, 64)
    exact, scale = a @ b[..., columns], np.abs(a) @ np.abs(b[..., columns])
    epsilon = epsilon or float(np.finfo(output.dtype).eps)
    return _largest(np.abs(output[..., :8, columns] - exact) / scale) / epsilon


def _largest(errors: Array) -> float:
    return float(errors.max()) if errors.size else 0.0
