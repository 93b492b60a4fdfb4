"""Encodings of positions that are added to a sequence's vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Tensor, wrap
from . import init
from .dropout import Dropout
from .module import Module
from .parameter import Parameter, unset

__all__ = ["LearnedPositionalEncoding", "SinusoidalPositionalEncoding"]


class _PositionalEncoding(Module):
    """What both encodings share: input (L, N, d), (N, L, d) with `batch_first`, or (L, d)."""

    def __init__(self, d_model: int, max_len: int | None, dropout: float, batch_first: bool) -> None:
        super().__init__()
        if d_model < 1 or (max_len is not None and max_len < 1):
            raise ValueError(
                f"[{type(self).__name__}] expected d_model and max_len above 0, but got {d_model} and {max_len}"
            )
        self.d_model = d_model
        self.max_len = max_len
        self.batch_first = batch_first
        self.dropout = Dropout(dropout)

    def _rows(self, offset: int, length: int) -> Tensor:
        """The encodings (length, d) of the positions from `offset` on."""
        raise NotImplementedError

    def forward(self, input: Tensor, offset: int = 0) -> Tensor:
        name, shape = type(self).__name__, list(input.shape)
        if input.ndim not in (2, 3) or shape[-1] != self.d_model:
            layout = "(N, L, d)" if self.batch_first else "(L, N, d)"
            raise ValueError(f"[{name}] expected {layout} or (L, d) with d = {self.d_model}, but got {shape}")
        between = input.ndim == 3 and not self.batch_first
        length = shape[0] if between else shape[-2]
        if offset < 0:
            raise ValueError(f"[{name}] expected an offset of 0 or more, but got {offset}")
        if self.max_len is not None and offset + length > self.max_len:
            raise ValueError(
                f"[{name}] {length} positions from {offset} on do not fit into max_len = {self.max_len}: shorten the "
                "sequence or make the encoding longer"
            )
        rows = self._rows(offset, length)
        output: Tensor = self.dropout(input + (rows.unsqueeze(1) if between else rows))
        return output

    def extra_repr(self) -> str:
        return f"{self.d_model}, max_len={self.max_len}, batch_first={self.batch_first}"


class SinusoidalPositionalEncoding(_PositionalEncoding):
    """Adds sines and cosines of the position: y = x + P with P[p, 2i] = sin(p · wᵢ) and P[p, 2i + 1] = cos(p · wᵢ).

    wᵢ = base^(-2i / d_model) radians. The encodings are made for as many positions as a sequence has, so it has no
    limit unless `max_len` sets one. `offset` is the first position, the length of a cache. Dropout follows in training.

    Shapes: input (L, N, d_model), (N, L, d_model) with `batch_first`, or (L, d_model); output the same.
    State: none. dtypes: floating point; encodings are made in float64 and rounded to the input's.
    Raises: ValueError for other shapes and for positions beyond `max_len`.
    Source: Vaswani et al., Attention is all you need, 2017, section 3.5.

    >>> import spinetail as st
    >>> encoding = st.nn.SinusoidalPositionalEncoding(4, batch_first=True)
    >>> encoding(st.zeros(1, 2, 4))
    tensor([[[0.0000, 1.0000, 0.0000, 1.0000],
             [0.8415, 0.5403, 0.0100, 0.9999]]])
    """

    def __init__(
        self,
        d_model: int,
        dropout: float = 0.0,
        max_len: int | None = None,
        batch_first: bool = False,
        base: float = 10000.0,
    ) -> None:
        super().__init__(d_model, max_len, dropout, batch_first)
        if not base > 0:
            raise ValueError(f"[SinusoidalPositionalEncoding] expected base above 0, but got {base}")
        self.base = base
        self._table = np.empty((0, d_model))

    def forward(self, input: Tensor, offset: int = 0) -> Tensor:
        if input.dtype.is_floating_point and self._table.dtype != input.dtype.numpy:
            self._table = np.empty((0, self.d_model), input.dtype.numpy)
        return super().forward(input, offset)

    def _rows(self, offset: int, length: int) -> Tensor:
        end = offset + length
        if len(self._table) < end:
            size = max(64, 1 << (end - 1).bit_length())
            angles = np.outer(np.arange(size), self.base ** (-np.arange(0, self.d_model, 2) / self.d_model))
            table = np.empty((size, self.d_model), self._table.dtype)
            table[:, ::2] = np.sin(angles)
            table[:, 1::2] = np.cos(angles[:, : self.d_model // 2])
            self._table = table
        return wrap(self._table[offset:end])


class LearnedPositionalEncoding(_PositionalEncoding):
    """Adds a trained vector for each position: y = x + weight[p], as in GPT-2 and BERT.

    `offset` is the first position, the length of a cache. Dropout follows in training.

    Shapes: input (L, N, d_model), (N, L, d_model) with `batch_first`, or (L, d_model); output the same.
    State: weight (max_len, d_model), which starts from N(0, 0.02²).
    Raises: ValueError for other shapes and for positions beyond `max_len`: those were never trained.
    Source: Gehring et al., Convolutional Sequence to Sequence Learning, 2017; Radford et al., GPT-2, 2019.

    >>> import spinetail as st
    >>> encoding = st.nn.LearnedPositionalEncoding(8, max_len=16, batch_first=True)
    >>> encoding(st.zeros(3, 5, 8)).shape == (3, 5, 8), list(encoding.state_dict())
    (True, ['weight'])
    """

    weight: Parameter
    max_len: int

    def __init__(
        self,
        d_model: int,
        max_len: int,
        dropout: float = 0.0,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(d_model, max_len, dropout, batch_first)
        self.weight = unset((max_len, d_model), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new starting values."""
        init.normal_(self.weight, std=0.02)

    def _rows(self, offset: int, length: int) -> Tensor:
        return self.weight[offset : offset + length]
