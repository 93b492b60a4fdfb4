"""The schedules of the golden file, for the maker (PyTorch) and the test (spinetail)."""

import math

EPOCHS = 30
CASES = {
    "step": ("StepLR", {"step_size": 3, "gamma": 0.5}),
    "multistep": ("MultiStepLR", {"milestones": [2, 5, 5, 11], "gamma": 0.3}),
    "constant": ("ConstantLR", {}),
    "constant_long": ("ConstantLR", {"factor": 0.25, "total_iters": 9}),
    "linear": ("LinearLR", {}),
    "linear_down": ("LinearLR", {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 12}),
    "exponential": ("ExponentialLR", {"gamma": 0.9}),
    "polynomial": ("PolynomialLR", {"total_iters": 20, "power": 2.0}),
    "cosine": ("CosineAnnealingLR", {"T_max": 10}),
    "cosine_min": ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    "lambda": ("LambdaLR", {"lr_lambda": [lambda e: 0.95**e, lambda e: 1 / (1 + e)]}),
    "multiplicative": ("MultiplicativeLR", {"lr_lambda": lambda e: 0.97}),
}
PLATEAU = {
    "min_rel": {"patience": 2},
    "max_abs": {"mode": "max", "patience": 1, "threshold": 0.1, "threshold_mode": "abs", "cooldown": 2, "factor": 0.5},
    "min_lr": {"patience": 0, "factor": 0.2, "min_lr": [0.01, 0.3]},
}
RATES = (0.5, 2.0)


def value(epoch: int) -> float:
    """What ReduceLROnPlateau watches."""
    return math.cos(epoch * 0.9) + 3.0 / (1 + epoch)
