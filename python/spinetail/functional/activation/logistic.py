"""The logistic function and its kin: what saturates, and what its integral is."""

from __future__ import annotations

from ...ops import activation as ops
from ..indexing import where
from ..pointwise import sigmoid
from .recording import from_input


def logsigmoid(input):
    r"""y = log(sigmoid(x)) = -log(1 + exp(-x)), without overflow.

    Shapes: any; the result has the input's. dtypes: float16, bfloat16, float32, float64. Error: at most 2 ULP.

    Raises: TypeError for other dtypes.

    Source: torch.nn.functional.logsigmoid.

    >>> import spinetail as st
    >>> st.nn.functional.logsigmoid(st.tensor([0.0]))
    tensor([-0.6931])
    """
    return from_input("logsigmoid", input, ops.logsigmoid, ops.logsigmoid_backward, lambda x: sigmoid(-x), False)


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

    return from_input("softplus", input, ops.softplus, ops.softplus_backward, slope, False, beta, threshold)


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

    return from_input("hardsigmoid", input, ops.hardsigmoid, ops.hardsigmoid_backward, slope, inplace)


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

    return from_input("softsign", input, ops.softsign, ops.softsign_backward, slope, False)
