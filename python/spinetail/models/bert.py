"""BERT: an encoder that reads a text in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import nn
from ..autograd import Tensor, wrap
from ..functional.door import lift
from ..functional.filling import arange
from .config import TransformerConfig

__all__ = ["BERT", "BERTConfig"]

F: Any = nn.functional


@dataclass
class BERTConfig(TransformerConfig):
    """The sizes of a BERT; the defaults are BERT-base's. `pooling` is "cls" or "mean"."""

    vocab_size: int = 30522
    block_size: int = 512
    dropout: float = 0.1
    n_segment: int = 2
    pooling: str = "cls"


class BERT(nn.Module):
    """BERT's encoder: token, position and segment embeddings, a norm, layers of attention in both directions, a pooler.

    x = norm(word[tokens] + position[0 … T-1] + segment[segments]); each layer is a `TransformerEncoderLayer` with GELU
    and the norms behind the sums. Pooling "cls" is tanh(W · x₀ + b), of the first token; "mean" is the mean of x over
    the tokens that are not padding. Made from a `BERTConfig`, or from its fields.

    Shapes: idx (B, T) of tokens, segments (B, T) (0 everywhere by default), padding_mask (B, T), bool, True where a
    token is padding and nothing attends to it (transformers' attention_mask has it the other way round); outputs x
    (B, T, n_embd) and pooled (B, n_embd). T ≤ block_size.
    State: word, position, segment, norm, encoder.layers.N as in `TransformerEncoder`, and pooler for "cls";
    `load_bert` reads published checkpoints.
    Raises: ValueError for sequences longer than block_size and an unknown pooling; IndexError for tokens beyond.
    Source: Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers, 2019; Reimers and Gurevych,
    Sentence-BERT, 2019, for the mean.

    >>> import spinetail as st
    >>> model = st.models.BERT(vocab_size=10, block_size=8, n_layer=1, n_head=2, n_embd=16)
    >>> tokens = st.tensor([[1, 2, 3], [4, 5, 0]])
    >>> x, pooled = model(tokens, padding_mask=tokens == 0)
    >>> x.shape == (2, 3, 16), pooled.shape == (2, 16)
    (True, True)
    """

    def __init__(self, config: BERTConfig | None = None, **sizes: Any) -> None:
        super().__init__()
        self.config = config = BERTConfig.given("BERT", config, sizes)
        if config.pooling not in ("cls", "mean"):
            raise ValueError(f"[BERT] expected the pooling cls or mean, but got {config.pooling!r}")
        width = config.n_embd
        self.word = nn.Embedding(config.vocab_size, width)
        self.position = nn.Embedding(config.block_size, width)
        self.segment = nn.Embedding(config.n_segment, width)
        self.norm = nn.LayerNorm(width, 1e-12)
        self.dropout = nn.Dropout(config.dropout)
        layer = nn.TransformerEncoderLayer(
            width, config.n_head, 4 * width, config.dropout, "gelu", 1e-12, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config.n_layer)
        self.pooler = nn.Linear(width, width) if config.pooling == "cls" else None
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(
        self, idx: Tensor, segments: Tensor | None = None, padding_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        length = idx.shape[1]
        if length > self.config.block_size:
            raise ValueError(f"[BERT] {length} tokens are more than block_size={self.config.block_size}")
        x = self.word(idx) + self.position(arange(length))
        x = x + (self.segment.weight[0] if segments is None else self.segment(segments))
        x = self.encoder(self.dropout(self.norm(x)), src_key_padding_mask=padding_mask)
        return x, self._pooled(x, padding_mask)

    def _pooled(self, x: Tensor, padding_mask: Any) -> Tensor:
        if self.pooler is not None:
            first: Tensor = self.pooler(x[:, 0]).tanh()
            return first
        if padding_mask is None:
            return x.mean(1)
        kept = ~lift(padding_mask)._array
        shares = kept / np.maximum(kept.sum(1, keepdims=True), 1)
        return (x * wrap(shares[..., None].astype(x._array.dtype))).sum(1)

    def load_bert(self, state: Mapping[str, Any]) -> BERT:
        """Take the weights of a published BERT (`model.safetensors` of bert-base-uncased, …), and return the model.

        Names are those of transformers' BertModel, with "bert." before them or not; heads for pretraining are left out.
        """
        names = {
            "embeddings.word_embeddings.": "word.",
            "embeddings.position_embeddings.": "position.",
            "embeddings.token_type_embeddings.": "segment.",
            "embeddings.LayerNorm.": "norm.",
            "pooler.dense.": "pooler.",
            ".attention.output.dense.": ".self_attn.out_proj.",
            ".attention.output.LayerNorm.": ".norm1.",
            ".intermediate.dense.": ".linear1.",
            ".output.dense.": ".linear2.",
            ".output.LayerNorm.": ".norm2.",
            "encoder.layer.": "encoder.layers.",
            ".gamma": ".weight",  # the norms in files of the first years
            ".beta": ".bias",
        }
        plain = {name.removeprefix("bert."): np.asarray(value) for name, value in state.items()}
        found: dict[str, np.ndarray] = {}
        for name, value in plain.items():
            if not name.startswith(("embeddings.", "encoder.", "pooler.")) or name.endswith("position_ids"):
                continue
            if self.pooler is None and name.startswith("pooler."):
                continue
            if ".attention.self." in name:
                if ".query." in name:  # one matrix for queries, keys and values
                    parts = [plain[name.replace(".query.", f".{part}.")] for part in ("query", "key", "value")]
                    layer, _, kind = name.partition(".attention.self.query.")
                    layer = layer.replace("encoder.layer.", "encoder.layers.")
                    found[f"{layer}.self_attn.in_proj_{kind}"] = np.concatenate(parts)
                continue
            for old, new in names.items():
                name = name.replace(old, new)
            found[name] = value
        self.load_state_dict(found)
        return self
