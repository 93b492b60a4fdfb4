"""Special functions of two operands: hypotenuse, logarithms of sums, signs, extremes that pass over NaN."""

from __future__ import annotations

import numpy as np

from ..autograd.tensor import Tensor
from .door import binary, mutable, operation, quiet

__all__ = [
    "copysign",
    "fmax",
    "fmin",
    "heaviside",
    "hypot",
    "logaddexp",
    "xlogy",
]


_hypot = binary(
    "hypot",
    np.hypot,
    lambda g, x, y: g * x / (x * x + y * y) ** 0.5,
    lambda g, x, y: g * y / (x * x + y * y) ** 0.5,
    "xy/xy",
)
_logaddexp = binary(
    "logaddexp",
    quiet(np.logaddexp),
    lambda g, x, y: g / (1 + _exp(y - x)),
    lambda g, x, y: g / (1 + _exp(x - y)),
    "xy/xy",
)
_heaviside = binary("heaviside", np.heaviside)
_fmax = binary(
    "fmax",
    np.fmax,
    lambda g, x, y: _where(x >= y, g) + _where(y != y, g),
    lambda g, x, y: _where(y > x, g) + _where((x != x) & (y == y), g),
    "xy/xy",
)
_fmin = binary(
    "fmin",
    np.fmin,
    lambda g, x, y: _where(x <= y, g) + _where(y != y, g),
    lambda g, x, y: _where(y < x, g) + _where((x != x) & (y == y), g),
    "xy/xy",
)
_copysign = binary("copysign", np.copysign, lambda g, x, y: _signed(g, x, y), lambda g, x, y: g * 0, "xy/", floats=True)
_xlogy = binary(
    "xlogy",
    lambda x, y: _log_product(x, y),
    lambda g, x, y: _where((x != 0) | (y != y), g * _log(y)),
    lambda g, x, y: g * x / y,
    "xy/xy",
    floats=True,
)


def _where(mask, value):
    """The value where the mask holds, 0 elsewhere; arrays or tensors."""
    from .indexing import where

    return where(mask, value, 0.0) if isinstance(value, Tensor) else np.where(mask, value, value.dtype.type(0))


def _signed(grad, x, y):
    turned = np.sign(_plain(x)) * np.copysign(1, _plain(y))
    return grad * (turned if isinstance(grad, Tensor) else np.asarray(turned, grad.dtype))


def _plain(v):
    return v._array if isinstance(v, Tensor) else v


def _log_product(x, y):
    dtype = np.result_type(*[v.dtype for v in (x, y) if isinstance(v, np.ndarray)])
    x, y = np.asarray(x, dtype), np.asarray(y, dtype)
    with np.errstate(all="ignore"):
        return np.where((x == 0) & (y == y), np.zeros_like(x), x * np.log(y))


def _log(v):
    with np.errstate(all="ignore"):
        if isinstance(v, Tensor):
            return v.log()
        return np.log(v) if isinstance(v, np.ndarray) else float(np.log(v))


def _exp(v):
    return v.exp() if isinstance(v, Tensor) else np.exp(v)


@operation
def hypot(input, other):
    """√(input² + other²), element by element, without overflow."""
    return _hypot(input, other)


@operation
def logaddexp(input, other):
    """log(e^input + e^other), element by element, without overflow."""
    return _logaddexp(input, other)


@operation
def heaviside(input, values):
    """0 below zero, 1 above, and `values` at zero."""
    return _heaviside(input, values)


@operation
def fmax(input, other):
    """The larger of two, element by element; a number wins over NaN."""
    return _fmax(input, other)


@operation
def fmin(input, other):
    """The smaller of two, element by element; a number wins over NaN."""
    return _fmin(input, other)


@operation
def copysign(input, other):
    """The size of `input` with the sign of `other`, element by element."""
    return _copysign(input, other)


@operation
def xlogy(input, other):
    """input · log(other), which is 0 where `input` is 0."""
    return _xlogy(input, other)


for _function in (copysign, xlogy, hypot):
    mutable(_function)
