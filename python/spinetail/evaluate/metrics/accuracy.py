"""Shares of right predictions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .checks import class_scores, label_arrays, to_array
from .confusion import tally


def accuracy(prediction: Any, target: Any) -> float:
    """The share of predictions that are right.

    Equation: Σ [prediction_i = target_i] / N. Shapes: prediction (N,) labels or (N, C) scores, target (N,).
    Raises: ValueError for unequal lengths, NaN or no samples; IndexError for a target outside 0..C-1.

    >>> import numpy as np
    >>> import spinetail as st
    >>> st.evaluate.metrics.accuracy(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]))
    0.75
    """
    predicted, true = label_arrays("accuracy", prediction, target)
    return float(np.mean(predicted == true))


def balanced_accuracy(prediction: Any, target: Any, adjusted: bool = False) -> float:
    """The mean over classes of the target of the share of their samples that were found (macro recall).

    `adjusted` subtracts what chance gives, 1/C, and scales so that 1 is perfect.

    >>> import spinetail as st
    >>> st.evaluate.metrics.balanced_accuracy([0, 1, 0, 0, 0, 1], [0, 1, 0, 0, 1, 0])
    0.625
    """
    return balance(tally("balanced_accuracy", prediction, target)[1], adjusted)


def balance(matrix: np.ndarray, adjusted: bool = False) -> float:
    """Balanced accuracy from a confusion matrix."""
    support = matrix.sum(axis=1)
    if not support.all():
        warnings.warn("[balanced_accuracy] there are predicted classes that the target lacks", stacklevel=3)
    shares = matrix.diagonal()[support > 0] / support[support > 0]
    score = float(np.mean(shares))
    if not adjusted:
        return score
    chance = 1 / len(shares)
    return (score - chance) / (1 - chance) if chance < 1 else float("nan")


def top_k(prediction: Any, target: Any, k: int = 5) -> float:
    """The share of samples whose class is among the `k` largest scores; of equal scores the lower class wins.

    Shapes: prediction (N, C) scores, target (N,) classes in 0..C-1.
    Raises: ValueError for shapes that do not fit, NaN, or `k` outside 1..C; IndexError for a class outside 0..C-1.

    >>> import spinetail as st
    >>> st.evaluate.metrics.top_k([[0.1, 0.5, 0.4], [0.7, 0.2, 0.1]], [2, 2], k=2)
    0.5
    """
    scores, true = to_array(prediction), to_array(target)
    if scores.ndim != 2:
        raise ValueError(f"[top_k] prediction must be scores of shape (N, C), but it has shape {scores.shape}")
    if not isinstance(k, int | np.integer) or not 1 <= k <= scores.shape[1]:
        raise ValueError(f"[top_k] k must be between 1 and {scores.shape[1]} (the number of classes), but it is {k!r}")
    class_scores("top_k", scores, true)
    own = scores[np.arange(len(true)), true.astype(np.intp)][:, None]
    earlier = np.arange(scores.shape[1]) < true[:, None]
    rank = np.sum((scores > own) | ((scores == own) & earlier), axis=1)
    return float(np.mean(rank < k))
