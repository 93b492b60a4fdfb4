"""Images at another size, turned, moved and sheared."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np

from ...functional import random
from ...functional.grid import grid_sample
from ...functional.resampling import interpolate
from .batch import Transform, floats, per_channel, span, to_bytes
from .batch import size as _size

RESIZES = ("nearest", "nearest-exact", "bilinear", "bicubic")


def _interpolation(name: str, value: Any, known: tuple[str, ...]) -> str:
    value = getattr(value, "value", value)  # an InterpolationMode
    if value not in known:
        raise ValueError(f"[{name}] interpolation should be one of {', '.join(known)}, but got {value!r}")
    return value


def _resized(x: np.ndarray, size: tuple[int, int], mode: str, antialias: bool) -> np.ndarray:
    if x.shape[2:] == size:
        return x.copy()
    if 0 in x.shape[:2]:
        return np.empty((*x.shape[:2], *size), x.dtype)
    given = x.astype(np.float32) if x.dtype == np.uint8 else np.ascontiguousarray(x)
    smooth = mode in ("bilinear", "bicubic")
    out = interpolate(given, size, mode=mode, antialias=antialias and smooth)
    return to_bytes(out) if x.dtype == np.uint8 else out


class Resize(Transform):
    """Images at another size: (height, width), or a number for the shorter side, the longer at most `max_size`.

    `interpolation` is nearest, nearest-exact, bilinear or bicubic, the last two by default with `antialias`.

    >>> import spinetail as st
    >>> st.data.transforms.Resize(16)(st.rand(2, 3, 32, 64)).shape
    spinetail.Size([2, 3, 16, 32])
    """

    def __init__(
        self, size: Any, interpolation: Any = "bilinear", max_size: int | None = None, antialias: bool = True
    ) -> None:
        self._short = isinstance(size, (int, np.integer)) or len(size) == 1
        self.size = _size("Resize", size)
        self.interpolation = _interpolation("Resize", interpolation, RESIZES)
        if max_size is not None and (not self._short or max_size <= self.size[0]):
            raise ValueError(
                f"[Resize] max_size={max_size} is for one number as size, and should be larger than it, got {size!r}"
            )
        self.max_size = max_size
        self.antialias = bool(antialias)

    def apply(self, x: np.ndarray) -> np.ndarray:
        return _resized(x, self._wanted(*x.shape[2:]), self.interpolation, self.antialias)

    def _wanted(self, height: int, width: int) -> tuple[int, int]:
        if not self._short:
            return self.size
        short, long = min(height, width), max(height, width)
        wanted = self.size[0]
        other = int(wanted * long / max(short, 1))
        if self.max_size is not None and other > self.max_size:
            wanted, other = int(self.max_size * wanted / other), self.max_size
        return (wanted, other) if height <= width else (other, wanted)


class RandomResizedCrop(Transform):
    """A random part of each image, of its own size and shape, at the size (height, width).

    Its share of the area is drawn from `scale`, its width over its height from `ratio`, evenly in the logarithm; where
    ten draws do not fit, the middle is taken, as much of it as `ratio` allows.
    """

    def __init__(
        self,
        size: Any,
        scale: Any = (0.08, 1.0),
        ratio: Any = (3 / 4, 4 / 3),
        interpolation: Any = "bilinear",
        antialias: bool = True,
        *,
        generator: Any = None,
    ) -> None:
        self.size = _size("RandomResizedCrop", size)
        self.scale = span("RandomResizedCrop", "scale", scale, 0.0)
        self.ratio = span("RandomResizedCrop", "ratio", ratio, 1e-9)
        self.interpolation = _interpolation("RandomResizedCrop", interpolation, RESIZES)
        self.antialias = bool(antialias)
        self.generator = generator

    def apply(self, x: np.ndarray) -> np.ndarray:
        images, channels, height, width = x.shape
        if height < 1 or width < 1:
            raise ValueError(f"[RandomResizedCrop] expected images with pixels, but got shape {x.shape}")
        area = random.uniform((images, 10), *self.scale, np.float64, self.generator) * height * width
        shape = np.exp(random.uniform((images, 10), log(self.ratio[0]), log(self.ratio[1]), np.float64, self.generator))
        places = random.uniform((2, images), 0.0, 1.0, np.float64, self.generator)
        widths, heights = (np.rint(np.sqrt(v)).astype(int) for v in (area * shape, area / shape))
        fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
        out = np.empty((images, channels, *self.size), x.dtype)
        for i, draw in enumerate(fits.argmax(1).tolist()):
            if fits[i, draw]:
                h, w = int(heights[i, draw]), int(widths[i, draw])
                top, left = int(places[0, i] * (height - h + 1)), int(places[1, i] * (width - w + 1))
            else:
                w = min(width, max(round(height * self.ratio[1]), 1))
                h = min(height, max(round(width / self.ratio[0]), 1))
                top, left = (height - h) // 2, (width - w) // 2
            part = x[i : i + 1, :, top : top + h, left : left + w]
            out[i] = _resized(part, self.size, self.interpolation, self.antialias)[0]
        return out


class RandomAffine(Transform):
    """Each image turned, moved, scaled and sheared about its middle by random amounts of its own.

    `degrees`: a number for angles from [-degrees, degrees], clockwise, or a range. `translate`: the largest moves, as
    shares of width and height. `scale`: a range of factors. `shear`: a number or a range in degrees along x, or two
    ranges as four numbers. `center` (x, y) in pixels in place of the middle. `interpolation` is nearest, bilinear or
    bicubic; `fill` comes where there was nothing, a number or one for each channel.
    """

    def __init__(
        self,
        degrees: Any,
        translate: Any = None,
        scale: Any = None,
        shear: Any = None,
        interpolation: Any = "nearest",
        fill: Any = 0,
        center: Any = None,
        *,
        generator: Any = None,
    ) -> None:
        name = type(self).__name__
        self.degrees = _around(name, "degrees", degrees)
        self.translate = None if translate is None else floats(name, "translate", translate, 2)
        if self.translate is not None and not all(0 <= v <= 1 for v in self.translate):
            raise ValueError(f"[{name}] translate values should be between 0 and 1, but got {translate!r}")
        self.scale = None if scale is None else span(name, "scale", scale, 1e-9)
        self.shear = None if shear is None else _shears(name, shear)
        self.interpolation = _interpolation(name, interpolation, ("nearest", "bilinear", "bicubic"))
        self.fill = fill
        self.center = None if center is None else floats(name, "center", center, 2)
        self.generator = generator

    def draw(self, images: int, height: int, width: int) -> np.ndarray:
        """The matrices (N, 2, 3) from places in the result to places in the image, in pixels from the middle."""

        def uniform(bounds: tuple[float, float]) -> np.ndarray:
            return random.uniform((images,), *bounds, np.float64, self.generator)

        angle = np.radians(uniform(self.degrees))
        move = np.zeros((images, 2))
        if self.translate is not None:
            for axis, (share, extent) in enumerate(zip(self.translate, (width, height), strict=True)):
                move[:, axis] = np.rint(uniform((-share * extent, share * extent)))
        factor = np.ones(images) if self.scale is None else uniform(self.scale)
        sx, sy = (np.radians(uniform(bounds)) for bounds in self.shear or ((0.0, 0.0), (0.0, 0.0)))
        forward = np.empty((images, 2, 2))  # turned by the angle, after shears along y and x
        forward[:, 0, 0] = np.cos(angle - sy) / np.cos(sy)
        forward[:, 0, 1] = -np.cos(angle - sy) * np.tan(sx) / np.cos(sy) - np.sin(angle)
        forward[:, 1, 0] = np.sin(angle - sy) / np.cos(sy)
        forward[:, 1, 1] = -np.sin(angle - sy) * np.tan(sx) / np.cos(sy) + np.cos(angle)
        back = np.linalg.inv(forward * factor[:, None, None])
        about = np.zeros(2) if self.center is None else np.array(self.center) - np.array([width, height]) / 2
        shift = about - (back @ (about + move)[:, :, None])[:, :, 0]
        return np.concatenate([back, shift[:, :, None]], 2)

    def apply(self, x: np.ndarray) -> np.ndarray:
        images, channels, height, width = x.shape
        if x.size == 0:
            return x.copy()
        matrices = self.draw(images, height, width)
        fill = per_channel(type(self).__name__, "fill", self.fill, channels)
        kind = np.dtype(np.float32) if x.dtype == np.uint8 else x.dtype
        across = np.arange(width) - (width - 1) / 2
        down = np.arange(height) - (height - 1) / 2
        grid = np.empty((images, height, width, 2), kind)
        for axis, extent in enumerate((width, height)):
            a, b, c = (matrices[:, axis, k].reshape(-1, 1, 1) for k in range(3))
            grid[..., axis] = (a * across + b * down[:, None] + c) * (2 / extent)
        shown = x.astype(kind, copy=False)
        if fill.any():
            shown = shown - fill.reshape(-1, 1, 1).astype(kind)
        out = grid_sample(np.ascontiguousarray(shown), grid, self.interpolation, "zeros", False)
        if fill.any():
            out = out + fill.reshape(-1, 1, 1).astype(kind)
        return to_bytes(out) if x.dtype == np.uint8 else out


class RandomRotation(RandomAffine):
    """Each image turned about its middle by a random angle, counter-clockwise: a number, or a range of degrees."""

    def __init__(
        self,
        degrees: Any,
        interpolation: Any = "nearest",
        center: Any = None,
        fill: Any = 0,
        *,
        generator: Any = None,
    ) -> None:
        low, high = _around("RandomRotation", "degrees", degrees)
        super().__init__((-high, -low), None, None, None, interpolation, fill, center, generator=generator)


def _around(name: str, what: str, value: Any) -> tuple[float, float]:
    if np.ndim(value):
        return span(name, what, value)
    number = floats(name, what, value, 1)[0]
    if number < 0:
        raise ValueError(f"[{name}] If {what} is a single number, it must be positive, but got {value!r}")
    return -number, number


def _shears(name: str, value: Any) -> tuple[tuple[float, float], tuple[float, float]]:
    if np.ndim(value) == 0 or len(value) == 2:
        return _around(name, "shear", value), (0.0, 0.0)
    if len(value) != 4:
        raise ValueError(f"[{name}] shear should be one number, two or four, but got {value!r}")
    return span(name, "shear", value[:2]), span(name, "shear", value[2:])
