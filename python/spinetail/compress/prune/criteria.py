"""What a weight, or a channel, is worth: functions `(weight, gradient, activation) -> scores`.

Scores are at least 0 and the lowest go first. For single weights they have the weight's shape; for channels the weight
comes as (channels, everything else) and there is one score for each channel. `gradient` is the weight's gradient and
`activation` what enters the layer, or None where nothing was recorded. A criterion of your own is such a function.
"""

from __future__ import annotations

import numpy as np

from ...functional.random import uniform

__all__ = ["CHANNELS", "l1", "l2", "magnitude", "random"]


def magnitude(
    weight: np.ndarray, gradient: np.ndarray | None = None, activation: np.ndarray | None = None
) -> np.ndarray:
    """|w|."""
    scores: np.ndarray = np.absolute(weight)
    return scores


def random(weight: np.ndarray, gradient: np.ndarray | None = None, activation: np.ndarray | None = None) -> np.ndarray:
    """A random number from `manual_seed`'s generator for each weight; weights that are already 0 score 0."""
    return np.where(weight != 0, 1 + uniform(weight.shape), 0).astype(np.float32)


def l1(weight: np.ndarray, gradient: np.ndarray | None = None, activation: np.ndarray | None = None) -> np.ndarray:
    """Σ |w| over each channel."""
    scores: np.ndarray = np.abs(weight).sum(axis=1, dtype=np.float64)
    return scores


def l2(weight: np.ndarray, gradient: np.ndarray | None = None, activation: np.ndarray | None = None) -> np.ndarray:
    """√(Σ w²) over each channel."""
    scores: np.ndarray = np.sqrt(np.square(weight, dtype=np.float64).sum(axis=1))
    return scores


#: The criteria that `channels` knows by name.
CHANNELS = {"l1": l1, "l2": l2}
