"""Softmax and dropout in one sweep."""

from __future__ import annotations

import numpy as np

from ...autograd.tape import enabled, like, ndarray, record, unbroadcast, wrap
from ...autograd.tensor import Tensor
from ...ops import softmax_dropout as ops
from ...ops.arrays import is_half
from ...ops.random import dropout as drop
from ..door import expect, operand
from ..generator import default_generator

_NAME = "softmax_dropout"


def softmax_dropout(
    input: Tensor | ndarray,
    dim: int = -1,
    p: float = 0.5,
    training: bool = True,
    mask: Tensor | ndarray | None = None,
) -> Tensor | ndarray:
    r"""Softmax of input + mask along an axis, and dropout of the shares, in one sweep: what attention does to scores.

    y = k / (1 - p) · exp(x + mask) / Σ exp(x + mask), k = 0 with probability p, else 1. The shares are not stored:
    `backward` makes them, and the choice of those that are kept, again.

    Shapes: any; the result has the input's. `dim` is the axis. `mask` broadcasts to the input's shape: bool, True where
    an element counts (as in `scaled_dot_product_attention`), or of the input's dtype and added; it may require a
    gradient. A line that the mask hides wholly is 0, and so is its gradient; other lines' special values and errors are
    softmax's. Outside training, and with p = 0, nothing is dropped; p = 1 gives zeros. Which elements are kept follows
    from the default generator (`manual_seed`) and their number, counted with `dim` behind the other axes: with
    dim = -1 the same that `dropout` keeps after the same seed. The last axis is the fast one: others are copied.
    dtypes: float16, bfloat16 (computed in float32), float32, float64.

    Raises: TypeError for other dtypes, IndexError for an axis that is not there, ValueError for p outside [0, 1] and
    for a mask that does not broadcast to the input.

    Source: Vaswani et al., Attention Is All You Need (2017); Srivastava et al., Dropout (2014).

    >>> import numpy as np, spinetail as st, spinetail.nn.functional as F
    >>> _ = st.manual_seed(0)
    >>> x = np.zeros((2, 4))
    >>> F.softmax_dropout(x, p=0.0, mask=np.array([True, True, False, False]))
    array([[0.5, 0.5, 0. , 0. ],
           [0.5, 0.5, 0. , 0. ]])
    >>> set(F.softmax_dropout(x, p=0.5).ravel().tolist()) <= {0.0, 0.5}
    True
    """
    expect(_NAME, input)
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"[{_NAME}] dropout probability has to be between 0 and 1, but got {p}")
    draw = (p, *default_generator.key()) if training and p else (0.0, 0, 0)
    if not isinstance(input, Tensor) and not isinstance(mask, Tensor):
        return ops.softmax_dropout(input, dim, *draw, mask)[0]
    a = input if isinstance(input, Tensor) else operand(_NAME, input)
    m = mask if mask is None or isinstance(mask, Tensor) else operand(_NAME, mask)
    y, statistics = ops.softmax_dropout(a._array, dim, *draw, None if m is None else m._array)
    masks = m is not None and m._requires_grad
    if not enabled() or not (a._requires_grad or masks):
        return wrap(y)

    def backward(grad):
        b = None if m is None else like(grad, m)
        if type(grad) is ndarray:
            dx = ops.softmax_dropout_backward(grad, statistics, a._array, dim, *draw, b)
        else:
            kept = wrap(_factors(a._array, dim, draw))
            shares = softmax_dropout(a, dim, 0.0, mask=b)
            g = grad * kept
            dx = shares * (g - (g * shares).sum(dim, keepdim=True))
        return (dx, _summed(dx, m._array.shape) if masks else None)

    return record(y, (a, m), backward, (a,) if m is None else (a, m), _NAME, False, True)


def _factors(array: ndarray, dim: int, draw: tuple[float, int, int]) -> ndarray:
    """What each share is multiplied by."""
    moved = np.moveaxis(array, dim, -1).shape if array.ndim else ()
    factors = drop(np.ones(moved, array.dtype), *draw)
    return np.moveaxis(factors, -1, dim) if array.ndim else factors


def _summed(dx, shape: tuple[int, ...]):
    """The mask's gradient; halves are summed in float32."""
    if type(dx) is ndarray and is_half(dx.dtype) and dx.shape != shape:
        return unbroadcast(dx.astype(np.float32), shape).astype(dx.dtype)
    return unbroadcast(dx, shape)
