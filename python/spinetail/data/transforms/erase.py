"""Rectangles of images filled with something else."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...functional import random
from ...functional.generator import source
from .batch import Transform, chance, per_channel, span, to_bytes
from .batch import size as _size


class RandomErasing(Transform):
    """Each image with probability p without a rectangle of random size and shape at a random place.

    Its share of the area is drawn from `scale`, its height over its width from `ratio`, evenly in the logarithm; of ten
    draws the first that fits is taken. `value` is a number, one for each channel, or "random" for normal noise.
    Source: Zhong et al., Random erasing data augmentation, 2020.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Any = (0.02, 0.33),
        ratio: Any = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
        *,
        generator: Any = None,
    ) -> None:
        self.p = chance("RandomErasing", p)
        self.scale = span("RandomErasing", "scale", scale, 0.0)
        self.ratio = span("RandomErasing", "ratio", ratio, 1e-9)
        if self.scale[1] > 1:
            raise ValueError(f"[RandomErasing] Scale should be between 0 and 1, but got {scale!r}")
        if isinstance(value, str) and value != "random":
            raise ValueError(f"[RandomErasing] If value is str, it should be 'random', but got {value!r}")
        self.value = value
        self.inplace = inplace
        self.generator = generator

    def apply(self, x: np.ndarray) -> np.ndarray:
        images, channels, height, width = x.shape
        area, shape = (
            random.uniform((images, 10), *bounds, np.float64, self.generator)
            for bounds in (self.scale, tuple(np.log(self.ratio)))
        )
        chosen = random.uniform((images,), 0.0, 1.0, np.float64, self.generator) < self.p
        places = random.uniform((2, images), 0.0, 1.0, np.float64, self.generator)
        heights = np.rint(np.sqrt(area * height * width * np.exp(shape))).astype(int)
        widths = np.rint(np.sqrt(area * height * width / np.exp(shape))).astype(int)
        fits = (heights < height) & (widths < width)
        draw = fits.argmax(1)
        out = x if self.inplace else x.copy()
        for i in np.flatnonzero(chosen & fits.any(1)).tolist():
            h, w = int(heights[i, draw[i]]), int(widths[i, draw[i]])
            top, left = int(places[0, i] * (height - h + 1)), int(places[1, i] * (width - w + 1))
            out[i, :, top : top + h, left : left + w] = self._values((channels, h, w), x.dtype)
        return out

    def _values(self, shape: tuple[int, int, int], dtype: np.dtype) -> np.ndarray:
        if isinstance(self.value, str):
            noise = random.normal_array(shape, 0.0, 1.0, np.float32 if dtype == np.uint8 else dtype, self.generator)
            return to_bytes(noise) if dtype == np.uint8 else noise
        value = per_channel("RandomErasing", "value", self.value, shape[0])
        return (to_bytes(value) if dtype == np.uint8 else value).reshape(-1, 1, 1)


class Cutout(Transform):
    """Each image with probability p without `holes` squares of (height, width) pixels around random pixels.

    Squares at the border are cut off. Source: DeVries and Taylor, Improved regularization with cutout, 2017.

    >>> import spinetail as st
    >>> float(st.data.transforms.Cutout(2)(st.ones(1, 3, 8, 8)).min())
    0.0
    """

    def __init__(self, size: Any, holes: int = 1, fill: Any = 0, p: float = 1.0, *, generator: Any = None) -> None:
        self.size = _size("Cutout", size)
        if isinstance(holes, bool) or not isinstance(holes, (int, np.integer)) or holes < 1:
            raise ValueError(f"[Cutout] holes should be a positive integer, but got {holes!r}")
        self.holes = int(holes)
        self.fill = fill
        self.p = chance("Cutout", p)
        self.generator = generator

    def apply(self, x: np.ndarray) -> np.ndarray:
        images, channels, height, width = x.shape
        fill = per_channel("Cutout", "fill", self.fill, channels)
        fill = (to_bytes(fill) if x.dtype == np.uint8 else fill).reshape(-1, 1, 1)
        draw = source(self.generator).numpy
        chosen = draw.random(images) < self.p
        centres = draw.random((images, self.holes, 2))
        h, w = self.size
        tops = np.floor(centres[..., 0] * height).astype(int) - h // 2
        lefts = np.floor(centres[..., 1] * width).astype(int) - w // 2
        out = x.copy()
        for i in np.flatnonzero(chosen).tolist():
            for top, left in zip(tops[i].tolist(), lefts[i].tolist(), strict=True):
                out[i, :, max(top, 0) : top + h, max(left, 0) : left + w] = fill
        return out
