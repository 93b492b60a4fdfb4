"""Elementwise functions and softmax on ndarrays, each beside its gradient.

`f_backward(grad_output, saved)` takes what its forward function saves: its output where the parameter is called
`output`, else its input. float16 and bfloat16 are computed in float32 and returned as they came.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._native import kernels
from .arrays import FLOAT32, FLOAT64, channels_behind, channels_second, empty, floating, is_half, normal_axis
from .convolution import is_channels_last

_forward = kernels.activation_forward
_backward = kernels.activation_backward

# The function codes of activation.h.
RELU, LEAKY_RELU, ELU, SELU, GELU, GELU_TANH, SILU, MISH, SIGMOID, LOGSIGMOID = range(1, 11)
TANH, SOFTPLUS, SOFTSIGN, HARDTANH, HARDSIGMOID, HARDSWISH = range(11, 17)
TANHSHRINK, SOFTSHRINK, HARDSHRINK, THRESHOLD = range(17, 21)
EXP, EXPM1, LOG, LOG1P, ERF, SIN, COS, RSQRT = range(21, 29)


def _apply(name: str, code: int, x: np.ndarray, alpha: float = 0.0, beta: float = 0.0) -> np.ndarray:
    try:
        return _forward(1, x, code, alpha, beta)
    except (TypeError, ValueError):
        return _convert(name, code, x, alpha, beta)


def _convert(name: str, code: int, x: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """For half precision, any layout, or an error that deserves words."""
    if _has_channels_last(x):  # so has the result
        return channels_second(_forward(1, channels_behind(x), code, alpha, beta))
    values = floating(name, x)
    y = empty(values.shape, values.dtype)
    _forward(y, values, code, alpha, beta)
    return y.astype(x.dtype) if is_half(x.dtype) else y


def _has_channels_last(x: np.ndarray) -> bool:
    return type(x) is np.ndarray and x.dtype.char in "fd" and is_channels_last(x)


def _derive(
    name: str, code: int, grad: np.ndarray, saved: np.ndarray, alpha: float = 0.0, beta: float = 0.0
) -> np.ndarray:
    try:
        return _backward(2, grad, saved, code, alpha, beta)
    except (TypeError, ValueError):
        pass
    if _has_channels_last(grad) and _has_channels_last(saved) and grad.dtype == saved.dtype:
        g, s = channels_behind(grad), channels_behind(saved)
        if g.shape == s.shape:
            return channels_second(_backward(2, g, s, code, alpha, beta))
    g, s = pair(name, grad, saved)
    dx = empty(s.shape, s.dtype)
    _backward(dx, g, s, code, alpha, beta)
    return dx.astype(saved.dtype) if is_half(saved.dtype) else dx


def pair(name: str, grad: np.ndarray, saved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A gradient and what it belongs to, as kernels take them."""
    s = floating(name, saved, "saved")
    g = floating(name, grad, "grad_output")
    if grad.dtype.newbyteorder("=") != saved.dtype.newbyteorder("="):
        raise TypeError(f"[{name}] grad_output is {grad.dtype}, but the saved array is {saved.dtype}")
    if g.shape != s.shape:
        raise ValueError(f"[{name}] grad_output has shape {g.shape}, but the saved array has shape {s.shape}")
    return g, s


def _function(name: str, code: int, saves: str, summary: str) -> tuple[Callable, Callable]:
    """Forward and backward of a function without parameters."""

    def forward(input: np.ndarray) -> np.ndarray:
        try:
            return _forward(1, input, code, 0.0, 0.0)
        except (TypeError, ValueError):
            return _convert(name, code, input, 0.0, 0.0)

    if saves == "output":

        def backward(grad_output: np.ndarray, output: np.ndarray) -> np.ndarray:
            return _derive(name, code, grad_output, output)

    else:

        def backward(grad_output: np.ndarray, input: np.ndarray) -> np.ndarray:
            return _derive(name, code, grad_output, input)

    for function, title, text in (
        (forward, name, summary),
        (backward, f"{name}_backward", f"Gradient of `{name}` from its {saves}."),
    ):
        function.__name__ = function.__qualname__ = title
        function.__doc__ = text
    return forward, backward


relu, relu_backward = _function("relu", RELU, "output", "max(x, 0).")
selu, selu_backward = _function("selu", SELU, "input", "1.0507 · (x above 0, else 1.6733 · (exp(x) - 1)).")
silu, silu_backward = _function("silu", SILU, "input", "x · sigmoid(x).")
mish, mish_backward = _function("mish", MISH, "input", "x · tanh(log(1 + exp(x))).")
sigmoid, sigmoid_backward = _function("sigmoid", SIGMOID, "output", "1 / (1 + exp(-x)).")
logsigmoid, logsigmoid_backward = _function("logsigmoid", LOGSIGMOID, "input", "log(sigmoid(x)).")
tanh, tanh_backward = _function("tanh", TANH, "output", "Hyperbolic tangent.")
softsign, softsign_backward = _function("softsign", SOFTSIGN, "input", "x / (1 + |x|).")
hardsigmoid, hardsigmoid_backward = _function("hardsigmoid", HARDSIGMOID, "input", "clamp(x + 3, 0, 6) / 6.")
hardswish, hardswish_backward = _function("hardswish", HARDSWISH, "input", "x · clamp(x + 3, 0, 6) / 6.")
tanhshrink, tanhshrink_backward = _function("tanhshrink", TANHSHRINK, "input", "x - tanh(x).")
exp, exp_backward = _function("exp", EXP, "output", "eˣ, within 1 ULP.")
expm1, expm1_backward = _function("expm1", EXPM1, "output", "eˣ - 1, also for small x.")
log, log_backward = _function("log", LOG, "input", "Natural logarithm: -∞ at 0, NaN below.")
log1p, log1p_backward = _function("log1p", LOG1P, "input", "log(1 + x), also for small x.")
erf, erf_backward = _function("erf", ERF, "input", "The error function.")
sin, sin_backward = _function("sin", SIN, "input", "Sine of radians of any size.")
cos, cos_backward = _function("cos", COS, "input", "Cosine of radians of any size.")
rsqrt, rsqrt_backward = _function("rsqrt", RSQRT, "output", "1 / √x: ∞ at 0, NaN below.")


def leaky_relu(input: np.ndarray, negative_slope: float = 0.01) -> np.ndarray:
    """x above 0, else negative_slope · x."""
    return _apply("leaky_relu", LEAKY_RELU, input, negative_slope)


def leaky_relu_backward(grad_output: np.ndarray, input: np.ndarray, negative_slope: float = 0.01) -> np.ndarray:
    """Gradient of `leaky_relu` from its input."""
    return _derive("leaky_relu", LEAKY_RELU, grad_output, input, negative_slope)


def elu(input: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """x above 0, else alpha · (exp(x) - 1)."""
    return _apply("elu", ELU, input, alpha, 1.0)


def elu_backward(grad_output: np.ndarray, input: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """Gradient of `elu` from its input."""
    return _derive("elu", ELU, grad_output, input, alpha, 1.0)


def celu(input: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """x above 0, else alpha · (exp(x / alpha) - 1)."""
    return _apply("celu", ELU, input, alpha, _reciprocal(alpha))


def celu_backward(grad_output: np.ndarray, input: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """Gradient of `celu` from its input."""
    return _derive("celu", ELU, grad_output, input, alpha, _reciprocal(alpha))


def _reciprocal(alpha: float) -> float:
    if alpha == 0:
        raise ValueError("[celu] alpha must not be 0")
    return 1.0 / alpha


def gelu(input: np.ndarray, approximate: str = "none") -> np.ndarray:
    """x · Φ(x), Φ the normal distribution function; "tanh" approximates it."""
    return _apply("gelu", _gelu_code(approximate), input)


def gelu_backward(grad_output: np.ndarray, input: np.ndarray, approximate: str = "none") -> np.ndarray:
    """Gradient of `gelu` from its input."""
    return _derive("gelu", _gelu_code(approximate), grad_output, input)


def _gelu_code(approximate: str) -> int:
    if approximate == "none":
        return GELU
    if approximate == "tanh":
        return GELU_TANH
    raise ValueError(f"[gelu] approximate must be 'none' or 'tanh', got {approximate!r}")


def softplus(input: np.ndarray, beta: float = 1.0, threshold: float = 20.0) -> np.ndarray:
    """log(1 + exp(beta · x)) / beta, and x itself where beta · x is above the threshold."""
    return _apply("softplus", SOFTPLUS, input, beta, threshold)


def softplus_backward(
    grad_output: np.ndarray, input: np.ndarray, beta: float = 1.0, threshold: float = 20.0
) -> np.ndarray:
    """Gradient of `softplus` from its input."""
    return _derive("softplus", SOFTPLUS, grad_output, input, beta, threshold)


def hardtanh(input: np.ndarray, min_val: float = -1.0, max_val: float = 1.0) -> np.ndarray:
    """x clamped to [min_val, max_val]."""
    if min_val > max_val:
        raise ValueError(f"[hardtanh] min_val {min_val} is above max_val {max_val}")
    return _apply("hardtanh", HARDTANH, input, min_val, max_val)


def hardtanh_backward(
    grad_output: np.ndarray, output: np.ndarray, min_val: float = -1.0, max_val: float = 1.0
) -> np.ndarray:
    """Gradient of `hardtanh` from its output: 0 on the bounds."""
    return _derive("hardtanh", HARDTANH, grad_output, output, min_val, max_val)


def relu6(input: np.ndarray) -> np.ndarray:
    """x clamped to [0, 6]."""
    return _apply("relu6", HARDTANH, input, 0.0, 6.0)


def relu6_backward(grad_output: np.ndarray, output: np.ndarray) -> np.ndarray:
    """Gradient of `relu6` from its output: 0 on the bounds."""
    return _derive("relu6", HARDTANH, grad_output, output, 0.0, 6.0)


def softshrink(input: np.ndarray, lambd: float = 0.5) -> np.ndarray:
    """x moved towards 0 by lambd, 0 within."""
    if not lambd >= 0:
        raise ValueError(f"[softshrink] lambd must be at least 0, got {lambd}")
    return _apply("softshrink", SOFTSHRINK, input, lambd)


def softshrink_backward(grad_output: np.ndarray, input: np.ndarray, lambd: float = 0.5) -> np.ndarray:
    """Gradient of `softshrink` from its input."""
    return _derive("softshrink", SOFTSHRINK, grad_output, input, lambd)


def hardshrink(input: np.ndarray, lambd: float = 0.5) -> np.ndarray:
    """x, 0 where |x| is at most lambd."""
    return _apply("hardshrink", HARDSHRINK, input, lambd)


def hardshrink_backward(grad_output: np.ndarray, input: np.ndarray, lambd: float = 0.5) -> np.ndarray:
    """Gradient of `hardshrink` from its input."""
    return _derive("hardshrink", HARDSHRINK, grad_output, input, lambd)


def threshold(input: np.ndarray, threshold: float, value: float) -> np.ndarray:
    """x, `value` where x is at most the threshold."""
    return _apply("threshold", THRESHOLD, input, threshold, value)


def threshold_backward(grad_output: np.ndarray, input: np.ndarray, threshold: float, value: float) -> np.ndarray:
    """Gradient of `threshold` from its input."""
    return _derive("threshold", THRESHOLD, grad_output, input, threshold, value)


def prelu(input: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """x above 0, else weight · x, with one weight in all or one for each channel (axis 1)."""
    if weight.size == 1:
        return _apply("prelu", LEAKY_RELU, input, float(weight.reshape(())))
    slopes = _slopes(input, weight)
    return np.where(input > 0, input, slopes * input)


def prelu_backward(grad_output: np.ndarray, input: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of `prelu` to input and weight."""
    slopes = _slopes(input, weight)
    above = input > 0
    dinput = np.where(above, grad_output, slopes * grad_output)
    products = np.where(above, 0, input * grad_output).astype(input.dtype, copy=False)
    if weight.size == 1:
        dweight = products.sum(dtype=np.float64)
    else:
        dweight = products.sum(axis=(0, *range(2, input.ndim)), dtype=np.float64)
    return dinput, np.asarray(dweight).astype(weight.dtype).reshape(weight.shape)


def _slopes(input: np.ndarray, weight: np.ndarray) -> np.ndarray:
    floating("prelu", input)
    floating("prelu", weight, "weight")
    if weight.dtype != input.dtype:
        raise TypeError(f"[prelu] weight is {weight.dtype}, but input is {input.dtype}")
    if weight.ndim > 1:
        raise ValueError(f"[prelu] weight must have 0 or 1 dimensions, got shape {weight.shape}")
    if weight.size == 1:
        return weight.reshape(())
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.size != channels:
        raise ValueError(f"[prelu] weight has {weight.size} values, but input has {channels} channels")
    return weight.reshape(-1, *(1,) * (input.ndim - 2))


def glu(input: np.ndarray, dim: int = -1) -> np.ndarray:
    """a · sigmoid(b), with a and b the two halves of the input along an axis."""
    a, b = _halves(input, dim)
    return a * sigmoid(b)


def glu_backward(grad_output: np.ndarray, input: np.ndarray, dim: int = -1) -> np.ndarray:
    """Gradient of `glu` from its input."""
    a, b = _halves(input, dim)
    gate = sigmoid(b)
    da = grad_output * gate
    return np.concatenate((da, da * a * (1 - gate)), axis=dim).astype(input.dtype, copy=False)


def _halves(input: np.ndarray, dim: int) -> list[np.ndarray]:
    if not isinstance(input, np.ndarray):
        raise TypeError(f"[glu] input must be a numpy.ndarray, got {type(input).__name__}")
    if not is_half(input.dtype):
        floating("glu", input)
    if input.ndim == 0:
        raise ValueError("[glu] input must have at least 1 dimension, got a scalar")
    axis = normal_axis("glu", dim, input.ndim)
    if input.shape[axis] % 2:
        raise ValueError(f"[glu] dimension {axis} must have an even size, got {input.shape[axis]}")
    return np.split(input, 2, axis)


def _softmax(name: str, logarithm: int, input: np.ndarray, axis: int) -> np.ndarray:
    try:
        dtype = input.dtype
        if (dtype is FLOAT32 or dtype is FLOAT64) and input.flags.c_contiguous and 0 <= axis < input.ndim:
            y = empty(input.shape, dtype)
            kernels.softmax_forward(y, input, axis, logarithm)
            return y
    except AttributeError:
        pass
    x = floating(name, input)
    axis = normal_axis(name, axis, x.ndim)
    y = empty(x.shape, x.dtype)
    if x.ndim:
        kernels.softmax_forward(y, x, axis, logarithm)
    else:
        kernels.softmax_forward(y.reshape(1), x.reshape(1), 0, logarithm)
    return y.astype(input.dtype) if is_half(input.dtype) else y


def _softmax_backward(name: str, logarithm: int, grad: np.ndarray, output: np.ndarray, axis: int) -> np.ndarray:
    g, y = pair(name, grad, output)
    axis = normal_axis(name, axis, y.ndim)
    dx = empty(y.shape, y.dtype)
    if y.ndim:
        kernels.softmax_backward(dx, g, y, axis, logarithm)
    else:
        kernels.softmax_backward(dx.reshape(1), g.reshape(1), y.reshape(1), 0, logarithm)
    return dx.astype(output.dtype) if is_half(output.dtype) else dx


def softmax(input: np.ndarray, axis: int) -> np.ndarray:
    """exp(x) / Σ exp(x) along an axis; NaN where a line holds NaN or +∞, or nothing but -∞."""
    return _softmax("softmax", 0, input, axis)


def softmin(input: np.ndarray, axis: int) -> np.ndarray:
    """Softmax of the negative."""
    if not isinstance(input, np.ndarray) or not is_half(input.dtype):
        input = floating("softmin", input)
    return _softmax("softmin", 0, -input, axis)


def softmax_backward(grad_output: np.ndarray, output: np.ndarray, axis: int) -> np.ndarray:
    """Gradient of `softmax` from its output."""
    return _softmax_backward("softmax", 0, grad_output, output, axis)


def softmin_backward(grad_output: np.ndarray, output: np.ndarray, axis: int) -> np.ndarray:
    """Gradient of `softmin` from its output."""
    return -_softmax_backward("softmin", 0, grad_output, output, axis)


def log_softmax(input: np.ndarray, axis: int) -> np.ndarray:
    """x - log(Σ exp(x)) along an axis."""
    return _softmax("log_softmax", 1, input, axis)


def log_softmax_backward(grad_output: np.ndarray, output: np.ndarray, axis: int) -> np.ndarray:
    """Gradient of `log_softmax` from its output."""
    return _softmax_backward("log_softmax", 1, grad_output, output, axis)
