"""Running sums, products and extremes along a dimension, and differences."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import enabled, like, like_output, ndarray, record, wrap
from ..autograd.tensor import Tensor
from .door import mutable, operation
from .extremes import Found
from .indexing import gather
from .shape import wrap_dim

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "diff", "logcumsumexp"]


def _flip(v, dim: int):
    return v.flip(dim) if isinstance(v, Tensor) else np.flip(v, dim)


def _cumsum(v, dim: int):
    return cumsum.__wrapped__(v, dim) if isinstance(v, Tensor) else np.cumsum(v, dim)


@operation
def cumsum(input, dim, *, dtype=None, out=None):
    """Running sums: out[i] = input[0] + … + input[i] along `dim`; integers are summed in int64.

    >>> import spinetail as st
    >>> st.cumsum(st.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 3., 6.])
    """
    if dtype is not None:
        input = input.to(dtype)
    x = input._array
    dim = wrap_dim("cumsum", dim, x.ndim)
    if x.ndim == 0:
        return input.clone() if x.dtype.kind not in "biu" else input.to(np.int64)
    y = np.cumsum(x, dim, dtype=np.int64 if dtype is None and x.dtype.kind in "biu" else None)
    if not (input._requires_grad and enabled()):
        return wrap(y)
    return record(y, (input,), lambda grad: (_flip(_cumsum(_flip(grad, dim), dim), dim),), name="cumsum", twice=True)


@operation
def cumprod(input, dim, *, dtype=None, out=None):
    """Running products: out[i] = input[0] · … · input[i] along `dim`.

    >>> import spinetail as st
    >>> st.cumprod(st.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 2., 6.])
    """
    if dtype is not None:
        input = input.to(dtype)
    x = input._array
    dim = wrap_dim("cumprod", dim, x.ndim)
    if x.ndim == 0:
        return input.clone() if x.dtype.kind not in "biu" else input.to(np.int64)
    y = np.cumprod(x, dim, dtype=np.int64 if dtype is None and x.dtype.kind in "biu" else None)
    if not (input._requires_grad and enabled()):
        return wrap(y)

    def backward(grad):
        if x.all():
            product = like_output(grad, y)
            return (_flip(_cumsum(_flip(grad * product, dim), dim), dim) / like(grad, input),)
        if isinstance(grad, Tensor):
            raise RuntimeError("[cumprod] create_graph=True is not supported for products with zeros")
        return (_product_slopes(x, grad, dim),)

    return record(y, (input,), backward, (input,), "cumprod", saved_output=True, twice=True)


def _product_slopes(x: ndarray, grad: ndarray, dim: int) -> ndarray:
    """The gradient of cumprod where elements may be zero: one product without each element in turn."""
    x, grad = np.moveaxis(x, dim, 0), np.moveaxis(grad, dim, 0)
    result = np.empty_like(x)
    for i in range(len(x)):
        others = x.copy()
        others[i] = 1
        result[i] = (np.cumprod(others, 0)[i:] * grad[i:]).sum(0)
    return np.moveaxis(result, 0, dim)


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
        return (_flip(_cumsum(_flip(grad * shrink, dim), dim), dim) * grow,)

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
