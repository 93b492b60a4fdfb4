"""Rectifiers: straight lines with a bend or two."""

from __future__ import annotations

from ...autograd.tape import enabled, record, wrap
from ...autograd.tensor import Tensor
from ...ops import activation as ops
from ..door import expect
from ..indexing import where
from .recording import from_input, from_output, in_place


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
    return from_output("relu", input, ops.relu, ops.relu_backward, _above_zero, inplace)


def _above_zero(y):
    return (y > 0).to(y.dtype)


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

    return from_output("relu6", input, ops.relu6, ops.relu6_backward, slope, inplace)


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

    return from_output("hardtanh", input, ops.hardtanh, ops.hardtanh_backward, slope, inplace, min_val, max_val)


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

    return from_input("leaky_relu", input, ops.leaky_relu, ops.leaky_relu_backward, slope, inplace, negative_slope)


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
        expect("prelu", input, weight)
        if not isinstance(weight, Tensor):
            return ops.prelu(input, weight)
        input = wrap(input)
    if not isinstance(weight, Tensor):
        expect("prelu", weight)
        weight = wrap(weight)
    x, w = input._array, weight._array
    y = ops.prelu(x, w)
    if not ((input._requires_grad or weight._requires_grad) and enabled()):
        return wrap(y)

    def gradient(grad):
        dinput, dweight = ops.prelu_backward(grad, x, w)
        return dinput, dweight

    return record(y, (input, weight), gradient, (input, weight), "prelu")


def threshold(input, threshold, value, inplace=False):
    r"""x where it is above the threshold, else `value`.

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. NaN stays NaN.

    Raises: TypeError for other dtypes.

    Source: torch.nn.functional.threshold.

    >>> import spinetail as st
    >>> st.nn.functional.threshold(st.tensor([0.05, 0.5]), 0.1, 20.0)
    tensor([20.0000,  0.5000])
    """
    return from_input(
        "threshold",
        input,
        ops.threshold,
        ops.threshold_backward,
        lambda x: (x > threshold).to(x.dtype),
        inplace,
        threshold,
        value,
    )


hardtanh_, leaky_relu_, relu_, threshold_ = map(in_place, (hardtanh, leaky_relu, relu, threshold))


def _relu_method(self):
    """The rectified linear unit in place; see `nn.functional.relu`."""
    return relu(self, True)


Tensor.relu, Tensor.relu_ = relu, _relu_method
Tensor.prelu = prelu
