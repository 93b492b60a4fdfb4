"""Images and labels of two samples mixed: each image with the one before it in the batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd import Tensor
from ...autograd.tape import wrap
from ...functional.generator import source
from .batch import floats, take


class Mix:
    """The base: called with images and labels, it gives both, mixed.

    Labels are classes (N,), which `num_classes` turns into one column for each, or already (N, classes) numbers.
    """

    def __init__(self, alpha: float = 1.0, num_classes: int | None = None, *, generator: Any = None) -> None:
        name = type(self).__name__
        self.alpha = floats(name, "alpha", alpha, 1)[0]
        if self.alpha <= 0:
            raise ValueError(f"[{name}] alpha should be positive, but got {alpha!r}")
        if num_classes is not None and (isinstance(num_classes, bool) or not isinstance(num_classes, int)):
            raise TypeError(f"[{name}] num_classes should be an integer, but got {num_classes!r}")
        self.num_classes = num_classes
        self.generator = generator

    def mix(self, x: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mixed images, and the share of each that is its own."""
        raise NotImplementedError

    def __call__(self, x: Any, labels: Any) -> tuple[Any, Any]:
        name = type(self).__name__
        array, close = take(name, x)
        if (x.ndim if isinstance(x, (Tensor, np.ndarray)) else 0) != 4:
            raise ValueError(f"[{name}] expected a batch of images (N, C, H, W), but got shape {tuple(x.shape)}")
        y = self._columns(labels, len(array))
        share = source(self.generator).numpy.beta(self.alpha, self.alpha, len(array))
        mixed, share = self.mix(array, share)
        own = share[:, None].astype(y.dtype)
        y = y * own + np.roll(y, 1, 0) * (1 - own)
        return close(mixed), wrap(y) if isinstance(labels, Tensor) else y

    def _columns(self, labels: Any, count: int) -> np.ndarray:
        name = type(self).__name__
        y = labels._array if isinstance(labels, Tensor) else labels
        if not isinstance(y, np.ndarray) or y.ndim not in (1, 2) or len(y) != count:
            raise ValueError(f"[{name}] expected labels (N,) or (N, classes) for {count} images")
        if y.ndim == 2:
            return y if y.dtype.kind == "f" else y.astype(np.float32)
        if y.dtype.kind not in "iu":
            raise TypeError(f"[{name}] expected classes as integers, but got {y.dtype}")
        if self.num_classes is None:
            raise ValueError(f"[{name}] num_classes must be passed if the labels are not one-hot encoded")
        if y.size and (y.min() < 0 or y.max() >= self.num_classes):
            raise ValueError(f"[{name}] labels should be from 0 to {self.num_classes - 1}")
        return np.eye(self.num_classes, dtype=np.float32)[y]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alpha={self.alpha}, num_classes={self.num_classes})"


class MixUp(Mix):
    """λ·x + (1 - λ)·(the image before it), likewise the labels; λ from Beta(alpha, alpha), for each image its own.

    Source: Zhang et al., mixup: beyond empirical risk minimization, 2018.

    >>> import spinetail as st
    >>> x, y = st.data.transforms.MixUp(num_classes=3)(st.rand(4, 3, 8, 8), st.tensor([0, 1, 2, 0]))
    >>> y.shape, bool((y.sum(1) - 1).abs().max() < 1e-6)
    (spinetail.Size([4, 3]), True)
    """

    def mix(self, x: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if x.dtype == np.uint8:
            raise TypeError("[MixUp] expected float images, but got uint8: put ToDtype(scale=True) in front of it")
        own = share.astype(x.dtype).reshape(-1, 1, 1, 1)
        other = np.roll(x, 1, 0)
        return x * own + other * (1 - own), share


class CutMix(Mix):
    """A box of each image replaced by that of the image before it, and the labels mixed by area.

    The box has the share 1 - λ of the area, λ from Beta(alpha, alpha), and is cut off at the border; λ is then what is
    left. Source: Yun et al., CutMix: regularization strategy to train strong classifiers, 2019.
    """

    def mix(self, x: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images, _, height, width = x.shape
        half = 0.5 * np.sqrt(1.0 - share)
        where = source(self.generator).numpy.random((2, images))
        out = x.copy()
        edges = []
        for extent, at in ((height, where[0]), (width, where[1])):
            centre, reach = np.floor(at * extent).astype(int), np.floor(half * extent).astype(int)
            edges += [np.clip(centre - reach, 0, extent), np.clip(centre + reach, 0, extent)]
        for i, (top, bottom, left, right) in enumerate(zip(*[edge.tolist() for edge in edges], strict=True)):
            out[i, :, top:bottom, left:right] = x[i - 1, :, top:bottom, left:right]
        left_over = (edges[1] - edges[0]) * (edges[3] - edges[2]) / max(height * width, 1)
        return out, 1.0 - left_over
