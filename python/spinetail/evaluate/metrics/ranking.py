"""Areas under curves of scores."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from .checks import check_finite, check_same, class_scores, to_array


def roc_auc(
    prediction: Any, target: Any, average: str | None = "macro", multi_class: str = "ovr"
) -> float | np.ndarray:
    """The area under the ROC curve: the chance that a sample of the class scores above one that is not; ties count ½.

    Shapes: prediction (N,) scores of the class 1 of a target of two classes (the greater one); or (N, C) scores and a
    target in 0..C-1. `multi_class` "ovr" takes each class against the rest, averaged "macro", "weighted", "micro" or
    None (one value for each class), "ovo" each pair of classes, averaged "macro" or "weighted".
    Raises: ValueError for shapes that do not fit, NaN, or a target that lacks one of the classes.

    >>> import spinetail as st
    >>> st.evaluate.metrics.roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    if multi_class not in ("ovr", "ovo"):
        raise ValueError(f"[roc_auc] multi_class must be 'ovr' or 'ovo', but it is {multi_class!r}")
    if multi_class == "ovr" or to_array(prediction).ndim == 1:
        return _each("roc_auc", _area, prediction, target, average)
    if average not in ("macro", "weighted"):
        raise ValueError(f"[roc_auc] average must be 'macro' or 'weighted' with 'ovo', but it is {average!r}")
    scores, true = to_array(prediction), to_array(target)
    counts = _class_counts("roc_auc", scores, true)
    values, weights = [], []
    for a, b in combinations(range(len(counts)), 2):
        rows = (true == a) | (true == b)
        areas = [_area(scores[rows, c], true[rows] == c) for c in (a, b)]
        values.append(sum(areas) / 2)
        weights.append(int(rows.sum()))
    return float(np.average(values, weights=weights if average == "weighted" else None))


def average_precision(prediction: Any, target: Any, average: str | None = "macro") -> float | np.ndarray:
    """The area under the steps of the precision-recall curve: Σ (recall_n - recall_{n-1}) · precision_n.

    Shapes, `average` and errors are those of `roc_auc` with "ovr".

    >>> import spinetail as st
    >>> round(st.evaluate.metrics.average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 4)
    0.8333
    """
    return _each("average_precision", _steps, prediction, target, average)


def _each(
    name: str, area: Callable[..., float], prediction: Any, target: Any, average: str | None
) -> float | np.ndarray:
    """The area of two classes, or of each class against the rest."""
    scores, true = to_array(prediction), to_array(target)
    if scores.ndim == 1:
        check_same(name, scores, true)
        check_finite(name, "target", true)
        check_finite(name, "prediction", scores)
        classes = np.unique(true)
        if len(classes) != 2:
            raise ValueError(f"[{name}] scores of shape (N,) need a target of two classes, but it has {len(classes)}")
        return area(scores, true == classes[1])
    if average not in ("macro", "weighted", "micro", None):
        raise ValueError(f"[{name}] average must be 'macro', 'weighted', 'micro' or None, but it is {average!r}")
    counts = _class_counts(name, scores, true)
    if average == "micro":
        return area(scores.reshape(-1), (true[:, None] == np.arange(scores.shape[1])).reshape(-1))
    values = np.array([area(scores[:, c], true == c) for c in range(scores.shape[1])])
    return values if average is None else float(np.average(values, weights=counts if average == "weighted" else None))


def _class_counts(name: str, scores: np.ndarray, true: np.ndarray) -> np.ndarray:
    class_scores(name, scores, true)
    counts = np.bincount(true.astype(np.intp), minlength=scores.shape[1])
    if (counts == 0).any() or len(counts) < 2:
        raise ValueError(f"[{name}] the target has no sample of class {int(np.argmin(counts))}")
    return counts


def _area(scores: np.ndarray, positive: np.ndarray) -> float:
    """ROC AUC through the rank sum, equal scores sharing their mean rank."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse.reshape(-1)]
    yes = int(positive.sum())
    no = len(positive) - yes
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * no))


def _steps(scores: np.ndarray, positive: np.ndarray) -> float:
    """Average precision; equal scores are one step."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    right = np.cumsum(positive[order])[ends].astype(np.float64)
    return float(np.sum(np.diff(right, prepend=0.0) * right / (ends + 1)) / right[-1])
