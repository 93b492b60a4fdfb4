"""Softmax and its kin: an axis becomes shares, or their logarithms."""

from __future__ import annotations

import warnings

import numpy as np

from ... import dtypes
from ...autograd.tape import enabled, like_output, ndarray, record, wrap
from ...autograd.tensor import Tensor
from ...ops import activation as ops
from ..door import expect
from ..pointwise import exp


def softmax(input, dim=None, _stacklevel=3, dtype=None):
    r"""The shares of exponentials along an axis: y = exp(x) / Σ exp(x), all ≥ 0 with sum 1.

    Shapes: any; the result has the input's. `dim` is the axis; leaving it out warns and takes 0 for 0, 1 or 3
    dimensions, else 1. `dtype` converts the input first. dtypes: float16, bfloat16, float32, float64.
    A line that holds NaN or +∞, or nothing but -∞, becomes NaN. The sum along the axis is within n·eps of 1; a share's
    relative error is at most 4·eps·(1 + d), d the element's distance from the line's largest.

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
    expect(name, input)
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


def _softmax_method(self, dim, dtype=None):
    """Softmax along an axis; see `nn.functional.softmax`."""
    return softmax(self, dim, dtype=dtype)


def _log_softmax_method(self, dim, dtype=None):
    """Log-softmax along an axis; see `nn.functional.log_softmax`."""
    return log_softmax(self, dim, dtype=dtype)


Tensor.softmax, Tensor.log_softmax = _softmax_method, _log_softmax_method
