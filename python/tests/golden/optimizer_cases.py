"""What the golden trajectories of the optimizers are made of, for the maker (PyTorch) and the test (spinetail)."""

import numpy as np

STEPS = 100
CASES = {
    "sgd": ("SGD", {"lr": 0.05}),
    "sgd_decay_maximize": ("SGD", {"lr": 0.002, "weight_decay": 0.1, "maximize": True}),
    "sgd_momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "sgd_dampening": ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01}),
    "sgd_nesterov": ("SGD", {"lr": 0.02, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    "adam": ("Adam", {"lr": 0.05}),
    "adam_decay": ("Adam", {"lr": 0.05, "weight_decay": 0.1, "betas": (0.8, 0.95), "eps": 1e-3}),
    "adam_amsgrad": ("Adam", {"lr": 0.05, "amsgrad": True, "betas": (0.5, 0.7)}),
    "adam_maximize": ("Adam", {"lr": 0.01, "maximize": True}),
    "adam_decoupled": ("Adam", {"lr": 0.05, "weight_decay": 0.3, "decoupled_weight_decay": True}),
    "adamw": ("AdamW", {"lr": 0.05}),
    "adamw_amsgrad": ("AdamW", {"lr": 0.05, "weight_decay": 0.5, "amsgrad": True, "maximize": True}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop_centered": ("RMSprop", {"lr": 0.02, "alpha": 0.9, "centered": True, "eps": 1e-4}),
    "rmsprop_momentum": ("RMSprop", {"lr": 0.005, "momentum": 0.9, "weight_decay": 0.1}),
    "rmsprop_all": ("RMSprop", {"lr": 0.003, "momentum": 0.5, "centered": True, "maximize": True, "eps": 1e-3}),
    "adagrad": ("Adagrad", {"lr": 0.1}),
    "adagrad_decay": ("Adagrad", {"lr": 0.2, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}),
    "adagrad_maximize": ("Adagrad", {"lr": 0.01, "maximize": True, "eps": 1e-4}),
    "adamax": ("Adamax", {"lr": 0.05}),
    "adamax_all": ("Adamax", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    "nadam": ("NAdam", {"lr": 0.05}),
    "nadam_decay": ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "momentum_decay": 0.03, "betas": (0.8, 0.95)}),
    "nadam_decoupled": (
        "NAdam",
        {"lr": 0.01, "weight_decay": 0.3, "decoupled_weight_decay": True, "maximize": True, "eps": 1e-3},
    ),
    "radam": ("RAdam", {"lr": 0.05}),
    "radam_decay": ("RAdam", {"lr": 0.05, "weight_decay": 0.1, "betas": (0.8, 0.9), "eps": 1e-3}),
    "radam_decoupled": (
        "RAdam",
        {"lr": 0.01, "weight_decay": 0.3, "decoupled_weight_decay": True, "maximize": True},
    ),
    "adadelta": ("Adadelta", {}),
    "adadelta_all": ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    "rprop": ("Rprop", {}),
    "rprop_all": ("Rprop", {"lr": 0.03, "etas": (0.3, 1.5), "step_sizes": (1e-3, 0.05), "maximize": True}),
    "asgd": ("ASGD", {"lr": 0.05}),
    "asgd_all": (
        "ASGD",
        {"lr": 0.05, "lambd": 0.01, "alpha": 0.5, "t0": 20, "weight_decay": 0.1, "maximize": True},
    ),
    "adafactor": ("Adafactor", {"lr": 0.05}),
    "adafactor_all": (
        "Adafactor",
        {"lr": 0.3, "beta2_decay": -0.5, "eps": (1e-3, 1e-2), "d": 1.5, "weight_decay": 0.1, "maximize": True},
    ),
}
SHAPES = [(3, 5), (), (17,)]


def start() -> list[np.ndarray]:
    """The parameters before the first step."""
    return [np.asarray(np.cos(np.arange(np.prod(s, dtype=int)) * 0.7 + i).reshape(s)) for i, s in enumerate(SHAPES)]


def gradient(parameter: np.ndarray, index: int, step: int) -> np.ndarray:
    """A gradient that depends on the parameter and on time; it is exactly zero for one parameter at one step."""
    places = np.arange(parameter.size).reshape(parameter.shape)
    value = 0.5 * parameter + 0.3 * np.cos(0.1 * step + places) + 0.05 * index
    return np.asarray(value * (0.0 if step == 7 and index == 2 else 1.0))


# L-BFGS on Rosenbrock's function of 6 numbers: options, and calls of step().
LBFGS = {
    "lbfgs": ({"lr": 0.01, "max_iter": 7, "history_size": 4}, 12),
    "lbfgs_wolfe": ({"max_iter": 6, "history_size": 5, "line_search_fn": "strong_wolfe"}, 8),
    "lbfgs_few": ({"lr": 0.5, "max_iter": 10, "max_eval": 6, "line_search_fn": "strong_wolfe"}, 5),
}


def rosenbrock(x):
    """The function of arrays or tensors, made of their own operations."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def learning_rate(rate: float, step: int) -> float:
    """A rate that changes on the way."""
    return rate * (0.5 if step >= 60 else 1.0)
