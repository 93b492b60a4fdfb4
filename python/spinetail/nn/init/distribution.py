"""The uniform, the normal and the truncated normal distribution."""

from __future__ import annotations

from math import erf, sqrt

import numpy as np

from ...functional import random
from ...functional.generator import Generator
from .target import A, done, dtype_of, fill_normal, fill_uniform, floating


def uniform_(tensor: A, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> A:
    """Fill with numbers from the uniform distribution over [a, b).

    >>> import spinetail as st
    >>> st.nn.init.uniform_(st.empty(3, 5)).shape == (3, 5)
    True
    """
    array = floating("uniform_", tensor)
    if not a <= b:
        raise ValueError(f"[uniform_] expected a <= b, but got a={a} and b={b}")
    fill_uniform(array, a, b, generator)
    return done(tensor)


def normal_(tensor: A, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> A:
    """Fill with numbers from the normal distribution N(mean, std²)."""
    array = floating("normal_", tensor)
    if not std >= 0:
        raise ValueError(f"[normal_] expected std >= 0.0, but got std={std}")
    fill_normal(array, mean, std, generator)
    return done(tensor)


def trunc_normal_(
    tensor: A, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Generator | None = None
) -> A:
    """Fill with numbers from N(mean, std²) on condition that they lie in [a, b].

    The bounds are absolute, as in PyTorch, and not multiples of `std`: with std 0.02 the default ones cut nothing.
    Raises: ValueError for a negative std, for b below a, and for a mean outside of the bounds where std is 0.
    """
    array = floating("trunc_normal_", tensor)
    if not std >= 0 or not a <= b:
        raise ValueError(f"[trunc_normal_] expected std >= 0 and a <= b, but got std={std}, a={a} and b={b}")
    if std == 0 and not a <= mean <= b:
        raise ValueError(f"[trunc_normal_] with std=0 the mean {mean} should lie between a={a} and b={b}")
    low, high = ((a - mean) / std, (b - mean) / std) if std > 0 else (0.0, 0.0)
    inside = (erf(high / sqrt(2)) - erf(low / sqrt(2))) / 2
    if std > 0 and inside < 0.1:
        z = _far(array.size, low, high, generator) if high > -low else -_far(array.size, -high, -low, generator)
        values = (z * std + mean).astype(dtype_of(array))
    else:
        values = random.normal_array((array.size,), mean, std, dtype_of(array), generator)
        outside = np.flatnonzero((values < a) | (values > b))
        while outside.size:
            values[outside] = random.normal_array((outside.size,), mean, std, dtype_of(array), generator)
            outside = outside[(values[outside] < a) | (values[outside] > b)]
    array[...] = np.clip(values, a, b).reshape(array.shape)
    return done(tensor)


def _far(count: int, low: float, high: float, generator: Generator | None) -> np.ndarray:
    """`count` numbers of N(0, 1) in [low, high], most of which is above 0 and holds little of the distribution.

    Drawn evenly, or exponentially where the density falls much, and kept by the ratio of the densities.
    Source: Robert, Simulation of truncated normal variables, 1995.
    """
    rate = low if low > 0 and low * (high - low) > 1 else 0.0
    values = np.empty(count)
    missing = np.arange(count)
    while missing.size:
        u, v = random.uniform((2, missing.size), 0.0, 1.0, np.float64, generator)
        if rate:
            z = low - np.log1p(-u * -np.expm1(-rate * (high - low))) / rate
            keep = np.exp(-0.5 * (z - low) ** 2) > v
        else:
            z = low + u * (high - low)
            keep = np.exp(0.5 * (max(low, 0.0) ** 2 - z * z)) > v
        values[missing[keep]] = z[keep]
        missing = missing[~keep]
    return values
