"""Exponential units: straight above zero, an exponential below."""

from __future__ import annotations

from ...ops import activation as ops
from ..indexing import where
from ..pointwise import exp
from .recording import from_input, in_place


def elu(input, alpha=1.0, inplace=False):
    r"""The exponential linear unit: x above 0, else alpha · (exp(x) - 1).

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. Error: at most 3 ULP.

    Raises: TypeError for other dtypes.

    Source: Clevert et al. 2015; torch.nn.functional.elu.

    >>> import spinetail as st
    >>> st.nn.functional.elu(st.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return from_input(
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
    return from_input(
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

    return from_input("selu", input, ops.selu, ops.selu_backward, slope, inplace)


celu_, elu_, selu_ = map(in_place, (celu, elu, selu))
