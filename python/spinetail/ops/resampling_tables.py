"""Tables of resampling along one axis: where each output takes its elements, and with which weights.

A table is a sparse matrix from an axis's inputs to its outputs; its transpose, which a gradient takes, is one too.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np


class Table(NamedTuple):
    """For each output (columns) the places of its taps (rows), int32, and their weights; the kernel's arguments."""

    places: np.ndarray | None
    weights: np.ndarray | None


class Axis(NamedTuple):
    """The table from an axis's inputs to its outputs, and its transpose; (None, None) for an axis that stays."""

    forward: Table
    backward: Table


SAME = Axis(Table(None, None), Table(None, None))


@lru_cache(maxsize=256)
def axis(mode: str, size: int, output: int, scale: float | None, align: bool, antialias: bool, dtype: str) -> Axis:
    """One axis of `size` elements resampled to `output`; `scale` is the factor that the caller named, if any."""
    if antialias:
        taps = _smooth(mode, size, output, scale, align)
    else:
        taps = TAPS[mode](size, output, scale, align, np.dtype(dtype).type)
    return _matrix(*taps, size, output, np.dtype(dtype))


def step(size: int, output: int, scale: float | None, align: bool = False) -> float:
    """Elements of the input from one output to the next."""
    if align:
        return (size - 1) / (output - 1) if output > 1 else 0.0
    return 1.0 / scale if scale else size / output


def _nearest(size: int, output: int, scale, align, real):
    # In the dtype's own precision, as PyTorch does: rounding decides which element is taken.
    return _only(np.floor(np.float32(_steps(real, size, output, scale) * np.arange(output, dtype=real))), size)


def _nearest_exact(size: int, output: int, scale, align, real):
    middle = _steps(real, size, output, scale) * (np.arange(output, dtype=real) + real(0.5)) - real(0.5)
    return _only(np.floor(np.float32(np.maximum(middle, 0) + real(0.5))), size)


def _steps(real, size: int, output: int, scale):
    return real(1.0 / scale) if scale else real(size) / real(output)


def _only(places, size: int):
    return np.minimum(places.astype(np.int64), size - 1)[None], np.ones((1, len(places)))


def _linear(size: int, output: int, scale, align: bool, real):
    at = _centres(size, output, scale, align)
    at = np.maximum(at, 0)
    first = np.minimum(at.astype(np.int64), size - 1)
    t = np.clip(at - first, 0, 1)
    return np.stack([first, np.minimum(first + 1, size - 1)]), np.stack([1 - t, t])


def _cubic(size: int, output: int, scale, align: bool, real):
    at = _centres(size, output, scale, align)
    first = np.floor(at)
    places = first.astype(np.int64) + np.arange(-1, 3)[:, None]
    return np.clip(places, 0, size - 1), cubic(at - first)


def cubic(t: np.ndarray, a: float = -0.75) -> np.ndarray:
    """The weights of the four neighbours of a place that lies t behind the second one (Keys, 1981)."""
    u = 1 - t
    far, near = ((a * v - 5 * a) * v + 8 * a for v in (t + 1, u + 1)), ((a + 2) * v - (a + 3) for v in (t, u))
    (left, right), (first, second) = far, near
    return np.stack([left * (t + 1) - 4 * a, first * t * t + 1, second * u * u + 1, right * (u + 1) - 4 * a])


def _centres(size: int, output: int, scale, align: bool) -> np.ndarray:
    each = step(size, output, scale, align)
    return each * np.arange(output) if align else each * (np.arange(output) + 0.5) - 0.5


def _smooth(mode: str, size: int, output: int, scale, align: bool):
    """A filter as wide as an output's share of the input, so that what gets smaller is averaged."""
    each = step(size, output, scale, align)
    wide = max(each, 1.0)
    reach = (2.0 if mode == "bicubic" else 1.0) * wide
    centre = each * (np.arange(output) + 0.5)
    first = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    end = np.minimum((centre + reach + 0.5).astype(np.int64), size)
    places = first + np.arange(min(size, math.ceil(2 * reach) + 2))[:, None]
    far = np.abs(places - centre + 0.5) / wide
    if mode == "bicubic":
        a = -0.5
        near = ((a + 2) * far - (a + 3)) * far * far + 1
        weights = np.where(far < 1, near, np.where(far < 2, (((far - 5) * far + 8) * far - 4) * a, 0))
    else:
        weights = np.maximum(1 - far, 0)
    weights = np.where(places < end, weights, 0)
    total = weights.sum(0)
    return np.minimum(places, size - 1), weights / np.where(total == 0, 1, total)


TAPS = {
    "nearest": _nearest,
    "nearest-exact": _nearest_exact,
    "linear": _linear,
    "bilinear": _linear,
    "trilinear": _linear,
    "bicubic": _cubic,
}


def _matrix(places: np.ndarray, weights: np.ndarray, size: int, output: int, dtype: np.dtype) -> Axis:
    """Both tables; taps of weight 0 are dropped, and those of one output at one place become one."""
    outputs = np.broadcast_to(np.arange(output), places.shape)
    pairs, which = np.unique(outputs * size + places, return_inverse=True)
    factors = np.bincount(which.reshape(-1), weights.reshape(-1), len(pairs))
    held = factors.astype(dtype) != 0
    factors, (outputs, places) = factors[held], np.divmod(pairs[held], size)
    if size == output and len(places) == size and np.array_equal(places, outputs) and (factors == 1).all():
        return SAME
    order = np.argsort(places, kind="stable")
    backward = _table(places[order], outputs[order], factors[order], size, dtype)
    return Axis(_table(outputs, places, factors, output, dtype), backward)


def _table(rows: np.ndarray, places: np.ndarray, weights: np.ndarray, count: int, dtype: np.dtype) -> Table:
    """Taps, sorted by row, as a table. A row with few takes its first one several times, for a part of its weight: a
    weight of 0 would make NaN of an infinity."""
    held = np.bincount(rows, minlength=count)
    taps = max(1, int(held.max(initial=1)))
    missing = taps - held
    starts = np.cumsum(held) - held
    some = held > 0
    first = np.where(some, starts, 0)
    rank = np.arange(len(rows)) - starts[rows] + missing[rows]
    at = np.zeros((taps, count), np.int32)
    factors = np.zeros((taps, count), np.float64)
    at[:, some] = places[first[some]] if len(places) else 0
    at[rank, rows] = places
    factors[rank, rows] = weights
    # Halves, quarters, … and the last part twice: their sum is exact. Beyond 32 parts they are equal.
    for row in np.flatnonzero(some & (missing > 0)):
        n, weight = missing[row], weights[starts[row]]
        parts = 0.5 ** np.minimum(np.arange(1, n + 2), n) if n <= 32 else np.full(n + 1, 1 / (n + 1))
        factors[: n + 1, row] = weight * parts
    table = Table(at, np.ascontiguousarray(factors, dtype))
    for array in table:
        array.flags.writeable = False
    return table
