"""Reductions: sums, means, extremes and their like over one, several or all dimensions."""

from __future__ import annotations

import math

import numpy as np

from .. import dtypes
from ..autograd.tape import enabled, like, like_output, ndarray, record, wrap
from ..autograd.tensor import Tensor
from ..ops import reduction as ops
from .door import operation
from .indexing import where
from .pointwise import abs, exp
from .size import wrap_dims

__all__ = [
    "all",
    "any",
    "count_nonzero",
    "logsumexp",
    "mean",
    "nanmean",
    "nansum",
    "norm",
    "prod",
    "std",
    "std_mean",
    "sum",
    "var",
    "var_mean",
]

# `axis` and `keepdims` are NumPy's words for `dim` and `keepdim`: np.sum(tensor) calls the method with them.


def _dims(name: str, dim, axis, ndim: int) -> tuple | None:
    if type(dim) is int and -ndim <= dim < ndim:  # the usual case
        return (dim % ndim,)
    dims = wrap_dims(name, axis if dim is None else dim, ndim)
    return None if not dims or ndim == 0 else dims


def _spread(grad, shape: tuple, dims: tuple | None, keepdim: bool):
    """A reduction's gradient (array or tensor) in the shape that was reduced, as a broadcast."""
    if not keepdim:
        kept = tuple(1 if dims is None or i in dims else s for i, s in enumerate(shape))
        grad = grad.reshape(kept)
    return grad.expand(shape) if isinstance(grad, Tensor) else np.broadcast_to(grad, shape)


@operation
def sum(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False, out=None):
    """The sum over `dim` (one, several, or all dimensions).

    Integers and bools are summed in int64, float32 in float64: the error is at most 4·eps·Σ|x|, however many there are
    (8·eps·Σ|x| in float64). The sum of nothing is 0.
    Raises: IndexError for a dimension that is not there.

    >>> import spinetail as st
    >>> st.sum(st.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    if dtype is not None:
        input = input.to(dtype)
    x = input._array
    if dim is None and axis is None:
        dims = None
    else:
        dims = _dims("sum", dim, axis, x.ndim)
    keep = keepdim or keepdims
    if ops.takes(x):
        y = ops.reduce(x, dims, keep, ops.SUM)
    else:
        y = np.add.reduce(x, dims, dtype=np.int64 if dtype is None and x.dtype.kind in "biu" else None, keepdims=keep)
    if not (input._requires_grad and enabled()):
        return wrap(y)
    shape = x.shape
    return record(y, (input,), lambda grad: (_spread(grad, shape, dims, keep),), name="sum", twice=True)


@operation
def mean(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False, out=None):
    """The mean over `dim` (one, several, or all dimensions), as accurate as `sum`; the mean of nothing is NaN.

    Raises: TypeError for integers and bools, unless `dtype` is a floating-point one.

    >>> import spinetail as st
    >>> st.mean(st.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    tensor([1.5000, 3.5000])
    """
    if dtype is not None:
        input = input.to(dtype)
    x = input._array
    if x.dtype.kind in "biu":
        raise TypeError(
            f"[mean] could not infer output dtype. Input dtype must be a floating point dtype. Got: {input.dtype}"
        )
    dims = None if dim is None and axis is None else _dims("mean", dim, axis, x.ndim)
    keep = keepdim or keepdims
    shape = x.shape
    count = x.size if dims is None else math.prod([shape[d] for d in dims])
    scale = x.dtype.type(1 / count) if count else x.dtype.type(math.nan)
    if ops.takes(x):
        y = ops.reduce(x, dims, keep, ops.SUM, float(count))
    else:
        y = np.asarray(np.add.reduce(x, dims, keepdims=keep)) * scale
    if not (input._requires_grad and enabled()):
        return wrap(y)
    number = float(scale)
    return record(
        y,
        (input,),
        lambda grad: (_spread(grad * (scale if not isinstance(grad, Tensor) else number), shape, dims, keep),),
        name="mean",
        twice=True,
    )


@operation
def nansum(input, dim=None, keepdim=False, *, dtype=None):
    """The sum over `dim`, with NaN counted as 0.

    >>> import spinetail as st
    >>> st.nansum(st.tensor([1.0, float("nan")]))
    tensor(1.)
    """
    kept = input if input._array.dtype.kind in "biu" else where(np.isnan(input._array), 0.0, input)
    with np.errstate(invalid="ignore"):
        return sum.__wrapped__(kept, dim, keepdim, dtype=dtype)


@operation
def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean over `dim` of what is not NaN.

    >>> import spinetail as st
    >>> st.nanmean(st.tensor([1.0, 3.0, float("nan")]))
    tensor(2.)
    """
    there = wrap(~np.isnan(input._array))
    return nansum.__wrapped__(input, dim, keepdim, dtype=dtype) / sum.__wrapped__(there, dim, keepdim)


def _spreading(name: str, input, dim, unbiased, correction, keepdim, axis, keepdims):
    """What var and std share: (dims, keepdim, divisor)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    x = input._array
    if x.dtype.kind in "biu":
        raise TypeError(f"[{name}] only supports tensors of floating-point dtype, not {input.dtype}")
    dims = _dims(name, dim, axis, x.ndim)
    count = x.size if dims is None else math.prod([x.shape[d] for d in dims])
    correction = (1 if unbiased is None or unbiased else 0) if correction is None else correction
    return dims, keepdim or keepdims, max(count - correction, 0)


def _centred(grad, input, dims):
    """The input minus its mean, as an array or a tensor beside `grad`."""
    v = like(grad, input)
    return v - (mean.__wrapped__(v, dims, True) if isinstance(v, Tensor) else ops.mean(v, dims, True))


@operation
def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None, keepdims=False):
    """The variance over `dim`: Σ (x - mean)² / max(n - correction, 0), with correction 1 as in PyTorch (NumPy: 0).

    Two sweeps over each chunk of elements and Chan's formula for their union, so that a large mean does no harm.
    Raises: TypeError for integers. Source: Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm (1979).

    >>> import spinetail as st
    >>> st.var(st.tensor([1.0, 2.0, 3.0])), st.var(st.tensor([1.0, 2.0, 3.0]), correction=0)
    (tensor(1.), tensor(0.6667))
    """
    dims, keep, divisor = _spreading("var", input, dim, unbiased, correction, keepdim, axis, keepdims)
    x = input._array
    if not x.size:
        return sum.__wrapped__(input, dims, keep) * math.nan
    y = ops.reduce(x, dims, keep, ops.SPREAD, float(divisor))
    if not (input._requires_grad and enabled()):
        return wrap(y)
    shape = x.shape

    def backward(grad):
        part = _spread(grad * (2 / divisor if divisor else math.nan), shape, dims, keep)
        return (part * _centred(grad, input, dims),)

    return record(y, (input,), backward, (input,), "var", twice=True)


@operation
def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None, keepdims=False):
    """The standard deviation over `dim`: the root of `var`, with correction 1 as in PyTorch (NumPy: 0).

    The gradient where it is 0 is 0. Raises: TypeError for integers.

    >>> import spinetail as st
    >>> st.std(st.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    dims, keep, divisor = _spreading("std", input, dim, unbiased, correction, keepdim, axis, keepdims)
    x = input._array
    if not x.size:
        return sum.__wrapped__(input, dims, keep) * math.nan
    y = np.sqrt(ops.reduce(x, dims, keep, ops.SPREAD, float(divisor)))
    if not (input._requires_grad and enabled()):
        return wrap(y)
    shape = x.shape

    def backward(grad):
        root = like_output(grad, y)
        scale = (
            where(y == 0, root * 0, grad / root)
            if isinstance(grad, Tensor)
            else np.where(y == 0, np.zeros_like(y), grad / y)
        )
        part = _spread(scale * (1 / divisor if divisor else math.nan), shape, dims, keep)
        return (part * _centred(grad, input, dims),)

    return record(y, (input,), backward, (input,), "std", saved_output=True, twice=True)


def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """Variance and mean over `dim`."""
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """Standard deviation and mean over `dim`."""
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


@operation
def prod(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False, out=None):
    """The product over one dimension or all; the product of nothing is 1.

    >>> import spinetail as st
    >>> st.prod(st.tensor([2.0, 3.0]))
    tensor(6.)
    """
    if dtype is not None:
        input = input.to(dtype)
    x = input._array
    dims = _dims("prod", dim, axis, x.ndim)
    keep = keepdim or keepdims
    if ops.takes(x):
        y = ops.reduce(x, dims, keep, ops.PRODUCT)
    else:
        whole = np.int64 if dtype is None and x.dtype.kind in "biu" else None
        y = np.multiply.reduce(x, dims, dtype=whole, keepdims=keep)
    if not (input._requires_grad and enabled()):
        return wrap(y)
    shape, y = x.shape, np.asarray(y)

    def backward(grad):
        spread = _spread(grad, shape, dims, keep)
        if x.all():
            return (spread * _spread(like_output(grad, y), shape, dims, keep) / like(grad, input),)
        if isinstance(grad, Tensor):
            raise RuntimeError("[prod] create_graph=True is not supported for a product with zeros")
        return (spread * _others(x, dims),)

    return record(y, (input,), backward, (input,), "prod", twice=True)


def _others(x: ndarray, dims: tuple | None) -> ndarray:
    """For each element, the product of the others that it is reduced with."""
    axes = tuple(range(x.ndim)) if dims is None else dims
    rest = [a for a in range(x.ndim) if a not in axes]
    order = [*rest, *axes]
    moved = x.transpose(order)
    rows = moved.reshape(*[x.shape[a] for a in rest], -1)
    before, after = np.ones_like(rows), np.ones_like(rows)
    np.cumprod(rows[..., :-1], -1, out=before[..., 1:])
    after[..., :-1] = np.cumprod(rows[..., :0:-1], -1)[..., ::-1]
    return (before * after).reshape(moved.shape).transpose(np.argsort(order))


@operation
def logsumexp(input, dim=None, keepdim=False):
    """log Σ eˣ over `dim`, without overflow.

    >>> import spinetail as st
    >>> st.logsumexp(st.tensor([1000.0, 1000.0]), 0)
    tensor(1000.6932)
    """
    if input._array.dtype.kind in "biu":
        input = input.to(dtypes.get_default_dtype().numpy)
    x = input._array
    dims = _dims("logsumexp", dim, None, x.ndim)
    if ops.takes(x):
        y = ops.reduce(x, dims, keepdim, ops.LOG_SUM_EXP)
    else:  # nothing has the logarithm -∞
        y = np.max(x, dims, keepdims=keepdim, initial=-math.inf)
    if not (input._requires_grad and enabled()):
        return wrap(y)
    shape = x.shape

    def backward(grad):
        share = exp(like(grad, input) - _spread(like_output(grad, y), shape, dims, keepdim))
        return (_spread(grad, shape, dims, keepdim) * share,)

    return record(y, (input,), backward, (input,), "logsumexp", saved_output=True, twice=True)


@operation
def norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):
    """The p-norm over `dim` (all dimensions by default): (Σ |x|ᵖ)^(1/p); p may be "fro" (2), inf, -inf, 0, 1, …

    The gradient at 0 is 0. Raises: TypeError for integers.

    >>> import spinetail as st
    >>> st.norm(st.tensor([3.0, -4.0])), st.norm(st.tensor([3.0, -4.0]), p=1)
    (tensor(5.), tensor(7.))
    """
    if dtype is not None:
        input = input.to(dtype)
    if input._array.dtype.kind in "biu":
        raise TypeError(f"[norm] only supports tensors of floating-point dtype, not {input.dtype}")
    p = 2.0 if p is None or p == "fro" else float(p)
    if p == 0:
        return (input != 0).to(input._array.dtype).sum(dim, keepdim)
    if p == 1:
        return input.abs().sum(dim, keepdim)
    if math.isinf(p):
        return input.abs().amax(dim, keepdim) if p > 0 else input.abs().amin(dim, keepdim)
    x = input._array
    dims = _dims("norm", dim, None, x.ndim)
    if p == 2 and ops.takes(x):
        y = ops.reduce(x, dims, keepdim, ops.NORM)
    else:
        with np.errstate(all="ignore"):
            powers = np.abs(x) ** p
            total = ops.reduce if ops.takes(powers) else lambda v, d, k, _: np.add.reduce(v, d, keepdims=k)
            y = total(powers, dims, keepdim, ops.SUM) ** x.dtype.type(1 / p)
    if not (input._requires_grad and enabled()):
        return wrap(y)
    shape, y = x.shape, np.asarray(y)

    def backward(grad):
        total, v = like_output(grad, y), like(grad, input)
        scale = grad / total if p == 2 else grad / total ** (p - 1 if isinstance(grad, Tensor) else y.dtype.type(p - 1))
        zero = np.zeros_like(y)
        scale = where(y == 0, wrap(zero), scale) if isinstance(grad, Tensor) else np.where(y == 0, zero, scale)
        slope = v if p == 2 else v * where(x == 0, v * 0, abs(v) ** (p - 2))
        return (_spread(scale, shape, dims, keepdim) * slope,)

    return record(y, (input,), backward, (input,), "norm", saved_output=True, twice=True)


def _truth(name: str, every: bool, doc: str):
    def function(input, dim=None, keepdim=False, *, axis=None, keepdims=False, out=None):
        x = input._array
        y = ops.any_or_all(x, _dims(name, dim, axis, x.ndim), keepdim or keepdims, every)
        return wrap(y.view(np.uint8) if x.dtype == np.uint8 else y)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = __name__
    return operation(function)


all = _truth(
    "all",
    True,
    """Whether all elements (of `dim`, one or several) are nonzero; true for none. NaN is nonzero.

    dtypes: all; the result is bool, for uint8 uint8, as in PyTorch.

    >>> import spinetail as st
    >>> st.all(st.tensor([[1.0, 0.0], [2.0, 3.0]]), 1)
    tensor([False,  True])
    """,
)
any = _truth(
    "any",
    False,
    """Whether some element (of `dim`, one or several) is nonzero; false for none. NaN is nonzero.

    dtypes: all; the result is bool, for uint8 uint8, as in PyTorch.

    >>> import spinetail as st
    >>> st.any(st.tensor([[1.0, 0.0], [0.0, 0.0]]), 1)
    tensor([ True, False])
    """,
)


@operation
def count_nonzero(input, dim=None):
    """How many elements (of `dim`) are not zero.

    >>> import spinetail as st
    >>> st.count_nonzero(st.tensor([0, 3, 4]))
    tensor(2)
    """
    x = input._array
    return wrap(np.asarray(np.count_nonzero(x, _dims("count_nonzero", dim, None, x.ndim)), np.int64))
