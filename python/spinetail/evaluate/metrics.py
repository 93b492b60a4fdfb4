"""Metrics of predictions: accuracy, precision, recall, F1, confusion, ROC AUC, MSE, MAE, R².

Every metric takes `(prediction, target)`, the order of the losses, as ndarrays, Tensors or sequences, and computes in
float64. A prediction of classes is either labels of shape (N,) or scores of shape (N, C), of which the largest counts.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..autograd import Tensor

__all__ = ["accuracy", "confusion", "f1", "mae", "mse", "precision", "r2", "recall", "roc_auc", "top_k"]


def accuracy(prediction: Any, target: Any) -> float:
    """The share of predictions that are right.

    Equation: Σ [prediction_i = target_i] / N. Shapes: prediction (N,) labels or (N, C) scores, target (N,).
    Raises: ValueError for unequal lengths, NaN or no samples; IndexError for a target outside 0..C-1.

    >>> import numpy as np
    >>> import spinetail as st
    >>> st.evaluate.metrics.accuracy(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]))
    0.75
    """
    predicted, true = _labels("accuracy", prediction, target)
    return float(np.mean(predicted == true))


def top_k(prediction: Any, target: Any, k: int = 5) -> float:
    """The share of samples whose class is among the `k` largest scores; of equal scores the lower class wins.

    Shapes: prediction (N, C) scores, target (N,) classes in 0..C-1.
    Raises: ValueError for shapes that do not fit, NaN, or `k` outside 1..C; IndexError for a class outside 0..C-1.

    >>> import spinetail as st
    >>> st.evaluate.metrics.top_k([[0.1, 0.5, 0.4], [0.7, 0.2, 0.1]], [2, 2], k=2)
    0.5
    """
    scores, true = _array(prediction), _array(target)
    if scores.ndim != 2:
        raise ValueError(f"[top_k] prediction must be scores of shape (N, C), but it has shape {scores.shape}")
    if not isinstance(k, int | np.integer) or not 1 <= k <= scores.shape[1]:
        raise ValueError(f"[top_k] k must be between 1 and {scores.shape[1]} (the number of classes), but it is {k!r}")
    _argmax("top_k", scores, true)
    own = scores[np.arange(len(true)), true.astype(np.intp)][:, None]
    earlier = np.arange(scores.shape[1]) < true[:, None]
    rank = np.sum((scores > own) | ((scores == own) & earlier), axis=1)
    return float(np.mean(rank < k))


def precision(
    prediction: Any,
    target: Any,
    average: str | None = "binary",
    *,
    labels: Any = None,
    pos_label: Any = 1,
    zero_division: float | str = "warn",
) -> float | np.ndarray:
    """Of the samples predicted to be of a class, the share that are: TP / (TP + FP).

    Arguments and results are scikit-learn's: `average` is "binary" (the class `pos_label` only), "micro" (all classes
    counted together), "macro" (plain mean over classes), "weighted" (mean weighted by how often each class occurs in
    the target) or None (an array, one value for each class in order). A class that was never predicted has the value
    `zero_division`: "warn" (0, with a warning), 0, 1 or NaN (left out of averages).

    Raises: ValueError for unequal lengths, NaN, no samples, more than two classes with "binary".

    >>> import spinetail as st
    >>> st.evaluate.metrics.precision([1, 1, 0, 1], [1, 0, 0, 1])
    0.6666666666666666
    """
    right, predicted, true = _counts("precision", prediction, target, average, labels, pos_label)
    values = _divide("precision", right, predicted, zero_division, "no predicted samples")
    return _average(values, true, average)


def recall(
    prediction: Any,
    target: Any,
    average: str | None = "binary",
    *,
    labels: Any = None,
    pos_label: Any = 1,
    zero_division: float | str = "warn",
) -> float | np.ndarray:
    """Of the samples of a class, the share that were found: TP / (TP + FN). Arguments as in `precision`.

    >>> import spinetail as st
    >>> st.evaluate.metrics.recall([1, 1, 0, 0], [1, 1, 1, 0], average=None).round(4).tolist()
    [1.0, 0.6667]
    """
    right, _, true = _counts("recall", prediction, target, average, labels, pos_label)
    return _average(_divide("recall", right, true, zero_division, "no true samples"), true, average)


def f1(
    prediction: Any,
    target: Any,
    average: str | None = "binary",
    *,
    labels: Any = None,
    pos_label: Any = 1,
    zero_division: float | str = "warn",
) -> float | np.ndarray:
    """The harmonic mean of precision and recall: 2·TP / (2·TP + FP + FN). Arguments as in `precision`.

    >>> import spinetail as st
    >>> st.evaluate.metrics.f1([0, 1, 2, 2], [0, 1, 1, 2], average="macro")
    0.7777777777777777
    """
    right, predicted, true = _counts("f1", prediction, target, average, labels, pos_label)
    values = _divide("f1", 2 * right, predicted + true, zero_division, "no true nor predicted samples")
    return _average(values, true, average)


def confusion(prediction: Any, target: Any, labels: Any = None) -> np.ndarray:
    """The confusion matrix: entry (i, j) counts the samples of class i that were predicted as class j (int64).

    Classes are those of `labels`, or all that occur, in ascending order.

    >>> import spinetail as st
    >>> st.evaluate.metrics.confusion([0, 1, 1], [0, 0, 1]).tolist()
    [[1, 1], [0, 1]]
    """
    predicted, true = _labels("confusion", prediction, target)
    classes = np.union1d(predicted, true) if labels is None else np.asarray(labels)
    if classes.ndim != 1 or len(np.unique(classes)) != len(classes) or not len(classes):
        raise ValueError("[confusion] labels must be a list of one or more different classes")
    order = np.argsort(classes, kind="stable")
    ranked = classes[order]
    rows, columns = np.searchsorted(ranked, true), np.searchsorted(ranked, predicted)
    last = len(ranked) - 1
    known = (ranked[np.minimum(rows, last)] == true) & (ranked[np.minimum(columns, last)] == predicted)
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (order[rows[known]], order[columns[known]]), 1)
    return counts


def roc_auc(prediction: Any, target: Any, average: str | None = "macro") -> float | np.ndarray:
    """The area under the ROC curve: the chance that a sample of the class scores above one that is not; ties count ½.

    Shapes: prediction (N,) scores of the class 1 of a target of two classes (the greater one); or (N, C) scores and a
    target in 0..C-1: then one class against the rest, averaged "macro", "weighted", or None (one value for each class).
    Raises: ValueError for shapes that do not fit, NaN, or a target that lacks one of the classes.

    >>> import spinetail as st
    >>> st.evaluate.metrics.roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    scores, true = _array(prediction), _array(target)
    _same("roc_auc", scores, true)
    _finite("roc_auc", "target", true)
    _finite("roc_auc", "prediction", scores)
    if scores.ndim == 1:
        classes = np.unique(true)
        if len(classes) != 2:
            raise ValueError(f"[roc_auc] scores of shape (N,) need a target of two classes, but it has {len(classes)}")
        return _area(scores, true == classes[1])
    if average not in ("macro", "weighted", None):
        raise ValueError(f"[roc_auc] average must be 'macro', 'weighted' or None, but it is {average!r}")
    _argmax("roc_auc", scores, true)
    counts = np.bincount(true.astype(np.intp), minlength=scores.shape[1])
    if (counts == 0).any() or len(counts) < 2:
        raise ValueError(f"[roc_auc] the target has no sample of class {int(np.argmin(counts))}")
    values = np.array([_area(scores[:, c], true == c) for c in range(scores.shape[1])])
    return values if average is None else float(np.average(values, weights=counts if average == "weighted" else None))


def mse(prediction: Any, target: Any) -> float:
    """The mean squared error: Σ (prediction_i − target_i)² / N over all elements of two arrays of one shape.

    >>> import spinetail as st
    >>> st.evaluate.metrics.mse([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    predicted, true = _numbers("mse", prediction, target)
    return float(np.mean((predicted - true) ** 2))


def mae(prediction: Any, target: Any) -> float:
    """The mean absolute error: Σ |prediction_i − target_i| / N over all elements of two arrays of one shape.

    >>> import spinetail as st
    >>> st.evaluate.metrics.mae([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    predicted, true = _numbers("mae", prediction, target)
    return float(np.mean(np.abs(predicted - true)))


def r2(prediction: Any, target: Any) -> float:
    """The share of the target's variance that is explained: 1 − Σ (target − prediction)² / Σ (target − mean)².

    Shapes: (N,), or (N, D) with the plain mean over the D columns. A constant target gives 1 when it is predicted
    exactly and 0 otherwise, as in scikit-learn. Raises: ValueError for unequal shapes, NaN, fewer than two samples.

    >>> import spinetail as st
    >>> st.evaluate.metrics.r2([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0])
    0.9486081370449679
    """
    predicted, true = _numbers("r2", prediction, target)
    if len(true) < 2:
        raise ValueError(f"[r2] needs at least 2 samples, but there is {len(true)}")
    rest = np.sum((true - predicted) ** 2, axis=0)
    total = np.sum((true - true.mean(axis=0)) ** 2, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(total > 0, 1 - rest / total, np.where(rest == 0, 1.0, 0.0))
    return float(np.mean(values))


def _array(value: Any) -> np.ndarray:
    return value._array if isinstance(value, Tensor) else np.asarray(value)


def _same(name: str, prediction: np.ndarray, target: np.ndarray) -> None:
    if target.ndim != 1:
        raise ValueError(f"[{name}] target must be labels of shape (N,), but it has shape {target.shape}")
    if prediction.ndim not in (1, 2):
        raise ValueError(f"[{name}] prediction must have shape (N,) or (N, C), but it has shape {prediction.shape}")
    if len(prediction) != len(target):
        raise ValueError(f"[{name}] prediction has {len(prediction)} samples, but target has {len(target)}")
    if not len(target):
        raise ValueError(f"[{name}] there are no samples")


def _finite(name: str, what: str, array: np.ndarray) -> None:
    if array.dtype.kind in "OcmM":
        raise TypeError(f"[{name}] {what} must hold numbers or strings, but its dtype is {array.dtype}")
    if array.dtype.kind not in "biuUS":
        bad = np.flatnonzero(~np.isfinite(array.reshape(-1).astype(np.float64)))
        if len(bad):
            value = array.reshape(-1)[bad[0]]
            raise ValueError(f"[{name}] {what} has {len(bad)} values that are not finite (the first is {value})")


def _argmax(name: str, scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The class of each row of scores, after checking that the target's classes are among them."""
    _same(name, scores, target)
    _finite(name, "target", target)
    _finite(name, "prediction", scores)
    classes = scores.shape[1]
    if target.dtype.kind in "US" or (target.dtype.kind == "f" and (target != np.rint(target)).any()):
        raise ValueError(f"[{name}] target must be whole numbers in 0..{classes - 1} when prediction holds scores")
    low, high = target.min(), target.max()
    if low < 0 or high >= classes:
        worst = low if low < 0 else high
        raise IndexError(f"[{name}] target has class {int(worst)}, but prediction has scores for 0..{classes - 1}")
    best: np.ndarray = np.argmax(scores, axis=1)
    return best


def _labels(name: str, prediction: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as labels of shape (N,)."""
    predicted, true = _array(prediction), _array(target)
    _same(name, predicted, true)
    if predicted.ndim == 2:
        return _argmax(name, predicted, true), true
    for what, array in (("target", true), ("prediction", predicted)):
        _finite(name, what, array)
        if array.dtype.kind not in "biuUS" and (array != np.rint(array)).any():
            raise ValueError(
                f"[{name}] {what} must hold class labels, but it has fractional values (scores are (N, C))"
            )
    if (predicted.dtype.kind in "US") != (true.dtype.kind in "US"):
        raise TypeError(
            f"[{name}] labels of prediction ({predicted.dtype}) and target ({true.dtype}) cannot be compared"
        )
    return predicted, true


def _numbers(name: str, prediction: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as finite float64 arrays of one shape."""
    predicted, true = _array(prediction), _array(target)
    if predicted.shape != true.shape:
        raise ValueError(f"[{name}] prediction has shape {predicted.shape}, but target has shape {true.shape}")
    if not true.size:
        raise ValueError(f"[{name}] there are no samples")
    for what, array in (("prediction", predicted), ("target", true)):
        if array.dtype.kind in "US":
            raise TypeError(f"[{name}] {what} must hold numbers, but its dtype is {array.dtype}")
        _finite(name, what, array)
    return predicted.astype(np.float64), true.astype(np.float64)


def _counts(
    name: str, prediction: Any, target: Any, average: str | None, labels: Any, pos_label: Any
) -> tuple[np.ndarray, ...]:
    """For each class: how many are predicted right, how many predicted, how many true."""
    if average not in ("binary", "micro", "macro", "weighted", None):
        options = "'binary', 'micro', 'macro', 'weighted' or None"
        raise ValueError(f"[{name}] average must be {options}, but it is {average!r}")
    predicted, true = _labels(name, prediction, target)
    present = np.union1d(predicted, true)
    if average == "binary":
        if len(present) > 2:
            raise ValueError(
                f"[{name}] average='binary' is for two classes, but there are {len(present)}: "
                "choose average='micro', 'macro', 'weighted' or None"
            )
        if pos_label not in present and len(present) == 2:
            raise ValueError(f"[{name}] pos_label={pos_label!r} is not one of the classes {present.tolist()}")
        classes = np.asarray([pos_label])
    else:
        classes = present if labels is None else np.asarray(labels)
    hit = predicted == true
    right = np.array([np.sum(hit & (true == c)) for c in classes], np.float64)
    found = np.array([np.sum(predicted == c) for c in classes], np.float64)
    wanted = np.array([np.sum(true == c) for c in classes], np.float64)
    if average == "micro":
        return right.sum(keepdims=True), found.sum(keepdims=True), wanted.sum(keepdims=True)
    return right, found, wanted


def _divide(name: str, top: np.ndarray, bottom: np.ndarray, zero_division: float | str, why: str) -> np.ndarray:
    if zero_division != "warn" and (isinstance(zero_division, str) or zero_division not in (0, 1)):
        if isinstance(zero_division, str) or not np.isnan(zero_division):
            raise ValueError(f"[{name}] zero_division must be 'warn', 0, 1 or NaN, but it is {zero_division!r}")
    empty = bottom == 0
    values = top / np.where(empty, 1, bottom)
    if empty.any():
        values[empty] = 0 if zero_division == "warn" else zero_division
        if zero_division == "warn":
            warnings.warn(f"[{name}] set to 0 for classes with {why}; zero_division= says what it is", stacklevel=3)
    return values


def _average(values: np.ndarray, true: np.ndarray, average: str | None) -> float | np.ndarray:
    if average is None:
        return values
    known = ~np.isnan(values)
    if not known.any():
        return float("nan")
    if average == "weighted":
        weights = true[known]
        return float(np.average(values[known], weights=weights) if weights.sum() else np.average(values[known]))
    return float(np.mean(values[known]))


def _area(scores: np.ndarray, positive: np.ndarray) -> float:
    """ROC AUC through the rank sum, equal scores sharing their mean rank."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse.reshape(-1)]
    yes = int(positive.sum())
    no = len(positive) - yes
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * no))
