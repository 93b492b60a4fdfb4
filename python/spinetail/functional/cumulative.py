"""Running sums, products and extremes along a dimension, and differences."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import enabled, like, like_output, record, wrap
from ..autograd.tensor import Tensor
from ..ops import cumulative as ops
from .door import mutable, operation
from .extremes import Found
from .scatter import gather
from .size import wrap_dim

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "diff", "logcumsumexp"]


def _flip(v, dim: int):
    return v.flip(dim) if isinstance(v, Tensor) else np.flip(v, dim)


def _sum_from_end(v, dim: int):
    """The sums from each element to the last one."""
    if isinstance(v, Tensor):
        return _flip(cumsum.__wrapped__(_flip(v, dim), dim), dim)
    return ops.running(v, dim, reverse=True)


def _accumulated(name: str, input: Tensor, dim, dtype, product: bool) -> tuple:
    """(the input in its dtype, the axis or None for a scalar, the result)."""
    if dtype is not None:
        input = input.to(dtype)
    x = input._array
    dim = wrap_dim(name, dim, x.ndim)
    if x.ndim == 0:
        return input, None, input.clone() if dtype is not None or x.dtype.kind not in "biu" else input.to(np.int64)
    y = ops.running(x, dim, product)
    return input, dim, y if dtype is None or y.dtype == x.dtype else y.astype(x.dtype)


@operation
def cumsum(input, dim, *, dtype=None, out=None):
    """Running sums: out[i] = input[0] + … + input[i] along `dim`.

    Shapes: any; the result has the input's. `dtype` converts the input first; without it, integers and bools are summed
    in int64, modulo 2⁶⁴. float32 is summed in float64: the error is at most eps·|out[i]| + n·eps(float64)·Σ|x|.

    Raises: IndexError for a dimension that is not there.

    Source: torch.cumsum.

    >>> import spinetail as st
    >>> st.cumsum(st.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 3., 6.])
    """
    input, dim, y = _accumulated("cumsum", input, dim, dtype, False)
    if dim is None or not (input._requires_grad and enabled()):
        return y if dim is None else wrap(y)
    return record(y, (input,), lambda grad: (_sum_from_end(grad, dim),), name="cumsum", twice=True)


@operation
def cumprod(input, dim, *, dtype=None, out=None):
    """Running products: out[i] = input[0] · … · input[i] along `dim`.

    Shapes and `dtype` as for `cumsum`; float32 is multiplied in float64. The gradient needs no division, so zeros are
    elements like others: input[i] gets out[i - 1] · s[i] with s[i] = grad[i] + input[i + 1] · s[i + 1].

    Raises: IndexError for a dimension that is not there; RuntimeError for a second derivative where there are zeros.

    Source: torch.cumprod.

    >>> import spinetail as st
    >>> st.cumprod(st.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 2., 6.])
    """
    input, dim, y = _accumulated("cumprod", input, dim, dtype, True)
    if dim is None or not (input._requires_grad and enabled()):
        return y if dim is None else wrap(y)
    x = input._array

    def backward(grad):
        if not isinstance(grad, Tensor):
            return (ops.running_product_backward(grad, y, x, dim),)
        if not x.all():
            raise RuntimeError("[cumprod] create_graph=True is not supported for products with zeros")
        return (_sum_from_end(grad * like_output(grad, y), dim) / like(grad, input),)

    return record(y, (input,), backward, (input,), "cumprod", saved_output=True, twice=True)


def _running(name: str, wins, doc: str):
    def function(input, dim):
        x = input._array
        dim = wrap_dim(name, dim, x.ndim)
        if x.ndim == 0:
            return Found(input.clone(), wrap(np.zeros((), np.int64)))
        rows = np.moveaxis(x, dim, 0)
        places = np.zeros(rows.shape, np.int64)
        for i in range(1, len(rows)):
            best = np.take_along_axis(rows, places[i - 1 : i], 0)[0]
            with np.errstate(invalid="ignore"):
                better = wins(rows[i], best) | (rows[i] != rows[i])
            places[i] = np.where(better, i, places[i - 1])
        indices = wrap(np.ascontiguousarray(np.moveaxis(places, 0, dim)))
        return Found(gather.__wrapped__(input, dim, indices), indices)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = __name__
    return operation(function)


cummax = _running("cummax", lambda a, b: a >= b, "Running maxima along `dim` and where they are: (values, indices).")
cummin = _running("cummin", lambda a, b: a <= b, "Running minima along `dim` and where they are: (values, indices).")


@operation
def logcumsumexp(input, dim):
    """log of the running sums of eˣ along `dim`, without overflow."""
    x = input._array
    dim = wrap_dim("logcumsumexp", dim, x.ndim)
    y = np.logaddexp.accumulate(x, dim) if x.ndim else x.copy()
    if not (input._requires_grad and enabled()):
        return wrap(y)

    def backward(grad):
        v, total = like(grad, input), like_output(grad, y)
        if x.ndim == 0:
            return (grad,)
        shrink = (-total).exp() if isinstance(grad, Tensor) else np.exp(-total)
        grow = v.exp() if isinstance(grad, Tensor) else np.exp(v)
        return (_sum_from_end(grad * shrink, dim) * grow,)

    return record(y, (input,), backward, (input,), "logcumsumexp", saved_output=True, twice=True)


@operation
def diff(input, n=1, dim=-1, prepend=None, append=None):
    """Differences of neighbours along `dim`, taken n times.

    >>> import spinetail as st
    >>> st.diff(st.tensor([1, 3, 6]))
    tensor([2, 3])
    """
    from .joining import cat

    dim = wrap_dim("diff", dim, input._array.ndim)
    parts = [p for p in (prepend, input, append) if p is not None]
    result = cat(parts, dim) if len(parts) > 1 else input
    lead = (slice(None),) * dim
    for _ in range(n):
        after, before = result[(*lead, slice(1, None))], result[(*lead, slice(None, -1))]
        result = after ^ before if result._array.dtype.kind == "b" else after - before
    return result


for _function in (cumsum, cumprod):
    mutable(_function)
