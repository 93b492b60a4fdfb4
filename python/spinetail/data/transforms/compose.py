"""Transforms one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .batch import take
from .mix import Mix
from .plan import Placement, Plan


class Compose:
    """Transforms one after another; crops, flips, padding and normalisation that follow each other are one pass.

    Called with labels behind the images, it gives both back: `MixUp` and `CutMix` change the labels too.

    >>> import spinetail as st
    >>> t = st.data.transforms
    >>> train = t.Compose([t.RandomCrop(32, padding=4), t.RandomHorizontalFlip(), t.Normalize([0.5] * 3, [0.25] * 3)])
    >>> train(st.rand(8, 3, 32, 32)).shape
    spinetail.Size([8, 3, 32, 32])
    """

    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        self.transforms = list(transforms)
        for transform in self.transforms:
            if not callable(transform):
                raise TypeError(f"[Compose] expected functions, but got {type(transform).__name__}")
        if not self.transforms:
            raise ValueError("[Compose] expected at least one transform")

    def __call__(self, x: Any, *labels: Any) -> Any:
        i, transforms = 0, self.transforms
        while i < len(transforms):
            transform = transforms[i]
            if _planned(transform):
                array, close = take(type(transform).__name__, x)
                plan = Plan(array)
                while i < len(transforms) and _planned(transforms[i]):
                    transforms[i].plan(plan)
                    i += 1
                x = close(plan.run())
                continue
            if isinstance(transform, Mix):
                x, *labels = transform(x, *labels)  # type: ignore[assignment]
            else:
                x = transform(x)
            i += 1
        return (x, *labels) if labels else x

    def __repr__(self) -> str:
        inside = "".join(f"    {transform!r}\n" for transform in self.transforms)
        return f"Compose(\n{inside})"


def _planned(transform: Any) -> bool:
    return isinstance(transform, Placement) and not getattr(transform, "inplace", False)


class Lambda:
    """A function as a transform, given the batch as it is."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        if not callable(function):
            raise TypeError(f"[Lambda] expected a function, but got {type(function).__name__}")
        self.function = function

    def __call__(self, x: Any) -> Any:
        return self.function(x)

    def __repr__(self) -> str:
        return f"Lambda({getattr(self.function, '__name__', self.function)})"
