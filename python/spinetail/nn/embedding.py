"""Lookup tables for indices."""

from __future__ import annotations

from typing import Any

from ..autograd import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter, unset

__all__ = ["Embedding"]


class Embedding(Module):
    """A table of `num_embeddings` vectors of length `embedding_dim`, looked up by index.

    Shapes: input (*) of integers, output (*, embedding_dim), `weight` (num_embeddings, embedding_dim), which starts
    from N(0, 1). The vector at `padding_idx` starts at 0 and gets no gradient. With `max_norm` vectors that are
    looked up are first shortened to that norm of order `norm_type`; `scale_grad_by_freq` divides gradients by how
    often an index occurs in the batch. Raises: ValueError for a `padding_idx` outside of the table; IndexError,
    when called, for an index outside of it.

    >>> import spinetail as st
    >>> table = st.nn.Embedding(10, 3, padding_idx=0)
    >>> table(st.tensor([[0, 2], [5, 0]])).shape == (2, 2, 3)
    True
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if sparse:
            raise NotImplementedError("[Embedding] sparse gradients are not supported: use sparse=False")
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"[Embedding] padding_idx={padding_idx} must be within {num_embeddings} embeddings")
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if _weight is None:
            self.weight = unset((num_embeddings, embedding_dim), device, dtype)
            self.weight.requires_grad_(not _freeze)
            self.reset_parameters()
        else:
            if tuple(_weight.shape) != (num_embeddings, embedding_dim):
                raise ValueError(
                    f"[Embedding] the given weight has shape {list(_weight.shape)}, but num_embeddings and "
                    f"embedding_dim are {[num_embeddings, embedding_dim]}"
                )
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    def reset_parameters(self) -> None:
        """Draw new starting values."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight._array[self.padding_idx] = 0

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        if self.padding_idx is not None:
            text += f", padding_idx={self.padding_idx}"
        if self.max_norm is not None:
            text += f", max_norm={self.max_norm}"
        if self.norm_type != 2:
            text += f", norm_type={self.norm_type}"
        return text + (", scale_grad_by_freq=True" if self.scale_grad_by_freq else "")

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A table with the given vectors, which with `freeze` are not trained.

        >>> import spinetail as st
        >>> st.nn.Embedding.from_pretrained(st.tensor([[1.0, 2.0], [3.0, 4.0]]))(st.tensor(1))
        tensor([3., 4.])
        """
        if embeddings.ndim != 2:
            raise ValueError(
                f"[from_pretrained] expected a matrix of embeddings, but got shape {list(embeddings.shape)}"
            )
        rows, columns = embeddings.shape
        return cls(
            rows,
            columns,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight=embeddings,
            _freeze=freeze,
        )
