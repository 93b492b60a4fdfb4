"""How probable the targets are under the predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import check_finite, check_same, class_scores, to_array


def log_loss(prediction: Any, target: Any) -> float:
    """The mean of -log p of the true class.

    Shapes: prediction (N, C) probabilities and target in 0..C-1; or (N,) probabilities of the greater of two classes.
    As in scikit-learn probabilities are kept away from 0 and 1 by the eps of their dtype.
    Raises: ValueError for shapes that do not fit, NaN, or numbers outside [0, 1].

    >>> import spinetail as st
    >>> round(st.evaluate.metrics.log_loss([[0.9, 0.1], [0.2, 0.8]], [0, 1]), 4)
    0.1643
    """
    scores, true = to_array(prediction), to_array(target)
    if scores.ndim == 1:
        check_same("log_loss", scores, true)
        check_finite("log_loss", "target", true)
        classes = np.unique(true)
        if len(classes) != 2:
            raise ValueError(f"[log_loss] probabilities of shape (N,) need two classes, but there are {len(classes)}")
        scores, true = np.stack([1 - scores, scores], 1), (true == classes[1]).astype(np.intp)
    class_scores("log_loss", scores, true)
    if scores.min() < 0 or scores.max() > 1:
        raise ValueError(
            f"[log_loss] prediction must hold probabilities, but goes from {scores.min()} to {scores.max()}"
        )
    eps = np.finfo(scores.dtype if scores.dtype.kind == "f" else np.float64).eps
    own = scores.astype(np.float64)[np.arange(len(true)), true.astype(np.intp)]
    return float(np.mean(-np.log(np.clip(own, eps, 1 - eps))))


def perplexity(prediction: Any, target: Any, ignore_index: int = -100) -> float:
    """exp of the mean cross-entropy of a language model: how many tokens it hesitates between.

    Shapes: prediction (*, C) logits (scores before softmax), target (*) classes; places of `ignore_index` do not count.
    Raises: ValueError for shapes that do not fit, NaN, or no places that count; IndexError for a class outside 0..C-1.

    >>> import numpy as np, spinetail as st
    >>> round(st.evaluate.metrics.perplexity(np.zeros((3, 50)), [4, 9, -100]), 6)
    50.0
    """
    total, count = surprise(prediction, target, ignore_index)
    return float(np.exp(total / count))


def surprise(prediction: Any, target: Any, ignore_index: int = -100) -> tuple[float, int]:
    """The summed cross-entropy, and how many places count."""
    logits, true = to_array(prediction), to_array(target)
    if logits.ndim < 1 or logits.shape[:-1] != true.shape:
        raise ValueError(f"[perplexity] logits of shape {logits.shape} do not fit a target of shape {true.shape}")
    logits, true = logits.reshape(-1, logits.shape[-1]), true.reshape(-1)
    logits, true = logits[true != ignore_index], true[true != ignore_index]
    class_scores("perplexity", logits, true)
    logits = logits.astype(np.float64)
    top = logits.max(axis=1)
    sums = top + np.log(np.sum(np.exp(logits - top[:, None]), axis=1))
    return float(np.sum(sums - logits[np.arange(len(true)), true.astype(np.intp)])), len(true)
