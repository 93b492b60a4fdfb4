"""What the golden values of the activations are made of, for the maker (PyTorch) and the test (spinetail)."""

import numpy as np

# name: keyword arguments, one dictionary for each variant
CASES = {
    "relu": [{}],
    "relu6": [{}],
    "leaky_relu": [{}, {"negative_slope": 0.3}, {"negative_slope": -0.5}],
    "elu": [{}, {"alpha": 0.7}],
    "celu": [{}, {"alpha": 2.0}],
    "selu": [{}],
    "gelu": [{}, {"approximate": "tanh"}],
    "silu": [{}],
    "mish": [{}],
    "sigmoid": [{}],
    "logsigmoid": [{}],
    "tanh": [{}],
    "softplus": [{}, {"beta": 2.5, "threshold": 5.0}, {"beta": -1.0}],
    "softsign": [{}],
    "hardtanh": [{}, {"min_val": -0.5, "max_val": 3.0}],
    "hardsigmoid": [{}],
    "hardswish": [{}],
    "tanhshrink": [{}],
    "softshrink": [{}, {"lambd": 1.0}],
    "hardshrink": [{}, {"lambd": 0.0}],
    "threshold": [{"threshold": 0.5, "value": -7.0}],
    "softmax": [{"dim": 0}],
    "log_softmax": [{"dim": 0}],
    "softmin": [{"dim": 0}],
    "glu": [{"dim": 0}],
}
#: Where functions have kinks, large values, and what is not a number.
POINTS = np.array(
    [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.0, -6.0, 7.0, 20.0, -20.0, 35.0, -35.0, 100.0, -100.0, 800.0, -800.0]
)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 1.0])
SMOOTH = np.random.default_rng(5).standard_normal(24) * 3
GRADIENT = np.cos(np.arange(64) * 0.37) + 0.1


def inputs() -> dict[str, np.ndarray]:
    """The arrays that each function runs on."""
    return {"points": POINTS, "special": SPECIAL, "smooth": SMOOTH}


def shaped(name: str, x: np.ndarray) -> np.ndarray:
    """glu needs an even number of elements."""
    return x[: x.size // 2 * 2] if name == "glu" else x
