"""What is filled: the array of a Tensor, or an array, checked, and drawn into."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from ...autograd import Tensor
from ...functional import random
from ...functional.generator import Generator

A = TypeVar("A", Tensor, np.ndarray)


def target(name: str, tensor: object) -> np.ndarray:
    array = tensor._array if isinstance(tensor, Tensor) else tensor
    if not isinstance(array, np.ndarray):
        raise TypeError(f"[{name}] expected a Tensor or an array, but got {type(tensor).__name__}")
    if not array.flags.writeable:
        raise ValueError(f"[{name}] the array is read-only")
    return array


def floating(name: str, tensor: object) -> np.ndarray:
    array = target(name, tensor)
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        raise TypeError(f"[{name}] expected a floating-point tensor, but got {array.dtype}")
    return array


def done(tensor: A) -> A:
    if isinstance(tensor, Tensor):
        tensor._bump()
    return tensor


def dtype_of(array: np.ndarray) -> np.dtype:
    """The dtype in which to draw numbers for an array."""
    return np.dtype(np.float64) if array.dtype == np.float64 else np.dtype(np.float32)


def fill_uniform(array: np.ndarray, low: float, high: float, generator: Generator | None) -> None:
    array[...] = random.uniform(array.shape, low, high, dtype_of(array), generator)


def fill_normal(array: np.ndarray, mean: float, std: float, generator: Generator | None) -> None:
    array[...] = random.normal_array(array.shape, mean, std, dtype_of(array), generator)


def dimensions(name: str, array: np.ndarray, least: int, most: int | None = None) -> None:
    if array.ndim < least or (most is not None and array.ndim > most):
        wanted = f"at least {least}" if most is None else f"{least}" if least == most else f"{least} to {most}"
        raise ValueError(f"[{name}] expected a tensor of {wanted} dimensions, but got shape {array.shape}")
