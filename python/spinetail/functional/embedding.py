"""Embedding: rows of a table by number."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tape import bump, enabled, record, wrap
from ..autograd.tensor import Tensor
from ..ops import embedding as ops
from .door import lift

__all__ = ["embedding"]

Value = Any  # a Tensor or an ndarray; the result is of the same kind


def embedding(
    input: Value,
    weight: Value,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Value:
    r"""Look up rows of a table: y[..., :] = weight[input[...], :].

    Shapes: input (*) of indices, weight (v, d); result (*, d). v is the number of rows, d their length.
    The row `padding_idx` (negative: from the end) gets no gradient. With `max_norm`, rows in use that are longer (in
    the norm `norm_type`) are scaled to it first, in place. With `scale_grad_by_freq`, gradients are divided by how
    often their index occurs. Gradients are dense and added in the order of the indices.
    dtypes: input int64 or int32; weight any (floating point for a gradient, float16 and bfloat16 added in float32).

    Raises: IndexError for an index outside 0 ... v-1, which names the position; TypeError for other dtypes; ValueError
    for a table that is not 2-D, padding_idx out of range, and sparse=True.

    Source: torch.nn.functional.embedding.

    >>> import numpy as np, spinetail.functional.embedding as F
    >>> F.embedding(np.array([1, 0]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[3., 4.],
           [1., 2.]])
    """
    if sparse:
        raise ValueError("[embedding] sparse=True is not supported: gradients are dense (expected sparse=False)")
    bare = not isinstance(input, Tensor) and not isinstance(weight, Tensor)
    indices = input._array if isinstance(input, Tensor) else input
    table = weight if bare else lift(weight)
    array: Any = table if bare else table._array
    if padding_idx is not None:
        rows = array.shape[0]
        if not -rows <= padding_idx < rows:
            raise ValueError(f"[embedding] padding_idx must be within the table's {rows} rows, but got {padding_idx}")
        padding_idx %= rows
    if max_norm is not None:
        ops.renormalize(indices, array, max_norm, norm_type)
        if not bare:
            bump(table)
    output = ops.embedding(indices, array)
    if bare:
        return output
    if not (table._requires_grad and enabled()):
        return wrap(output)
    rows = array.shape[0]

    def backward(grad: np.ndarray) -> tuple[Any, ...]:
        return (ops.embedding_backward(grad, indices, rows, padding_idx, scale_grad_by_freq),)

    return record(output, (table,), backward, (input,) if isinstance(input, Tensor) else (), "embedding")
