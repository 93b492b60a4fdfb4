"""Attention to keys and values as a cache stores them, which may be narrower than the queries: read in place."""

from __future__ import annotations

import numpy as np

from .._native import kernels
from .attention_operands import (
    computed_type,
    contiguous_rows,
    numbers_for,
    rows_like,
    scale_for,
    slopes_for,
    takes_half,
)
from .attention_terms import PLAIN, Dropout, Terms

_NAME = "KVCache.attend"


def cached_attention(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    key_scales: np.ndarray | None = None,
    value_scales: np.ndarray | None = None,
    attn_mask: np.ndarray | None = None,
    scale: float | None = None,
    dropout: Dropout | None = None,
    terms: Terms = PLAIN,
) -> np.ndarray:
    """Attention of query (batch, h, l, e) to key (batch, g, s, e) and value (batch, g, s, v), h a multiple of g.

    Queries that are computed in float32 take keys and values of float32, float16, bfloat16, or int8 with scales
    (batch, g, s), each position being its whole numbers times its scale; float64 takes float64.
    """
    _explain(query, key, attn_mask)
    takes_half(key)
    query = contiguous_rows(query)
    computed = computed_type(query) if takes_half(query) else query.dtype.type
    if attn_mask is not None:
        scores = (*query.shape[:3], key.shape[2])
        try:
            attn_mask = np.broadcast_to(attn_mask, scores)
        except ValueError:
            raise ValueError(
                f"[{_NAME}] attn_mask of shape {attn_mask.shape} does not broadcast to the scores' {scores}"
            ) from None
        if attn_mask.dtype != bool:
            attn_mask = attn_mask.astype(computed, copy=False)
    out = rows_like(query, value.shape[3])
    kernels.attention_forward(
        out, None, query, key, value, attn_mask, slopes_for(terms, query.shape[:2], computed), None, None, None, None,
        key_scales, value_scales, scale_for(scale, query), *numbers_for(False, terms, dropout),
    )  # fmt: skip
    return out


def _explain(query: np.ndarray, key: np.ndarray, mask: np.ndarray | None) -> None:
    """Raises what is wrong with the query or the mask, if anything is."""
    if not isinstance(query, np.ndarray) or isinstance(query, np.ma.MaskedArray):
        raise TypeError(f"[{_NAME}] query must be a numpy.ndarray, got {type(query).__name__}")
    batch, heads, _, width = key.shape
    if query.ndim != 4 or query.shape[0] != batch or query.shape[1] % heads or query.shape[3] != width:
        raise ValueError(
            f"[{_NAME}] expected query of shape ({batch}, a multiple of {heads}, n, {width}), but got "
            f"{list(query.shape)}"
        )
    narrow = query.dtype.char in "fe" or query.dtype.name == "bfloat16"
    if not (narrow and key.dtype != np.float64) and query.dtype != key.dtype:
        raise TypeError(f"[{_NAME}] query is {query.dtype}, which does not go with keys of {key.dtype}")
    if mask is not None and mask.dtype != bool and mask.dtype != query.dtype:
        raise TypeError(
            f"[{_NAME}] attn_mask must be bool (True = attend) or the query's {query.dtype} (added to the scores), "
            f"got {mask.dtype}"
        )
