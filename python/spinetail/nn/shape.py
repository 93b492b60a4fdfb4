"""Layers that change the shape only."""

from __future__ import annotations

from collections.abc import Sequence

from ..autograd import Tensor
from ..functional.shape import flatten, unflatten
from .module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Joins the axes `start_dim` to `end_dim` into one; the first axis, the batch, stays by default.

    >>> import spinetail as st
    >>> st.nn.Flatten()(st.ones(32, 1, 5, 5)).shape == (32, 25)
    True
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits the axis `dim` into several of the sizes `unflattened_size`, of which one may be -1.

    >>> import spinetail as st
    >>> st.nn.Unflatten(1, (2, 5, 5))(st.ones(2, 50)).shape == (2, 2, 5, 5)
    True
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise TypeError(f"[Unflatten] dim should be an integer, but got {type(dim).__name__}")
        if not isinstance(unflattened_size, (tuple, list)) or not all(isinstance(n, int) for n in unflattened_size):
            raise TypeError(f"[Unflatten] unflattened_size should be a tuple of integers, but got {unflattened_size!r}")
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        return unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
