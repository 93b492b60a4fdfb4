"""Crops, flips, padding and normalisation: an output pixel is one input pixel, scaled; several of them are one pass."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ... import dtypes
from ...functional import random
from .batch import chance, floats, per_channel, to_bytes
from .batch import size as _size
from .plan import Placement, Plan, source

MODES = ("constant", "edge", "reflect", "symmetric", "circular")


def _sides(name: str, padding: Any) -> tuple[int, int, int, int]:
    """Left, top, right and bottom from one number, two (left and right, top and bottom) or four."""
    given = [padding] if isinstance(padding, (int, np.integer)) else padding
    if not isinstance(given, (list, tuple)) or not all(isinstance(n, (int, np.integer)) for n in given):
        raise TypeError(f"[{name}] padding should be an integer or a sequence of them, but got {padding!r}")
    if len(given) not in (1, 2, 4):
        raise ValueError(f"[{name}] padding should be 1, 2 or 4 numbers, but got {padding!r}")
    if min(given) < 0:
        raise ValueError(f"[{name}] padding should not be negative, but got {padding!r}")
    sides = tuple(map(int, given)) * (4 // len(given))
    return sides  # type: ignore[return-value]


def _mode(name: str, mode: str) -> str:
    if mode not in MODES:
        raise ValueError(f"[{name}] padding_mode should be one of {', '.join(MODES)}, but got {mode!r}")
    return mode


def _fits(name: str, mode: str, before: int, after: int, n: int) -> None:
    most = {"reflect": n - 1, "symmetric": n, "circular": n}.get(mode)
    if (n == 0 and mode != "constant") or (most is not None and max(before, after) > most):
        raise ValueError(f"[{name}] {mode} padding by {before} and {after} does not fit {n} pixels")


def _fill(name: str, value: Any, plan: Plan, mode: str, sides: Any) -> np.ndarray | None:
    """The values of the border, if there is one that has its own."""
    if mode != "constant" or not any(sides):
        return None
    fill = per_channel(name, "fill", value, plan.x.shape[1])
    if plan.dtype == np.uint8 and not np.array_equal(fill, to_bytes(fill)):
        raise ValueError(f"[{name}] fill for images of bytes should be integers from 0 to 255, but got {value!r}")
    return fill


class Pad(Placement):
    """Images with a border: constant, the edge, or mirrored without (reflect) or with it (symmetric), or circular.

    `padding` is one number, two (left and right, top and bottom) or four (left, top, right, bottom); `fill` one number
    or one for each channel.

    >>> import numpy as np, spinetail as st
    >>> st.data.transforms.Pad(1, padding_mode="reflect")(np.arange(4.0).reshape(1, 1, 2, 2))[0, 0]
    array([[3., 2., 3., 2.],
           [1., 0., 1., 0.],
           [3., 2., 3., 2.],
           [1., 0., 1., 0.]])
    """

    def __init__(self, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> None:
        self.padding = _sides("Pad", padding)
        self.fill = fill
        self.padding_mode = _mode("Pad", padding_mode)

    def plan(self, plan: Plan) -> None:
        left, top, right, bottom = self.padding
        fill = _fill("Pad", self.fill, plan, self.padding_mode, self.padding)
        for axis, n, before, after in zip((0, 1), plan.shape, (top, left), (bottom, right), strict=True):
            _fits("Pad", self.padding_mode, before, after, n)
            plan.move(axis, source(self.padding_mode, np.arange(-before, n + after), n)[None], fill)


class CenterCrop(Placement):
    """The middle of the images, (height, width) pixels; smaller images get a border of zeros."""

    def __init__(self, size: Any) -> None:
        self.size = _size("CenterCrop", size)

    def plan(self, plan: Plan) -> None:
        for axis, n, wanted in zip((0, 1), plan.shape, self.size, strict=True):
            first = round((n - wanted) / 2) if n >= wanted else -((wanted - n) // 2)
            fill = None if n >= wanted else np.zeros(plan.x.shape[1])
            plan.move(axis, source("constant", np.arange(first, first + wanted), n)[None], fill)


class RandomCrop(Placement):
    """A part of each image, (height, width) pixels from a random place of its own.

    `padding`, `fill` and `padding_mode` as in `Pad`, before the cut; `pad_if_needed` also pads images that are too
    small. Raises: ValueError where a part is larger than the padded images.

    >>> import spinetail as st
    >>> st.data.transforms.RandomCrop(32, padding=4)(st.rand(8, 3, 32, 32)).shape
    spinetail.Size([8, 3, 32, 32])
    """

    def __init__(
        self,
        size: Any,
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
        *,
        generator: Any = None,
    ) -> None:
        self.size = _size("RandomCrop", size)
        self.padding = None if padding is None else _sides("RandomCrop", padding)
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = _mode("RandomCrop", padding_mode)
        self.generator = generator

    def plan(self, plan: Plan) -> None:
        left, top, right, bottom = self.padding or (0, 0, 0, 0)
        images, shape = plan.x.shape[0], plan.shape
        sides = [[top, bottom], [left, right]]
        for n, wanted, side in zip(shape, self.size, sides, strict=True):
            short = wanted - n - sum(side)
            if short > 0 and self.pad_if_needed:
                side[0] += short
                side[1] += short
        padded = tuple([n + sum(side) for n, side in zip(shape, sides, strict=True)])
        if padded[0] < self.size[0] or padded[1] < self.size[1]:
            raise ValueError(
                f"[RandomCrop] Required crop size {self.size} is larger than (padded) input image size {padded}"
            )
        fill = _fill("RandomCrop", self.fill, plan, self.padding_mode, sides[0] + sides[1])
        free = [n + sum(side) - wanted + 1 for n, wanted, side in zip(shape, self.size, sides, strict=True)]
        if free[0] == free[1]:
            firsts = random.integers(0, free[0], (2, images), self.generator)
        else:
            firsts = [random.integers(0, count, images, self.generator) for count in free]
        for axis, (n, wanted, side) in enumerate(zip(shape, self.size, sides, strict=True)):
            _fits("RandomCrop", self.padding_mode, *side, n)
            plan.move(axis, _cut(self.padding_mode, n, wanted, side[0], free[axis], firsts[axis]), fill)


def _cut(mode: str, n: int, wanted: int, before: int, free: int, first: np.ndarray) -> np.ndarray:
    """The places of each image's window."""
    if free * wanted <= 1 << 16:
        return _windows(mode, n, wanted, before, free).take(first, 0)
    return source(mode, first[:, None] + np.arange(-before, wanted - before), n)


@lru_cache(maxsize=64)
def _windows(mode: str, n: int, wanted: int, before: int, free: int) -> np.ndarray:
    """The places of every window, a row for each."""
    windows = np.arange(free, dtype=np.int32)[:, None] + np.arange(-before, wanted - before, dtype=np.int32)
    return source(mode, windows, n)


class _Flip(Placement):
    axis: int

    def __init__(self, p: float = 0.5, *, generator: Any = None) -> None:
        self.p = chance(type(self).__name__, p)
        self.generator = generator

    def plan(self, plan: Plan) -> None:
        plan.turn(self.axis, random.uniform((plan.x.shape[0], 1), 0.0, 1.0, np.float64, self.generator) < self.p)


class RandomHorizontalFlip(_Flip):
    """Each image with probability p with left and right exchanged."""

    axis = 1


class RandomVerticalFlip(_Flip):
    """Each image with probability p upside down."""

    axis = 0


class Normalize(Placement):
    """(x - mean) / std with numbers for each channel, or one for all, computed as (x - mean)·(1/std).

    Raises: ValueError for a std of 0; TypeError for images of bytes, which `ToDtype(scale=True)` makes floats of.

    >>> import spinetail as st
    >>> st.data.transforms.Normalize([0.5], [0.25])(st.ones(1, 1, 1, 2)).tolist()
    [[[[2.0, 2.0]]]]
    """

    def __init__(self, mean: Any, std: Any, inplace: bool = False) -> None:
        self.mean = floats("Normalize", "mean", mean)
        self.std = floats("Normalize", "std", std)
        if 0 in self.std:
            raise ValueError(f"[Normalize] std should not be zero, but got {self.std}")
        self.inplace = inplace
        self._numbers: tuple[np.ndarray, np.ndarray] | None = None

    def plan(self, plan: Plan) -> None:
        if plan.dtype == np.uint8:
            raise TypeError(
                "[Normalize] Input tensor should be a float tensor. Got uint8: put ToDtype(scale=True) in front of it"
            )
        channels = plan.x.shape[1]
        if self._numbers is None or len(self._numbers[0]) != channels:
            mean, std = (per_channel("Normalize", what, getattr(self, what), channels) for what in ("mean", "std"))
            self._numbers = mean, 1.0 / std
        plan.scale(*self._numbers, plan.dtype)

    def __call__(self, x: Any) -> Any:
        result = super().__call__(x)
        if not self.inplace:
            return result
        x[...] = result
        return x


class ToDtype(Placement):
    """Images in another dtype, float32, float64 or uint8; with `scale` bytes become numbers from 0 to 1, or back.

    >>> import numpy as np, spinetail as st
    >>> st.data.transforms.ToDtype(scale=True)(np.full((1, 1, 1, 1), 255, np.uint8))
    array([[[[1.]]]], dtype=float32)
    """

    def __init__(self, dtype: Any = dtypes.float32, scale: bool = False) -> None:
        self.dtype = dtypes.as_dtype(dtype)
        if self.dtype not in (dtypes.float32, dtypes.float64, dtypes.uint8):
            raise ValueError(f"[ToDtype] dtype should be float32, float64 or uint8, but got {self.dtype}")
        self.scale = scale

    def plan(self, plan: Plan) -> None:
        wanted = self.dtype.numpy
        if wanted == plan.dtype:
            return
        if wanted == np.uint8:
            x = plan.run()
            with np.errstate(invalid="ignore"):
                plan.start((np.clip(x, 0, 1) * (256 - 1e-3)).astype(np.uint8) if self.scale else x.astype(np.uint8))
        else:
            none, by = np.zeros(plan.x.shape[1]), 1 / 255 if self.scale and plan.dtype == np.uint8 else 1.0
            plan.scale(none, np.full(plan.x.shape[1], by), wanted)
