"""A step's kernel: called with the arrays as they are, or with copies where it cannot take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Arrays = Sequence[np.ndarray]

# What an entry of a list may be: like the parameter, a float32 scalar, codes of a moment, or the scales of its blocks.
LIKE, SCALAR, SCALES = "like", "scalar", "scales"
BLOCK = 256


def run(
    name: str,
    kernel: Callable[..., None],
    lists: tuple[Any, ...],
    states: tuple[tuple[str, str], ...],
    numbers: tuple[Any, ...],
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
        copies = [[plain(a) for a in arrays] for arrays in written]
        kernel(*copies, *[tuple([plain(g) for g in gradients]) for gradients in last], *numbers)
        for arrays, worked in zip(written, copies, strict=True):
            for array, copy in zip(arrays, worked, strict=True):
                if copy is not array:
                    array[...] = copy


def plain(array: np.ndarray) -> np.ndarray:
    """The array itself where a kernel takes it as it is, else a copy."""
    return array if array.flags.c_contiguous and array.flags.aligned else np.array(array, order="C")


def check_arrays(name: str, arrays: Arrays) -> None:
    """Refuse what is no plain array of float32 or float64."""
    for i, array in enumerate(arrays):
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"[{name}] array {i}: expected a plain numpy.ndarray, got {type(array).__name__}")
        if array.dtype not in (np.float32, np.float64):
            raise TypeError(f"[{name}] array {i}: expected dtype float32 or float64, got {array.dtype}")


def _check(name: str, lists: tuple[Any, ...], states: tuple[tuple[str, str], ...]) -> None:
    """Raise for the first array that no copy can make right."""
    parameters = lists[0]
    check_arrays(name, parameters)
    kinds = (("parameter", LIKE), *states, ("gradient", LIKE))
    for (label, kind), arrays in zip(kinds, lists, strict=False):
        if label not in ("parameter", "gradient") and len(arrays) == 0:
            continue
        if len(arrays) != len(parameters):
            raise ValueError(f"[{name}] got {len(parameters)} parameters, but {len(arrays)} arrays for {label}")
        for i, (array, parameter) in enumerate(zip(arrays, parameters, strict=True)):
            where = f"[{name}] parameter {i}: {label}"
            if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
                raise TypeError(f"{where} is a {type(array).__name__} (expected a plain numpy.ndarray)")
            shape, dtype = expected(kind, parameter)
            if array.dtype != dtype:
                raise TypeError(f"{where} has dtype {array.dtype} (expected {dtype})")
            if array.shape != shape and not (kind == SCALAR and array.size == 1):
                raise ValueError(f"{where} has shape {array.shape} (expected {shape})")
            if label != "gradient" and not array.flags.writeable:
                raise ValueError(f"{where} is read-only, but it is updated in place")


def expected(kind: str, parameter: np.ndarray) -> tuple[tuple[int, ...], Any]:
    """The shape and the dtype (or its name) of an entry of a list."""
    if kind == SCALAR:
        return (), np.dtype(np.float32)
    if kind == SCALES:
        return (-(-parameter.size // BLOCK),), np.dtype(np.float32)
    return parameter.shape, parameter.dtype if kind == LIKE else kind
