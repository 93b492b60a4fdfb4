"""Shrinkage: small inputs become zero, or nearly so."""

from __future__ import annotations

from ...autograd.tensor import Tensor
from ...ops import activation as ops
from ..pointwise import tanh
from .recording import from_input


def hardshrink(input, lambd=0.5):
    r"""x; 0 where |x| is at most lambd.

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64.

    Raises: TypeError for other dtypes.

    Source: torch.nn.functional.hardshrink.

    >>> import spinetail as st
    >>> st.nn.functional.hardshrink(st.tensor([-1.0, 0.2, 1.0]))
    tensor([-1.,  0.,  1.])
    """
    return from_input(
        "hardshrink",
        input,
        ops.hardshrink,
        ops.hardshrink_backward,
        lambda x: (x.abs() > lambd).to(x.dtype),
        False,
        lambd,
    )


def softshrink(input, lambd=0.5):
    r"""x moved towards 0 by lambd; 0 where |x| is at most lambd.

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64.

    Raises: TypeError for other dtypes, ValueError for a negative lambd.

    Source: torch.nn.functional.softshrink.

    >>> import spinetail as st
    >>> st.nn.functional.softshrink(st.tensor([-1.0, 0.2, 1.0]))
    tensor([-0.5000,  0.0000,  0.5000])
    """
    return from_input(
        "softshrink",
        input,
        ops.softshrink,
        ops.softshrink_backward,
        lambda x: (x.abs() > lambd).to(x.dtype),
        False,
        lambd,
    )


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

    return from_input("tanhshrink", input, ops.tanhshrink, ops.tanhshrink_backward, slope, False)


Tensor.hardshrink = hardshrink
