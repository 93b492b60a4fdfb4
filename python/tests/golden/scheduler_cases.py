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
    "restarts": ("CosineAnnealingWarmRestarts", {"T_0": 5}),
    "restarts_longer": ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.05}),
    "multiplicative": ("MultiplicativeLR", {"lr_lambda": lambda e: 0.97}),
}
RATES = (0.5, 2.0)
#: Schedules that change momenta too, with the optimizer that they are made for.
CYCLES = {
    "cyclic": ("SGD", "CyclicLR", {"base_lr": 0.1, "max_lr": 0.7, "step_size_up": 4}),
    "cyclic2": (
        "SGD",
        "CyclicLR",
        {
            "base_lr": [0.1, 0.2],
            "max_lr": [1.0, 2.0],
            "step_size_up": 3,
            "step_size_down": 5,
            "mode": "triangular2",
            "base_momentum": [0.7, 0.6],
            "max_momentum": [0.8, 0.95],
        },
    ),
    "cyclic_exp": (
        "Adam",
        "CyclicLR",
        {"base_lr": 0.1, "max_lr": 0.7, "step_size_up": 5, "mode": "exp_range", "gamma": 0.97},
    ),
    "cyclic_own": (
        "RMSprop",
        "CyclicLR",
        {"base_lr": 0.1, "max_lr": 0.7, "step_size_up": 3, "scale_fn": lambda x: 1 / x, "cycle_momentum": False},
    ),
    "cyclic_own_iterations": (
        "SGD",
        "CyclicLR",
        {"base_lr": 0.1, "max_lr": 0.7, "step_size_up": 3, "scale_fn": lambda x: 0.9**x, "scale_mode": "iterations"},
    ),
    "onecycle": ("SGD", "OneCycleLR", {"max_lr": 1.0, "total_steps": 30}),
    "onecycle_epochs": (
        "Adam",
        "OneCycleLR",
        {
            "max_lr": [0.3, 3.0],
            "epochs": 3,
            "steps_per_epoch": 11,
            "pct_start": 0.25,
            "anneal_strategy": "linear",
            "base_momentum": [0.8, 0.7],
            "max_momentum": [0.9, 0.99],
        },
    ),
    "onecycle_three": (
        "AdamW",
        "OneCycleLR",
        {"max_lr": 1.0, "total_steps": 31, "three_phase": True, "div_factor": 10.0, "final_div_factor": 100.0},
    ),
    "onecycle_plain": ("SGD", "OneCycleLR", {"max_lr": 1.0, "total_steps": 30, "cycle_momentum": False}),
}
#: Schedules made of others.
COMPOSED = {
    "chain": lambda S, o: S.ChainedScheduler([S.ConstantLR(o, 0.1, 4), S.ExponentialLR(o, 0.9), S.StepLR(o, 7)], o),
    "sequence": lambda S, o: S.SequentialLR(
        o, [S.LinearLR(o, 0.25, total_iters=5), S.CosineAnnealingLR(o, 12), S.ExponentialLR(o, 0.8)], [5, 17]
    ),
    "sequence_restarts": lambda S, o: S.SequentialLR(
        o, [S.CosineAnnealingWarmRestarts(o, 3), S.MultiStepLR(o, [2, 4]), S.PolynomialLR(o, 9)], [8, 16]
    ),
    "sequence_now": lambda S, o: S.SequentialLR(o, [S.ConstantLR(o), S.StepLR(o, 3)], [0]),
    "chain_of_sequence": lambda S, o: S.ChainedScheduler(
        [S.SequentialLR(o, [S.ConstantLR(o, 0.5, 4), S.ExponentialLR(o, 0.9)], [6])]
    ),
}
#: Schedules resumed at a last epoch, without a state.
RESUMED = (
    "step",
    "multistep",
    "constant",
    "linear",
    "exponential",
    "polynomial",
    "cosine",
    "lambda",
    "multiplicative",
    "restarts",
)
RESUME_AT = (1, 3, 6)
#: The warm-up followed by a cosine, as PyTorch makes it of two.
WARMUP = {"warmup_iters": 6, "total_iters": 24, "start_factor": 0.125, "eta_min": 0.01}
PLATEAU = {
    "min_rel": {"patience": 2},
    "max_abs": {"mode": "max", "patience": 1, "threshold": 0.1, "threshold_mode": "abs", "cooldown": 2, "factor": 0.5},
    "min_lr": {"patience": 0, "factor": 0.2, "min_lr": [0.01, 0.3]},
}


def value(epoch: int) -> float:
    """What ReduceLROnPlateau watches."""
    return math.cos(epoch * 0.9) + 3.0 / (1 + epoch)
