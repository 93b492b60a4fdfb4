"""What `fit` works on, and what a checkpoint holds of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from .. import io
from . import states
from .history import History
from .stopping import EarlyStopping
from .track import Tracker

#: What has a state that goes into a checkpoint, by its name in `Run`.
PARTS = ("model", "optimizer", "scheduler", "average", "stopping", "tracker")


class Run:
    """A training on its way: what callbacks are given.

    `model`, `optimizer`, `scheduler`, `average` (an AveragedModel or None), `stopping`, `history`; `epoch` (from 0),
    `batch` (batches of this epoch that are done) and `step` (steps of the optimizer in all); `stop`, which a callback
    may set to end the training after this epoch.
    """

    def __init__(self, model: Any, loader: Any, optimizer: Any, tracker: Tracker) -> None:
        self.model, self.loader, self.optimizer, self.tracker = model, loader, optimizer, tracker
        self.scheduler: Any = None
        self.average: Any = None
        self.stopping: EarlyStopping | None = None
        self.callbacks: list[Any] = []
        self.history = History()
        self.epoch = self.batch = self.step = 0
        self.stop = False
        self._begin: dict[str, Any] | None = None  # random states when the epoch began
        self._now: dict[str, Any] | None = None  # those at a loaded checkpoint
        self._place: dict[str, Any] | None = None  # the loader's at a loaded checkpoint
        self.trained = False  # whether all batches of the epoch are done

    @property
    def judged(self) -> Any:
        """The model that is validated: the averaged one, if there is one."""
        return self.average if self.average is not None else self.model

    def call(self, moment: str) -> None:
        """Call all callbacks."""
        for callback in self.callbacks:
            getattr(callback, moment)(self)

    def batches(self) -> Iterator[Any]:
        """What is left of the epoch's batches, in the order that the uninterrupted run has."""
        now, self._now = self._now, None
        if hasattr(getattr(self.loader, "sampler", None), "set_epoch"):
            self.loader.sampler.set_epoch(self.epoch)
        if now is not None:
            if self._place is not None:
                self.loader.load_state_dict(self._place)
            elif self.batch and not self.trained:  # read again what was done
                states.put(self.loader, self._begin or now)
                iterator = iter(self.loader)
                for _ in islice(iterator, self.batch):
                    pass
                states.put(self.loader, now)
                return iterator
            states.put(self.loader, now)
        if self.batch == 0:
            self._begin = states.get(self.loader)
        return iter(()) if self.trained else iter(self.loader)

    def save(self, path: Any) -> None:
        """Write a checkpoint, which replaces the file as a whole."""
        parts = {name: getattr(self, name) for name in PARTS}
        io.save(
            {
                "spinetail.fit": 1,
                "parts": {name: None if part is None else part.state_dict() for name, part in parts.items()},
                "callbacks": [c.state_dict() if hasattr(c, "state_dict") else None for c in self.callbacks],
                "history": self.history.rows,
                "progress": [self.epoch, self.batch, self.step, self.stop, self.trained],
                "begin": self._begin if self.batch else None,
                "now": states.get(self.loader),
                "place": states.place(self.loader),
            },
            path,
        )

    def load(self, path: Any) -> None:
        """Go on from a checkpoint. Raises: ValueError for a file or for parts that do not fit."""
        state = io.load(path)
        if not isinstance(state, dict) or state.get("spinetail.fit") != 1:
            raise ValueError(f"[fit] {str(path)!r} is not a checkpoint of fit")
        for name, value in state["parts"].items():
            part = getattr(self, name)
            if (part is None) != (value is None):
                has, lacks = ("checkpoint", "call") if part is None else ("call", "checkpoint")
                raise ValueError(
                    f"[fit] cannot resume from {str(path)!r}: the {has} has a {name}, the {lacks} has none"
                )
            if part is not None:
                part.load_state_dict(value)
        if len(state["callbacks"]) != len(self.callbacks):
            raise ValueError(
                f"[fit] cannot resume from {str(path)!r}: it has {len(state['callbacks'])} callbacks, "
                f"but {len(self.callbacks)} were given"
            )
        for callback, value in zip(self.callbacks, state["callbacks"], strict=True):
            if value is not None and hasattr(callback, "load_state_dict"):
                callback.load_state_dict(value)
        self.history = History(state["history"])
        self.epoch, self.batch, self.step, self.stop, self.trained = state["progress"]
        self._begin, self._now, self._place = state["begin"], state["now"], state["place"]
        self.optimizer._opt_called = self.step > 0  # a schedule may be what comes next
