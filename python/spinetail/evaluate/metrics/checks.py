"""What metrics ask of predictions and targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd import Tensor


def to_array(value: Any) -> np.ndarray:
    return value._array if isinstance(value, Tensor) else np.asarray(value)


def check_same(name: str, prediction: np.ndarray, target: np.ndarray) -> None:
    if target.ndim != 1:
        raise ValueError(f"[{name}] target must be labels of shape (N,), but it has shape {target.shape}")
    if prediction.ndim not in (1, 2):
        raise ValueError(f"[{name}] prediction must have shape (N,) or (N, C), but it has shape {prediction.shape}")
    if len(prediction) != len(target):
        raise ValueError(f"[{name}] prediction has {len(prediction)} samples, but target has {len(target)}")
    if not len(target):
        raise ValueError(f"[{name}] there are no samples")


def check_finite(name: str, what: str, array: np.ndarray) -> None:
    if array.dtype.kind in "OcmM":
        raise TypeError(f"[{name}] {what} must hold numbers or strings, but its dtype is {array.dtype}")
    if array.dtype.kind not in "biuUS":
        bad = np.flatnonzero(~np.isfinite(array.reshape(-1).astype(np.float64)))
        if len(bad):
            value = array.reshape(-1)[bad[0]]
            raise ValueError(f"[{name}] {what} has {len(bad)} values that are not finite (the first is {value})")


def class_scores(name: str, scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The class of each row of scores, after checking that the target's classes are among them."""
    check_same(name, scores, target)
    check_finite(name, "target", target)
    check_finite(name, "prediction", scores)
    classes = scores.shape[1]
    if target.dtype.kind in "US" or (target.dtype.kind == "f" and (target != np.rint(target)).any()):
        raise ValueError(f"[{name}] target must be whole numbers in 0..{classes - 1} when prediction holds scores")
    low, high = target.min(), target.max()
    if low < 0 or high >= classes:
        worst = low if low < 0 else high
        raise IndexError(f"[{name}] target has class {int(worst)}, but prediction has scores for 0..{classes - 1}")
    best: np.ndarray = np.argmax(scores, axis=1)
    return best


def label_arrays(name: str, prediction: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as labels of shape (N,)."""
    predicted, true = to_array(prediction), to_array(target)
    check_same(name, predicted, true)
    if predicted.ndim == 2:
        return class_scores(name, predicted, true), true
    for what, array in (("target", true), ("prediction", predicted)):
        check_finite(name, what, array)
        if array.dtype.kind not in "biuUS" and (array != np.rint(array)).any():
            raise ValueError(
                f"[{name}] {what} must hold class labels, but it has fractional values (scores are (N, C))"
            )
    if (predicted.dtype.kind in "US") != (true.dtype.kind in "US"):
        raise TypeError(
            f"[{name}] labels of prediction ({predicted.dtype}) and target ({true.dtype}) cannot be compared"
        )
    return predicted, true


def number_arrays(name: str, prediction: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as finite float64 arrays of one shape."""
    predicted, true = to_array(prediction), to_array(target)
    if predicted.shape != true.shape:
        raise ValueError(f"[{name}] prediction has shape {predicted.shape}, but target has shape {true.shape}")
    if not true.size:
        raise ValueError(f"[{name}] there are no samples")
    for what, array in (("prediction", predicted), ("target", true)):
        if array.dtype.kind in "US":
            raise TypeError(f"[{name}] {what} must hold numbers, but its dtype is {array.dtype}")
        check_finite(name, what, array)
    return predicted.astype(np.float64), true.astype(np.float64)
