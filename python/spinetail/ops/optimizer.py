"""Optimizer steps over many arrays in one call, in place, and the gradient clipping that goes with them.

Lists hold one array per parameter, in the same order, in the parameter's shape and dtype (float32 or float64, and the
parameters of one call may differ). `steps` are float32 arrays of one element, which the call increments first. What is
not C-contiguous is worked on in a copy and written back. Nothing is changed when an argument is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._native import kernels

Arrays = Sequence[np.ndarray]

MAXIMIZE, DECOUPLED, NESTEROV, FIRST = 1, 2, 4, 8


def sgd(
    parameters: list[np.ndarray],
    buffers: list[np.ndarray],
    gradients: Arrays,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
    first: bool = False,
) -> None:
    """p -= lr·g; with `buffers`, b = momentum·b + (1 - dampening)·g takes the place of g (`first`: b = g).

    >>> import numpy as np
    >>> w = np.array([1.0, 2.0])
    >>> sgd([w], [], [np.array([1.0, -1.0])], 0.5)
    >>> w
    array([0.5, 2.5])
    """
    flags = (nesterov and NESTEROV) | (maximize and MAXIMIZE) | (first and FIRST)
    _run(
        "sgd",
        kernels.optimizer_sgd,
        (parameters, buffers, gradients),
        ("momentum buffer",),
        (lr, momentum, dampening, weight_decay, flags),
    )


def adam(
    parameters: list[np.ndarray],
    averages: list[np.ndarray],
    squares: list[np.ndarray],
    largest: list[np.ndarray],
    steps: list[np.ndarray],
    gradients: Arrays,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
) -> None:
    """m = lerp(m, g, 1-β₁), v = β₂v + (1-β₂)g², p -= lr/(1-β₁ᵗ) · m/(√v/√(1-β₂ᵗ) + eps).

    `largest` holds AMSGrad's maxima of v, or nothing. `decoupled` decays the parameter itself (AdamW), otherwise weight
    decay is added to the gradient.
    """
    flags = (decoupled and DECOUPLED) | (maximize and MAXIMIZE)
    _run(
        "adam",
        kernels.optimizer_adam,
        (parameters, averages, squares, largest, steps, gradients),
        ("average", "average of squares", "largest average of squares", "step"),
        (lr, beta1, beta2, eps, weight_decay, flags),
    )


def rmsprop(
    parameters: list[np.ndarray],
    squares: list[np.ndarray],
    averages: list[np.ndarray],
    buffers: list[np.ndarray],
    steps: list[np.ndarray],
    gradients: Arrays,
    lr: float,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    maximize: bool = False,
) -> None:
    """v = αv + (1-α)g², d = √v + eps (with `averages`, √(v - mean²) + eps), p -= lr·g/d.

    With `buffers`, b = momentum·b + g/d takes the place of g/d.
    """
    _run(
        "rmsprop",
        kernels.optimizer_rmsprop,
        (parameters, squares, averages, buffers, steps, gradients),
        ("average of squares", "average", "momentum buffer", "step"),
        (lr, alpha, eps, weight_decay, momentum, maximize and MAXIMIZE),
    )


def adagrad(
    parameters: list[np.ndarray],
    sums: list[np.ndarray],
    steps: list[np.ndarray],
    gradients: Arrays,
    lr: float,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> None:
    """s += g², p -= lr/(1 + (t-1)·lr_decay) · g/(√s + eps)."""
    _run(
        "adagrad",
        kernels.optimizer_adagrad,
        (parameters, sums, steps, gradients),
        ("sum of squares", "step"),
        (lr, lr_decay, eps, weight_decay, maximize and MAXIMIZE),
    )


def power_sums(gradients: Arrays, order: float = 2.0) -> np.ndarray:
    """Σ|g|^order of each array, or max|g| for `order` = inf, as float64; sums are made in float64.

    >>> import numpy as np
    >>> power_sums([np.array([3.0, -4.0]), np.array([1.0])])
    array([25.,  1.])
    """
    if not order > 0:
        raise ValueError(f"[power_sums] expected order > 0, got {order}")
    totals = np.empty(len(gradients))
    _inputs("power_sums", gradients)
    kernels.optimizer_power_sums(totals, tuple([_plain(g) for g in gradients]), order)
    return totals


def scale(gradients: list[np.ndarray], factor: float) -> None:
    """g *= factor, in place."""
    _run("scale", kernels.optimizer_scale, (gradients,), (), (factor,))


def clamp(gradients: list[np.ndarray], low: float, high: float) -> None:
    """g = min(max(g, low), high), in place; NaN stays."""
    _run("clamp", kernels.optimizer_clamp, (gradients,), (), (low, high))


def _run(
    name: str, kernel: Callable[..., None], lists: tuple[Any, ...], states: tuple[Any, ...], numbers: tuple[Any, ...]
) -> None:
    """Call the kernel; where it refuses an argument, say which array is wrong, or go through contiguous copies."""
    *written, read = lists if len(lists) > 1 else (*lists, ())
    for arrays in written:
        if type(arrays) is not list:
            raise TypeError(f"[{name}] expected lists of arrays, got {type(arrays).__name__}")
    last = (tuple(read),) if len(lists) > 1 else ()  # gradients are only read
    try:
        kernel(*written, *last, *numbers)
    except (TypeError, ValueError):
        _check(name, (*written, *last), states)
        copies = [[_plain(a) for a in arrays] for arrays in written]
        kernel(*copies, *[tuple([_plain(g) for g in gradients]) for gradients in last], *numbers)
        for arrays, worked in zip(written, copies, strict=True):
            for array, copy in zip(arrays, worked, strict=True):
                if copy is not array:
                    array[...] = copy


def _plain(array: np.ndarray) -> np.ndarray:
    """The array itself where a kernel takes it as it is, else a copy."""
    return array if array.flags.c_contiguous and array.flags.aligned else np.array(array, order="C")


def _inputs(name: str, arrays: Arrays) -> None:
    for i, array in enumerate(arrays):
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"[{name}] array {i}: expected a plain numpy.ndarray, got {type(array).__name__}")
        if array.dtype not in (np.float32, np.float64):
            raise TypeError(f"[{name}] array {i}: expected dtype float32 or float64, got {array.dtype}")


def _check(name: str, lists: tuple[Any, ...], states: tuple[Any, ...]) -> None:
    """Raise for the first array that no copy can make right."""
    parameters = lists[0]
    _inputs(name, parameters)
    kinds = ("parameter", *states, "gradient")
    for kind, arrays in zip(kinds, lists, strict=False):
        if kind not in ("parameter", "gradient") and len(arrays) == 0:
            continue
        if len(arrays) != len(parameters):
            raise ValueError(f"[{name}] got {len(parameters)} parameters, but {len(arrays)} arrays for {kind}")
        for i, (array, parameter) in enumerate(zip(arrays, parameters, strict=True)):
            where = f"[{name}] parameter {i}: {kind}"
            if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
                raise TypeError(f"{where} is a {type(array).__name__} (expected a plain numpy.ndarray)")
            shape, dtype = ((), np.dtype(np.float32)) if kind == "step" else (parameter.shape, parameter.dtype)
            if array.dtype != dtype:
                raise TypeError(f"{where} has dtype {array.dtype} (expected {dtype})")
            if array.shape != shape and not (kind == "step" and array.size == 1):
                raise ValueError(f"{where} has shape {array.shape} (expected {shape})")
            if kind != "gradient" and not array.flags.writeable:
                raise ValueError(f"{where} is read-only, but it is updated in place")
