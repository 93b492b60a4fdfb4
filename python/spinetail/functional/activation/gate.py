"""Gated units: the input times a share of it between 0 and 1."""

from __future__ import annotations

import math

from ...autograd.tape import enabled, record, wrap
from ...autograd.tensor import Tensor
from ...ops import activation as ops
from ..indexing import where
from ..pointwise import exp, sigmoid, tanh
from .logistic import softplus
from .recording import from_input


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

    return from_input("gelu", input, ops.gelu, ops.gelu_backward, slope, False, approximate)


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

    return from_input("silu", input, ops.silu, ops.silu_backward, slope, inplace)


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

    return from_input("mish", input, ops.mish, ops.mish_backward, slope, inplace)


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

    return from_input("hardswish", input, ops.hardswish, ops.hardswish_backward, slope, inplace)


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
