"""Arrangement: repeating, flipping, rolling, diagonals, triangles, sliding windows."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import enabled, ndarray, record, view, wrap
from ..autograd.tensor import Tensor, method
from .door import lift, lower, mutable, operation
from .size import sizes, wrap_dim, wrap_dims

__all__ = [
    "cartesian_prod",
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal",
    "flip",
    "fliplr",
    "flipud",
    "repeat_interleave",
    "roll",
    "rot90",
    "tile",
    "trace",
    "tril",
    "tril_indices",
    "triu",
    "triu_indices",
]


@method
def repeat(self, *repeats):
    """The tensor repeated along each dimension; more numbers than dimensions add dimensions in front.

    >>> import spinetail as st
    >>> st.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    counts = sizes("repeat", repeats)
    shape = self._array.shape
    if len(counts) < len(shape):
        raise ValueError(f"[repeat] {len(counts)} repeats for a tensor of {len(shape)} dimensions")
    if any(c < 0 for c in counts):
        raise ValueError(f"[repeat] repeats must not be negative: {list(counts)}")
    shape = (1,) * (len(counts) - len(shape)) + shape
    out = np.tile(self._array, counts)
    if not (self._requires_grad and enabled()):
        return wrap(out)
    split = [n for pair in zip(counts, shape, strict=True) for n in pair]
    axes, own = tuple(range(0, 2 * len(shape), 2)), self._array.shape
    return record(out, (self,), lambda grad: (grad.reshape(split).sum(axes).reshape(own),), name="repeat", twice=True)


@operation
def tile(input, *dims):
    """The tensor repeated along each dimension; missing numbers in front are 1.

    >>> import spinetail as st
    >>> st.tile(st.tensor([1, 2]), (2,))
    tensor([1, 2, 1, 2])
    """
    counts = sizes("tile", dims)
    return repeat(input, (1,) * (input._array.ndim - len(counts)) + counts)


@operation
def repeat_interleave(input, repeats, dim=None, *, output_size=None):
    """Each element (or slice of `dim`) several times in a row.

    >>> import spinetail as st
    >>> st.repeat_interleave(st.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    if dim is None:
        input, dim = input.reshape(-1), 0
    dim = wrap_dim("repeat_interleave", dim, input._array.ndim)
    counts = repeats._array if isinstance(repeats, Tensor) else np.asarray(repeats)
    if counts.size not in (1, input._array.shape[dim]):
        raise ValueError(
            f"[repeat_interleave] {counts.size} repeats for dimension {dim} of size {input._array.shape[dim]}"
        )
    places = np.repeat(np.arange(input._array.shape[dim]), counts)
    return input[(slice(None),) * dim + (places,)]


def _moved(input: Tensor, name: str, there, back) -> Tensor:
    """A rearranged copy; `back` undoes `there`."""
    out = np.ascontiguousarray(there(input._array))
    if not (input._requires_grad and enabled()):
        return wrap(out)
    return record(
        out,
        (input,),
        lambda grad: (back(grad) if type(grad) is ndarray else _moved(grad, name, back, there),),
        name=name,
        twice=True,
    )


@operation
def flip(input, *dims):
    """A copy with the order along the dimensions reversed.

    >>> import spinetail as st
    >>> st.flip(st.tensor([1, 2, 3]), (0,))
    tensor([3, 2, 1])
    """
    axes = wrap_dims("flip", sizes("flip", dims), input._array.ndim)
    return _moved(input, "flip", lambda a: np.flip(a, axes), lambda a: np.flip(a, axes))


@operation
def fliplr(input):
    """A copy with dimension 1 reversed."""
    return flip.__wrapped__(input, 1)


@operation
def flipud(input):
    """A copy with dimension 0 reversed."""
    return flip.__wrapped__(input, 0)


@operation
def roll(input, shifts, dims=None):
    """A copy shifted along dimensions; what leaves at one end comes in at the other.

    >>> import spinetail as st
    >>> st.roll(st.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    back = tuple(-s for s in shifts) if isinstance(shifts, (tuple, list)) else -shifts
    axes = dims if dims is None or isinstance(dims, int) else tuple(dims)
    return _moved(input, "roll", lambda a: np.roll(a, shifts, axes), lambda a: np.roll(a, back, axes))


@operation
def rot90(input, k=1, dims=(0, 1)):
    """A copy turned by k · 90° in the plane of two dimensions."""
    return _moved(input, "rot90", lambda a: np.rot90(a, k, dims), lambda a: np.rot90(a, -k, dims))


def _triangle(name: str, mask, doc: str):
    def function(input, diagonal=0, *, out=None):
        shape = input._array.shape
        if len(shape) < 2:
            raise ValueError(f"[{name}] input tensor must have at least 2 dimensions, but has {len(shape)}")
        keep = mask(shape[-2], shape[-1], diagonal)
        result = (
            input._array * keep
            if input._array.dtype.kind != "f"
            else np.where(keep, input._array, input._array.dtype.type(0))
        )
        if not (input._requires_grad and enabled()):
            return wrap(result)
        return record(result, (input,), lambda grad: (grad * keep.astype(result.dtype),), name=name, twice=True)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = __name__
    made = operation(function)
    mutable(made)
    return made


tril = _triangle(
    "tril",
    lambda m, n, k: np.tri(m, n, k, dtype=bool),
    """The lower triangle of the last two dimensions, zeros above `diagonal`.

    >>> import spinetail as st
    >>> st.tril(st.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """,
)
triu = _triangle(
    "triu",
    lambda m, n, k: ~np.tri(m, n, k - 1, dtype=bool),
    "The upper triangle of the last two dimensions, zeros below `diagonal`.",
)


def tril_indices(row, col, offset=0, *, dtype=None, device=None):
    """The row and column numbers of a lower triangle, as a 2×n tensor."""
    return wrap(np.stack(np.tril_indices(row, offset, col)).astype(np.int64))


def triu_indices(row, col, offset=0, *, dtype=None, device=None):
    """The row and column numbers of an upper triangle, as a 2×n tensor."""
    return wrap(np.stack(np.triu_indices(row, offset, col)).astype(np.int64))


@operation
def diagonal(input, offset=0, dim1=0, dim2=1):
    """A view of the diagonals of two dimensions, as a new last dimension.

    >>> import spinetail as st
    >>> st.diagonal(st.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    ndim = input._array.ndim
    first, second = wrap_dim("diagonal", dim1, ndim), wrap_dim("diagonal", dim2, ndim)
    if first == second or ndim < 2:
        raise ValueError(f"[diagonal] diagonal dimensions cannot be identical {dim1}, {dim2}")
    shape = input._array.shape

    def function(a):
        part = a.diagonal(offset, first, second)
        part.flags.writeable = a.flags.writeable
        return part

    def backward(grad):
        if isinstance(grad, Tensor):
            out = np.zeros(shape, grad._array.dtype)
            function(out)[...] = grad._array
            return (
                record(out, (grad,), lambda g: (g.diagonal(offset, first, second),), name="diagonal", twice=True)
                if grad._requires_grad
                else wrap(out),
            )
        out = np.zeros(shape, grad.dtype)
        function(out)[...] = grad
        return (out,)

    return view(input, function(input._array), function, backward, "diagonal")


@operation
def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Matrices with the last dimension on their diagonals.

    >>> import spinetail as st
    >>> st.diag_embed(st.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    x = input._array
    extent = x.shape[-1] + abs(offset)
    out = np.zeros((*x.shape[:-1], extent, extent), x.dtype)
    rows = np.arange(x.shape[-1]) + max(-offset, 0)
    out[..., rows, rows + offset] = x
    if input._requires_grad and enabled():
        result = record(out, (input,), lambda grad: (grad.diagonal(offset, -2, -1),), name="diag_embed", twice=True)
    else:
        result = wrap(out)
    return result if (dim1, dim2) == (-2, -1) else result.movedim((-2, -1), (dim1, dim2))


@operation
def diag(input, diagonal=0):
    """The diagonal of a matrix, or the matrix with a vector on its diagonal.

    >>> import spinetail as st
    >>> st.diag(st.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    if input._array.ndim == 1:
        return diag_embed.__wrapped__(input, diagonal)
    if input._array.ndim != 2:
        raise ValueError(f"[diag] input must have 1 or 2 dimensions, but has {input._array.ndim}")
    return input.diagonal(diagonal).clone()


@operation
def diagflat(input, offset=0):
    """The matrix with all elements on its diagonal."""
    return diag_embed.__wrapped__(input.reshape(-1), offset)


@operation
def trace(input):
    """The sum of a matrix's diagonal."""
    return input.diagonal().sum()


@method
def unfold(self, dimension, size, step):
    """A view of sliding windows of `dimension`, with the window as a new last dimension.

    >>> import spinetail as st
    >>> st.arange(4).unfold(0, 2, 1)
    tensor([[0, 1],
            [1, 2],
            [2, 3]])
    """
    dim = wrap_dim("unfold", dimension, self._array.ndim)
    extent, shape = self._array.shape[dim], self._array.shape
    if size > extent or size < 0 or step <= 0:
        raise ValueError(f"[unfold] size {size} and step {step} do not fit into dimension {dim} of size {extent}")
    count = (extent - size) // step + 1

    def function(a):
        strides = list(a.strides)
        window = strides[dim]
        strides[dim] = window * step
        return np.lib.stride_tricks.as_strided(a, (*shape[:dim], count, *shape[dim + 1 :], size), (*strides, window))

    def backward(grad):
        array = grad._array if isinstance(grad, Tensor) else grad
        out = np.zeros(shape, array.dtype)
        lead = (slice(None),) * dim
        for i in range(size):
            out[(*lead, slice(i, i + count * step, step))][(*lead, slice(count))] += array[..., i]
        if isinstance(grad, Tensor):
            return (
                record(out, (grad,), lambda g: (g.unfold(dim, size, step),), name="fold", twice=True)
                if grad._requires_grad
                else wrap(out),
            )
        return (out,)

    return view(self, function(self._array), function, backward, "unfold")


def cartesian_prod(*tensors):
    """Every combination of one element from each vector, as rows."""
    from .joining import meshgrid, stack

    grids = meshgrid(*[lift(t) for t in tensors], indexing="ij")
    result = stack([g.reshape(-1) for g in grids], -1)
    return result if any(isinstance(t, Tensor) for t in tensors) else lower(result)
