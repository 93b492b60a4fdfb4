"""Dropout, with masks that are made again in the backward pass rather than stored."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.inplace import check, rebase
from ..autograd.tape import bump, enabled, record, wrap
from ..autograd.tensor import Tensor
from ..ops import random as ops
from ..ops.arrays import is_half
from .door import expect
from .random import key

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

Value = Any  # a Tensor or an ndarray; the result is of the same kind

# What dropped elements become before scaling, in alpha dropout: -λα of SELU.
SATURATION = -1.7580993408473766


def dropout(input: Value, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    r"""Set each element to zero with probability p, and scale the others by 1/(1 - p).

    Shapes: input any; result as the input. Outside training, the input itself. p = 1 gives zeros. Which elements are
    dropped follows from the default generator (`manual_seed`) and their number, not from threads.
    dtypes: float16, bfloat16, float32, float64.

    Raises: TypeError for other dtypes; ValueError for p outside [0, 1].

    Source: Srivastava et al., Dropout (2014); torch.nn.functional.dropout.

    >>> import numpy as np, spinetail as st, spinetail.functional.dropout as F
    >>> _ = st.manual_seed(0)
    >>> sorted(set(F.dropout(np.ones(100), 0.75).tolist()))
    [0.0, 4.0]
    """
    return _drop("dropout", input, p, training, inplace, 0.0 if p == 1 else 1 / (1 - p), 0.0, 0.0)


def alpha_dropout(input: Value, p: float = 0.5, training: bool = False, inplace: bool = False) -> Value:
    r"""Dropout that keeps mean and variance of SELU activations: y = a·x + b where kept, a·α' + b where dropped.

    α' = -1.7581, a = 1/√((1 + α'²·p)(1 - p)), b = -a·α'·p.

    Shapes: input any; result as the input. dtypes: float16, bfloat16, float32, float64.

    Raises: TypeError for other dtypes; ValueError for p outside [0, 1].

    Source: Klambauer et al., Self-Normalizing Neural Networks (2017); torch.nn.functional.alpha_dropout.

    >>> import numpy as np, spinetail as st, spinetail.functional.dropout as F
    >>> _ = st.manual_seed(0)
    >>> len(set(F.alpha_dropout(np.zeros(100), 0.5, training=True).tolist()))
    2
    """
    a, b = _alpha(p)
    return _drop("alpha_dropout", input, p, training, inplace, a, b, a * SATURATION + b)


def dropout1d(input: Value, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    r"""Set whole channels to zero with probability p, and scale the others by 1/(1 - p).

    Shapes: input (n, c, l) or (c, l); result as the input. dtypes: float16, bfloat16, float32, float64.

    Raises: TypeError for other dtypes; ValueError for p outside [0, 1] and for other numbers of axes.

    Source: Tompson et al., Efficient Object Localization Using Convolutional Networks (2015).

    >>> import numpy as np, spinetail as st, spinetail.functional.dropout as F
    >>> _ = st.manual_seed(0)
    >>> float(F.dropout1d(np.ones((1, 20, 3)), 0.5).std(-1).max())
    0.0
    """
    return _drop_channels("dropout1d", input, p, training, inplace, (2, 3))


def dropout2d(input: Value, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    """`dropout1d` for inputs (n, c, h, w) or (c, h, w)."""
    return _drop_channels("dropout2d", input, p, training, inplace, (3, 4))


def dropout3d(input: Value, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    """`dropout1d` for inputs (n, c, d, h, w) or (c, d, h, w)."""
    return _drop_channels("dropout3d", input, p, training, inplace, (4, 5))


def feature_alpha_dropout(input: Value, p: float = 0.5, training: bool = False, inplace: bool = False) -> Value:
    """`alpha_dropout` of whole channels of an input (n, c, ...)."""
    expect("feature_alpha_dropout", input)
    a, b = _alpha(p)
    return _drop_features(
        "feature_alpha_dropout", input, p, training, inplace, input.shape[:2], (a, b, a * SATURATION + b)
    )


def _alpha(p: float) -> tuple[float, float]:
    if not 0.0 <= p < 1.0:
        return 0.0, 0.0
    a = 1 / math.sqrt((1 + p * SATURATION**2) * (1 - p))
    return a, -a * SATURATION * p


def _probability(name: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _drop(
    name: str, input: Value, p: float, training: bool, inplace: bool, scale: float, shift: float, dropped: float
) -> Value:
    _probability(name, p)
    tensor = isinstance(input, Tensor)
    if not tensor:
        expect(name, input)
    if not training or p == 0:
        return input
    if tensor and inplace:
        check(input)
    x = input._array if tensor else input
    seed, offset = key()
    y = ops.dropout(x, p, seed, offset, scale, shift, dropped, out=x if inplace else None)
    if not tensor:
        return y

    def backward(grad: np.ndarray) -> tuple[Any, ...]:
        return (ops.dropout(grad, p, seed, offset, scale),)

    return _result(name, input, y, backward, inplace)


def _result(name: str, input: Tensor, y: np.ndarray, backward: Callable[..., Any], inplace: bool) -> Tensor:
    recorded = input._requires_grad and enabled()
    if not inplace:
        return record(y, (input,), backward, name=name) if recorded else wrap(y)
    bump(input)
    if recorded:
        rebase(input, record(y, (input,), backward, name=name)._node)
    return input


def _drop_channels(name: str, input: Value, p: float, training: bool, inplace: bool, ranks: tuple[int, int]) -> Value:
    expect(name, input)
    shape = input.shape
    if len(shape) not in ranks:
        raise ValueError(f"[{name}] expected an input of {ranks[0]} or {ranks[1]} dimensions, got {len(shape)}")
    scale = 0.0 if p == 1 else 1 / (1 - p)
    return _drop_features(name, input, p, training, inplace, shape[: len(shape) - ranks[0] + 1], (scale, 0.0, 0.0))


def _drop_features(
    name: str, input: Value, p: float, training: bool, inplace: bool, features: tuple[int, ...], values: tuple[Any, ...]
) -> Value:
    """One draw for each element of the leading axes `features`; `values` are (scale, shift, dropped)."""
    _probability(name, p)
    tensor = isinstance(input, Tensor)
    if not training or p == 0:
        return input
    if tensor and inplace:
        check(input)
    x = input._array if tensor else input
    if x.dtype.char not in "fd" and not is_half(x.dtype):
        raise TypeError(f"[{name}] expected input of dtype float16, bfloat16, float32 or float64, got {x.dtype}")
    scale, shift, dropped = values
    wide = (*features, *(1,) * (x.ndim - len(features)))
    factor = ops.dropout(np.ones(wide, x.dtype), p, *key(), scale)
    y = np.multiply(x, factor, out=x if inplace else None)
    if shift or dropped:
        y += np.where(factor == 0, dropped, shift).astype(x.dtype)
    if not tensor:
        return y
    return _result(name, input, y, lambda grad: (grad * factor,), inplace)
