"""Early stopping."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd import wrap


class EarlyStopping:
    """Says when a value has not improved for more than `patience` epochs, and brings the best weights back.

    `mode` "min" or "max" says what is better; an improvement is more than `min_delta`. `monitor` names the value in the
    history that `fit` watches: by default "val_loss", or "loss" without validation. With `restore_best` the model's
    state at the best epoch is kept and loaded back by `restore`, which `fit` calls when the training ends. NaN is never
    an improvement. `state_dict` holds all of it.

    Raises: ValueError for another mode, negative patience or min_delta.

    >>> import spinetail as st
    >>> stopping = st.train.EarlyStopping(patience=1)
    >>> [stopping.step(loss) for loss in (3.0, 2.0, 2.5, 2.0, 2.1)]
    [False, False, False, True, True]
    >>> stopping.best, stopping.best_epoch
    (2.0, 1)
    """

    def __init__(
        self,
        patience: int = 10,
        min_delta: float = 0.0,
        mode: str = "min",
        restore_best: bool = True,
        monitor: str | None = None,
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"[EarlyStopping] expected mode 'min' or 'max', but got {mode!r}")
        if not patience >= 0:
            raise ValueError(f"[EarlyStopping] expected patience of at least 0, but got {patience}")
        if not min_delta >= 0:
            raise ValueError(f"[EarlyStopping] expected min_delta of at least 0, but got {min_delta}")
        self.patience, self.min_delta, self.mode = patience, min_delta, mode
        self.restore_best, self.monitor = restore_best, monitor
        self.best = math.inf if mode == "min" else -math.inf
        self.best_epoch = self.epoch = -1
        self.best_state: dict[str, Any] | None = None

    def step(self, value: Any, model: Any = None) -> bool:
        """Note an epoch's value (and the model's weights, where they are the best); whether it is time to stop."""
        current = float(value)
        self.epoch += 1
        gain = self.best - current if self.mode == "min" else current - self.best
        if gain > self.min_delta or (self.best_epoch < 0 and not math.isnan(current)):
            self.best, self.best_epoch = current, self.epoch
            if self.restore_best and model is not None:
                self.best_state = {name: wrap(np.array(v._array)) for name, v in model.state_dict().items()}
        return self.epoch - self.best_epoch > self.patience

    def restore(self, model: Any) -> None:
        """Load the best weights, if some were kept."""
        if self.best_state is not None:
            model.load_state_dict(self.best_state)

    def state_dict(self) -> dict[str, Any]:
        """Everything, the best weights included."""
        return dict(self.__dict__)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.__dict__.update(state_dict)
