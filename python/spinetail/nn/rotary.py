"""Rotary position embedding as a module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..autograd import Tensor
from ..functional.rotary import rotation, turned
from .module import Module

__all__ = ["RotaryEmbedding"]


class RotaryEmbedding(Module):
    """Turns the first `dim` numbers of each head by angles that grow with the position: for queries and keys alike.

    Pair i at position p turns by p · base^(-2i / dim) radians; `interleaved` pairs neighbours (GPT-J), else halves
    (Llama, GPT-NeoX). `scaling` stretches the positions for long contexts, as `functional.rotary_embedding` says.

    Shapes: input (*, l, e) with e ≥ dim, for instance (batch, heads, l, e); output the same. `positions` (l,) or
    (batch, l); without them they count from `offset`, the length of a cache.
    State: none; the table of cosines and sines is kept and shared by all modules of the same frequencies.
    Raises: ValueError for a dim that is odd or not positive, and shapes that do not fit; TypeError for other dtypes.
    Source: Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding, 2021.

    >>> import spinetail as st
    >>> rotary = st.nn.RotaryEmbedding(4)
    >>> q = st.randn(1, 2, 10, 4)
    >>> st.allclose(rotary(q)[:, :, 7:], rotary(q[:, :, 7:], offset=7))
    True
    """

    def __init__(
        self,
        dim: int,
        base: float = 10000.0,
        interleaved: bool = False,
        scaling: float | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.base = base
        self.interleaved = interleaved
        self.scaling = scaling
        self._rotation = rotation("RotaryEmbedding", dim, base, scaling)

    def forward(self, input: Tensor, positions: Tensor | None = None, offset: int = 0) -> Tensor:
        found: Tensor = turned(input, self._rotation, positions, offset, self.interleaved)
        return found

    def extra_repr(self) -> str:
        text = f"{self.dim}, base={self.base:g}"
        if self.interleaved:
            text += ", interleaved=True"
        return text if self.scaling is None else f"{text}, scaling={self.scaling}"
