"""How far a pass over a loader has come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Progress:
    """The batches that a pass has given to the loop, the seed of its workers, its order, and whether it is over."""

    __slots__ = ("delivered", "order", "over", "seed")

    def __init__(self, delivered: int = 0, seed: int | None = None, order: dict[str, Any] | None = None) -> None:
        self.delivered = delivered
        self.seed = seed
        self.order = order  # what brings the sampler to the pass's start: workers may have come to its end already
        self.over = False


class Pass:
    """Batches one after another, counted."""

    __slots__ = ("batches", "progress")

    def __init__(self, batches: Iterator[Any], progress: Progress) -> None:
        self.batches = batches
        self.progress = progress

    def __iter__(self) -> Pass:
        return self

    def __next__(self) -> Any:
        progress = self.progress
        progress.delivered += 1  # a batch that fails is past too
        try:
            return next(self.batches)
        except StopIteration:
            progress.delivered -= 1
            progress.over = True
            raise
