"""Losses on ndarrays. `f_backward` gives value and gradient from one sweep: (loss, gradient of the loss).

With reduction "none" the gradient is that of each sample's own loss. float16 and bfloat16 are computed in float32.
"""

from __future__ import annotations

import math

import numpy as np

from .._native import kernels
from .arrays import FLOAT32, FLOAT64, empty, floating, is_half

REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}
_INT64 = np.dtype(np.int64)
_UINT8 = np.dtype(np.uint8)


def reduction_code(name: str, reduction: str) -> int:
    """The kernel's number for a reduction."""
    try:
        return REDUCTIONS[reduction]
    except (KeyError, TypeError):
        raise ValueError(f"[{name}] reduction must be 'none', 'mean' or 'sum', got {reduction!r}") from None


def cross_entropy(
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> np.ndarray:
    """Cross-entropy of logits against class indices or probabilities; arguments as `functional.cross_entropy`."""
    return _cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing, False)[0]


def cross_entropy_backward(
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The loss and its gradient to the logits."""
    return _cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing, True)


def _cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing, wants_gradient):
    try:
        if input.ndim == 2 and target.ndim == 1 and label_smoothing == 0.0 and target.dtype is _INT64:
            code = REDUCTIONS[reduction]
            loss, gradient = () if code else 3, 2 if wants_gradient else None  # shapes: see outputs.h
            return kernels.cross_entropy(loss, gradient, input, target, weight, ignore_index, 0.0, code)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        pass  # the careful way finds out what is wrong
    return _cross_entropy_carefully(input, target, weight, ignore_index, reduction, label_smoothing, wants_gradient)


def _cross_entropy_carefully(input, target, weight, ignore_index, reduction, label_smoothing, wants_gradient):
    name = "cross_entropy"
    code = reduction_code(name, reduction)
    x = floating(name, input)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"[{name}] label_smoothing must be between 0 and 1, got {label_smoothing}")
    if x.ndim == 0:
        raise ValueError(f"[{name}] input must have at least 1 dimension (classes), got a scalar")
    if not isinstance(target, np.ndarray):
        raise TypeError(f"[{name}] target must be a numpy.ndarray, got {type(target).__name__}")
    classes = x.shape[0 if x.ndim == 1 else 1]
    if classes == 0:
        raise ValueError(f"[{name}] input has no classes: its shape is {x.shape}")
    w = class_weight(name, weight, x, classes)
    soft = target.shape == input.shape and (target.dtype.kind == "f" or is_half(target.dtype))
    if soft and ignore_index >= 0:
        raise RuntimeError(f"[{name}] ignore_index has no meaning for probabilities, got {ignore_index}")
    if soft and x.dtype == FLOAT32 and target.dtype == FLOAT64:  # in the wider dtype, as PyTorch
        x = x.astype(np.float64)
        w = w if w is None else w.astype(np.float64)
    positions = x.ndim > 2 and not soft  # (N, C, positions) as it lies; probabilities want their classes side by side
    if positions:
        rows = _with_positions(x)
    else:
        rows, restore = _samples_by_classes(x)
    gradient = empty(x.shape if positions else rows.shape, rows.dtype) if wants_gradient else None
    if soft:
        t = floating(name, target, "target").astype(rows.dtype, copy=False)
        t = _samples_by_classes(t)[0]
        samples = rows.shape[0]
        loss = empty(() if code else samples, rows.dtype)
        kernels.cross_entropy_soft(loss, gradient, rows, t, w, label_smoothing, code)
    else:
        t = class_indices(name, x, target, classes, ignore_index)
        loss = empty(() if code else t.shape, rows.dtype)
        into = gradient.reshape(rows.shape) if positions and wants_gradient else gradient
        kernels.cross_entropy(loss, into, rows, t, w, ignore_index, label_smoothing, code)
    if code == 0:
        loss = loss.reshape(x.shape[:1] + x.shape[2:] if x.ndim > 1 else ())
    if gradient is not None and not positions:
        gradient = restore(gradient)
    if is_half(input.dtype):
        loss = loss.astype(input.dtype)
    if gradient is not None and gradient.dtype != input.dtype:
        gradient = gradient.astype(input.dtype)
    return loss, gradient


def _samples_by_classes(x: np.ndarray):
    """(C,), (N, C) or (N, C, d1, …) as contiguous (samples, C), and the way back."""
    if x.ndim == 1:
        return x.reshape(1, -1), lambda rows: rows.reshape(-1)
    if x.ndim == 2:
        return x, lambda rows: rows
    last = np.moveaxis(x, 1, -1)
    flat = np.ascontiguousarray(last).reshape(-1, x.shape[1])
    return flat, lambda rows: np.ascontiguousarray(np.moveaxis(rows.reshape(last.shape), -1, 1))


def _with_positions(x: np.ndarray) -> np.ndarray:
    """(C,), (N, C) or (N, C, d1, …) as it lies: (samples, C) or (N, C, positions)."""
    if x.ndim > 2:
        return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
    return x if x.ndim == 2 else x.reshape(1, -1)


def class_weight(name: str, weight: np.ndarray | None, input: np.ndarray, classes: int) -> np.ndarray | None:
    """The weights of the classes in the dtype of the computation."""
    if weight is None:
        return None
    w = floating(name, weight, "weight")
    if w.dtype != input.dtype:
        raise TypeError(f"[{name}] weight is {weight.dtype}, but input is {input.dtype}")
    if w.shape != (classes,):
        raise ValueError(f"[{name}] weight must have shape ({classes},), one for each class, got {w.shape}")
    return w


def class_indices(name: str, input: np.ndarray, target: np.ndarray, classes: int, ignore: int) -> np.ndarray:
    """Class indices as a contiguous vector of int64 or uint8, each of them checked."""
    if target.dtype.newbyteorder("=") not in (_INT64, _UINT8):
        raise RuntimeError(f"[{name}] expected class indices of dtype int64 or uint8, got {target.dtype}")
    expected = input.shape[:1] + input.shape[2:] if input.ndim > 1 else ()
    if target.shape != expected and not (input.ndim == 1 and target.shape == (1,)):
        raise ValueError(
            f"[{name}] target of class indices must have shape {expected} for input {input.shape}, got {target.shape}"
        )
    flat = np.ascontiguousarray(target, dtype=target.dtype.newbyteorder("=")).reshape(-1)
    wrong = ((flat < 0) | (flat >= classes)) & (flat != ignore)
    if wrong.any():
        where = int(wrong.argmax())
        position = tuple(int(i) for i in np.unravel_index(where, target.shape or (1,)))
        place = position[0] if len(position) == 1 else position
        label = int(flat[where])
        raise IndexError(f"[{name}] target {label} at position {place} is out of bounds for {classes} classes")
    return flat


def nll_loss(
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> np.ndarray:
    """Negative log-likelihood of log-probabilities; arguments as `functional.nll_loss`."""
    return _nll(input, target, weight, ignore_index, reduction, False)[0]


def nll_loss_backward(
    input: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> tuple[np.ndarray, np.ndarray]:
    """The loss and its gradient to the log-probabilities."""
    return _nll(input, target, weight, ignore_index, reduction, True)


def _nll(input, target, weight, ignore_index, reduction, wants_gradient):
    name = "nll_loss"
    code = reduction_code(name, reduction)
    x = floating(name, input)
    if x.ndim == 0:
        raise ValueError(f"[{name}] input must have at least 1 dimension (classes), got a scalar")
    if not isinstance(target, np.ndarray):
        raise TypeError(f"[{name}] target must be a numpy.ndarray, got {type(target).__name__}")
    classes = x.shape[0 if x.ndim == 1 else 1]
    if classes == 0:
        raise ValueError(f"[{name}] input has no classes: its shape is {x.shape}")
    w = class_weight(name, weight, x, classes)
    t = class_indices(name, x, target, classes, ignore_index)
    rows = _with_positions(x)
    gradient = empty(x.shape, x.dtype) if wants_gradient else None
    into = gradient if gradient is None else gradient.reshape(rows.shape)
    loss = empty(() if code else t.shape, rows.dtype)
    kernels.nll_loss(loss, into, rows, t, w, ignore_index, code)
    if code == 0:
        loss = loss.reshape(x.shape[:1] + x.shape[2:] if x.ndim > 1 else ())
    if is_half(input.dtype):
        loss = loss.astype(input.dtype)
        gradient = gradient if gradient is None else gradient.astype(input.dtype)
    return loss, gradient


def mse_loss(input: np.ndarray, target: np.ndarray, reduction: str = "mean") -> np.ndarray:
    """(input - target)² of arrays of one shape; mean, sum or each."""
    return _mse(input, target, reduction, False)[0]


def mse_loss_backward(input: np.ndarray, target: np.ndarray, reduction: str = "mean") -> tuple[np.ndarray, np.ndarray]:
    """The loss and its gradient to the input; the gradient to the target is its negative."""
    return _mse(input, target, reduction, True)


def _mse(input, target, reduction, wants_gradient):
    name = "mse_loss"
    code = reduction_code(name, reduction)
    x, t = floating(name, input), floating(name, target, "target")
    native = x is input and t is target and x.dtype is t.dtype  # the usual case: nothing to convert back
    if not native and (x.dtype != t.dtype or is_half(input.dtype) != is_half(target.dtype)):
        raise TypeError(f"[{name}] input is {input.dtype}, but target is {target.dtype}")
    if x.shape != t.shape:
        raise ValueError(f"[{name}] input has shape {x.shape}, but target has shape {t.shape}")
    if code == 0:
        difference = x - t
        loss, gradient = difference * difference, (difference + difference if wants_gradient else None)
    else:
        loss = empty((), x.dtype)
        gradient = empty(x.shape, x.dtype) if wants_gradient else None
        kernels.squared_error(loss, gradient, x, t, code)
    if not native and is_half(input.dtype):
        loss = loss.astype(input.dtype)
        gradient = gradient if gradient is None else gradient.astype(input.dtype)
    return loss, gradient
