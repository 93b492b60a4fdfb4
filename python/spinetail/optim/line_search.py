"""A line search for the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

DECREASE, CURVATURE = 1e-4, 0.9


class Point(NamedTuple):
    """A step along the line: its length, the loss and gradient there, and the slope along the line."""

    t: float
    loss: float
    gradient: np.ndarray
    slope: float


def cubic(a: Point, b: Point, low: float | None = None, high: float | None = None) -> float:
    """The minimum of the cubic through two points and their slopes, within bounds; the middle where there is none."""
    if low is None or high is None:
        low, high = min(a.t, b.t), max(a.t, b.t)
    first = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = first**2 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    root = math.sqrt(square)
    left, right = (a, b) if a.t <= b.t else (b, a)
    best = right.t - (right.t - left.t) * ((right.slope + root - first) / (right.slope - left.slope + 2 * root))
    return min(max(best, low), high)


def strong_wolfe(
    at: Callable[[float], tuple[float, np.ndarray]],
    t: float,
    d: np.ndarray,
    loss: float,
    gradient: np.ndarray,
    slope: float,
    tolerance_change: float = 1e-9,
    most: int = 25,
) -> tuple[float, np.ndarray, float]:
    """A step t along d with loss(t) ≤ loss + DECREASE·t·slope and |slope(t)| ≤ CURVATURE·|slope|.

    `at(t)` gives loss and gradient there. Returns loss, gradient and t of the best step found.
    """
    size = float(np.abs(d).max())

    def point(step: float) -> Point:
        value, g = at(step)
        return Point(step, value, g.copy(), float(g @ d))

    start = Point(0.0, loss, gradient.copy(), slope)

    def enough(p: Point) -> bool:
        return p.loss <= loss + DECREASE * p.t * slope

    previous, now = start, point(t)
    bracket: tuple[Point, Point] | None = None
    done, tries = False, 0
    while tries < most:
        if not enough(now) or (tries > 1 and now.loss >= previous.loss):
            bracket = (previous, now)
            break
        if abs(now.slope) <= -CURVATURE * slope:
            bracket, done = (now, now), True
            break
        if now.slope >= 0:
            bracket = (previous, now)
            break
        low, high = now.t + 0.01 * (now.t - previous.t), now.t * 10
        previous, now = now, point(cubic(previous, now, low, high))
        tries += 1
    if bracket is None:
        bracket = (start, now)
    return _zoom(point, enough, bracket, done, slope, tolerance_change / size if size else math.inf, most - tries)


def _zoom(
    point: Callable[[float], Point],
    enough: Callable[[Point], bool],
    bracket: tuple[Point, Point],
    done: bool,
    slope: float,
    narrow: float,
    most: int,
) -> tuple[float, np.ndarray, float]:
    """Narrow a bracket until a step satisfies both conditions."""
    low, high = bracket if bracket[0].loss <= bracket[1].loss else bracket[::-1]
    stuck, tries = False, 0
    while not done and tries < most and abs(low.t - high.t) >= narrow:
        t = cubic(low, high)
        left, right = min(low.t, high.t), max(low.t, high.t)
        margin = 0.1 * (right - left)
        # A step too near an end, twice or beyond it, is moved inside: the bracket must shrink.
        if min(right - t, t - left) < margin:
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        new = point(t)
        tries += 1
        if not enough(new) or new.loss >= low.loss:
            high = new
            if low.loss > high.loss:
                low, high = high, low
        else:
            if abs(new.slope) <= -CURVATURE * slope:
                done = True
            elif new.slope * (high.t - low.t) >= 0:
                high = low
            low = new
    return low.loss, low.gradient, low.t
