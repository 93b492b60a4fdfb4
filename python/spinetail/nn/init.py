"""Initialisation: filling tensors or arrays in place with starting values.

Every function changes its first argument, a Tensor or an ndarray, returns it, and records nothing on the tape. Random
ones take a `generator`; without one the default generator is used, which `manual_seed` sets.
"""

from __future__ import annotations

from math import erf, sqrt
from typing import TypeVar

import numpy as np

from ..autograd import Tensor
from ..functional import random
from ..functional.generator import Generator

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

A = TypeVar("A", Tensor, np.ndarray)


def _target(name: str, tensor: object) -> np.ndarray:
    array = tensor._array if isinstance(tensor, Tensor) else tensor
    if not isinstance(array, np.ndarray):
        raise TypeError(f"[{name}] expected a Tensor or an array, but got {type(tensor).__name__}")
    if not array.flags.writeable:
        raise ValueError(f"[{name}] the array is read-only")
    return array


def _floating(name: str, tensor: object) -> np.ndarray:
    array = _target(name, tensor)
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        raise TypeError(f"[{name}] expected a floating-point tensor, but got {array.dtype}")
    return array


def _done(tensor: A) -> A:
    if isinstance(tensor, Tensor):
        tensor._bump()
    return tensor


def _dtype(array: np.ndarray) -> np.dtype:
    """The dtype in which to draw numbers for an array."""
    return np.dtype(np.float64) if array.dtype == np.float64 else np.dtype(np.float32)


def _uniform(array: np.ndarray, low: float, high: float, generator: Generator | None) -> None:
    array[...] = random.uniform(array.shape, low, high, _dtype(array), generator)


def _normal(array: np.ndarray, mean: float, std: float, generator: Generator | None) -> None:
    array[...] = random.normal_array(array.shape, mean, std, _dtype(array), generator)


def _dimensions(name: str, array: np.ndarray, least: int, most: int | None = None) -> None:
    if array.ndim < least or (most is not None and array.ndim > most):
        wanted = f"at least {least}" if most is None else f"{least}" if least == most else f"{least} to {most}"
        raise ValueError(f"[{name}] expected a tensor of {wanted} dimensions, but got shape {array.shape}")


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


def uniform_(tensor: A, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> A:
    """Fill with numbers from the uniform distribution over [a, b).

    >>> import spinetail as st
    >>> st.nn.init.uniform_(st.empty(3, 5)).shape == (3, 5)
    True
    """
    array = _floating("uniform_", tensor)
    if not a <= b:
        raise ValueError(f"[uniform_] expected a <= b, but got a={a} and b={b}")
    _uniform(array, a, b, generator)
    return _done(tensor)


def normal_(tensor: A, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> A:
    """Fill with numbers from the normal distribution N(mean, std²)."""
    array = _floating("normal_", tensor)
    if not std >= 0:
        raise ValueError(f"[normal_] expected std >= 0.0, but got std={std}")
    _normal(array, mean, std, generator)
    return _done(tensor)


def trunc_normal_(
    tensor: A, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Generator | None = None
) -> A:
    """Fill with numbers from N(mean, std²) of which those outside of [a, b] are drawn again.

    The bounds are absolute, as in PyTorch, and not multiples of `std`: with std 0.02 the default ones cut nothing.
    Raises: ValueError where the distribution has next to nothing between the bounds.
    """
    array = _floating("trunc_normal_", tensor)
    if not std >= 0 or not a <= b:
        raise ValueError(f"[trunc_normal_] expected std >= 0 and a <= b, but got std={std}, a={a} and b={b}")
    if std > 0:
        inside = (erf((b - mean) / (std * sqrt(2))) - erf((a - mean) / (std * sqrt(2)))) / 2
        if inside < 1e-3:
            raise ValueError(f"[trunc_normal_] only {inside:.1e} of N({mean}, {std}²) lies between a={a} and b={b}")
    elif not a <= mean <= b:
        raise ValueError(f"[trunc_normal_] with std=0 the mean {mean} should lie between a={a} and b={b}")
    values = random.normal_array((array.size,), mean, std, _dtype(array), generator)
    outside = np.flatnonzero((values < a) | (values > b))
    while outside.size:
        values[outside] = random.normal_array((outside.size,), mean, std, _dtype(array), generator)
        outside = outside[(values[outside] < a) | (values[outside] > b)]
    array[...] = values.reshape(array.shape)
    return _done(tensor)


def constant_(tensor: A, val: float) -> A:
    """Fill with one value."""
    _target("constant_", tensor)[...] = val
    return _done(tensor)


def ones_(tensor: A) -> A:
    """Fill with ones."""
    return constant_(tensor, 1)


def zeros_(tensor: A) -> A:
    """Fill with zeros."""
    return constant_(tensor, 0)


def eye_(tensor: A) -> A:
    """Make a matrix the identity, as far as its shape allows.

    Raises: ValueError unless there are 2 dimensions.
    """
    array = _target("eye_", tensor)
    _dimensions("eye_", array, 2, 2)
    array[...] = np.eye(*array.shape, dtype=bool)
    return _done(tensor)


def dirac_(tensor: A, groups: int = 1) -> A:
    """Make a convolution's weight pass its input channels on, as many as there are output channels for, in each group.

    Shapes: (out, in / groups, *kernel), 3 to 5 dimensions. Raises: ValueError for other shapes, or where `groups` does
    not divide the output channels.

    >>> import spinetail as st
    >>> st.nn.init.dirac_(st.empty(1, 1, 3)).tolist()
    [[[0.0, 1.0, 0.0]]]
    """
    array = _target("dirac_", tensor)
    _dimensions("dirac_", array, 3, 5)
    if groups < 1 or array.shape[0] % groups:
        raise ValueError(f"[dirac_] groups={groups} does not divide the {array.shape[0]} output channels")
    array[...] = 0
    per_group = array.shape[0] // groups
    centre = tuple(extent // 2 for extent in array.shape[2:])
    for group in range(groups):
        for channel in range(min(per_group, array.shape[1])):
            array[(group * per_group + channel, channel, *centre)] = 1
    return _done(tensor)


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
    array = _floating("xavier_uniform_", tensor)
    bound = gain * sqrt(6.0 / max(sum(_calculate_fan_in_and_fan_out(array)), 1))
    _uniform(array, -bound, bound, generator)
    return _done(tensor)


def xavier_normal_(tensor: A, gain: float = 1.0, generator: Generator | None = None) -> A:
    """Fill from N(0, s²) with s = gain · √(2 / (fan_in + fan_out)).

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.
    """
    array = _floating("xavier_normal_", tensor)
    _normal(array, 0.0, gain * sqrt(2.0 / max(sum(_calculate_fan_in_and_fan_out(array)), 1)), generator)
    return _done(tensor)


def kaiming_uniform_(
    tensor: A, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None
) -> A:
    """Fill from U(-b, b) with b = gain · √(3 / fan), the gain being that of the nonlinearity (`a`: leaky ReLU's slope).

    Source: He et al., Delving deep into rectifiers, 2015.
    """
    array = _floating("kaiming_uniform_", tensor)
    if 0 in array.shape:
        return tensor
    bound = sqrt(3.0) * calculate_gain(nonlinearity, a) / sqrt(_fan("kaiming_uniform_", array, mode))
    _uniform(array, -bound, bound, generator)
    return _done(tensor)


def kaiming_normal_(
    tensor: A, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None
) -> A:
    """Fill from N(0, s²) with s = gain / √fan, the gain being that of the nonlinearity (`a`: leaky ReLU's slope).

    Source: He et al., Delving deep into rectifiers, 2015.
    """
    array = _floating("kaiming_normal_", tensor)
    if 0 in array.shape:
        return tensor
    std = calculate_gain(nonlinearity, a) / sqrt(_fan("kaiming_normal_", array, mode))
    _normal(array, 0.0, std, generator)
    return _done(tensor)


def orthogonal_(tensor: A, gain: float = 1, generator: Generator | None = None) -> A:
    """Fill with `gain` times a random matrix whose rows, or columns if they are fewer, are orthonormal.

    Dimensions after the first count as one. Raises: ValueError for fewer than 2 dimensions.
    Source: Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear neural networks, 2013.
    """
    array = _floating("orthogonal_", tensor)
    _dimensions("orthogonal_", array, 2)
    if array.size == 0:
        return tensor
    rows = array.shape[0]
    columns = array.size // rows
    flat = random.normal_array((max(rows, columns), min(rows, columns)), 0.0, 1.0, _dtype(array), generator)
    q, r = np.linalg.qr(flat)
    q *= np.sign(np.diagonal(r))  # makes the distribution uniform
    array[...] = (gain * (q.T if rows < columns else q)).reshape(array.shape)
    return _done(tensor)


def sparse_(tensor: A, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> A:
    """Fill a matrix from N(0, std²) and set the share `sparsity` of each column to zero.

    Raises: ValueError unless there are 2 dimensions and 0 <= sparsity <= 1.
    Source: Martens, Deep learning via Hessian-free optimization, 2010.
    """
    array = _floating("sparse_", tensor)
    _dimensions("sparse_", array, 2, 2)
    if not 0 <= sparsity <= 1:
        raise ValueError(f"[sparse_] sparsity should be between 0 and 1, but got {sparsity}")
    rows, columns = array.shape
    zeros = int(np.ceil(sparsity * rows))
    _normal(array, 0.0, std, generator)
    order = np.argsort(random.uniform((rows, columns), 0.0, 1.0, np.float64, generator), axis=0)
    np.put_along_axis(array, order[:zeros], 0, axis=0)
    return _done(tensor)
