"""Arithmetic: element-wise functions of two operands, with broadcasting and PyTorch's type promotion."""

from __future__ import annotations

import numpy as np

from .. import dtypes
from ..autograd.tensor import Tensor
from ..ops import arithmetic as ops
from .door import binary, lift, operands, operation, quiet

__all__ = [
    "add",
    "addcdiv",
    "addcmul",
    "arctan2",
    "atan2",
    "div",
    "divide",
    "float_power",
    "floor_divide",
    "fmod",
    "lerp",
    "maximum",
    "minimum",
    "mul",
    "multiply",
    "pow",
    "remainder",
    "result_type",
    "rsub",
    "sub",
    "subtract",
    "true_divide",
]


def _divide(x, y):
    if isinstance(y, (int, float)) and abs(y) > 1e-6:  # no infinities to be silent about
        return np.divide(x, y)
    with np.errstate(all="ignore"):
        return np.divide(x, y)


def _power(x, y):
    if isinstance(y, (int, float)) and y == 2 and isinstance(x, np.ndarray):
        return np.multiply(x, x)
    with np.errstate(all="ignore"):
        return _any_power(x, y)


def _any_power(x, y):
    if getattr(x, "dtype", np.dtype(int)).kind in "iu" and getattr(y, "dtype", np.dtype(int)).kind in "iu":
        if np.any(np.asarray(y) < 0):
            if np.ndim(y) == 0:
                raise RuntimeError("[pow] integers to negative integer powers are not allowed")
            return np.where(
                np.asarray(y) < 0,
                np.where(np.abs(x) == 1, np.where(np.asarray(y) % 2, x, 1), 0),
                np.power(x, np.maximum(y, 0)),
            ).astype(np.result_type(x, y))
    return np.power(x, y)


def _pow_left(grad, x, y):
    if isinstance(y, (int, float)):
        if y == 0:
            return grad * 0
        return grad * (x * 2 if y == 2 else y * x ** (y - 1))
    from .indexing import where

    return where(y == 0, grad * 0, grad * (y * x ** (y - 1)))


def _pow_right(grad, x, y):
    from .indexing import where
    from .pointwise import log

    if not isinstance(x, (Tensor, np.ndarray)):
        x = (y._array if isinstance(y, Tensor) else y).dtype.type(x)
    if isinstance(y, Tensor):
        x = lift(x)
    return grad * where((x == 0) & (y >= 0), (x**y) * 0, (x**y) * log(x))


def _floor_quotient(x, y):
    from .pointwise import floor

    return floor(x / y)


def _truncated_quotient(x, y):
    from .pointwise import trunc

    return trunc(x / y)


def _share(grad, x, y, loses):
    """The part of an extreme's gradient for one operand: all unless it loses, half of it when both are equal."""
    if isinstance(grad, Tensor):
        return grad * (1 - loses * 1.0 - (x == y) * 0.5)
    return grad * (1 - loses * grad.dtype.type(1) - (x == y) * grad.dtype.type(0.5))


def _unit(x, y):
    return x * x + y * y


_add = binary("add", ops.add, lambda g, x, y: g, lambda g, x, y: g)
_sub = binary("sub", np.subtract, lambda g, x, y: g, lambda g, x, y: -g)
_mul = binary("mul", np.multiply, lambda g, x, y: g * y, lambda g, x, y: g * x, "y/x")
_div = binary("div", _divide, lambda g, x, y: g / y, lambda g, x, y: -g * x / (y * y), "y/xy", floats=True)
_floor_divide = binary("floor_divide", quiet(np.floor_divide), lambda g, x, y: g * 0, lambda g, x, y: g * 0)
_remainder = binary(
    "remainder", quiet(np.remainder), lambda g, x, y: g, lambda g, x, y: -g * _floor_quotient(x, y), "/xy"
)
_fmod = binary("fmod", quiet(np.fmod), lambda g, x, y: g, lambda g, x, y: -g * _truncated_quotient(x, y), "/xy")
_pow = binary("pow", _power, _pow_left, _pow_right, "xy/xy")
_maximum = binary(
    "maximum", np.maximum, lambda g, x, y: _share(g, x, y, x < y), lambda g, x, y: _share(g, x, y, y < x), "xy/xy"
)
_minimum = binary(
    "minimum", np.minimum, lambda g, x, y: _share(g, x, y, x > y), lambda g, x, y: _share(g, x, y, y > x), "xy/xy"
)
_atan2 = binary(
    "atan2", np.arctan2, lambda g, x, y: g * y / _unit(x, y), lambda g, x, y: -g * x / _unit(x, y), "xy/xy", floats=True
)


def _scaled(other, alpha):
    return other if alpha == 1 else _mul(lift(other), alpha)


@operation
def add(input, other, *, alpha=1):
    """Add: input + alpha · other, element by element with broadcasting.

    Shapes: both broadcast to the output's shape. Dtypes promote as in PyTorch.
    Raises: ValueError for shapes that do not broadcast.

    >>> import spinetail as st
    >>> st.add(st.tensor([1.0, 2.0]), 1)
    tensor([2., 3.])
    """
    return _add(input, _scaled(other, alpha))


@operation
def sub(input, other, *, alpha=1):
    """Subtract: input - alpha · other, element by element with broadcasting.

    Shapes: both broadcast to the output's shape. Raises: ValueError for shapes that do not broadcast; RuntimeError for
    two bool tensors.

    >>> import spinetail as st
    >>> st.sub(st.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
    return _sub(input, _scaled(other, alpha))


@operation
def mul(input, other):
    """Multiply: input · other, element by element with broadcasting.

    Shapes: both broadcast to the output's shape. Raises: ValueError for shapes that do not broadcast.

    >>> import spinetail as st
    >>> st.mul(st.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    return _mul(input, other)


@operation
def div(input, other, *, rounding_mode=None):
    """Divide: input / other, element by element; `rounding_mode` None, "trunc" or "floor".

    Integers divide in the default dtype unless a rounding mode is given. x / 0 is ±inf or NaN, without a warning.
    Raises: ValueError for shapes that do not broadcast or an unknown rounding mode.

    >>> import spinetail as st
    >>> st.div(st.tensor([7, -7]), 2), st.div(st.tensor([7, -7]), 2, rounding_mode="trunc")
    (tensor([ 3.5000, -3.5000]), tensor([ 3, -3]))
    """
    if rounding_mode is None:
        return _div(input, other)
    if rounding_mode == "floor":
        return floor_divide.__wrapped__(input, other)
    if rounding_mode != "trunc":
        raise ValueError(f"[div] rounding_mode must be None, 'trunc' or 'floor', not {rounding_mode!r}")
    result = _div(input, other).trunc()
    kinds = input._array.dtype.kind + (
        other._array.dtype.kind if isinstance(other, Tensor) else type(other).__name__[0]
    )
    return result if "f" in kinds else result.to(np.int64 if input._array.dtype.kind == "b" else input._array.dtype)


@operation
def floor_divide(input, other):
    """Divide and round towards minus infinity: ⌊input / other⌋, element by element with broadcasting.

    Raises: ValueError for shapes that do not broadcast; RuntimeError for an integer zero division.

    >>> import spinetail as st
    >>> st.floor_divide(st.tensor([7.0, -7.0]), 2)
    tensor([ 3., -4.])
    """
    _no_zero("floor_divide", input, other)
    return _floor_divide(input, other)


@operation
def remainder(input, other):
    """Python's remainder: input - other · ⌊input / other⌋; it has the sign of `other`.

    Raises: ValueError for shapes that do not broadcast; RuntimeError for an integer zero division.

    >>> import spinetail as st
    >>> st.remainder(st.tensor([-3.0, 3.0]), 2)
    tensor([1., 1.])
    """
    _no_zero("remainder", input, other)
    return _remainder(input, other)


@operation
def fmod(input, other):
    """C's remainder: input - other · trunc(input / other); it has the sign of `input`.

    Raises: ValueError for shapes that do not broadcast; RuntimeError for an integer zero division.

    >>> import spinetail as st
    >>> st.fmod(st.tensor([-3.0, 3.0]), 2)
    tensor([-1.,  1.])
    """
    _no_zero("fmod", input, other)
    return _fmod(input, other)


def _no_zero(name, input, other) -> None:
    x, y = getattr(input, "_array", input), getattr(other, "_array", other)
    if np.asarray(x).dtype.kind in "biu" and np.asarray(y).dtype.kind in "biu" and not np.all(y):
        raise RuntimeError(f"[{name}] ZeroDivisionError: integer division by zero")


@operation
def pow(input, exponent):
    """Power: input ** exponent, element by element with broadcasting.

    Raises: ValueError for shapes that do not broadcast; RuntimeError for integers to a negative integer power.

    >>> import spinetail as st
    >>> st.pow(st.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    return _pow(input, exponent)


@operation
def maximum(input, other):
    """The larger of two, element by element; NaN wins. Equal operands share the gradient.

    >>> import spinetail as st
    >>> st.maximum(st.tensor([1.0, 4.0]), st.tensor([2.0, 3.0]))
    tensor([2., 4.])
    """
    return _maximum(input, other)


@operation
def minimum(input, other):
    """The smaller of two, element by element; NaN wins. Equal operands share the gradient.

    >>> import spinetail as st
    >>> st.minimum(st.tensor([1.0, 4.0]), st.tensor([2.0, 3.0]))
    tensor([1., 3.])
    """
    return _minimum(input, other)


@operation
def atan2(input, other):
    """The angle of the point (other, input) in radians, in [-π, π], element by element.

    >>> import spinetail as st
    >>> st.atan2(st.tensor([1.0]), st.tensor([1.0]))
    tensor([0.7854])
    """
    return _atan2(input, other)


def result_type(tensor1, tensor2) -> dtypes.dtype:
    """The dtype that an operation between two tensors or numbers has.

    >>> import spinetail as st
    >>> st.result_type(st.tensor([1]), 1.0)
    spinetail.float32
    """
    if not isinstance(tensor1, Tensor) and not isinstance(tensor2, Tensor):
        tensor1 = lift(tensor1)
    _, _, x, y = operands("result_type", tensor1, tensor2)
    return dtypes.of((x if isinstance(tensor1, Tensor) else y).dtype)


@operation
def float_power(input, exponent):
    """input ** exponent in float64."""
    if isinstance(exponent, (Tensor, np.ndarray)):
        return _pow(input.double(), lift(exponent).double())
    return _pow(input.double(), float(exponent))


@operation
def lerp(input, end, weight):
    """Linear interpolation: input + weight · (end - input); `weight` is a number or a tensor.

    >>> import spinetail as st
    >>> st.lerp(st.tensor([1.0, 2.0]), st.tensor([3.0, 4.0]), 0.5)
    tensor([2., 3.])
    """
    return _add(input, _mul(lift(weight) if isinstance(weight, np.ndarray) else weight, _sub(end, input)))


@operation
def addcmul(input, tensor1, tensor2, *, value=1):
    """input + value · tensor1 · tensor2, element by element.

    >>> import spinetail as st
    >>> st.addcmul(st.ones(2), st.tensor([1.0, 2.0]), st.tensor([3.0, 4.0]), value=0.5)
    tensor([2.5000, 5.0000])
    """
    return _add(input, _scaled(_mul(lift(tensor1), tensor2), value))


@operation
def addcdiv(input, tensor1, tensor2, *, value=1):
    """input + value · tensor1 / tensor2, element by element.

    >>> import spinetail as st
    >>> st.addcdiv(st.ones(2), st.tensor([1.0, 2.0]), st.tensor([2.0, 2.0]))
    tensor([1.5000, 2.0000])
    """
    return _add(input, _scaled(_div(lift(tensor1), tensor2), value))


subtract, multiply, divide, true_divide, arctan2 = sub, mul, div, div, atan2


def rsub(input, other, *, alpha=1):
    """Reversed subtraction: other - alpha · input."""
    return sub(other, input, alpha=alpha)
