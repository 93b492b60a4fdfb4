"""Linear algebra under `torch.linalg`'s names, by NumPy; norms, products, inv, det and solve have gradients."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from .autograd.tape import enabled, like, like_output, record, unbroadcast, wrap
from .autograd.tensor import Tensor
from .functional.door import both, lift, lower, writes
from .functional.gemm import matmul
from .functional.product import cross as _cross
from .functional.reduction import norm as _norm

__all__ = [
    "cholesky",
    "cond",
    "cross",
    "det",
    "eigh",
    "eigvalsh",
    "inv",
    "logdet",
    "lstsq",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "vector_norm",
]


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """The norm of vectors along `dim`, or of all elements: (Σ |x|ᵖ)^(1/p).

    >>> import spinetail as st
    >>> st.linalg.vector_norm(st.tensor([3.0, 4.0]))
    tensor(5.)
    """
    return _norm(x, ord, dim, keepdim, dtype=dtype)


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """The norm of matrices: "fro", "nuc", 1, -1, inf, -inf, 2 or -2."""
    if ord == "fro":
        return _norm(A, 2, dim, keepdim, dtype=dtype)
    if ord in (1, -1, float("inf"), float("-inf")):
        rows, columns = (d % A.ndim for d in dim)
        summed, kept = (rows, columns) if abs(ord) == 1 else (columns, rows)
        A = lift(A) if not isinstance(A, Tensor) else A
        sums = A.abs().sum(summed, keepdim=True)
        result = sums.amax(kept, True) if ord > 0 else sums.amin(kept, True)
        return result if keepdim else result.squeeze((rows, columns))
    return _numpy("matrix_norm", lambda a: np.linalg.norm(a, ord, dim, keepdim))(A)


@writes
def norm(A, ord=None, dim=None, keepdim=False, *, out=None, dtype=None):
    """`vector_norm`, or `matrix_norm` when `dim` names two dimensions or `ord` is given for a matrix."""
    pair = isinstance(dim, (tuple, list)) and len(dim) == 2
    if ord is not None and (pair or (dim is None and (ord in ("fro", "nuc") or A.ndim == 2))):
        return matrix_norm(A, ord, (-2, -1) if dim is None else tuple(dim), keepdim, dtype=dtype)
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


def cross(input, other, *, dim=-1):
    """The cross product of vectors of three elements along `dim`."""
    return _cross(input, other, dim)


def multi_dot(tensors):
    """The product of several matrices in the cheapest order."""
    tensors = list(tensors)
    wrapped = any(isinstance(t, Tensor) for t in tensors)
    shapes = [t.shape for t in tensors]

    def product(i: int, j: int):
        if i == j:
            return lift(tensors[i])
        best = cuts[i, j]
        return matmul(product(i, best), product(best + 1, j))

    cuts, costs = {}, {(i, i): 0 for i in range(len(tensors))}
    sizes = [shapes[0][0], *[s[-1] for s in shapes]]
    for width in range(1, len(tensors)):
        for i in range(len(tensors) - width):
            j = i + width
            costs[i, j], cuts[i, j] = min(
                (costs[i, k] + costs[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )
    result = product(0, len(tensors) - 1)
    return result if wrapped else lower(result)


def _checked(name: str, function, *arrays):
    try:
        return function(*arrays)
    except np.linalg.LinAlgError as error:
        raise RuntimeError(f"[linalg.{name}] {error}") from None


def _inv(A: Tensor) -> Tensor:
    out = _checked("inv", np.linalg.inv, A._array)
    if not (A._requires_grad and enabled()):
        return wrap(out)

    def backward(grad):
        y = like_output(grad, out)
        product = matmul if isinstance(grad, Tensor) else np.matmul
        turned = y.swapaxes(-1, -2)
        return (-product(product(turned, grad), turned),)

    return record(out, (A,), backward, (), "inv", saved_output=True, twice=True)


_inv.__name__ = "inv"
_inv.__doc__ = """The inverse of square matrices. Raises: RuntimeError for a singular one.

    >>> import spinetail as st
    >>> st.linalg.inv(st.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
inv = both(_inv)


def _det(A: Tensor) -> Tensor:
    out = np.linalg.det(A._array)
    if not (A._requires_grad and enabled()):
        return wrap(out)

    def backward(grad):
        a, d = like(grad, A), like_output(grad, np.asarray(out))
        scale = grad * d
        return (inv(a).swapaxes(-1, -2) * scale.reshape((*scale.shape, 1, 1)),)

    return record(out, (A,), backward, (A,), "det", saved_output=True, twice=True)


_det.__name__ = "det"
_det.__doc__ = "The determinant of square matrices; its gradient needs them to be invertible."
det = both(_det)


def solve(A, B, *, left=True):
    """The X of A · X = B, for square matrices A and vectors or matrices B. Raises: RuntimeError for a singular A.

    >>> import spinetail as st
    >>> st.linalg.solve(st.tensor([[2.0, 0.0], [0.0, 4.0]]), st.tensor([2.0, 4.0]))
    tensor([1., 1.])
    """
    wrapped = isinstance(A, Tensor) or isinstance(B, Tensor)
    a, b = lift(A), lift(B)
    if not left:
        result = solve(a.mT, b.mT).mT
        return result if wrapped else lower(result)
    vector = b._array.ndim == 1 or (b._array.ndim == a._array.ndim - 1 and b._array.shape == a._array.shape[:-1])
    if vector:
        b = b.unsqueeze(-1)
    result = _solve(a, b)
    result = result.squeeze(-1) if vector else result
    return result if wrapped else lower(result)


def _solve(a: Tensor, b: Tensor) -> Tensor:
    out = _checked("solve", np.linalg.solve, a._array, b._array)
    if not ((a._requires_grad or b._requires_grad) and enabled()):
        return wrap(out)

    def backward(grad):
        x, y = like(grad, a), like_output(grad, out)
        if isinstance(grad, Tensor):
            db = _solve(x.mT, grad)
            da = -matmul(db, y.mT)
        else:
            db = np.linalg.solve(x.swapaxes(-1, -2), grad)
            da = -np.matmul(db, y.swapaxes(-1, -2))
        return unbroadcast(da, a._array.shape), unbroadcast(db, b._array.shape)

    return record(out, (a, b), backward, (a,), "solve", saved_output=True, twice=True)


def _numpy(name: str, compute, doc: str = "", fields: tuple = ()):
    """A function by NumPy without a gradient; a tensor that needs one is refused."""
    kind = namedtuple(name, fields) if fields else None

    def function(A, *args, **kwargs):
        if isinstance(A, Tensor) and A._requires_grad and enabled():
            raise RuntimeError(f"[linalg.{name}] has no gradient: use detach() or no_grad()")
        found = _checked(name, compute, lift(A)._array, *args, **kwargs)
        if kind is not None:
            found = kind(*[wrap(np.asarray(f)) for f in found])
        else:
            found = wrap(np.asarray(found))
        return found if isinstance(A, Tensor) else lower(found)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


cholesky = _numpy(
    "cholesky", np.linalg.cholesky, "The lower Cholesky factor of positive definite matrices; no gradient."
)
qr = _numpy("qr", lambda a, mode="reduced": np.linalg.qr(a, mode), "The QR factors; no gradient.", ("Q", "R"))
svd = _numpy(
    "svd",
    lambda a, full_matrices=True: np.linalg.svd(a, full_matrices),
    "The singular value decomposition; no gradient.",
    ("U", "S", "Vh"),
)
svdvals = _numpy("svdvals", lambda a: np.linalg.svd(a, compute_uv=False), "The singular values; no gradient.")
eigh = _numpy(
    "eigh",
    np.linalg.eigh,
    "Eigenvalues and eigenvectors of symmetric matrices; no gradient.",
    ("eigenvalues", "eigenvectors"),
)
eigvalsh = _numpy("eigvalsh", np.linalg.eigvalsh, "The eigenvalues of symmetric matrices; no gradient.")
slogdet = _numpy(
    "slogdet", np.linalg.slogdet, "Sign and logarithm of the determinant; no gradient.", ("sign", "logabsdet")
)
pinv = _numpy("pinv", np.linalg.pinv, "The pseudo-inverse; no gradient.")
matrix_rank = _numpy("matrix_rank", lambda a: np.asarray(np.linalg.matrix_rank(a), np.int64), "The rank; no gradient.")
cond = _numpy("cond", np.linalg.cond, "The condition number; no gradient.")


def lstsq(A, B):
    """The X that makes |A · X - B| smallest, with rank and singular values; no gradient."""
    if any(isinstance(v, Tensor) and v._requires_grad for v in (A, B)) and enabled():
        raise RuntimeError("[linalg.lstsq] has no gradient: use detach() or no_grad()")
    solution, residuals, rank, values = _checked(
        "lstsq", lambda a, b: np.linalg.lstsq(a, b, None), lift(A)._array, lift(B)._array
    )
    found = _LeastSquares(wrap(solution), wrap(residuals), wrap(np.asarray(rank, np.int64)), wrap(values))
    return found if isinstance(A, Tensor) else lower(found)


def logdet(A):
    """The logarithm of the determinant; NaN where it is negative."""
    return det(A).log() if isinstance(A, Tensor) else np.log(det(A))


_LeastSquares = namedtuple("lstsq", ("solution", "residuals", "rank", "singular_values"))


def matrix_power(A, n):
    """A square matrix to an integer power."""
    A_ = lift(A)
    if n < 0:
        A_, n = inv(A_), -n
    result = None
    while n:
        if n & 1:
            result = A_ if result is None else matmul(result, A_)
        A_, n = (matmul(A_, A_), n >> 1) if n > 1 else (A_, 0)
    if result is None:
        result = wrap(np.broadcast_to(np.eye(A_.shape[-1], dtype=A_._array.dtype), A_._array.shape).copy())
    return result if isinstance(A, Tensor) else lower(result)
