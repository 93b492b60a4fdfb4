"""Pixels at the places that a grid names: where each output takes its elements, and with which weights, on ndarrays.

Every mode is a table for all channels of an image: taps along each axis with weights and their derivatives to the
coordinate, and all products of them. A kernel gathers, and two others are its gradients.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np

from .._native import kernels
from .arrays import empty, floating
from .resampling_tables import cubic

MODES = ("bilinear", "nearest", "bicubic")
PADDINGS = ("zeros", "border", "reflection")
FAR = 2.0**28  #: coordinates beyond this are taken to be there


class Line(NamedTuple):
    """The taps along one axis: places (taps, N, P), -1 outside; their weights, and the weights' derivatives."""

    places: np.ndarray
    weights: np.ndarray
    slopes: np.ndarray


class Grid(NamedTuple):
    """A grid made out: one `Line` for each axis of the input, the kernel's tables, and the arrays' shapes."""

    lines: list[Line]
    places: np.ndarray
    weights: np.ndarray
    input: tuple[int, ...]
    output: tuple[int, ...]


def make_out(name: str, input: np.ndarray, grid: np.ndarray, mode: str, padding: str, align: bool) -> Grid:
    """Checks a grid against its input and makes the tables."""
    spatial = input.ndim - 2
    if mode not in MODES:
        raise ValueError(f"[{name}] mode must be one of {', '.join(MODES)}, got {mode!r}")
    if padding not in PADDINGS:
        raise ValueError(f"[{name}] padding_mode must be one of {', '.join(PADDINGS)}, got {padding!r}")
    if spatial not in (2, 3) or grid.ndim != input.ndim:
        raise ValueError(
            f"[{name}] input and grid must have 4 dimensions, or both 5, got shapes {input.shape} and {grid.shape}"
        )
    if grid.shape[0] != input.shape[0] or grid.shape[-1] != spatial:
        raise ValueError(
            f"[{name}] grid must have shape ({input.shape[0]}, …, {spatial}) for an input of shape {input.shape}, got "
            f"{grid.shape}"
        )
    if mode == "bicubic" and spatial != 2:
        raise ValueError(f"[{name}] mode bicubic is for 4-dimensional input, got shape {input.shape}")
    extent = input.shape[2:]
    if not prod(extent) or prod(extent) >= 2**31:
        raise ValueError(f"[{name}] input must have 1 ... 2³¹ - 1 elements in each channel, got shape {input.shape}")
    flat = grid.reshape(grid.shape[0], prod(grid.shape[1:-1]), spatial)
    # The last axis of the input is the grid's first coordinate.
    lines = [_line(flat[..., spatial - 1 - a], n, mode, padding, align) for a, n in enumerate(extent)]
    places, weights = [], []
    for taps in product(*(range(len(line.places)) for line in lines)):
        place, weight, inside = 0, 1, True
        for tap, line, n in zip(taps, lines, extent, strict=True):
            place = place * n + line.places[tap]
            weight = weight * line.weights[tap]
            inside = inside & (line.places[tap] >= 0)
        places.append(np.where(inside, place, -1).astype(np.int32))
        weights.append(np.where(inside, weight, 0))
    output = (*input.shape[:2], *grid.shape[1:-1])
    return Grid(lines, np.stack(places, 1), np.stack(weights, 1).astype(grid.dtype, copy=False), input.shape, output)


def sample(grid: Grid, input: np.ndarray) -> np.ndarray:
    """The input's pixels at the grid's places."""
    out = empty(grid.output, input.dtype)
    kernels.sample_forward(_flat(out), _flat(input), grid.places, grid.weights)
    return out


def sample_backward_input(grid: Grid, grad: np.ndarray) -> np.ndarray:
    """The transpose of `sample`, applied to grad."""
    out = empty(grid.input, grad.dtype)
    kernels.sample_backward_input(_flat(out), _flat(grad), grid.places, grid.weights)
    return out


def sample_backward_grid(grid: Grid, grad: np.ndarray, input: np.ndarray) -> np.ndarray:
    """The gradient of `sample` to the grid's coordinates."""
    weights = empty(grid.weights.shape, grad.dtype)
    kernels.sample_backward_weights(weights, _flat(grad), _flat(input), grid.places)
    slopes = []
    for a, _ in enumerate(grid.lines):
        total = np.zeros(grid.places.shape[::2], grad.dtype)
        for number, taps in enumerate(product(*(range(len(line.places)) for line in grid.lines))):
            factor = weights[:, number]
            for b, (tap, line) in enumerate(zip(taps, grid.lines, strict=True)):
                factor = factor * (line.slopes if a == b else line.weights)[tap]
            total += factor
        slopes.append(total)
    spatial = len(grid.lines)
    return np.stack(slopes[::-1], -1).reshape(grid.output[0], *grid.output[2:], spatial)


def operands(name: str, input: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both arrays as a kernel takes them; they must have one dtype."""
    if input.dtype != grid.dtype:
        raise TypeError(f"[{name}] input and grid must have one dtype, got {input.dtype} and {grid.dtype}")
    return floating(name, input), floating(name, grid, "grid")


def _flat(array: np.ndarray) -> np.ndarray:
    return array.reshape(*array.shape[:2], prod(array.shape[2:]))


def _line(coordinate: np.ndarray, n: int, mode: str, padding: str, align: bool) -> Line:
    """The taps along an axis of n pixels; a coordinate that is no number counts as -1."""
    real = coordinate.dtype.type
    x = np.where(np.isnan(coordinate), real(-1), np.clip(coordinate, real(-FAR), real(FAR)))
    x = (x + 1) / 2 * (n - 1) if align else ((x + 1) * n - 1) / 2
    slope = np.full_like(x, (n - 1) / 2 if align else n / 2)
    if mode == "bicubic":
        first = np.floor(x)
        t = x - first
        at = first + np.arange(-1, 3, dtype=x.dtype)[:, None, None]
        return Line(_places(_pad(at, n, padding, align)[0], n), cubic(t), cubic_slopes(t) * slope)
    x, turned = _pad(x, n, padding, align)
    if mode == "nearest":
        return Line(_places(np.rint(x), n)[None], np.ones_like(x)[None], np.zeros_like(x)[None])
    first, slope = np.floor(x), slope * turned
    t = x - first
    return Line(_places(np.stack([first, first + 1]), n), np.stack([1 - t, t]), np.stack([-slope, slope]))


def _pad(x: np.ndarray, n: int, padding: str, align: bool) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates beyond the axis brought back into it, and the derivative of what did so."""
    turned = np.ones_like(x)
    if padding == "zeros":
        return x, turned
    if padding == "reflection":
        low, span = (0.0, n - 1.0) if align else (-0.5, float(n))
        if span == 0:
            return np.zeros_like(x), np.zeros_like(x)
        turned = np.where(x < low, -turned, turned)
        turns, rest = np.divmod(np.abs(x - low), x.dtype.type(span))
        odd = turns % 2 == 1
        x, turned = np.where(odd, span - rest, rest) + x.dtype.type(low), np.where(odd, -turned, turned)
    turned = np.where((x <= 0) | (x >= n - 1), 0, turned)
    return np.clip(x, 0, n - 1), turned.astype(x.dtype, copy=False)


def _places(at: np.ndarray, n: int) -> np.ndarray:
    return np.where((at >= 0) & (at < n), at, -1).astype(np.int64)


def cubic_slopes(t: np.ndarray, a: float = -0.75) -> np.ndarray:
    """The derivatives of `cubic` to t."""
    far = [(3 * a * v - 10 * a) * v + 8 * a for v in (t + 1, 2 - t)]
    near = [(3 * (a + 2) * v - 2 * (a + 3)) * v for v in (t, 1 - t)]
    return np.stack([far[0], near[0], -near[1], -far[1]])
