"""Averages of weights for the golden file, for the maker (PyTorch) and the test (spinetail)."""

import numpy as np

UPDATES = 6
#: Arguments of AveragedModel, from the module of averages.
CASES = {
    "default": lambda A: {},
    "swa": lambda A: {"avg_fn": A.get_swa_avg_fn()},
    "swa_multi": lambda A: {"multi_avg_fn": A.get_swa_multi_avg_fn()},
    "ema": lambda A: {"avg_fn": A.get_ema_avg_fn(0.8)},
    "ema_multi": lambda A: {"multi_avg_fn": A.get_ema_multi_avg_fn(0.9)},
    "ema_low": lambda A: {"multi_avg_fn": A.get_ema_multi_avg_fn(0.25)},
    "ema_buffers": lambda A: {"multi_avg_fn": A.get_ema_multi_avg_fn(0.9), "use_buffers": True},
    "swa_buffers": lambda A: {"use_buffers": True},
    "own": lambda A: {"avg_fn": lambda mean, value, number: 0.5 * (mean + value) + 0.125 * number},
}
RATES = {
    "cos": {"swa_lr": 0.05, "anneal_epochs": 7},
    "linear": {"swa_lr": [0.05, 3.0], "anneal_epochs": 5, "anneal_strategy": "linear"},
    "at_once": {"swa_lr": 0.05, "anneal_epochs": 0},
}


def net(nn):
    """Two layers with a batch norm between them."""
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def values(shape, seed, step) -> np.ndarray:
    """What a parameter is at a step."""
    return np.cos(np.arange(np.prod(shape, dtype=int)) * 0.7 + seed + step * 1.3).reshape(shape)


def batches() -> list[np.ndarray]:
    """Inputs, the last batch shorter."""
    x = np.random.default_rng(0).normal(size=(20, 4))
    return [x[:8], x[8:16], x[16:]]
