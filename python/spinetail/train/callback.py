"""What is called on the way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .run import Run


class Callback:
    """A base with a method for each moment; a subclass overrides those that it needs, and may set `run.stop`.

    A `state_dict` and a `load_state_dict`, where there are such, go into checkpoints.
    """

    def on_fit_begin(self, run: Run) -> None:
        """Before the first epoch, after a checkpoint has been loaded."""

    def on_epoch_begin(self, run: Run) -> None:
        """Before the first batch of an epoch (of what is left of it, after an interruption)."""

    def on_step_end(self, run: Run) -> None:
        """After each step of the optimizer."""

    def on_epoch_end(self, run: Run) -> None:
        """After validation, the schedule's step and the line in the history, before the checkpoint."""

    def on_fit_end(self, run: Run) -> None:
        """After the last epoch."""


class _Function(Callback):
    """A function, called at the end of each epoch."""

    def __init__(self, function: Any) -> None:
        self.on_epoch_end = function  # type: ignore[method-assign]


def as_callbacks(callbacks: Iterable[Any]) -> list[Any]:
    """Callbacks, and functions of the run that are to be called at the end of each epoch."""
    found = []
    for item in callbacks:
        if not (isinstance(item, Callback) or callable(item)) or isinstance(item, type):
            raise TypeError(f"[fit] expected a Callback or a function as callback, but got {item!r}")
        found.append(item if isinstance(item, Callback) else _Function(item))
    return found
