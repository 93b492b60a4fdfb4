"""Encoding: classes as vectors, and vectors as directions."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import wrap
from ..autograd.tensor import Tensor
from .door import checked
from .loss import floats, two_doors

__all__ = ["normalize", "one_hot"]

Value = Tensor | np.ndarray


def one_hot(tensor: Value, num_classes: int = -1) -> Value:
    """Class indices as vectors with a 1 at the index and 0 elsewhere: y[..., c] = 1 where c = tensor[...].

    Shapes: tensor (*), result (*, C) of int64, C being `num_classes`, or one more than the largest index for -1.

    Raises: TypeError for indices that are not integers; ValueError for negative ones, for one that is not below
    `num_classes`, and for no indices without `num_classes`.

    Source: torch.nn.functional.one_hot.

    >>> import spinetail as st
    >>> st.nn.functional.one_hot(st.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if not isinstance(tensor, (Tensor, np.ndarray)):
        raise TypeError(f"[one_hot] expected a Tensor or an array, but got {type(tensor).__name__}")
    indices = tensor._array if isinstance(tensor, Tensor) else checked(tensor)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"[one_hot] expected indices of integer dtype, but got {indices.dtype}")
    if num_classes < -1 or (num_classes < 1 and indices.size and num_classes != -1):
        raise ValueError(f"[one_hot] num_classes must be positive, or -1 to find it out, but got {num_classes}")
    if num_classes == -1:
        if not indices.size:
            raise ValueError("[one_hot] without indices num_classes must be given")
        num_classes = int(indices.max()) + 1
    if indices.size and (indices.min() < 0 or indices.max() >= num_classes):
        raise ValueError(
            f"[one_hot] indices must be from 0 to {num_classes - 1}, but are from {indices.min()} to {indices.max()}"
        )
    result = np.zeros((*indices.shape, num_classes), np.int64)
    np.put_along_axis(result, indices[..., None].astype(np.int64), 1, -1)
    return wrap(result) if isinstance(tensor, Tensor) else result


@two_doors
def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    r"""Vectors divided by their p-norm along an axis: y = x / max(‖x‖, eps).

    Shapes: input and result alike. dtypes: floating point.

    Raises: TypeError for other dtypes and for `out`, IndexError for an axis that is not there.

    Source: torch.nn.functional.normalize.

    >>> import spinetail as st
    >>> st.nn.functional.normalize(st.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    floats("normalize", input=input)
    if out is not None:
        raise TypeError("[normalize] out is not supported: the result is always a new tensor")
    return input / input.norm(p, dim, keepdim=True).clamp(min=eps)
