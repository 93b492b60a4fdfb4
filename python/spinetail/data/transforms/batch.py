"""What all transforms share: taking a batch in, giving it back, and checking parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np

from ...autograd import Tensor
from ...autograd.tape import enabled, wrap


class Transform:
    """The base: a subclass defines `apply(array)`, from an (N, C, H, W) array to a new one."""

    def apply(self, x: np.ndarray) -> np.ndarray:
        """The transformed batch."""
        raise NotImplementedError(f"{type(self).__name__} should define apply")

    def __call__(self, x: Any) -> Any:
        array, close = take(type(self).__name__, x)
        return close(self.apply(array))

    def __repr__(self) -> str:
        shown = [f"{k}={v!r}" for k, v in vars(self).items() if k[0] != "_" and k != "generator"]
        return f"{type(self).__name__}({', '.join(shown)})"


def take(name: str, x: Any) -> tuple[np.ndarray, Callable[[np.ndarray], Any]]:
    """The batch as an (N, C, H, W) array, and the function that gives a result the form that the batch came in."""
    array = x._array if isinstance(x, Tensor) else x
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"[{name}] expected a Tensor or an array of images, but got {type(x).__name__}")
    if array.ndim not in (3, 4):
        raise ValueError(f"[{name}] expected images (N, C, H, W) or one (C, H, W), but got shape {array.shape}")
    if array.dtype.char not in "fdB":
        raise TypeError(f"[{name}] expected images of dtype float32, float64 or uint8, but got {array.dtype}")
    if isinstance(x, Tensor) and x.requires_grad and enabled():
        raise ValueError(f"[{name}] the images require a gradient, which transforms do not pass on: detach() them")
    one = array.ndim == 3

    def close(result: np.ndarray) -> Any:
        if one:
            result = result[0]
        return wrap(result) if isinstance(x, Tensor) else result

    return array[None] if one else array, close


def floats(name: str, what: str, value: Any, count: int | None = None) -> list[float]:
    """Finite numbers, `count` of them."""
    array = value._array if isinstance(value, Tensor) else value
    try:
        numbers = [float(v) for v in np.asarray(array).ravel()]
    except (TypeError, ValueError):
        raise TypeError(f"[{name}] {what} should be numbers, but got {value!r}") from None
    if (count is not None and len(numbers) != count) or not all(map(isfinite, numbers)):
        raise ValueError(f"[{name}] {what} should be {count or 'finite'} finite numbers, but got {value!r}")
    return numbers


def size(name: str, value: Any) -> tuple[int, int]:
    """Height and width from one positive integer or two."""
    given = [value] * 2 if isinstance(value, (int, np.integer)) else value
    if isinstance(given, Sequence) and len(given) == 1:
        given = [given[0]] * 2
    if not isinstance(given, Sequence) or len(given) != 2 or not all(isinstance(n, (int, np.integer)) for n in given):
        raise ValueError(f"[{name}] size should be an integer or two, (height, width), but got {value!r}")
    if min(given) < 1:
        raise ValueError(f"[{name}] size should be positive, but got {value!r}")
    return int(given[0]), int(given[1])


def span(name: str, what: str, value: Any, low: float = -float("inf")) -> tuple[float, float]:
    """A range of two ascending numbers, none below `low`."""
    a, b = floats(name, what, value, 2)
    if not low <= a <= b:
        raise ValueError(f"[{name}] {what} should be two ascending numbers, from {low} on, but got {value!r}")
    return a, b


def chance(name: str, p: Any) -> float:
    """A probability."""
    if isinstance(p, bool) or not isinstance(p, (int, float, np.number)) or not 0 <= p <= 1:
        raise ValueError(f"[{name}] p should be a probability from 0 to 1, but got {p!r}")
    return float(p)


def per_channel(name: str, what: str, value: Any, channels: int) -> np.ndarray:
    """One number for all channels, or one for each, as float64."""
    if type(value) is int or (type(value) is float and isfinite(value)):
        return np.full(channels, float(value))
    numbers = floats(name, what, value)
    if len(numbers) not in (1, channels):
        raise ValueError(f"[{name}] {what} has {len(numbers)} numbers, but the images have {channels} channels")
    return np.array(numbers * channels if len(numbers) == 1 else numbers)


def to_bytes(x: np.ndarray) -> np.ndarray:
    """Rounded to the nearest integers from 0 to 255."""
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)
