"""Element-wise functions of one operand: exponentials, roots, trigonometry, rounding, clamping, logic."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import dtypes
from ..autograd.tape import enabled, like_output, ndarray, record, wrap
from ..autograd.tensor import Tensor
from ..ops import activation as kernels
from .arithmetic import maximum, minimum
from .door import into, kept, lift, lower, mutable, operation, quiet
from .indexing import where

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "cos",
    "cosh",
    "deg2rad",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "fix",
    "floor",
    "frac",
    "log",
    "log1p",
    "log2",
    "log10",
    "logit",
    "nan_to_num",
    "neg",
    "negative",
    "rad2deg",
    "reciprocal",
    "round",
    "rsqrt",
    "sgn",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
]

_LN2, _LN10 = math.log(2), math.log(10)
NAMES: list[str] = []  # what `unary` has made, for the tests


def unary(
    name: str,
    compute: Callable,
    gradient: Callable,
    doc: str,
    reads: str = "input",
    warns: bool = False,
    floats: bool = True,
    slope: Callable | None = None,
):
    """A function of one operand. `gradient(grad, v)` is written for arrays and tensors; v is the input, or the output.

    `warns`: NumPy would warn about infinities or NaNs. `floats`: integers are converted to the default dtype first.
    `slope`: a kernel for the gradient of arrays.
    """
    from_output = reads == "output"
    quietly = quiet(compute) if warns else compute
    gradient = kept(gradient)
    if slope is None:
        slope = gradient

    def function(input):
        x = input._array
        if floats and x.dtype.kind in "biu":
            input = input.to(dtypes.get_default_dtype().numpy)
            x = input._array
        y = quietly(x)
        if not (input._requires_grad and enabled()):
            return wrap(y)
        if from_output:
            if type(y) is not ndarray:
                y = np.asarray(y)

            def backward(grad):
                return (slope(grad, y) if type(grad) is ndarray else gradient(grad, like_output(grad, y)),)

            return record(y, (input,), backward, (), name, True, True)
        if reads == "input":

            def backward(grad):
                return (slope(grad, x) if type(grad) is ndarray else gradient(grad, input),)

            return record(y, (input,), backward, (input,), name, False, True)
        return record(y, (input,), lambda grad: (gradient(grad, None),), (), name, False, True)

    def door(input, *, out=None):
        if out is not None:
            return into(door, out, input)
        if isinstance(input, Tensor):
            return function(input)
        if type(input) is ndarray and input.dtype.kind == "f":
            y = quietly(input)
            return y if type(y) is ndarray else np.asarray(y)
        return lower(function(lift(input)))

    for made in (function, door):
        made.__name__ = made.__qualname__ = name
        made.__doc__ = doc
        made.__module__ = __name__
    door.__wrapped__ = function
    setattr(Tensor, name, function)
    NAMES.append(name)
    mutable(door, keeps=reads == "input")
    return door


def _reciprocal(x):
    return np.reciprocal(x) if x.dtype.kind == "f" else 1 / x


def _frac(x):
    return x - np.trunc(x)


def _sign(x):
    """The sign, which is 0 for NaN as in PyTorch."""
    return np.greater(x, 0).astype(x.dtype) - np.less(x, 0) if x.dtype.kind != "b" else x


def _zero(grad, _):
    return grad * 0


exp = unary(
    "exp",
    kernels.exp,
    lambda g, y: g * y,
    """The exponential eˣ of each element.

    >>> import spinetail as st
    >>> st.exp(st.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """,
    "output",
    slope=kernels.exp_backward,
)
exp2 = unary("exp2", np.exp2, lambda g, y: g * y * _LN2, "2ˣ of each element.", "output", True)
expm1 = unary("expm1", kernels.expm1, lambda g, y: g * (y + 1), "eˣ - 1 of each element, accurate near 0.", "output")
log = unary(
    "log",
    kernels.log,
    lambda g, x: g / x,
    """The natural logarithm of each element; -inf at 0, NaN below.

    >>> import spinetail as st
    >>> st.log(st.tensor([1.0, 0.0]))
    tensor([0., -inf])
    """,
    slope=kernels.log_backward,
)
log2 = unary("log2", np.log2, lambda g, x: g / (x * _LN2), "The binary logarithm of each element.", warns=True)
log10 = unary("log10", np.log10, lambda g, x: g / (x * _LN10), "The decimal logarithm of each element.", warns=True)
log1p = unary("log1p", kernels.log1p, lambda g, x: g / (x + 1), "log(1 + x) of each element, accurate near 0.")
sqrt = unary("sqrt", np.sqrt, lambda g, y: g / (y * 2), "The square root of each element; NaN below 0.", "output", True)
rsqrt = unary(
    "rsqrt",
    kernels.rsqrt,
    lambda g, y: g * -0.5 * y * y * y,
    "1 / √x of each element; inf at 0, NaN below. Error: at most 2 ULP.",
    "output",
    slope=kernels.rsqrt_backward,
)
square = unary("square", np.square, lambda g, x: g * x * 2, "The square of each element.", floats=False)
reciprocal = unary("reciprocal", _reciprocal, lambda g, y: -g * y * y, "1 / x of each element.", "output", True)
neg = unary("neg", np.negative, lambda g, _: -g, "Each element with the opposite sign.", "", floats=False)
abs = unary(
    "abs", np.abs, lambda g, x: g * sign(x), "The absolute value of each element; the gradient at 0 is 0.", floats=False
)
sign = unary("sign", _sign, _zero, "-1, 0 or 1 by the sign of each element.", "", floats=False)
sin = unary(
    "sin",
    kernels.sin,
    lambda g, x: g * cos(x),
    """The sine of each element, in radians; NaN at the infinities. Error: at most 2 ULP, for arguments of any size.

    >>> import spinetail as st
    >>> st.sin(st.tensor([0.0, 1.0, 1e10]))
    tensor([ 0.0000,  0.8415, -0.4875])
    """,
    slope=kernels.sin_backward,
)
cos = unary(
    "cos",
    kernels.cos,
    lambda g, x: -g * sin(x),
    "The cosine of each element, in radians; NaN at the infinities. Error: at most 2 ULP, for arguments of any size.",
    slope=kernels.cos_backward,
)
tan = unary("tan", np.tan, lambda g, y: g * (y * y + 1), "The tangent of each element, in radians.", "output", True)
asin = unary(
    "asin", np.arcsin, lambda g, x: g * rsqrt(1 - x * x), "The arcsine of each element, in radians.", warns=True
)
acos = unary(
    "acos", np.arccos, lambda g, x: -g * rsqrt(1 - x * x), "The arccosine of each element, in radians.", warns=True
)
atan = unary("atan", np.arctan, lambda g, x: g / (x * x + 1), "The arctangent of each element, in radians.")
sinh = unary("sinh", np.sinh, lambda g, x: g * cosh(x), "The hyperbolic sine of each element.", warns=True)
cosh = unary("cosh", np.cosh, lambda g, x: g * sinh(x), "The hyperbolic cosine of each element.", warns=True)
asinh = unary("asinh", np.arcsinh, lambda g, x: g * rsqrt(x * x + 1), "The inverse hyperbolic sine of each element.")
acosh = unary(
    "acosh", np.arccosh, lambda g, x: g * rsqrt(x * x - 1), "The inverse hyperbolic cosine of each element.", warns=True
)
atanh = unary(
    "atanh", np.arctanh, lambda g, x: g / (1 - x * x), "The inverse hyperbolic tangent of each element.", warns=True
)
tanh = unary(
    "tanh",
    kernels.tanh,
    lambda g, y: g * (1 - y * y),
    "The hyperbolic tangent of each element.",
    "output",
    slope=kernels.tanh_backward,
)
sigmoid = unary(
    "sigmoid",
    kernels.sigmoid,
    lambda g, y: g * y * (1 - y),
    "The logistic function 1 / (1 + e⁻ˣ) of each element.",
    "output",
    slope=kernels.sigmoid_backward,
)
erf = unary(
    "erf",
    kernels.erf,
    lambda g, x: g * exp(-(x * x)) * (2 / math.sqrt(math.pi)),
    "The error function of each element.",
    slope=kernels.erf_backward,
)
floor = unary("floor", np.floor, _zero, "Each element rounded towards -inf.", "", floats=False)
ceil = unary("ceil", np.ceil, _zero, "Each element rounded towards +inf.", "", floats=False)
trunc = unary("trunc", np.trunc, _zero, "Each element rounded towards 0.", "", floats=False)
frac = unary("frac", _frac, lambda g, _: g, "The fractional part of each element, with its sign.", "", floats=False)
deg2rad = unary("deg2rad", np.deg2rad, lambda g, _: g * (math.pi / 180), "Degrees as radians.", "")
rad2deg = unary("rad2deg", np.rad2deg, lambda g, _: g * (180 / math.pi), "Radians as degrees.", "")
absolute, negative, fix, sgn = abs, neg, trunc, sign
arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh
special_expit = sigmoid
for _alias, _of in (
    ("absolute", abs),
    ("negative", neg),
    ("fix", trunc),
    ("arcsin", asin),
    ("arccos", acos),
    ("arctan", atan),
):
    setattr(Tensor, _alias, _of.__wrapped__)
Tensor.__neg__, Tensor.__abs__ = neg.__wrapped__, abs.__wrapped__
Tensor.__pos__ = lambda self: self


@operation
def round(input, *, decimals=0):
    """Each element rounded to the nearest integer, or to `decimals` digits; halves go to the even neighbour.

    >>> import spinetail as st
    >>> st.round(st.tensor([0.5, 1.5, 2.5]))
    tensor([0., 2., 2.])
    """
    out = np.round(input._array, decimals)
    if input._requires_grad and enabled():
        return record(out, (input,), lambda grad: (grad * 0,), name="round", twice=True)
    return wrap(out)


@operation
def clamp(input, min=None, max=None):
    """Each element moved into [min, max]; the bounds are numbers or tensors. NaN stays NaN.

    The gradient is 1 inside, 0 on the bounds and outside; bounds that are tensors share it when equal.
    Raises: ValueError when both bounds are None.

    >>> import spinetail as st
    >>> st.clamp(st.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise ValueError("[clamp] at least one of 'min' or 'max' must not be None")
    if isinstance(min, (Tensor, ndarray)) or isinstance(max, (Tensor, ndarray)):
        result = input if min is None else maximum(input, min)
        return result if max is None else minimum(result, max)
    x = input._array
    if x.dtype.kind in "biu" and (isinstance(min, float) or isinstance(max, float)):
        input = input.to(dtypes.get_default_dtype().numpy)
        x = input._array
    low = None if min is None else x.dtype.type(min)
    high = None if max is None else x.dtype.type(max)
    out = x if low is None else np.maximum(x, low)
    out = out if high is None else np.minimum(out, high)
    if not (input._requires_grad and enabled()):
        return wrap(out)

    def backward(grad):
        inside = (x > low if low is not None else True) & (x < high if high is not None else True)
        return (where(inside, grad, 0.0) if isinstance(grad, Tensor) else grad * inside,)

    return record(out, (input,), backward, (input,), "clamp", twice=True)


@operation
def clamp_min(input, min):
    """Each element, but at least `min`."""
    return clamp.__wrapped__(input, min)


@operation
def clamp_max(input, max):
    """Each element, but at most `max`."""
    return clamp.__wrapped__(input, None, max)


clip = clamp
Tensor.clip = clamp.__wrapped__


@operation
def nan_to_num(input, nan=0.0, posinf=None, neginf=None):
    """NaN and the infinities replaced by numbers: by default 0 and the largest and smallest ones of the dtype.

    >>> import spinetail as st
    >>> st.nan_to_num(st.tensor([float("nan"), 1.0]))
    tensor([0., 1.])
    """
    x = input._array
    if x.dtype.kind in "biu":
        return input.clone()
    out = np.nan_to_num(x, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)
    if not (input._requires_grad and enabled()):
        return wrap(out)
    return record(
        out,
        (input,),
        lambda grad: (where(np.isfinite(x), grad, 0.0) if isinstance(grad, Tensor) else grad * np.isfinite(x),),
        (input,),
        "nan_to_num",
        twice=True,
    )


def logit(input, eps=None):
    """log(x / (1 - x)); with `eps` the input is first clamped to [eps, 1 - eps]."""
    x = input if eps is None else clamp(input, eps, 1 - eps)
    return log(x / (1 - x))


Tensor.logit = logit
for _function in (round, clamp, clamp_min, clamp_max, nan_to_num):
    mutable(_function)
mutable(clamp, "clip_")
