"""Random numbers: tensors and arrays filled from a generator."""

from __future__ import annotations

import numpy as np

from .. import dtypes
from ..autograd.inplace import check, rebase
from ..autograd.tape import bump, enabled, make_node, wrap
from ..autograd.tensor import Tensor, method
from .creation import _dtype, _finish, _named, _shape
from .door import expect, lift, operation, writes
from .generator import Generator, source

__all__ = [
    "bernoulli",
    "multinomial",
    "normal",
    "poisson",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
]


def uniform(shape, low=0.0, high=1.0, dtype=np.float32, generator: Generator | None = None) -> np.ndarray:
    """An array of numbers from [low, high)."""
    dtype = np.dtype(dtype)
    draw = source(generator).numpy.random
    values = draw(shape, dtype if dtype.itemsize >= 4 else np.float32)
    if low != 0.0 or high != 1.0:
        values = values * values.dtype.type(high - low) + values.dtype.type(low)
    return np.asarray(values, dtype)


def normal_array(shape, mean=0.0, std=1.0, dtype=np.float32, generator: Generator | None = None) -> np.ndarray:
    """An array of normally distributed numbers."""
    dtype = np.dtype(dtype)
    values = source(generator).numpy.standard_normal(shape, dtype if dtype.itemsize >= 4 else np.float32)
    if std != 1.0 or mean != 0.0:
        values = values * values.dtype.type(std) + values.dtype.type(mean)
    return np.asarray(values, dtype)


def permutation(n: int, generator: Generator | None = None) -> np.ndarray:
    """The integers below n in random order, int64."""
    return source(generator).numpy.permutation(n).astype(np.int64, copy=False)


def integers(low: int, high: int, shape, generator: Generator | None = None) -> np.ndarray:
    """An array of integers from [low, high), int64."""
    return source(generator).numpy.integers(low, high, shape)


def key(generator: Generator | None = None) -> tuple[int, int]:
    """A seed and a fresh position for counter-based kernels."""
    return source(generator).key()


@writes
def rand(*size, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, **size_) -> Tensor:
    """Random numbers from [0, 1).

    >>> import spinetail as st
    >>> st.rand(2, 3).shape
    spinetail.Size([2, 3])
    """
    return _finish(
        uniform(_shape("rand", _named(size, size_)), dtype=_dtype(dtype), generator=generator), requires_grad, device
    )


@writes
def randn(
    *size, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, **size_
) -> Tensor:
    """Random numbers from the normal distribution of mean 0 and deviation 1.

    >>> import spinetail as st
    >>> st.randn(2, 3).shape
    spinetail.Size([2, 3])
    """
    shape = _shape("randn", _named(size, size_))
    return _finish(normal_array(shape, dtype=_dtype(dtype), generator=generator), requires_grad, device)


@writes
def randint(
    low, high=None, size=None, *, generator=None, out=None, dtype=None, device=None, requires_grad=False
) -> Tensor:
    """Random integers from [low, high): `randint(high, size)` or `randint(low, high, size)`.

    Raises: ValueError for an empty range.

    >>> import spinetail as st
    >>> st.randint(5, (3,)).shape
    spinetail.Size([3])
    """
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None:
        raise TypeError("[randint] size is missing")
    if low >= high:
        raise ValueError(f"[randint] expects 'from' to be less than 'to', but got from={low} >= to={high}")
    values = integers(int(low), int(high), _shape("randint", (size,)), generator)
    return _finish(values.astype(dtypes.as_dtype(dtype or dtypes.int64).numpy, copy=False), requires_grad, device)


@writes
def randperm(n, *, generator=None, out=None, dtype=dtypes.int64, device=None, requires_grad=False) -> Tensor:
    """The integers below n in random order.

    >>> import spinetail as st
    >>> sorted(st.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    return _finish(permutation(n, generator).astype(dtypes.as_dtype(dtype).numpy, copy=False), requires_grad, device)


def rand_like(input, *, dtype=None, device=None, requires_grad=False, generator=None, memory_format=None) -> Tensor:
    """Random numbers from [0, 1) in the shape and dtype of `input`."""
    expect("rand_like", input)
    return rand(
        input.shape, generator=generator, dtype=input.dtype if dtype is None else dtype, requires_grad=requires_grad
    )


def randn_like(input, *, dtype=None, device=None, requires_grad=False, generator=None, memory_format=None) -> Tensor:
    """Normally distributed random numbers in the shape and dtype of `input`."""
    expect("randn_like", input)
    return randn(
        input.shape, generator=generator, dtype=input.dtype if dtype is None else dtype, requires_grad=requires_grad
    )


def randint_like(input, low, high=None, *, dtype=None, device=None, requires_grad=False, generator=None) -> Tensor:
    """Random integers in the shape and dtype of `input`."""
    expect("randint_like", input)
    if high is None:
        low, high = 0, low
    return randint(
        low,
        high,
        input.shape,
        generator=generator,
        dtype=input.dtype if dtype is None else dtype,
        requires_grad=requires_grad,
    )


@writes
def normal(
    mean=0.0, std=1.0, size=None, *, generator=None, out=None, dtype=None, device=None, requires_grad=False
) -> Tensor:
    """Normally distributed random numbers; `mean` and `std` are numbers (with `size`) or tensors.

    Raises: ValueError for a negative deviation.

    >>> import spinetail as st
    >>> st.normal(0.0, 1.0, (2,)).shape
    spinetail.Size([2])
    """
    m, s = (v._array if isinstance(v, Tensor) else v for v in (mean, std))
    if np.any(np.asarray(s) < 0):
        raise ValueError("[normal] expects std >= 0.0")
    shape = np.broadcast_shapes(np.shape(m), np.shape(s)) if size is None else _shape("normal", (size,))
    kind = (
        _dtype(dtype)
        if size is not None or dtype is not None
        else np.result_type(*[v for v in (m, s) if isinstance(v, np.ndarray)])
    )
    return _finish((normal_array(shape, dtype=kind, generator=generator) * s + m).astype(kind), requires_grad, device)


@operation
def bernoulli(input, p=None, *, generator=None, out=None):
    """1 with the probability that each element gives, else 0 (or with the probability p).

    Raises: ValueError for probabilities outside [0, 1].

    >>> import spinetail as st
    >>> st.bernoulli(st.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    chance = input._array if p is None else p
    if np.any((np.asarray(chance) < 0) | (np.asarray(chance) > 1)):
        raise ValueError("[bernoulli] expects probabilities between 0 and 1")
    return wrap(
        (uniform(input._array.shape, dtype=np.float64, generator=generator) < chance).astype(input._array.dtype)
    )


@operation
def poisson(input, generator=None):
    """Poisson-distributed numbers with the rates that the elements give."""
    rates = source(generator).numpy.poisson(input._array)
    return wrap(np.asarray(rates, input._array.dtype))


@operation
def multinomial(input, num_samples, replacement=False, *, generator=None, out=None):
    """Indices drawn with probabilities proportional to the weights in a vector or in each row of a matrix.

    Raises: ValueError for negative weights, a zero sum, or more samples than nonzero weights without replacement.

    >>> import spinetail as st
    >>> st.multinomial(st.tensor([0.0, 1.0]), 2, replacement=True)
    tensor([1, 1])
    """
    weights = input._array.astype(np.float64)
    if weights.ndim not in (1, 2):
        raise ValueError(f"[multinomial] expects 1 or 2 dimensions, but got {weights.ndim}")
    rows = np.atleast_2d(weights)
    if not np.isfinite(rows).all() or (rows < 0).any() or (rows.sum(1) <= 0).any():
        raise ValueError("[multinomial] weights must be finite, not negative, and not all zero")
    if not replacement and ((rows > 0).sum(1) < num_samples).any():
        raise ValueError(
            f"[multinomial] cannot draw {num_samples} samples without replacement from fewer nonzero weights"
        )
    if replacement:
        bounds = np.cumsum(rows, 1)
        draws = uniform((len(rows), num_samples), dtype=np.float64, generator=generator) * bounds[:, -1:]
        places = np.stack([np.searchsorted(b, d, side="right") for b, d in zip(bounds, draws, strict=True)])
    else:  # the largest of log weight + Gumbel noise are a sample without replacement
        noise = source(generator).numpy.standard_exponential(rows.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            places = np.argsort(np.where(rows > 0, noise / rows, np.inf), 1, kind="stable")[:, :num_samples]
    places = np.minimum(places, rows.shape[1] - 1).astype(np.int64)
    return wrap(places[0] if weights.ndim == 1 else places)


def _fill(self: Tensor, name: str, values: np.ndarray) -> Tensor:
    """Overwrite the tensor; its history ends here."""
    check(self)
    with np.errstate(invalid="ignore"):
        np.copyto(self._array, values, casting="unsafe")
    node = None
    if self._requires_grad and enabled():
        node = make_node((self,), lambda grad: (np.zeros_like(grad),), (), name, False)
    bump(self)
    if node is not None:
        rebase(self, node)
    return self


def _filler(name: str, doc: str, draw) -> None:
    def method(self, *args, generator=None, **kwargs):
        return _fill(self, name.rstrip("_"), draw(self._array, source(generator), *args, **kwargs))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = doc
    setattr(Tensor, name, method)


def _wide(array: np.ndarray):
    return array.dtype if array.dtype in (np.float32, np.float64) else np.dtype(np.float32)


def _uniform(a, g, *args, **kwargs):
    low = args[0] if args else kwargs.pop("from", kwargs.pop("a", 0.0))
    high = args[1] if len(args) > 1 else kwargs.pop("to", kwargs.pop("b", 1.0))
    if kwargs or len(args) > 2:
        raise TypeError(f"[uniform_] takes the arguments from and to, but got {args} and {sorted(kwargs)}")
    if low > high:
        raise ValueError(f"[uniform_] expects to return a [from, to) range, but found from={low} > to={high}")
    return uniform(a.shape, low, high, _wide(a), g)


def _normal(a, g, mean=0.0, std=1.0):
    if std < 0:
        raise ValueError(f"[normal_] expects std >= 0.0, but found std {std}")
    return normal_array(a.shape, mean, std, _wide(a), g)


def _random(a, g, low=0, high=None):
    if high is None:
        low, high = (0, low) if low else (0, 2**24 if a.dtype.kind == "f" else np.iinfo(a.dtype).max)
    return integers(low, high, a.shape, g)


def _exponential(a, g, lambd=1.0):
    return g.numpy.standard_exponential(a.shape) / lambd


def _bernoulli(a, g, p=0.5):
    return uniform(a.shape, dtype=np.float64, generator=g) < (p._array if isinstance(p, Tensor) else p)


_filler("uniform_", "Fill with random numbers from [from, to), by default [0, 1).", _uniform)

_filler("normal_", "Fill with normally distributed random numbers.", _normal)

_filler("random_", "Fill with random integers from [low, high).", _random)

_filler("exponential_", "Fill with exponentially distributed random numbers of rate `lambd`.", _exponential)

_filler("bernoulli_", "Fill with 1 with probability p, else 0.", _bernoulli)


@method
def zero_(self):
    """Fill with zeros."""
    return _fill(self, "zero", np.zeros((), self._array.dtype))


@method
def fill_(self, value):
    """Fill with one value, a number or a 0-dimensional tensor."""
    if isinstance(value, Tensor):
        if value._array.ndim:
            raise ValueError(f"[fill_] value must have 0 dimensions, but has {value._array.ndim}")
        self[...] = value
        return self
    return _fill(self, "fill", np.asarray(value))


@method
def copy_(self, src, non_blocking=False):
    """Copy the values of another tensor, broadcast and converted to this one's dtype."""
    self[...] = lift(src)
    return self
