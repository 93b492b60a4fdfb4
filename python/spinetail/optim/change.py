"""What becomes of gradients before steps of several passes."""

from __future__ import annotations

import math

import numpy as np

from ..ops.optimizer import Change


def changed(gradient: np.ndarray, parameter: np.ndarray, change: Change) -> np.ndarray:
    """A gradient after its change, for steps of several passes."""
    if change.scale != 1.0:
        gradient = gradient * gradient.dtype.type(change.scale)
    if change.bound != math.inf:
        gradient = np.clip(gradient, -change.bound, change.bound)
    if change.l1_decay:
        gradient = gradient + gradient.dtype.type(change.l1_decay) * np.sign(parameter)
    return gradient
