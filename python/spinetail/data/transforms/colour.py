"""Colours changed at random."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...functional import random
from ...functional.generator import source
from .batch import Transform, floats, span, to_bytes

GREY = np.array([0.2989, 0.587, 0.114])  # ITU-R BT.601, as PyTorch rounds it


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue of each image changed by random factors, in an order of the batch.

    The first three are a number v, for factors from [max(0, 1 - v), 1 + v], or a range; hue is at most ½, for shifts
    from [-v, v], or a range. Floats are from 0 to 1, and stay there; bytes are computed as such floats.

    >>> import numpy as np, spinetail as st
    >>> st.data.transforms.ColorJitter(brightness=(2, 2))(np.array([0.2, 0.7]).reshape(1, 1, 1, 2)).ravel()
    array([0.4, 1. ])
    """

    def __init__(
        self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0, *, generator: Any = None
    ) -> None:
        self.brightness = _range("brightness", brightness)
        self.contrast = _range("contrast", contrast)
        self.saturation = _range("saturation", saturation)
        self.hue = _range("hue", hue, 0.0, (-0.5, 0.5))
        self.generator = generator

    def apply(self, x: np.ndarray) -> np.ndarray:
        images, channels = x.shape[:2]
        if channels not in (1, 3):
            raise ValueError(f"[ColorJitter] expected images of 1 or 3 channels, but got {channels}")
        out = x.astype(np.float32) / np.float32(255) if x.dtype == np.uint8 else x.copy()
        for i in source(self.generator).numpy.permutation(4).tolist():
            name = ("brightness", "contrast", "saturation", "hue")[i]
            bounds = getattr(self, name)
            if bounds is not None and x.size:
                factor = random.uniform((images, 1, 1, 1), *bounds, np.float64, self.generator).astype(out.dtype)
                out = CHANGES[name](out, factor)
        return to_bytes(out * 255) if x.dtype == np.uint8 else out


def _range(name: str, value: Any, centre: float = 1.0, within: tuple[float, float] = (0.0, float("inf"))) -> Any:
    if np.ndim(value) == 0:
        number = floats("ColorJitter", name, value, 1)[0]
        if number < 0:
            raise ValueError(f"[ColorJitter] If {name} is a single number, it must be non negative, but got {value!r}")
        bounds = max(centre - number, within[0]) if name != "hue" else centre - number, centre + number
    else:
        bounds = span("ColorJitter", name, value)
    if not within[0] <= bounds[0] <= bounds[1] <= within[1]:
        raise ValueError(f"[ColorJitter] {name} values should be between {within}, but got {value!r}")
    return None if bounds == (centre, centre) else bounds


def _grey(x: np.ndarray) -> np.ndarray:
    if x.shape[1] == 1:
        return x
    red, green, blue = GREY.astype(x.dtype)
    return (x[:, 0] * red + x[:, 1] * green + x[:, 2] * blue)[:, None]


def _blend(x: np.ndarray, other: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return np.clip(x * factor + other * (1 - factor), 0, 1)


def _brightness(x: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return np.clip(x * factor, 0, 1)


def _contrast(x: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return _blend(x, _grey(x).mean((1, 2, 3), keepdims=True), factor)


def _saturation(x: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return x if x.shape[1] == 1 else _blend(x, _grey(x), factor)


def _hue(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """To hue, saturation and value, and back with another hue: Smith, Color gamut transform pairs, 1978."""
    if x.shape[1] == 1:
        return x
    red, green, blue = x[:, 0], x[:, 1], x[:, 2]
    most, least = x.max(1), x.min(1)
    spread = most - least
    by = np.where(spread == 0, 1, spread)
    hue = np.where(
        most == red,
        (green - blue) / by,
        np.where(most == green, 2 + (blue - red) / by, 4 + (red - green) / by),
    )
    hue = (hue + 6 * shift[:, 0]) % 6
    # A channel is most within one sixth of its own hue, least from two sixths on, and between them in a line.
    out = np.empty_like(x)
    for channel, own in enumerate((0, 2, 4)):
        far = np.abs((hue - own + 3) % 6 - 3)
        out[:, channel] = most - spread * np.clip(far - 1, 0, 1)
    return np.clip(out, 0, 1)


CHANGES = {"brightness": _brightness, "contrast": _contrast, "saturation": _saturation, "hue": _hue}
