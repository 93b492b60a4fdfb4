"""Products of vectors and matrices under PyTorch's names, Einstein sums, distances."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np

from ..autograd.tape import enabled, like, ndarray, record, unbroadcast, wrap
from ..autograd.tensor import Tensor
from ..ops import gemm as ops
from .door import expect, lift, lower, mutable, operation
from .gemm import matmul, matmul_gradients

__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bmm",
    "cdist",
    "chain_matmul",
    "cosine_similarity",
    "cross",
    "dist",
    "dot",
    "ger",
    "inner",
    "kron",
    "matmul",
    "mm",
    "mv",
    "outer",
    "tensordot",
    "vdot",
]
Tensor.matmul = lambda self, other: matmul(self, other)


def _ranks(name: str, *expected) -> None:
    for operand, rank in expected:
        if operand._array.ndim != rank:
            raise ValueError(f"[{name}] expected {rank} dimensions, but got shape {list(operand._array.shape)}")


@operation
def mm(input, mat2, *, out=None):
    """The product of two matrices: (n, m) times (m, p).

    >>> import spinetail as st
    >>> st.mm(st.eye(2), st.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 2.],
            [3., 4.]])
    """
    mat2 = lift(mat2)
    _ranks("mm", (input, 2), (mat2, 2))
    return matmul(input, mat2)


_mm, mm = mm.__wrapped__, ops.shortcut(mm, matrices=True)


def _short(door: Callable) -> Callable:
    """The door of `bmm` with a short way for plain arrays of equal batches, and for a tensor in front."""
    function = door.__wrapped__

    @wraps(function)
    def run(input, mat2, *, out=None):
        if out is None:
            if type(input) is ndarray and type(mat2) is ndarray:
                if input.ndim == 3 == mat2.ndim and len(input) == len(mat2):
                    return ops.matmul(input, mat2)
            elif type(input) is Tensor:
                return function(input, mat2)
        return door(input, mat2, out=out)

    return run


@_short
@operation
def bmm(input, mat2, *, out=None):
    """The products of two batches of matrices: (b, n, m) times (b, m, p).

    Raises: ValueError for other ranks or different batches.
    """
    mat2 = lift(mat2)
    _ranks("bmm", (input, 3), (mat2, 3))
    if input._array.shape[0] != mat2._array.shape[0]:
        raise ValueError(
            f"[bmm] batches of {input._array.shape[0]} and {mat2._array.shape[0]} matrices do not go together"
        )
    return matmul(input, mat2)


@operation
def mv(input, vec):
    """The product of a matrix and a vector."""
    vec = lift(vec)
    _ranks("mv", (input, 2), (vec, 1))
    return matmul(input, vec)


@operation
def dot(input, tensor):
    """The inner product of two vectors.

    >>> import spinetail as st
    >>> st.dot(st.tensor([1.0, 2.0]), st.tensor([3.0, 4.0]))
    tensor(11.)
    """
    tensor = lift(tensor)
    _ranks("dot", (input, 1), (tensor, 1))
    if input._array.shape != tensor._array.shape:
        raise ValueError(f"[dot] vectors of {input._array.size} and {tensor._array.size} elements do not go together")
    if input._array.dtype.kind in "biu":
        return (input * tensor).sum().to(input._array.dtype)
    return matmul(input, tensor)


vdot = dot
Tensor.vdot = dot.__wrapped__


@operation
def inner(input, other):
    """Inner products over the last dimensions."""
    other = lift(other)
    if input._array.ndim == 0 or other._array.ndim == 0:
        return input * other
    return tensordot(input, other, ([-1], [-1]))


@operation
def outer(input, vec2, *, out=None):
    """The outer product of two vectors.

    >>> import spinetail as st
    >>> st.outer(st.tensor([1, 2]), st.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    vec2 = lift(vec2)
    _ranks("outer", (input, 1), (vec2, 1))
    return input.unsqueeze(1) * vec2


ger = outer
Tensor.ger = outer.__wrapped__


def _blend(input: Tensor, product: Tensor, beta, alpha) -> Tensor:
    product = product if alpha == 1 else product * alpha
    if beta == 0:  # as PyTorch: NaN in input does not matter then
        return product
    return product + (input if beta == 1 else input * beta)


def _add_product(name: str, input: Tensor, a: Tensor, b: Tensor, product, beta, alpha) -> Tensor:
    """beta · input + alpha · a @ b in one sweep; `product` checks the ranks and does what the kernel does not."""
    rank = 2 if name == "addmm" else 3
    x, y, c = a._array, b._array, input._array
    if x.ndim != rank or y.ndim != rank or x.shape[:-2] != y.shape[:-2]:
        return _blend(input, product(a, b), beta, alpha)
    out = ops.add_product(name, c, x, y, beta, alpha)
    if out is None:
        return _blend(input, product(a, b), beta, alpha)
    if not (enabled() and (input._requires_grad or a._requires_grad or b._requires_grad)):
        return wrap(out)

    def backward(grad):
        left, right = matmul_gradients(grad, like(grad, a), like(grad, b))
        return (
            unbroadcast(grad * beta, c.shape) if input._requires_grad else None,
            left() * alpha if a._requires_grad else None,
            right() * alpha if b._requires_grad else None,
        )

    return record(out, (input, a, b), backward, (a, b), name, twice=True)


@operation
def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """beta · input + alpha · mat1 @ mat2.

    >>> import spinetail as st
    >>> st.addmm(st.ones(1), st.eye(2), st.eye(2))
    tensor([[2., 1.],
            [1., 2.]])
    """
    return _add_product("addmm", input, lift(mat1), lift(mat2), _mm, beta, alpha)


@operation
def addmv(input, mat, vec, *, beta=1, alpha=1):
    """beta · input + alpha · mat @ vec."""
    return _blend(input, mv.__wrapped__(lift(mat), vec), beta, alpha)


@operation
def addr(input, vec1, vec2, *, beta=1, alpha=1):
    """beta · input + alpha · vec1 ⊗ vec2."""
    return _blend(input, outer.__wrapped__(lift(vec1), vec2), beta, alpha)


@operation
def baddbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta · input + alpha · batch1 @ batch2, for batches of matrices."""
    return _add_product("baddbmm", input, lift(batch1), lift(batch2), bmm.__wrapped__, beta, alpha)


@operation
def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta · input + alpha · Σ batch1[i] @ batch2[i]."""
    return _blend(input, bmm.__wrapped__(lift(batch1), batch2).sum(0), beta, alpha)


def chain_matmul(*matrices):
    """The product of several matrices."""
    expect("chain_matmul", *matrices)
    if not matrices:
        raise ValueError("[chain_matmul] expected at least one matrix")
    result = matrices[0]
    for matrix in matrices[1:]:
        result = matmul(result, matrix)
    return result


for _function in (addmm, addmv, addr, baddbmm, addbmm):
    mutable(_function)


def tensordot(a, b, dims=2):
    """Sums of products over the last `dims` dimensions of a and the first of b, or over two lists of dimensions."""
    tensors = isinstance(a, Tensor) or isinstance(b, Tensor)
    a, b = lift(a), lift(b)
    n, m = a._array.ndim, b._array.ndim
    if isinstance(dims, int):
        left, right = list(range(n - dims, n)), list(range(dims))
    else:
        left, right = ([int(d) % r for d in ds] for ds, r in zip(dims, (n, m), strict=True))
    free_a, free_b = [d for d in range(n) if d not in left], [d for d in range(m) if d not in right]
    shape = [a._array.shape[d] for d in free_a] + [b._array.shape[d] for d in free_b]
    size = int(np.prod([a._array.shape[d] for d in left]))
    rows = a.permute(free_a + left).reshape(int(np.prod(shape[: len(free_a)])), size)
    columns = b.permute(right + free_b).reshape(size, int(np.prod(shape[len(free_a) :])))
    result = matmul(rows, columns).reshape(shape)
    return result if tensors else lower(result)


@operation
def cross(input, other, dim=None):
    """The cross product of vectors of three elements along `dim`, by default the first dimension of that size."""
    other = lift(other)
    if dim is None:
        dim = input._array.shape.index(3) if 3 in input._array.shape else -1
    a, b = input.movedim(dim, 0), other.movedim(dim, 0)
    if a._array.shape[0] != 3 or b._array.shape[0] != 3:
        raise ValueError(f"[cross] dimension {dim} must have size 3")
    from .joining import stack

    return stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]], 0).movedim(0, dim)


@operation
def kron(input, other):
    """The Kronecker product."""
    other = lift(other)
    n = max(input._array.ndim, other._array.ndim)
    a, b = (t.reshape((1,) * (n - t._array.ndim) + t._array.shape) for t in (input, other))
    wide = [s for pair in zip(a._array.shape, (1,) * n, strict=True) for s in pair]
    thin = [s for pair in zip((1,) * n, b._array.shape, strict=True) for s in pair]
    return (a.reshape(wide) * b.reshape(thin)).reshape(
        [x * y for x, y in zip(a._array.shape, b._array.shape, strict=True)]
    )


@operation
def dist(input, other, p=2):
    """The p-norm of the difference."""
    return (input - other).norm(p)


def cdist(x1, x2, p=2.0, compute_mode=None):
    """The p-norm distances between all rows of two matrices (or batches of them).

    Shapes: x1 (*, n, d), x2 (*, m, d), result (*, n, m).

    >>> import spinetail as st
    >>> st.cdist(st.tensor([[0.0, 0.0]]), st.tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """
    tensors = isinstance(x1, Tensor) or isinstance(x2, Tensor)
    a, b = lift(x1), lift(x2)
    if a._array.shape[-1] != b._array.shape[-1]:
        raise ValueError(f"[cdist] rows of {a._array.shape[-1]} and {b._array.shape[-1]} elements cannot be compared")
    result = (a.unsqueeze(-2) - b.unsqueeze(-3)).norm(p, -1)
    return result if tensors else lower(result)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """The cosine of the angle between vectors along `dim`: x·y / (max(|x|, eps) · max(|y|, eps)).

    >>> import spinetail as st
    >>> st.cosine_similarity(st.tensor([[1.0, 0.0]]), st.tensor([[1.0, 0.0]]))
    tensor([1.])
    """
    tensors = isinstance(x1, Tensor) or isinstance(x2, Tensor)
    a, b = lift(x1), lift(x2)
    lengths = a.norm(2, dim, True).clamp(min=eps), b.norm(2, dim, True).clamp(min=eps)
    result = ((a / lengths[0]) * (b / lengths[1])).sum(dim)
    return result if tensors else lower(result)


def _from_linalg(name: str, original: str) -> None:
    """The method of a function in `spinetail.linalg`, which is imported on first use."""

    def method(self, *args, **kwargs):
        from importlib import import_module

        return getattr(import_module("spinetail.linalg"), original)(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"See `linalg.{original}`."
    setattr(Tensor, name, method)


for _name in ("cholesky", "det", "logdet", "matrix_power", "qr", "slogdet", "svd"):
    _from_linalg(_name, _name)
_from_linalg("inverse", "inv")

_from_linalg("pinverse", "pinv")
