"""Attention among sequences of any lengths that lie one after another: (tokens, heads, width)."""

from __future__ import annotations

import numpy as np

from .._native import kernels
from .attention import Saved
from .attention_operands import (
    computed_type,
    contiguous_rows,
    numbers_for,
    rows_like,
    scale_for,
    slopes_for,
    takes_half,
    widened,
)
from .attention_terms import Dropout, Terms
from .paged_attention import UNPAGED, Paging

_NAME = "varlen_attn"


def varlen_attn(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    offsets: tuple[np.ndarray, np.ndarray],
    scale: float | None,
    dropout: Dropout | None,
    terms: Terms,
    save: bool = False,
    paging: Paging = UNPAGED,
) -> tuple[np.ndarray, Saved | None]:
    """The output and, to `save`, what `varlen_attn_backward` needs; `offsets` as `check` gives them."""
    if query.dtype.char not in "fd" and not takes_half(query):
        out, saved = varlen_attn(*map(widened, (query, key, value)), offsets, scale, dropout, terms, save, paging)
        return out.astype(query.dtype), saved
    q, k, v = (_batch(x) for x in (query, key, value))
    out = rows_like(q, v.shape[3])
    computed = computed_type(query)
    lse = np.empty(q.shape[:3], computed) if save else None
    slopes = slopes_for(terms, (len(offsets[0]) - 1, q.shape[1]), computed)
    kernels.attention_forward(
        out, lse, q, k, v, None, slopes, *offsets, paging.lengths, paging.table, None, None, scale_for(scale, query),
        *numbers_for(False, terms, dropout, paging.splits),
    )  # fmt: skip
    return _unbatch(out), Saved(out, lse) if save else None


def varlen_attn_backward(
    grad_output: np.ndarray,
    saved: Saved,
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    offsets: tuple[np.ndarray, np.ndarray],
    scale: float | None,
    dropout: Dropout | None,
    terms: Terms,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients to query, key and value."""
    dtype = query.dtype
    if dtype.char not in "fd" and not takes_half(query):
        wide = map(widened, (query, key, value))
        grads = varlen_attn_backward(
            widened(grad_output), Saved(widened(saved.output), saved.lse), *wide, offsets, scale, dropout, terms
        )
        return tuple(g.astype(dtype) for g in grads)
    q, k, v, doutput = (_batch(x) for x in (query, key, value, grad_output.astype(dtype, copy=False)))
    dq, dk, dv = (rows_like(x, x.shape[3]) for x in (q, k, v))
    slopes = slopes_for(terms, (len(offsets[0]) - 1, q.shape[1]), computed_type(query))
    kernels.attention_backward(
        dq, dk, dv, None, doutput, saved.output, saved.lse, q, k, v, None, slopes, *offsets, scale_for(scale, query),
        *numbers_for(False, terms, dropout),
    )  # fmt: skip
    return _unbatch(dq), _unbatch(dk), _unbatch(dv)


def check(
    query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, enable_gqa, paged=False
) -> tuple[np.ndarray, np.ndarray | None]:
    """The offsets as the kernel takes them; raises what is wrong with the arguments."""
    arrays = {"query": query, "key": key, "value": value}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"[{_NAME}] {name} must be a numpy.ndarray, got {type(array).__name__}")
        if (array.dtype.kind != "f" and array.dtype.name != "bfloat16") or array.dtype.itemsize > 8:
            raise TypeError(f"[{_NAME}] {name} must be floating point, got dtype {array.dtype}")
        if array.dtype != query.dtype:
            raise TypeError(f"[{_NAME}] expected one dtype, got query {query.dtype} and {name} {array.dtype}")
        wanted = "pages, page_size, heads, width" if paged and name != "query" else "tokens, heads, width"
        if array.ndim != wanted.count(",") + 1:
            raise ValueError(f"[{_NAME}] {name} must have shape ({wanted}), got {array.shape}")
    if key.shape[-1] != query.shape[2] or value.shape[:-1] != key.shape[:-1]:
        raise ValueError(
            f"[{_NAME}] the shapes of query {query.shape}, key {key.shape} and value {value.shape} do not fit"
        )
    heads, groups = query.shape[1], key.shape[-2]
    if heads != groups and not (enable_gqa and groups and heads % groups == 0):
        raise ValueError(
            f"[{_NAME}] query has {heads} heads, but key has {groups}"
            + (" (expected a divisor)" if enable_gqa else ": pass enable_gqa=True to share them")
        )
    q = _offsets("cu_seq_q", cu_seq_q, query.shape[0], max_q)
    if paged:
        return q, None
    k = _offsets("cu_seq_k", cu_seq_k, key.shape[0], max_k)
    if len(q) != len(k):
        raise ValueError(f"[{_NAME}] cu_seq_q has {len(q) - 1} sequences, but cu_seq_k has {len(k) - 1}")
    return q, k


def _offsets(name: str, given: np.ndarray, total: int, longest: int | None) -> np.ndarray:
    if not isinstance(given, np.ndarray) or isinstance(given, np.ma.MaskedArray):
        raise TypeError(f"[{_NAME}] {name} must be a numpy.ndarray, got {type(given).__name__}")
    if given.dtype.kind not in "iu":
        raise TypeError(f"[{_NAME}] {name} must be integer, got dtype {given.dtype}")
    if given.ndim != 1 or given.size == 0:
        raise ValueError(f"[{_NAME}] {name} must have shape (sequences + 1,), got {given.shape}")
    offsets = np.ascontiguousarray(given, np.int64)
    lengths = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != total or (lengths < 0).any():
        raise ValueError(f"[{_NAME}] {name} must rise from 0 to the number of tokens, {total}, got {given}")
    if longest is not None and lengths.size and lengths.max() > longest:
        raise ValueError(f"[{_NAME}] the longest sequence of {name} has {lengths.max()} tokens, more than {longest}")
    return offsets


def _batch(array: np.ndarray) -> np.ndarray:
    """(tokens, heads, width) as a batch of one (heads, tokens, width), or pages with their heads first."""
    array = contiguous_rows(array)
    return array.swapaxes(1, 2) if array.ndim == 4 else array.swapaxes(0, 1)[None]


def _unbatch(array: np.ndarray) -> np.ndarray:
    return array[0].swapaxes(0, 1)
