"""Distributions that keep the variance from layer to layer: gains, Xavier and Kaiming."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ...autograd import Tensor
from ...functional.generator import Generator
from .target import A, done, fill_normal, fill_uniform, floating


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which the standard deviation of weights is raised to make up for a nonlinearity.

    linear, conv and sigmoid 1 · tanh 5/3 · relu √2 · leaky_relu √(2 / (1 + param²)) with param 0.01 by default ·
    selu 3/4.
    Raises: ValueError for another name or a `param` that is not a number.

    >>> import spinetail as st
    >>> round(st.nn.init.calculate_gain("leaky_relu", 0.2), 4)
    1.3868
    """
    linear = (
        "linear",
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
        "sigmoid",
    )
    if nonlinearity in linear:
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"[calculate_gain] negative_slope {slope!r} not a valid number")
        return sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"[calculate_gain] Unsupported nonlinearity {nonlinearity!r}")


def _calculate_fan_in_and_fan_out(tensor: Tensor | np.ndarray) -> tuple[int, int]:
    """Over how many inputs each output sums, and the reverse, for a weight of shape (out, in, *kernel)."""
    shape = tuple(tensor.shape)
    if len(shape) < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    field = int(np.prod(shape[2:], dtype=np.int64))
    return shape[1] * field, shape[0] * field


def _fan(name: str, array: np.ndarray, mode: str) -> int:
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"[{name}] mode should be 'fan_in' or 'fan_out', but got {mode!r}")
    return _calculate_fan_in_and_fan_out(array)[mode.lower() == "fan_out"]


def xavier_uniform_(tensor: A, gain: float = 1.0, generator: Generator | None = None) -> A:
    """Fill from U(-a, a) with a = gain · √(6 / (fan_in + fan_out)).

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.
    """
    array = floating("xavier_uniform_", tensor)
    bound = gain * sqrt(6.0 / max(sum(_calculate_fan_in_and_fan_out(array)), 1))
    fill_uniform(array, -bound, bound, generator)
    return done(tensor)


def xavier_normal_(tensor: A, gain: float = 1.0, generator: Generator | None = None) -> A:
    """Fill from N(0, s²) with s = gain · √(2 / (fan_in + fan_out)).

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.
    """
    array = floating("xavier_normal_", tensor)
    fill_normal(array, 0.0, gain * sqrt(2.0 / max(sum(_calculate_fan_in_and_fan_out(array)), 1)), generator)
    return done(tensor)


def kaiming_uniform_(
    tensor: A, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None
) -> A:
    """Fill from U(-b, b) with b = gain · √(3 / fan), the gain being that of the nonlinearity (`a`: leaky ReLU's slope).

    Source: He et al., Delving deep into rectifiers, 2015.
    """
    array = floating("kaiming_uniform_", tensor)
    if 0 in array.shape:
        return tensor
    bound = sqrt(3.0) * calculate_gain(nonlinearity, a) / sqrt(_fan("kaiming_uniform_", array, mode))
    fill_uniform(array, -bound, bound, generator)
    return done(tensor)


def kaiming_normal_(
    tensor: A, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None
) -> A:
    """Fill from N(0, s²) with s = gain / √fan, the gain being that of the nonlinearity (`a`: leaky ReLU's slope).

    Source: He et al., Delving deep into rectifiers, 2015.
    """
    array = floating("kaiming_normal_", tensor)
    if 0 in array.shape:
        return tensor
    std = calculate_gain(nonlinearity, a) / sqrt(_fan("kaiming_normal_", array, mode))
    fill_normal(array, 0.0, std, generator)
    return done(tensor)
