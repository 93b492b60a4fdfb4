"""Precision, recall and F1, averaged over classes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .checks import check_finite, to_array
from .confusion import chosen, tally


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
    the target), "samples" (mean over samples) or None (an array, one value for each class in order). A class that was
    never predicted has the value `zero_division`: "warn" (0, with a warning), 0, 1 or NaN (left out of averages).

    Samples may have several labels: then both arrays have shape (N, L) and hold 0 and 1.

    Raises: ValueError for unequal lengths, NaN, no samples, more than two classes with "binary".

    >>> import spinetail as st
    >>> st.evaluate.metrics.precision([1, 1, 0, 1], [1, 0, 0, 1])
    0.6666666666666666
    """
    return averaged("precision", prediction, target, average, labels, pos_label, zero_division)


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
    return averaged("recall", prediction, target, average, labels, pos_label, zero_division)


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
    return averaged("f1", prediction, target, average, labels, pos_label, zero_division)


def averaged(
    name: str, prediction: Any, target: Any, average: str | None, labels: Any, pos_label: Any, zero_division: Any
) -> float | np.ndarray:
    """One of the three, from predictions."""
    if average not in ("binary", "micro", "macro", "weighted", "samples", None):
        options = "'binary', 'micro', 'macro', 'weighted', 'samples' or None"
        raise ValueError(f"[{name}] average must be {options}, but it is {average!r}")
    if to_array(target).ndim == 2:
        counts = _indicators(name, to_array(prediction), to_array(target), average, labels)
    else:
        counts = per_class(name, *tally(name, prediction, target), average, labels, pos_label)
    return ratio(name, counts, average, zero_division)


def per_class(
    name: str, classes: np.ndarray, matrix: np.ndarray, average: str | None, labels: Any, pos_label: Any
) -> tuple[np.ndarray, ...]:
    """For each class: how many are predicted right, how many predicted, how many true."""
    if average == "samples":
        raise ValueError(f"[{name}] average='samples' is for several labels a sample: a target of shape (N, L)")
    if average == "binary":
        if len(classes) > 2:
            raise ValueError(
                f"[{name}] average='binary' is for two classes, but there are {len(classes)}: "
                "choose average='micro', 'macro', 'weighted' or None"
            )
        if pos_label not in classes and len(classes) == 2:
            raise ValueError(f"[{name}] pos_label={pos_label!r} is not one of the classes {classes.tolist()}")
        labels = [pos_label]
    _, places, there = chosen(name, classes, labels)
    counts = (matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1))
    found = tuple(np.where(there, count[places], 0).astype(np.float64) for count in counts)
    return tuple(count.sum(keepdims=True) for count in found) if average == "micro" else found


def _indicators(
    name: str, predicted: np.ndarray, true: np.ndarray, average: str | None, labels: Any
) -> tuple[np.ndarray, ...]:
    """The same of several labels a sample, given as 0 and 1; for each sample with average='samples'."""
    if predicted.shape != true.shape or not true.size:
        raise ValueError(f"[{name}] prediction has shape {predicted.shape}, but target has shape {true.shape}")
    for what, array in (("prediction", predicted), ("target", true)):
        check_finite(name, what, array)
        if array.dtype.kind in "US" or not np.isin(array, (0, 1)).all():
            raise ValueError(f"[{name}] {what} of shape (N, L) must hold 0 and 1, one column a label")
    if average == "binary":
        raise ValueError(f"[{name}] average='binary' is for one label a sample: choose another average")
    predicted, true = predicted.astype(np.float64), true.astype(np.float64)
    if labels is not None:
        predicted, true = predicted[:, labels], true[:, labels]
    axis = {"micro": None, "samples": 1}.get(average or "", 0)
    return tuple(np.atleast_1d(value.sum(axis=axis)) for value in (predicted * true, predicted, true))


def ratio(
    name: str, counts: tuple[np.ndarray, ...], average: str | None, zero_division: float | str
) -> float | np.ndarray:
    """Precision, recall or F1 of each class, and their average."""
    right, predicted, true = counts
    top, bottom, why = {
        "precision": (right, predicted, "no predicted samples"),
        "recall": (right, true, "no true samples"),
        "f1": (2 * right, predicted + true, "no true nor predicted samples"),
    }[name]
    return _average(_divide(name, top, bottom, zero_division, why), true, average)


def _divide(name: str, top: np.ndarray, bottom: np.ndarray, zero_division: float | str, why: str) -> np.ndarray:
    if zero_division != "warn" and (isinstance(zero_division, str) or zero_division not in (0, 1)):
        if isinstance(zero_division, str) or not np.isnan(zero_division):
            raise ValueError(f"[{name}] zero_division must be 'warn', 0, 1 or NaN, but it is {zero_division!r}")
    empty = bottom == 0
    values = top / np.where(empty, 1, bottom)
    if empty.any():
        values[empty] = 0 if zero_division == "warn" else zero_division
        if zero_division == "warn":
            warnings.warn(f"[{name}] set to 0 for classes with {why}; zero_division= says what it is", stacklevel=5)
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
