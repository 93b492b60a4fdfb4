"""Agreement beyond chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from .confusion import arranged, tally


def cohen_kappa(prediction: Any, target: Any, labels: Any = None, weights: str | None = None) -> float:
    """Cohen's kappa: 1 - Σ w·observed / Σ w·expected, where expected has the rows' and columns' sums alone.

    w is 1 off the diagonal; with `weights` "linear" or "quadratic" it is the distance of the classes in their order, or
    its square. 1 is perfect, 0 chance; NaN where both have one class only.

    >>> import spinetail as st
    >>> st.evaluate.metrics.cohen_kappa([0, 1, 0, 2, 1], [0, 1, 0, 2, 0])
    0.6875
    """
    return kappa(arranged("cohen_kappa", *tally("cohen_kappa", prediction, target), labels), weights)


def kappa(matrix: np.ndarray, weights: str | None = None) -> float:
    """Cohen's kappa from a confusion matrix."""
    if weights not in (None, "linear", "quadratic"):
        raise ValueError(f"[cohen_kappa] weights must be None, 'linear' or 'quadratic', but it is {weights!r}")
    count = len(matrix)
    distance = np.abs(np.subtract.outer(np.arange(count), np.arange(count))).astype(np.float64)
    weight = {None: distance > 0, "linear": distance, "quadratic": distance**2}[weights]
    total = matrix.sum()
    expected = np.outer(matrix.sum(axis=0), matrix.sum(axis=1)) / total if total else matrix
    chance = float(np.sum(weight * expected))
    return 1 - float(np.sum(weight * matrix)) / chance if chance else float("nan")


def matthews(prediction: Any, target: Any) -> float:
    """Matthews' correlation of predicted and true classes, for any number of them: 1 perfect, 0 chance.

    0 where either has one class only. Source: Gorodkin, Comparing two K-category assignments (2004).

    >>> import spinetail as st
    >>> round(st.evaluate.metrics.matthews([1, 0, 1, 1], [1, 1, 1, 0]), 4)
    -0.3333
    """
    return correlation(tally("matthews", prediction, target)[1])


def correlation(matrix: np.ndarray) -> float:
    """Matthews' correlation from a confusion matrix."""
    counts = matrix.astype(np.float64)
    true, predicted, total = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    spread = (total**2 - predicted @ predicted) * (total**2 - true @ true)
    return float((np.trace(counts) * total - true @ predicted) / np.sqrt(spread)) if spread else 0.0
