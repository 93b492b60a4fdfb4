"""Errors of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import number_arrays


def mse(prediction: Any, target: Any) -> float:
    """The mean squared error: Σ (prediction_i − target_i)² / N over all elements of two arrays of one shape.

    >>> import spinetail as st
    >>> st.evaluate.metrics.mse([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    predicted, true = number_arrays("mse", prediction, target)
    return float(np.mean((predicted - true) ** 2))


def rmse(prediction: Any, target: Any) -> float:
    """The root of the mean squared error; for shapes (N, D) the mean of the D columns' roots, as in scikit-learn.

    >>> import spinetail as st
    >>> st.evaluate.metrics.rmse([1.0, 2.0], [1.0, 4.0]) ** 2
    2.0000000000000004
    """
    predicted, true = number_arrays("rmse", prediction, target)
    return float(np.mean(np.sqrt(np.mean((predicted - true) ** 2, axis=0))))


def mae(prediction: Any, target: Any) -> float:
    """The mean absolute error: Σ |prediction_i − target_i| / N over all elements of two arrays of one shape.

    >>> import spinetail as st
    >>> st.evaluate.metrics.mae([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    predicted, true = number_arrays("mae", prediction, target)
    return float(np.mean(np.abs(predicted - true)))


def median_ae(prediction: Any, target: Any) -> float:
    """The median absolute error; for shapes (N, D) the mean of the D columns' medians.

    >>> import spinetail as st
    >>> st.evaluate.metrics.median_ae([1.0, 2.0, 9.0], [1.0, 4.0, 4.0])
    2.0
    """
    predicted, true = number_arrays("median_ae", prediction, target)
    return float(np.mean(np.median(np.abs(predicted - true), axis=0)))


def mape(prediction: Any, target: Any) -> float:
    """The mean absolute error relative to the target, as a fraction: Σ |prediction - target| / max(|target|, eps) / N.

    eps is float64's, so a target of 0 makes it huge, as in scikit-learn.

    >>> import spinetail as st
    >>> st.evaluate.metrics.mape([1.0, 3.0], [2.0, 4.0])
    0.375
    """
    predicted, true = number_arrays("mape", prediction, target)
    return float(np.mean(np.abs(predicted - true) / np.maximum(np.abs(true), np.finfo(np.float64).eps)))


def r2(prediction: Any, target: Any) -> float:
    """The share of the target's variance that is explained: 1 − Σ (target − prediction)² / Σ (target − mean)².

    Shapes: (N,), or (N, D) with the plain mean over the D columns. A constant target gives 1 when it is predicted
    exactly and 0 otherwise, as in scikit-learn. Raises: ValueError for unequal shapes, NaN, fewer than two samples.

    >>> import spinetail as st
    >>> st.evaluate.metrics.r2([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0])
    0.9486081370449679
    """
    predicted, true = number_arrays("r2", prediction, target)
    if len(true) < 2:
        raise ValueError(f"[r2] needs at least 2 samples, but there is {len(true)}")
    rest = np.sum((true - predicted) ** 2, axis=0)
    total = np.sum((true - true.mean(axis=0)) ** 2, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(total > 0, 1 - rest / total, np.where(rest == 0, 1.0, 0.0))
    return float(np.mean(values))
