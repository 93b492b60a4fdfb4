"""Multi-head attention."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from ..autograd import Tensor, wrap
from ..functional.door import lift
from ..functional.joining import cat
from ..functional.thirds import thirds
from . import functional as F
from . import init
from .linear import Linear
from .module import Module
from .parameter import Parameter, unset

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Attention of `num_heads` heads: each attends with its own projections, and their results are joined.

    headᵢ = softmax(Qᵢ · Kᵢᵀ / √d) · Vᵢ with Qᵢ, Kᵢ, Vᵢ = query, key, value times the i-th part of the input
    weights, and output = (head₁, ..., headₕ) · W_outᵀ + b_out, with d = embed_dim / num_heads.

    Shapes, with L queries, S keys, N samples: query (L, N, embed_dim), key (S, N, kdim), value (S, N, vdim), output as
    the query; with `batch_first` N comes first, and without a batch it is left out. The second output is the weights,
    (N, L, S), averaged over heads, or (N, num_heads, L, S) with `average_attn_weights=False`, or None without
    `need_weights`, which is faster and takes less memory.

    Masks: `key_padding_mask` (N, S) and `attn_mask` (L, S) or (N · num_heads, L, S) are bool, and True means *ignore*
    (`scaled_dot_product_attention` has it the other way round), or numbers that are added to the scores. `is_causal`
    says that `attn_mask` is the causal mask. A query that may attend to nothing gets weights 0 and no gradient.
    `dropout` applies to the weights in training. `add_bias_kv` appends a trained key and value, `add_zero_attn` zeros.

    State: in_proj_weight (3 · embed_dim, embed_dim), or q_proj_weight, k_proj_weight and v_proj_weight where kdim or
    vdim differ; in_proj_bias; bias_k and bias_v; out_proj.weight and out_proj.bias.
    Raises: ValueError for sizes and shapes that do not fit. Source: Vaswani et al., Attention is all you need, 2017.

    >>> import spinetail as st
    >>> attention = st.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = st.randn(3, 5, 8)
    >>> output, weights = attention(x, x, x)
    >>> output.shape == (3, 5, 8), weights.shape == (3, 5, 5)
    (True, True)
    """

    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise ValueError(
                f"[MultiheadAttention] embed_dim must be a positive multiple of num_heads, but got "
                f"embed_dim={embed_dim} and num_heads={num_heads}"
            )
        if not 0 <= dropout <= 1:
            raise ValueError(f"[MultiheadAttention] dropout has to be between 0 and 1, but got {dropout}")
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        same = self._qkv_same_embed_dim
        shapes = {
            "in_proj_weight": (3 * embed_dim, embed_dim) if same else None,
            "q_proj_weight": None if same else (embed_dim, embed_dim),
            "k_proj_weight": None if same else (embed_dim, self.kdim),
            "v_proj_weight": None if same else (embed_dim, self.vdim),
            "in_proj_bias": (3 * embed_dim,) if bias else None,
            "bias_k": (1, 1, embed_dim) if add_bias_kv else None,
            "bias_v": (1, 1, embed_dim) if add_bias_kv else None,
        }
        for name, shape in shapes.items():
            self.register_parameter(name, None if shape is None else unset(shape, device, dtype))
        self.out_proj = Linear(embed_dim, embed_dim, bias, device, dtype)
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if getattr(self, name) is not None:
                init.xavier_uniform_(getattr(self, name))
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)  # type: ignore[type-var]
        for parameter in (self.bias_k, self.bias_v):
            if parameter is not None:
                init.xavier_normal_(parameter)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        if is_causal and attn_mask is None:
            raise RuntimeError(
                "[MultiheadAttention] is_causal is a hint about attn_mask: give the causal attn_mask too"
            )
        samples, length, source, batched = self._check(query, key, value)
        first = self.batch_first or not batched
        q, k, v = self._project(query, key, value, batched)
        if self.bias_k is not None and self.bias_v is not None:
            shape, axis = ((samples, 1, -1), 1) if first else ((1, samples, -1), 0)
            k = cat([k, self.bias_k.expand(*shape)], axis)
            v = cat([v, self.bias_v.expand(*shape)], axis)
        q, k, v = (self._split(x, first) for x in (q, k, v))  # (N, heads, length, d)
        if self.add_zero_attn:
            nothing = wrap(np.zeros((samples, self.num_heads, 1, self.head_dim), k._array.dtype))
            k, v = cat([k, nothing], 2), cat([v, nothing], 2)
        dropout = self.dropout if self.training else 0.0
        extra = k._array.shape[2] - source
        if is_causal and key_padding_mask is None and not need_weights and not extra and length <= source:
            joined, weights = F.scaled_dot_product_attention(q, k, v, None, dropout, True), None
        else:
            mask = self._mask(key_padding_mask, attn_mask, samples, length, source, extra, q._array.dtype)
            if need_weights:
                joined, weights = self._explicit(q, k, v, mask, dropout)
            else:
                joined, weights = F.scaled_dot_product_attention(q, k, v, mask, dropout), None
        shape = (samples, length, self.embed_dim)
        if first:
            joined = joined.transpose(1, 2).reshape(*shape)
        else:
            joined = joined.permute(2, 0, 1, 3).reshape(length, samples, self.embed_dim)
        output = self.out_proj(joined)
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        if not batched:
            return output.squeeze(0), None if weights is None else weights.squeeze(0)
        return output, weights

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[int, int, int, bool]:
        """(samples, queries, keys, whether there is a batch) of inputs that fit; a ValueError for others."""
        shapes = [tuple(x.shape) for x in (query, key, value)]
        given = f"query, key and value have the shapes {', '.join(str(list(shape)) for shape in shapes)}"
        rank = len(shapes[0])
        if rank not in (2, 3) or any(len(shape) != rank for shape in shapes):
            raise ValueError(f"[MultiheadAttention] expected 3 axes, or 2 without a batch, but {given}")
        widths = (self.embed_dim, self.kdim, self.vdim)
        if any(shape[-1] != width for shape, width in zip(shapes, widths, strict=True)):
            raise ValueError(f"[MultiheadAttention] expected the last axes {', '.join(map(str, widths))}, but {given}")
        if shapes[1][:-1] != shapes[2][:-1]:
            raise ValueError(f"[MultiheadAttention] key and value should be of one length, but {given}")
        if rank == 2:
            return 1, shapes[0][0], shapes[1][0], False
        batch, time = (0, 1) if self.batch_first else (1, 0)
        if shapes[0][batch] != shapes[1][batch]:
            raise ValueError(f"[MultiheadAttention] query and key should be of one batch size, but {given}")
        return shapes[0][batch], shapes[0][time], shapes[1][time], True

    def _project(self, query: Tensor, key: Tensor, value: Tensor, batched: bool) -> tuple[Tensor, Tensor, Tensor]:
        """The inputs times their weights; one product where they are the same tensor."""
        width, bias = self.embed_dim, self.in_proj_bias
        lifted = {id(x): lift(x) if batched else lift(x).unsqueeze(0) for x in (query, key, value)}
        q, k, v = (lifted[id(x)] for x in (query, key, value))
        if self._qkv_same_embed_dim:
            weight = self.in_proj_weight
            if q is k and k is v:
                return thirds(F.linear(q, weight, bias))
            parts = [weight[i * width : (i + 1) * width] for i in range(3)]  # type: ignore[index]
        else:
            parts = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        biases = [None if bias is None else bias[i * width : (i + 1) * width] for i in range(3)]
        return tuple(F.linear(x, w, b) for x, w, b in zip((q, k, v), parts, biases, strict=True))  # type: ignore

    def _split(self, x: Tensor, first: bool) -> Tensor:
        """(N, length, E), or (length, N, E) unless batch `first`, as (N, heads, length, d)."""
        a, b = x.shape[:2]
        x = x.reshape(a, b, self.num_heads, self.head_dim)
        return x.permute(0, 2, 1, 3) if first else x.permute(1, 2, 0, 3)

    def _mask(
        self, padding: Any, mask: Any, samples: int, length: int, source: int, extra: int, dtype: np.dtype
    ) -> Tensor | None:
        """Both masks as one of shape (N or 1, heads or 1, L or 1, S + extra): bool, True = attend, or numbers to
        add."""
        found = []
        if mask is not None:
            mask = lift(mask)
            shape = mask._array.shape
            if shape == (length, source):
                mask = mask.reshape(1, 1, length, source)
            elif shape == (samples * self.num_heads, length, source):
                mask = mask.reshape(samples, self.num_heads, length, source)
            else:
                raise ValueError(
                    f"[MultiheadAttention] attn_mask should have the shape {[length, source]} or "
                    f"{[samples * self.num_heads, length, source]}, but has {list(shape)}"
                )
            found.append(("attn_mask", mask))
        if padding is not None:
            padding = lift(padding)
            shape = padding._array.shape
            if shape not in ((samples, source), (source,) if samples == 1 else None):
                raise ValueError(
                    f"[MultiheadAttention] key_padding_mask should have the shape {[samples, source]}, "
                    f"but has {list(shape)}"
                )
            found.append(("key_padding_mask", padding.reshape(samples, 1, 1, source)))
        if not found:
            return None
        for name, tensor in found:
            if tensor._array.dtype.kind not in "bfV":
                raise TypeError(f"[MultiheadAttention] {name} should be bool or floating point, but is {tensor.dtype}")
        if all(tensor._array.dtype == np.bool_ for _, tensor in found):
            attend = ~found[0][1]._array
            for _, tensor in found[1:]:
                attend = attend & ~tensor._array
            if extra:
                attend = np.concatenate([attend, np.ones((*attend.shape[:-1], extra), np.bool_)], -1)
            return wrap(attend)
        numbers = None
        for _, tensor in found:
            if tensor._array.dtype == np.bool_:
                tensor = wrap(np.where(tensor._array, -np.inf, 0).astype(dtype))
            elif tensor._array.dtype != dtype:
                tensor = tensor.to(dtype)
            numbers = tensor if numbers is None else numbers + tensor
        if extra:
            numbers = cat([numbers, wrap(np.zeros((*numbers.shape[:-1], extra), dtype))], -1)  # type: ignore
        return numbers

    def _explicit(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float) -> tuple[Tensor, Tensor]:
        """Attention that keeps its weights, (N, heads, L, S)."""
        scores = (q * (1 / sqrt(self.head_dim))) @ k.transpose(-2, -1)
        weights = F.softmax_dropout(scores, -1, dropout, mask=mask)
        return weights @ v, weights
