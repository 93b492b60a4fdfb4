"""Where each pixel of a batch comes from, and what becomes of it: steps are added up, and done at once."""

from __future__ import annotations

import numpy as np

from ...ops import augmentation
from .batch import Transform


class Plan:
    """Where each pixel of a batch comes from, and what becomes of it: steps are added, and `run` does them at once."""

    def __init__(self, x: np.ndarray) -> None:
        self.start(x)

    def start(self, x: np.ndarray) -> None:
        """The batch itself."""
        self.x = x
        self.dtype = x.dtype
        self.places: list[np.ndarray | None] = [None, None]  # by rows and columns: of all images, or of each
        self.mean, self.factor, self.fill = np.zeros(x.shape[1]), np.ones(x.shape[1]), np.zeros(x.shape[1])
        self.filled = False
        self.changed = False

    @property
    def shape(self) -> tuple[int, int]:
        """The present height and width."""
        return tuple(  # type: ignore[return-value]
            [n if p is None else p.shape[1] for n, p in zip(self.x.shape[2:], self.places, strict=True)]
        )

    def move(self, axis: int, places: np.ndarray, fill: np.ndarray | None = None) -> None:
        """Take the present rows (axis 0) or columns (axis 1) at `places` (1 or N, extent), `fill` at negative ones."""
        if fill is not None:
            if self.filled and not np.array_equal(fill, self.fill):
                self.start(self.run())
            self.fill, self.filled = fill, True
        before = self.places[axis]
        if before is not None:
            images = np.arange(len(before))[:, None] if len(before) > 1 else 0
            places = np.where(places < 0, -1, before[images, places])
        self.places[axis], self.changed = places, True

    def turn(self, axis: int, turned: np.ndarray) -> None:
        """Reverse the present rows or columns of the images where `turned` (N, 1)."""
        places = self.places[axis]
        if places is None:
            places = np.arange(self.x.shape[2 + axis], dtype=np.int32)[None]
        self.places[axis], self.changed = np.where(turned, places[:, ::-1], places), True

    def scale(self, mean: np.ndarray, factor: np.ndarray, dtype: np.dtype) -> None:
        """(x - mean)·factor."""
        if self.dtype == np.float64 and dtype == np.float32 and self.changed:
            self.start(self.run())
        self.mean = self.mean + mean / self.factor
        self.factor = self.factor * factor
        self.fill = (self.fill - mean) * factor
        self.dtype, self.changed = dtype, True

    def run(self) -> np.ndarray:
        """The result, always a new array."""
        x, dtype = self.x, self.dtype
        if not self.changed:
            return x.copy()
        tables = []
        for n, places in zip(x.shape[2:], self.places, strict=True):
            table = np.arange(n, dtype=np.int32)[None] if places is None else places
            tables.append(table if len(table) == len(x) else np.broadcast_to(table, (len(x), table.shape[1])))
        if x.dtype != np.uint8 and x.dtype != dtype:
            x = x.astype(dtype)
        kind = np.dtype(np.float32) if dtype == np.uint8 else dtype
        out = augmentation.place(x, *tables, self.mean, self.factor, self.fill, kind)
        return out if kind == dtype else out.astype(dtype)


class Placement(Transform):
    """A transform that adds steps to a plan."""

    def plan(self, plan: Plan) -> None:
        """Add the steps."""
        raise NotImplementedError

    def apply(self, x: np.ndarray) -> np.ndarray:
        plan = Plan(x)
        self.plan(plan)
        return plan.run()


def source(mode: str, places: np.ndarray, n: int) -> np.ndarray:
    """Which of n pixels stands at places inside and around them; -1 for none."""
    if mode == "edge":
        return np.clip(places, 0, n - 1)
    if mode == "circular":
        return places % n
    if mode == "constant":
        places[places >= n] = -1
        return places
    if mode == "reflect":
        places = np.abs(places)
        return np.where(places >= n, 2 * (n - 1) - places, places)
    places = np.where(places < 0, -1 - places, places)
    return np.where(places >= n, 2 * n - 1 - places, places)
