"""Rotary embedding on ndarrays (..., length, width), any strides but for a contiguous last axis."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .._native import kernels
from .arrays import FLOAT32, FLOAT64, empty, is_half

_NAME = "rotary_embedding"
_LARGEST_TABLE = 1 << 22  # numbers; angles of positions beyond it are computed at each call
_KEPT = 8


class Frequencies(NamedTuple):
    """What the angles are made of: `dim` numbers of a head turn, `base` and the scaling for long contexts."""

    dim: int
    base: float
    scaling: tuple = ("linear", 1.0)


@lru_cache(maxsize=64)
def frequencies(rotation: Frequencies) -> np.ndarray:
    """Radians per position of each pair, float64."""
    dim, base, (kind, factor, *more) = rotation
    if kind == "ntk":  # the slowest pair turns `factor` times as slowly, the fastest as before
        base *= factor ** (dim / max(1, dim - 2))
    found = base ** (-np.arange(0, dim, 2) / dim)
    if kind == "linear":
        found /= factor
    elif kind == "llama3":
        low, high, original = more
        turns = original * found / (2 * np.pi)
        share = np.clip((turns - low) / (high - low), 0.0, 1.0)  # of the unscaled frequency
        found = found * (share + (1 - share) / factor)
    return found


_tables: OrderedDict[tuple, tuple[np.ndarray, np.ndarray]] = OrderedDict()


def table(rotation: Frequencies, offset: int, length: int, positions: np.ndarray | None, dtype: np.dtype) -> tuple:
    """Cosines and sines, each (batch or 1, length, pairs), of the positions, or of offset ... offset + length - 1."""
    pairs = rotation.dim // 2
    if positions is None:
        first, end = offset, offset + length
    elif positions.size and positions.dtype.kind in "iu":
        first, end = int(positions.min()), int(positions.max()) + 1
    else:
        first = end = -1
    if first < 0 or end * max(pairs, 1) > _LARGEST_TABLE:
        where = np.arange(offset, offset + length)[None] if positions is None else positions
        return _circle(where, rotation, dtype)
    cosine, sine = _rows(rotation, end, dtype)
    if positions is None:
        return cosine[None, first:end], sine[None, first:end]
    return cosine[positions], sine[positions]


def _rows(rotation: Frequencies, end: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """The kept table of these frequencies, of at least `end` positions."""
    key = (rotation, dtype.char)
    found = _tables.get(key)
    if found is None or len(found[0]) < end:
        size = max(128, 1 << (end - 1).bit_length())
        found = _tables[key] = _circle(np.arange(size), rotation, dtype)
        while len(_tables) > _KEPT:
            _tables.popitem(last=False)
    return found


def _circle(positions: np.ndarray, rotation: Frequencies, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    angles = np.multiply.outer(positions.astype(np.float64), frequencies(rotation))
    with np.errstate(invalid="ignore"):  # positions that are no numbers
        return np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)


def rotary_embedding(
    input: np.ndarray,
    rotation: Frequencies,
    positions: np.ndarray | None = None,
    offset: int = 0,
    interleaved: bool = False,
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """The turned input, and the cosines and sines that `rotate` takes to turn it back."""
    if not input.dtype.isnative:
        input = input.astype(input.dtype.newbyteorder("="))
    number = input.dtype
    if number not in (FLOAT32, FLOAT64) and not is_half(number):
        raise TypeError(f"[{_NAME}] expected float16, bfloat16, float32 or float64, got {number}")
    turn = table(rotation, offset, input.shape[-2], positions, FLOAT64 if number == FLOAT64 else FLOAT32)
    return rotate(input, turn, interleaved, False), turn


def rotate(input: np.ndarray, turn: tuple[np.ndarray, np.ndarray], interleaved: bool, inverse: bool) -> np.ndarray:
    """Each pair turned by its angle, or back: the gradient."""
    cosine, sine = turn
    array = input if input.strides[-1] == input.itemsize or input.shape[-1] <= 1 else np.ascontiguousarray(input)
    if array.ndim != 4:  # with one table for all, leading axes are heads; else those behind the first
        array = array.reshape(len(cosine), -1 if array.size else 0, *array.shape[-2:])
    if array.dtype.kind == "V":  # the kernels learn of bfloat16 here
        kernels.register_bfloat16(array.dtype)
    output = _like(array)
    kernels.rotary(output, array, cosine, sine, int(interleaved), int(inverse))
    return output if output.ndim == input.ndim else output.reshape(input.shape)


def _like(array: np.ndarray) -> np.ndarray:
    """An output whose axes lie in memory as the input's: heads inside lengths stay so."""
    batch, heads, length, width = array.shape
    if 0 < array.strides[1] < array.strides[2]:
        return empty((batch, length, heads, width), array.dtype).swapaxes(1, 2)
    return empty((batch, heads, length, width), array.dtype)
