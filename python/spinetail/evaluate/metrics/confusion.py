"""The confusion matrix, and what follows from it alone."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .checks import label_arrays


def tally(name: str, prediction: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """All classes that occur, in order, and how often each (row) was predicted as each (column)."""
    predicted, true = label_arrays(name, prediction, target)
    classes = np.union1d(predicted, true)
    rows, columns = np.searchsorted(classes, true), np.searchsorted(classes, predicted)
    count = len(classes)
    return classes, np.bincount(rows * count + columns, minlength=count * count).reshape(count, count)


def chosen(name: str, classes: np.ndarray, labels: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels asked for (None: all classes), their places among the classes, and which of them occur."""
    wanted = classes if labels is None else np.asarray(labels)
    if wanted.ndim != 1 or len(np.unique(wanted)) != len(wanted) or not len(wanted):
        raise ValueError(f"[{name}] labels must be a list of one or more different classes")
    places = np.minimum(np.searchsorted(classes, wanted), len(classes) - 1)
    return wanted, places, classes[places] == wanted


def confusion(prediction: Any, target: Any, labels: Any = None, normalize: str | None = None) -> np.ndarray:
    """The confusion matrix: entry (i, j) counts the samples of class i that were predicted as class j (int64).

    Classes are those of `labels`, or all that occur, in ascending order. `normalize` divides by the sum of the row
    ("true"), of the column ("pred") or of all ("all"); what is divided by 0 is 0.

    >>> import spinetail as st
    >>> st.evaluate.metrics.confusion([0, 1, 1], [0, 0, 1]).tolist()
    [[1, 1], [0, 1]]
    """
    return arranged("confusion", *tally("confusion", prediction, target), labels, normalize)


def arranged(
    name: str, classes: np.ndarray, matrix: np.ndarray, labels: Any = None, normalize: str | None = None
) -> np.ndarray:
    """A matrix of all classes, reduced to the labels asked for, and normalised."""
    if normalize not in ("true", "pred", "all", None):
        raise ValueError(f"[{name}] normalize must be 'true', 'pred', 'all' or None, but it is {normalize!r}")
    _, places, there = chosen(name, classes, labels)
    counts = np.where(there[:, None] & there, matrix[np.ix_(places, places)], 0)
    if normalize is None:
        return counts
    total = counts.sum(axis={"true": 1, "pred": 0, "all": None}[normalize], keepdims=True)
    return counts / np.where(total == 0, 1, total)


def plot_confusion(
    matrix: Any, labels: Any = None, path: str | os.PathLike | None = None, *, title: str = "", figure: Any = None
) -> Any:
    """Draw a confusion matrix, counts or shares; returns the matplotlib figure, which `path` saves.

    Raises: ImportError without matplotlib; ValueError for a matrix that is not square, or labels of another number.
    """
    values = np.asarray(matrix)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise ValueError(f"[plot_confusion] the matrix must be square, but it has shape {values.shape}")
    names = [str(label) for label in (range(len(values)) if labels is None else labels)]
    if len(names) != len(values):
        raise ValueError(f"[plot_confusion] there are {len(names)} labels for {len(values)} classes")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("[plot_confusion] a plot needs matplotlib: pip install matplotlib") from None
    side = 2.0 + 0.42 * len(values)
    figure = Figure(figsize=(side, side), layout="constrained") if figure is None else figure
    axis = figure.subplots()
    share = values / np.maximum(values.sum(axis=1, keepdims=True), 1e-300)  # rows decide about colours
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    whole = values.dtype.kind in "iu"
    for (i, j), value in np.ndenumerate(values):
        if value:
            colour = "white" if share[i, j] > 0.5 else "black"
            axis.text(j, i, str(value) if whole else f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
    axis.set(xticks=range(len(names)), yticks=range(len(names)), xlabel="predicted", ylabel="true", title=title)
    axis.set_xticklabels(names, rotation=90 if max(map(len, names)) > 3 else 0)
    axis.set_yticklabels(names)
    if path is not None:
        figure.savefig(path)
    return figure
