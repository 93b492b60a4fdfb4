"""Activation functions and softmax, for Tensors and ndarrays."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from .. import dtypes
from ..autograd.inplace import check, rebase, write
from ..autograd.tape import enabled, like_output, ndarray, record, wrap
from ..autograd.tensor import Tensor
from ..ops import activation as ops
from .indexing import where
from .pointwise import exp, sigmoid, tanh

__all__ = [
    "celu",
    "celu_",
    "elu",
    "elu_",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "leaky_relu",
    "leaky_relu_",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
]


def _from_input(name: str, input, forward: Callable, backward: Callable, slope: Callable, inplace: bool, *parameters):
    """Runs a function whose gradient needs its input; `slope(x)` is its derivative written with Tensors."""
    if not isinstance(input, Tensor):
        y = forward(input, *parameters)
        return _overwrite(input, y) if inplace else y
    x = input._array
    if inplace:
        check(input)
    y = forward(x, *parameters)
    if not (input._requires_grad and enabled()):
        result = wrap(y)
    else:
        kept = x.copy() if inplace else x

        def gradient(grad):
            if type(grad) is ndarray:
                return (backward(grad, kept, *parameters),)
            return (grad * slope(wrap(kept) if inplace else input),)

        result = record(y, (input,), gradient, () if inplace else (input,), name, twice=not inplace)
    return _replace(name, input, result) if inplace else result


def _from_output(name: str, input, forward: Callable, backward: Callable, slope: Callable, inplace: bool, *parameters):
    """Runs a function whose gradient needs its output alone; `slope(y)` is its derivative written with Tensors."""
    if not isinstance(input, Tensor):
        y = forward(input, *parameters)
        return _overwrite(input, y) if inplace else y
    if inplace:
        check(input)
    y = forward(input._array, *parameters)
    if not (input._requires_grad and enabled()):
        result = wrap(y)
    else:

        def gradient(grad):
            if type(grad) is ndarray:
                return (backward(grad, y, *parameters),)
            return (grad * slope(like_output(grad, y)),)

        result = record(y, (input,), gradient, (), name, True, True)
    return _replace(name, input, result) if inplace else result


def _overwrite(array: ndarray, values: ndarray) -> ndarray:
    array[...] = values
    return array


def _replace(name: str, input: Tensor, result: Tensor) -> Tensor:
    """The result's values and history put into the input."""
    write(input, result._array, name + "_")
    if result._requires_grad:
        rebase(input, result._node)
    return input


def relu(input, inplace=False):
    r"""The rectified linear unit: y = max(x, 0).

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. The gradient at 0 is 0; NaN
    stays NaN. `inplace` overwrites the input.

    Raises: TypeError for other dtypes.

    Source: torch.nn.functional.relu.

    >>> import spinetail as st
    >>> st.nn.functional.relu(st.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return _from_output("relu", input, ops.relu, ops.relu_backward, lambda y: (y > 0).to(y.dtype), inplace)


def gelu(input, approximate="none"):
    r"""The Gaussian error linear unit: y = x · Φ(x), Φ the standard normal distribution function.

    With `approximate="tanh"`: y = x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).
    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64.
    Error: at most 2 ULP in float32 and 2.7 in float64, of the gradient at most 3 eps.

    Raises: TypeError for other dtypes, ValueError for another `approximate`.

    Source: Hendrycks and Gimpel 2016; torch.nn.functional.gelu.

    >>> import spinetail as st
    >>> st.nn.functional.gelu(st.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """
    if not isinstance(input, Tensor):
        return ops.gelu(input, approximate)

    def slope(x):
        if approximate == "tanh":
            c = math.sqrt(2 / math.pi)
            t = tanh(c * (x + 0.044715 * x * x * x))
            return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (c * (1 + 0.134145 * x * x))
        return 0.5 * (1 + (x * math.sqrt(0.5)).erf()) + x * exp(-0.5 * x * x) / math.sqrt(2 * math.pi)

    return _from_input("gelu", input, ops.gelu, ops.gelu_backward, slope, False, approximate)


def softmax(input, dim=None, _stacklevel=3, dtype=None):
    r"""The shares of exponentials along an axis: y = exp(x) / Σ exp(x), all ≥ 0 with sum 1.

    Shapes: any; the result has the input's. `dim` is the axis; leaving it out warns and takes 0 for 0, 1 or 3
    dimensions, else 1. `dtype` converts the input first. dtypes: float16, bfloat16, float32, float64.
    A line that holds NaN or +∞, or nothing but -∞, becomes NaN. The sum along the axis is within n·eps of 1.

    Raises: TypeError for other dtypes, IndexError for an axis that is not there.

    Source: torch.nn.functional.softmax.

    >>> import spinetail as st
    >>> st.nn.functional.softmax(st.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([0.0900, 0.2447, 0.6652])
    """
    return _softmax("softmax", input, dim, dtype, ops.softmax, ops.softmax_backward, _soft_gradient)


def log_softmax(input, dim=None, _stacklevel=3, dtype=None):
    r"""The logarithm of softmax, without its loss of accuracy: y = x - log(Σ exp(x)).

    Shapes, `dim`, `dtype` and special values as for `softmax`.

    Raises: TypeError for other dtypes, IndexError for an axis that is not there.

    Source: torch.nn.functional.log_softmax.

    >>> import spinetail as st
    >>> st.nn.functional.log_softmax(st.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return _softmax("log_softmax", input, dim, dtype, ops.log_softmax, ops.log_softmax_backward, _log_gradient)


def softmin(input, dim=None, _stacklevel=3, dtype=None):
    r"""Softmax of the negative: y = exp(-x) / Σ exp(-x).

    Shapes, `dim`, `dtype` and special values as for `softmax`.

    Raises: TypeError for other dtypes, IndexError for an axis that is not there.

    Source: torch.nn.functional.softmin.

    >>> import spinetail as st
    >>> st.nn.functional.softmin(st.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return _softmax("softmin", input, dim, dtype, ops.softmin, ops.softmin_backward, _min_gradient)


def _soft_gradient(grad, y, dim):
    return y * (grad - (grad * y).sum(dim, keepdim=True))


def _min_gradient(grad, y, dim):
    return -_soft_gradient(grad, y, dim)


def _log_gradient(grad, y, dim):
    return grad - exp(y) * grad.sum(dim, keepdim=True)


def _softmax(name, input, dim, dtype, forward, backward, second):
    if dtype is not None:
        target = dtypes.as_dtype(dtype)
        input = input.to(target) if isinstance(input, Tensor) else np.asarray(input).astype(target.numpy)
    if dim is None:
        warnings.warn(
            f"Implicit dimension choice for {name} has been deprecated. "
            "Change the call to include dim=X as an argument.",
            stacklevel=3,
        )
        dim = 0 if input.ndim in (0, 1, 3) else 1
    if not isinstance(input, Tensor):
        return forward(input, dim)
    y = forward(input._array, dim)
    if not (input._requires_grad and enabled()):
        return wrap(y)

    def gradient(grad):
        if type(grad) is ndarray:
            return (backward(grad, y, dim),)
        return (second(grad, like_output(grad, y), dim),)

    return record(y, (input,), gradient, (), name, True, True)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    r"""x where it is above 0, else negative_slope · x.

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64.

    Raises: TypeError for other dtypes.

    Source: torch.nn.functional.leaky_relu.

    >>> import spinetail as st
    >>> st.nn.functional.leaky_relu(st.tensor([-1.0, 2.0]))
    tensor([-0.0100,  2.0000])
    """

    def slope(x):
        return where(x > 0, 1.0, float(negative_slope))

    return _from_input("leaky_relu", input, ops.leaky_relu, ops.leaky_relu_backward, slope, inplace, negative_slope)


def elu(input, alpha=1.0, inplace=False):
    r"""The exponential linear unit: x above 0, else alpha · (exp(x) - 1).

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. Error: at most 3 ULP.

    Raises: TypeError for other dtypes.

    Source: Clevert et al. 2015; torch.nn.functional.elu.

    >>> import spinetail as st
    >>> st.nn.functional.elu(st.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return _from_input(
        "elu", input, ops.elu, ops.elu_backward, lambda x: where(x > 0, 1.0, alpha * exp(x)), inplace, alpha
    )


def celu(input, alpha=1.0, inplace=False):
    r"""The continuously differentiable ELU: x above 0, else alpha · (exp(x / alpha) - 1).

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. Error: at most 3 ULP.

    Raises: TypeError for other dtypes, ValueError for alpha = 0.

    Source: Barron 2017; torch.nn.functional.celu.

    >>> import spinetail as st
    >>> st.nn.functional.celu(st.tensor([-1.0, 2.0]), alpha=2.0)
    tensor([-0.7869,  2.0000])
    """
    return _from_input(
        "celu", input, ops.celu, ops.celu_backward, lambda x: where(x > 0, 1.0, exp(x / alpha)), inplace, alpha
    )


def selu(input, inplace=False):
    r"""The self-normalising unit: 1.0507 · x above 0, else 1.0507 · 1.6733 · (exp(x) - 1).

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. Error: at most 3 ULP.

    Raises: TypeError for other dtypes.

    Source: Klambauer et al. 2017; torch.nn.functional.selu.

    >>> import spinetail as st
    >>> st.nn.functional.selu(st.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """
    scale, alpha = 1.0507009873554805, 1.6732632423543772

    def slope(x):
        return where(x > 0, scale, scale * alpha * exp(x))

    return _from_input("selu", input, ops.selu, ops.selu_backward, slope, inplace)


def silu(input, inplace=False):
    r"""The sigmoid linear unit, also called swish: y = x · sigmoid(x).

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. Error: at most 2 ULP
    in float32, 2.2 in float64.

    Raises: TypeError for other dtypes.

    Source: torch.nn.functional.silu.

    >>> import spinetail as st
    >>> st.nn.functional.silu(st.tensor([-1.0, 1.0]))
    tensor([-0.2689,  0.7311])
    """

    def slope(x):
        s = sigmoid(x)
        return s * (1 + x * (1 - s))

    return _from_input("silu", input, ops.silu, ops.silu_backward, slope, inplace)


def mish(input, inplace=False):
    r"""y = x · tanh(log(1 + exp(x))).

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. Error: at most 6 ULP.

    Raises: TypeError for other dtypes.

    Source: Misra 2019; torch.nn.functional.mish.

    >>> import spinetail as st
    >>> st.nn.functional.mish(st.tensor([-1.0, 1.0]))
    tensor([-0.3034,  0.8651])
    """

    def slope(x):
        t = tanh(softplus(x))
        return t + x * (1 - t * t) * sigmoid(x)

    return _from_input("mish", input, ops.mish, ops.mish_backward, slope, inplace)


def logsigmoid(input):
    r"""y = log(sigmoid(x)) = -log(1 + exp(-x)), without overflow.

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. Error: at most 2 ULP.

    Raises: TypeError for other dtypes.

    Source: torch.nn.functional.logsigmoid.

    >>> import spinetail as st
    >>> st.nn.functional.logsigmoid(st.tensor([0.0]))
    tensor([-0.6931])
    """
    return _from_input("logsigmoid", input, ops.logsigmoid, ops.logsigmoid_backward, lambda x: sigmoid(-x), False)


def softplus(input, beta=1.0, threshold=20.0):
    r"""A smooth relu: y = log(1 + exp(beta · x)) / beta, and y = x where beta · x is above the threshold.

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. Error: at most 3 ULP.

    Raises: TypeError for other dtypes.

    Source: torch.nn.functional.softplus.

    >>> import spinetail as st
    >>> st.nn.functional.softplus(st.tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.0000])
    """

    def slope(x):
        return where(x * beta > threshold, 1.0, sigmoid(x * beta))

    return _from_input("softplus", input, ops.softplus, ops.softplus_backward, slope, False, beta, threshold)


def softsign(input):
    r"""y = x / (1 + |x|).

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. Error: at most 1 ULP.

    Raises: TypeError for other dtypes.

    Source: torch.nn.functional.softsign.

    >>> import spinetail as st
    >>> st.nn.functional.softsign(st.tensor([-1.0, 1.0]))
    tensor([-0.5000,  0.5000])
    """

    def slope(x):
        d = 1 + x.abs()
        return 1 / (d * d)

    return _from_input("softsign", input, ops.softsign, ops.softsign_backward, slope, False)


def tanhshrink(input):
    r"""y = x - tanh(x).

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. Error: at most 3 eps · |x|.

    Raises: TypeError for other dtypes.

    Source: torch.nn.functional.tanhshrink.

    >>> import spinetail as st
    >>> st.nn.functional.tanhshrink(st.tensor([1.0]))
    tensor([0.2384])
    """

    def slope(x):
        t = tanh(x)
        return t * t

    return _from_input("tanhshrink", input, ops.tanhshrink, ops.tanhshrink_backward, slope, False)


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    r"""x clamped to [min_val, max_val]; the gradient on the bounds is 0.

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. NaN stays NaN.

    Raises: TypeError for other dtypes, ValueError for min_val above max_val.

    Source: torch.nn.functional.hardtanh.

    >>> import spinetail as st
    >>> st.nn.functional.hardtanh(st.tensor([-2.0, 0.5, 2.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """

    def slope(y):
        return ((y > min_val) & (y < max_val)).to(y.dtype)

    return _from_output("hardtanh", input, ops.hardtanh, ops.hardtanh_backward, slope, inplace, min_val, max_val)


def relu6(input, inplace=False):
    r"""x clamped to [0, 6].

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. NaN stays NaN.

    Raises: TypeError for other dtypes.

    Source: torch.nn.functional.relu6.

    >>> import spinetail as st
    >>> st.nn.functional.relu6(st.tensor([-2.0, 3.0, 7.0]))
    tensor([0., 3., 6.])
    """

    def slope(y):
        return ((y > 0) & (y < 6)).to(y.dtype)

    return _from_output("relu6", input, ops.relu6, ops.relu6_backward, slope, inplace)


def hardsigmoid(input, inplace=False):
    r"""y = clamp(x + 3, 0, 6) / 6.

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64.

    Raises: TypeError for other dtypes.

    Source: Howard et al. 2019; torch.nn.functional.hardsigmoid.

    >>> import spinetail as st
    >>> st.nn.functional.hardsigmoid(st.tensor([-4.0, 0.0, 4.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """

    def slope(x):
        return ((x > -3) & (x < 3)).to(x.dtype) / 6

    return _from_input("hardsigmoid", input, ops.hardsigmoid, ops.hardsigmoid_backward, slope, inplace)


def hardswish(input, inplace=False):
    r"""y = x · clamp(x + 3, 0, 6) / 6.

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64.

    Raises: TypeError for other dtypes.

    Source: Howard et al. 2019; torch.nn.functional.hardswish.

    >>> import spinetail as st
    >>> st.nn.functional.hardswish(st.tensor([-4.0, 1.0, 4.0]))
    tensor([-0.0000,  0.6667,  4.0000])
    """

    def slope(x):
        return where(x <= -3, 0.0, where(x >= 3, 1.0, x / 3 + 0.5))

    return _from_input("hardswish", input, ops.hardswish, ops.hardswish_backward, slope, inplace)


def softshrink(input, lambd=0.5):
    r"""x moved towards 0 by lambd; 0 where |x| is at most lambd.

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64.

    Raises: TypeError for other dtypes, ValueError for a negative lambd.

    Source: torch.nn.functional.softshrink.

    >>> import spinetail as st
    >>> st.nn.functional.softshrink(st.tensor([-1.0, 0.2, 1.0]))
    tensor([-0.5000,  0.0000,  0.5000])
    """
    return _from_input(
        "softshrink",
        input,
        ops.softshrink,
        ops.softshrink_backward,
        lambda x: (x.abs() > lambd).to(x.dtype),
        False,
        lambd,
    )


def hardshrink(input, lambd=0.5):
    r"""x; 0 where |x| is at most lambd.

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64.

    Raises: TypeError for other dtypes.

    Source: torch.nn.functional.hardshrink.

    >>> import spinetail as st
    >>> st.nn.functional.hardshrink(st.tensor([-1.0, 0.2, 1.0]))
    tensor([-1.,  0.,  1.])
    """
    return _from_input(
        "hardshrink",
        input,
        ops.hardshrink,
        ops.hardshrink_backward,
        lambda x: (x.abs() > lambd).to(x.dtype),
        False,
        lambd,
    )


def threshold(input, threshold, value, inplace=False):
    r"""x where it is above the threshold, else `value`.

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. NaN stays NaN.

    Raises: TypeError for other dtypes.

    Source: torch.nn.functional.threshold.

    >>> import spinetail as st
    >>> st.nn.functional.threshold(st.tensor([0.05, 0.5]), 0.1, 20.0)
    tensor([20.0000,  0.5000])
    """
    return _from_input(
        "threshold",
        input,
        ops.threshold,
        ops.threshold_backward,
        lambda x: (x > threshold).to(x.dtype),
        inplace,
        threshold,
        value,
    )


def prelu(input, weight):
    r"""x where it is above 0, else weight · x, with a learned weight.

    Shapes: input any; weight () or (1,) for all, or (C,) with one for each of the C channels in axis 1; the result has
    the input's shape. dtypes: float16, bfloat16, float32, float64, both the same. The gradient to the weight is summed
    in float64.

    Raises: TypeError for other or mixed dtypes, ValueError for a weight that does not fit.

    Source: He et al. 2015; torch.nn.functional.prelu.

    >>> import spinetail as st
    >>> st.nn.functional.prelu(st.tensor([-1.0, 2.0]), st.tensor(0.25))
    tensor([-0.2500,  2.0000])
    """
    if not isinstance(input, Tensor):
        if not isinstance(weight, Tensor):
            return ops.prelu(input, weight)
        input = wrap(input)
    if not isinstance(weight, Tensor):
        weight = wrap(weight)
    x, w = input._array, weight._array
    y = ops.prelu(x, w)
    if not ((input._requires_grad or weight._requires_grad) and enabled()):
        return wrap(y)

    def gradient(grad):
        dinput, dweight = ops.prelu_backward(grad, x, w)
        return dinput, dweight

    return record(y, (input, weight), gradient, (input, weight), "prelu")


def glu(input, dim=-1):
    r"""The gated linear unit: y = a · sigmoid(b), with a and b the two halves of the input along an axis.

    Shapes: the axis `dim` of the input must be even; the result has half of it.
    dtypes: float16, bfloat16, float32, float64.

    Raises: TypeError for other dtypes, ValueError for an odd axis, IndexError for an axis that is not there.

    Source: Dauphin et al. 2017; torch.nn.functional.glu.

    >>> import spinetail as st
    >>> st.nn.functional.glu(st.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    if not isinstance(input, Tensor):
        return ops.glu(input, dim)
    x = input._array
    y = ops.glu(x, dim)
    if not (input._requires_grad and enabled()):
        return wrap(y)
    return record(y, (input,), lambda grad: (ops.glu_backward(grad, x, dim),), (input,), "glu")


def _in_place(function: Callable) -> Callable:
    """The function under PyTorch's name for its in-place version."""

    def run(input, *args, **options):
        return function(input, *args, inplace=True, **options)

    run.__name__ = run.__qualname__ = function.__name__ + "_"
    run.__doc__ = f"In-place version of `{function.__name__}`: the result replaces the input's values."
    run.__module__ = __name__
    return run


celu_, elu_, hardtanh_, leaky_relu_ = map(_in_place, (celu, elu, hardtanh, leaky_relu))
relu_, selu_, threshold_ = map(_in_place, (relu, selu, threshold))


def _softmax_method(self, dim, dtype=None):
    """Softmax along an axis; see `nn.functional.softmax`."""
    return softmax(self, dim, dtype=dtype)


def _log_softmax_method(self, dim, dtype=None):
    """Log-softmax along an axis; see `nn.functional.log_softmax`."""
    return log_softmax(self, dim, dtype=dtype)


def _relu_method(self):
    """The rectified linear unit in place; see `nn.functional.relu`."""
    return relu(self, True)


Tensor.relu, Tensor.relu_ = relu, _relu_method
Tensor.softmax, Tensor.log_softmax = _softmax_method, _log_softmax_method
Tensor.hardshrink, Tensor.prelu = hardshrink, prelu
