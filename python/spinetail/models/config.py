"""What the sizes of transformers have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

__all__ = ["TransformerConfig"]


@dataclass
class TransformerConfig:
    """The sizes of a transformer. `block_size` is the longest sequence in tokens."""

    vocab_size: int
    block_size: int
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    dropout: float = 0.0

    @classmethod
    def given(cls, name: str, config: Self | None, sizes: Mapping[str, Any]) -> Self:
        """What a model called `name` was made with, a config or its fields; raises what is wrong with it."""
        if config is not None and sizes:
            raise TypeError(f"[{name}] give a config or its fields, not both")
        config = config or cls(**sizes)
        if config.n_embd % config.n_head:
            raise ValueError(f"[{name}] n_embd={config.n_embd} must be a multiple of n_head={config.n_head}")
        return config
