"""GPT-2: a decoder that predicts the next token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec

import numpy as np

from .. import nn
from ..autograd import Tensor, no_grad, wrap
from ..functional.filling import arange
from ..functional.thirds import thirds
from .config import TransformerConfig
from .sampling import sample

__all__ = ["GPT", "GPTConfig"]

F: Any = nn.functional
P = ParamSpec("P")


@dataclass
class GPTConfig(TransformerConfig):
    """The sizes of a GPT; the defaults are GPT-2's smallest. `block_size` is the longest sequence in tokens."""

    vocab_size: int = 50257
    block_size: int = 1024
    bias: bool = True
    tie_weights: bool = True


class _Attention(nn.Module):
    """Causal self-attention; queries, keys and values are views of one product."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        width = config.n_embd
        self.c_attn = nn.Linear(width, 3 * width, config.bias)
        self.c_proj = nn.Linear(width, width, config.bias)
        self.resid_dropout = nn.Dropout(config.dropout)
        self.n_head = config.n_head
        self.dropout = config.dropout

    def forward(self, x: Tensor, cache: nn.KVCache | None = None) -> Tensor:
        batch, length, width = x.shape
        heads = (batch, length, self.n_head, width // self.n_head)
        q, k, v = (part.reshape(*heads).transpose(1, 2) for part in thirds(self.c_attn(x)))
        dropout = self.dropout if self.training else 0.0
        if cache is None:
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        else:
            y = cache.attend(q, k, v, dropout_p=dropout)
        found: Tensor = self.resid_dropout(self.c_proj(y.transpose(1, 2).reshape(batch, length, width)))
        return found


class _MLP(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd, config.bias)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, config.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.dropout(self.c_proj(F.gelu(self.c_fc(x), approximate="tanh")))
        return found


class _Block(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.attn = _Attention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.mlp = _MLP(config)

    def forward(self, x: Tensor, cache: nn.KVCache | None = None) -> Tensor:
        x = x + self.attn(self.ln_1(x), cache)
        return x + self.mlp(self.ln_2(x))


def _whole(
    stream: Callable[Concatenate[GPT, Tensor, int, P], Iterator[Tensor]],
) -> Callable[Concatenate[GPT, Tensor, int, P], Tensor]:
    """The method that joins what `stream` yields, with its options."""

    @wraps(stream)
    def generate(self: GPT, idx: Tensor, max_new_tokens: int, *args: P.args, **options: P.kwargs) -> Tensor:
        parts = [np.asarray(idx.numpy())]
        parts += [token.numpy()[:, None] for token in self.stream(idx, max_new_tokens, *args, **options)]
        return wrap(np.concatenate(parts, 1))

    generate.__name__, generate.__qualname__ = "generate", "GPT.generate"
    generate.__doc__ = "`idx` (B, T) and up to `max_new_tokens` tokens behind it: those of `stream`, with its options."
    generate.__signature__ = signature(stream).replace(return_annotation="Tensor")  # type: ignore[attr-defined]
    return generate  # type: ignore[return-value]


class GPT(nn.Module):
    """GPT-2's decoder: token and position embeddings, blocks of attention and MLP with the norms before them, a head.

    x = wte[tokens] + wpe[positions]; in each block x = x + attention(ln_1(x)), x = x + mlp(ln_2(x)); logits =
    ln_f(x) · Wᵀ, where W is wte itself unless `tie_weights` is False. Made from a `GPTConfig`, or from its fields.

    Shapes: idx (B, T) of tokens, logits (B, T, vocab_size); with `targets` (B, T), the tokens that follow, the second
    output is their mean cross-entropy in nats (targets of -100 do not count), else it is None. T ≤ block_size.
    State: nanoGPT's names, which are those of transformers' GPT2LMHeadModel: transformer.wte.weight,
    transformer.wpe.weight, transformer.h.N.ln_1, .attn.c_attn, .attn.c_proj, .ln_2, .mlp.c_fc and .mlp.c_proj with
    weight and bias, transformer.ln_f and lm_head.weight; `load_gpt2` reads published checkpoints, whose four matrices
    of a block stand the other way round. Weights start from N(0, 0.02²), those before a residual sum divided by
    √(2·n_layer).
    Raises: ValueError for sequences longer than block_size and sizes that do not fit; IndexError for tokens beyond.
    Source: Radford et al., Language Models are Unsupervised Multitask Learners, 2019; Karpathy, nanoGPT.

    >>> import spinetail as st
    >>> model = st.models.GPT(vocab_size=10, block_size=8, n_layer=1, n_head=2, n_embd=16)
    >>> tokens = st.tensor([[1, 2, 3]])
    >>> logits, loss = model(tokens, targets=st.tensor([[2, 3, 4]]))
    >>> logits.shape == (1, 3, 10), model.generate(tokens, 2, temperature=0).shape == (1, 5)
    (True, True)
    """

    def __init__(self, config: GPTConfig | None = None, **sizes: Any) -> None:
        super().__init__()
        self.config = config = GPTConfig.given("GPT", config, sizes)
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(config.vocab_size, config.n_embd),
                "wpe": nn.Embedding(config.block_size, config.n_embd),
                "drop": nn.Dropout(config.dropout),
                "h": nn.ModuleList([_Block(config) for _ in range(config.n_layer)]),
                "ln_f": nn.LayerNorm(config.n_embd, bias=config.bias),
            }
        )
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                rescaled = name.endswith("c_proj.weight")
                nn.init.normal_(parameter, std=0.02 / (2 * config.n_layer) ** 0.5 if rescaled else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        if config.tie_weights:
            self.lm_head.weight = self.transformer["wte"].weight

    def forward(
        self, idx: Tensor, targets: Tensor | None = None, caches: list[nn.KVCache] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        logits: Tensor = self.lm_head(self._hidden(idx, caches))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.reshape(-1, self.config.vocab_size), targets.reshape(-1))

    def _hidden(self, idx: Tensor, caches: list[nn.KVCache] | None = None) -> Tensor:
        """What the head sees, (B, T, n_embd)."""
        before = caches[0].length if caches else 0
        end = before + idx.shape[1]
        if end > self.config.block_size:
            raise ValueError(f"[GPT] {end} tokens are more than block_size={self.config.block_size}")
        parts = self.transformer
        x = parts["drop"](parts["wte"](idx) + parts["wpe"](arange(before, end)))
        for i, block in enumerate(parts["h"]):
            x = block(x, caches[i] if caches else None)
        found: Tensor = parts["ln_f"](x)
        return found

    def make_caches(self, batch: int, dtype: Any = None) -> list[nn.KVCache]:
        """An empty cache for each layer, of the weights' dtype, or of bfloat16 or int8 to save memory."""
        config = self.config
        dtype = dtype or self.lm_head.weight.dtype
        width = config.n_embd // config.n_head
        return [
            nn.KVCache(batch, config.n_head, width, dtype=dtype, max_length=config.block_size)
            for _ in range(config.n_layer)
        ]

    def stream(
        self,
        idx: Tensor,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        stop_token: int | None = None,
        use_cache: bool = True,
        cache_dtype: Any = None,
    ) -> Iterator[Tensor]:
        """The tokens that follow `idx` (B, T), (B,) at a time, as they are drawn; `manual_seed` repeats them.

        `temperature` divides the logits; 0 takes the likeliest token. `top_k` and `top_p` (both may be given) leave the
        likeliest k, and of those the fewest whose probabilities sum to top_p. A row that drew `stop_token` gets no
        other token; when all have, it ends. Keys and values are kept in caches of `cache_dtype` (the weights' by
        default, or bfloat16 or int8); beyond block_size each token sees the last block_size ones, computed anew.
        Dropout is off meanwhile.
        """
        if idx.ndim != 2 or not idx.shape[1]:
            raise ValueError(f"[GPT] expected at least one token in each row of idx (B, T), but got {list(idx.shape)}")
        block = self.config.block_size
        tokens = np.array(idx.numpy())
        caches = self.make_caches(len(tokens), cache_dtype) if use_cache else None
        done = np.zeros(len(tokens), np.bool_)
        modules = list(self.modules())
        for _ in range(max_new_tokens):
            training = [module.__dict__ for module in modules if module.training]
            for fields in training:  # past `Module.__setattr__`, which takes longer than a layer
                fields["training"] = False
            try:
                with no_grad():
                    given = tokens[:, -block:]
                    if caches is not None:
                        if tokens.shape[1] > block:  # all positions move: nothing of the caches holds any more
                            for cache in caches:
                                cache.reset()
                        given = given[:, caches[0].length :]
                    last = self._hidden(wrap(given), caches)[:, -1]
                    logits = self.lm_head(last)
                    found = sample(logits, temperature, top_k, top_p).numpy()
            finally:
                for fields in training:
                    fields["training"] = True
            if stop_token is not None:
                found = np.where(done, stop_token, found)
                done |= found == stop_token
            tokens = np.concatenate([tokens, found[:, None].astype(tokens.dtype)], 1)
            yield wrap(tokens[:, -1].copy())
            if done.all():
                return

    generate = _whole(stream)

    def load_gpt2(self, state: Mapping[str, Any]) -> GPT:
        """Take the weights of a published GPT-2 (`model.safetensors` of gpt2, gpt2-medium, …), and return the model.

        Names may begin with "transformer." or not; buffers of masks are left out. The matrices c_attn, c_proj and c_fc
        are (inputs, outputs) there and are turned.
        """
        found = {}
        for name, value in state.items():
            if name.endswith((".attn.bias", ".attn.masked_bias")):
                continue
            if not name.startswith(("transformer.", "lm_head.")):
                name = f"transformer.{name}"
            turned = name.endswith(("attn.c_attn.weight", "c_proj.weight", "mlp.c_fc.weight"))
            found[name] = value.T if turned else value
        found.setdefault("lm_head.weight", found.get("transformer.wte.weight"))
        self.load_state_dict(found)
        return self
