"""The loss and the metrics of an epoch, collected batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from ..autograd import Tensor, wrap


class Mean:
    """The mean over samples of what a function of (prediction, target) gives for batches."""

    def __init__(self, function: Any = None) -> None:
        self.function = function
        self.reset()

    def reset(self) -> None:
        self.total, self.count = 0.0, 0

    def update(self, prediction: Any, target: Any) -> None:
        self.add(self.function(prediction, target), target)

    def add(self, value: Any, target: Any) -> None:
        count = len(target) if np.ndim(getattr(target, "_array", target)) else 1
        self.total += float(value) * count
        self.count += count

    def compute(self) -> float:
        return self.total / self.count if self.count else float("nan")

    def state_dict(self) -> dict[str, Any]:
        return {"total": self.total, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.total, self.count = state["total"], state["count"]


class Tracker:
    """The mean loss, and metrics by name: functions, averaged, or objects with update, compute and reset."""

    def __init__(self, metrics: Mapping[str, Any] | None) -> None:
        self.loss = Mean()
        self.metrics: dict[str, Any] = {}
        for name, metric in (metrics or {}).items():
            streaming = all(hasattr(metric, method) for method in ("update", "compute", "reset"))
            if isinstance(metric, type) or not (streaming or callable(metric)):
                raise TypeError(
                    f"[fit] the metric {name!r} should be a function of (prediction, target) or an object with update, "
                    f"compute and reset, but it is {metric!r}"
                )
            # A copy: validation in the middle of an epoch must not touch the epoch's sums.
            self.metrics[name] = deepcopy(metric) if streaming else Mean(metric)
        self.reset()

    def reset(self) -> None:
        """Begin an epoch."""
        for metric in (self.loss, *self.metrics.values()):
            metric.reset()

    def update(self, loss: float, output: Any, target: Any) -> None:
        """Take in a batch."""
        self.loss.add(loss, target)
        output = output.detach() if isinstance(output, Tensor) else output
        for metric in self.metrics.values():
            metric.update(output, target)

    def compute(self, prefix: str = "") -> dict[str, Any]:
        """The epoch's values so far."""
        values = {"loss": self.loss, **self.metrics}
        return {prefix + name: _plain(metric.compute()) for name, metric in values.items()}

    def state_dict(self) -> dict[str, Any]:
        """The sums so far; of metrics that have a `state_dict`."""
        parts = {n: m.state_dict() for n, m in self.metrics.items() if hasattr(m, "state_dict")}
        return {"loss": self.loss.state_dict(), "metrics": parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.loss.load_state_dict(state["loss"])
        for name, value in state["metrics"].items():
            if name in self.metrics:
                self.metrics[name].load_state_dict(value)


def _plain(value: Any) -> Any:
    """Numbers as floats, arrays as lists."""
    array = np.asarray(getattr(value, "_array", value))
    return float(array) if array.ndim == 0 else array.tolist()


def unpack_pair(batch: Any) -> tuple[tuple[Any, ...], Any]:
    """The inputs and the target of a batch (*inputs, target); arrays become tensors."""
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise TypeError(
            f"[fit] expected batches (*inputs, target), but got {type(batch).__name__}"
            + (f" of length {len(batch)}" if isinstance(batch, (tuple, list)) else "")
            + ": give unpack=, a function from a batch to (inputs, target)"
        )
    *inputs, target = (wrap(item) if isinstance(item, np.ndarray) else item for item in batch)
    return tuple(inputs), target
