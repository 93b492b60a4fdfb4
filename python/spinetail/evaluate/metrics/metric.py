"""Metrics that take their samples batch by batch: `update`, `compute`, `reset`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .checks import to_array
from .confusion import tally


class Metric:
    """The base: `update(prediction, target)` for each batch, `compute()` for all so far, `reset()` to begin again.

    Options are those of the function of the same name. `state_dict` goes into checkpoints.

    >>> import spinetail as st
    >>> metric = st.evaluate.metrics.F1(average="macro")
    >>> metric.update([0, 1], [0, 1]); metric.update([2, 2], [1, 2])
    >>> metric.compute()
    0.7777777777777777
    """

    function: ClassVar[Callable[..., Any]]

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        raise NotImplementedError

    def update(self, prediction: Any, target: Any) -> None:
        """Take in a batch."""
        raise NotImplementedError

    def compute(self) -> Any:
        """The value for all samples so far. Raises: ValueError if there are none."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """What has been taken in."""
        return {name: value for name, value in self.__dict__.items() if name != "options"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.__dict__.update(state_dict)

    def _none(self) -> ValueError:
        return ValueError(f"[{type(self).__name__}] there are no samples yet")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.options.items())})"


class _Mean(Metric):
    """A mean over samples: a sum and a number are enough."""

    def reset(self) -> None:
        self.total, self.count = 0.0, 0

    def update(self, prediction: Any, target: Any) -> None:
        value, count = type(self).function(prediction, target, **self.options), len(to_array(target))
        self.total, self.count = self.total + value * count, self.count + count

    def compute(self) -> float:
        if not self.count:
            raise self._none()
        return self.total / self.count


class _Counted(Metric):
    """What follows from the confusion matrix, which is all that is kept."""

    def reset(self) -> None:
        self.classes: list[Any] = []
        self.matrix = np.zeros((0, 0), np.int64)

    def update(self, prediction: Any, target: Any) -> None:
        classes, matrix = tally(type(self).__name__, prediction, target)
        known = np.union1d(np.asarray(self.classes, classes.dtype), classes) if self.classes else classes
        if self.classes and (known.dtype.kind in "US") != (np.asarray(self.classes).dtype.kind in "US"):
            raise TypeError(f"[{type(self).__name__}] labels of this batch cannot be compared with those before")
        total = np.zeros((len(known), len(known)), np.int64)
        for some, counts in ((np.asarray(self.classes), self.matrix), (classes, matrix)):
            places = np.searchsorted(known, some)
            total[np.ix_(places, places)] += counts
        self.classes, self.matrix = known.tolist(), total

    def compute(self) -> Any:
        if not self.classes:
            raise self._none()
        return self._from(np.asarray(self.classes), self.matrix)

    def _from(self, classes: np.ndarray, matrix: np.ndarray) -> Any:
        raise NotImplementedError


class _Kept(Metric):
    """What needs all samples at once: they are kept."""

    def reset(self) -> None:
        self.predictions: list[np.ndarray] = []
        self.targets: list[np.ndarray] = []

    def update(self, prediction: Any, target: Any) -> None:
        self.predictions.append(np.array(to_array(prediction)))
        self.targets.append(np.array(to_array(target)))

    def compute(self) -> Any:
        if not self.targets:
            raise self._none()
        together = np.concatenate(self.predictions), np.concatenate(self.targets)
        return type(self).function(*together, **self.options)
