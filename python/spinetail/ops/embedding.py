"""Rows of a table by number, and the table's gradient."""

from __future__ import annotations

import numpy as np

from .._native import kernels
from .arrays import empty, is_half

Array = np.ndarray
_INDICES = frozenset(map(np.dtype, (np.int64, np.int32)))


def embedding(indices: Array, weight: Array) -> Array:
    """weight[indices]: result (*indices' shape, columns).

    >>> import numpy as np
    >>> embedding(np.array([[1, 0]]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[[3., 4.],
            [1., 2.]]])
    """
    try:  # what needs a copy, a view or an error in words goes on below
        output = empty((*indices.shape, weight.shape[1]), weight.dtype)
        kernels.embedding_forward(output, indices, weight)
        return output
    except (AttributeError, IndexError, TypeError, ValueError):
        pass
    rows = _indices("embedding", indices)
    if not isinstance(weight, np.ndarray) or isinstance(weight, np.ma.MaskedArray):
        raise TypeError(f"[embedding] expected a Tensor or ndarray as weight, got {type(weight).__name__}")
    if weight.ndim != 2:
        raise ValueError(f"[embedding] weight must be 2-D (rows, columns), got shape {list(weight.shape)}")
    table = weight if weight.flags.c_contiguous else np.array(weight, order="C")
    if is_half(table.dtype) and table.dtype.kind != "f":  # rows are copied, whatever their bits mean
        return embedding(rows, table.view(np.float16)).view(table.dtype)
    output = empty((*rows.shape, table.shape[1]), table.dtype)
    try:
        kernels.embedding_forward(output, rows, table)
    except IndexError:
        raise _out_of_range("embedding", rows, table.shape[0]) from None
    return output


def embedding_backward(
    grad_output: Array, indices: Array, rows: int, padding_idx: int | None = None, scale_grad_by_freq: bool = False
) -> Array:
    """The gradient of a table of `rows` rows: gradients of equal indices are added in their order.

    The row `padding_idx` gets none; with `scale_grad_by_freq`, each is divided by how often its index occurs.
    """
    if is_half(grad_output.dtype):
        wide = embedding_backward(grad_output.astype(np.float32), indices, rows, padding_idx, scale_grad_by_freq)
        return wide.astype(grad_output.dtype)
    picked = _indices("embedding_backward", indices)
    if grad_output.dtype.char not in "fd":
        raise TypeError(
            "[embedding_backward] expected grad_output of dtype float16, bfloat16, float32 or float64, got "
            f"{grad_output.dtype}"
        )
    if grad_output.shape[:-1] != picked.shape:
        raise ValueError(
            f"[embedding_backward] grad_output has shape {list(grad_output.shape)}, but indices have shape "
            f"{list(picked.shape)} (expected the same and one axis more)"
        )
    gradient = grad_output if grad_output.flags.c_contiguous else np.array(grad_output, order="C")
    dweight = empty((rows, gradient.shape[-1]), gradient.dtype)
    padding = -1 if padding_idx is None else int(padding_idx)
    try:
        kernels.embedding_backward(dweight, gradient, picked, padding, int(scale_grad_by_freq))
    except IndexError:
        raise _out_of_range("embedding_backward", picked, rows) from None
    return dweight


def renormalize(indices: Array, weight: Array, max_norm: float, norm_type: float = 2.0) -> None:
    """Scale the rows of `weight` that are used and longer than `max_norm` to that norm, in place."""
    rows = np.unique(_indices("embedding", indices))
    if rows.size and (rows[0] < 0 or rows[-1] >= weight.shape[0]):
        raise _out_of_range("embedding", indices, weight.shape[0])
    if not weight.flags.writeable:
        raise ValueError("[embedding] weight is read-only, but max_norm changes it in place")
    used = weight[rows]
    norms = np.linalg.norm(used, norm_type, axis=1)
    long = norms > max_norm
    weight[rows[long]] = used[long] * (max_norm / (norms[long] + 1e-7))[:, None].astype(weight.dtype)


def _indices(name: str, indices: Array) -> Array:
    if not isinstance(indices, np.ndarray) or isinstance(indices, np.ma.MaskedArray):
        raise TypeError(f"[{name}] expected a Tensor or ndarray of indices, got {type(indices).__name__}")
    if indices.dtype not in _INDICES:
        raise TypeError(f"[{name}] expected indices of dtype int64 or int32, got {indices.dtype}")
    return indices if indices.flags.c_contiguous else np.array(indices, order="C")


def _out_of_range(name: str, indices: Array, rows: int) -> IndexError:
    flat = indices.reshape(-1)
    first = int(np.flatnonzero((flat < 0) | (flat >= rows))[0])
    place = tuple(int(i) for i in np.unravel_index(first, indices.shape))
    return IndexError(
        f"[{name}] index {flat[first]} at position {place} is out of range (expected 0 <= index < {rows})"
    )
