"""Which keys packed sequences use: the first ones of each, or pages of a pool."""

from __future__ import annotations

from operator import index
from typing import NamedTuple

import numpy as np

_NAME = "varlen_attn"


class Paging(NamedTuple):
    """Keys in use of each sequence, its pages, and how many parts the keys of few queries are cut into (0: any)."""

    lengths: np.ndarray | None = None
    table: np.ndarray | None = None
    splits: int = 0


UNPAGED = Paging()


def check_paging(
    key: np.ndarray, cu_seq_q: np.ndarray, cu_seq_k: np.ndarray | None, seqused_k, block_table, num_splits
) -> Paging:
    """As the kernel takes it, once the other arguments are known to be right; raises what is wrong."""
    try:
        splits = 0 if num_splits is None else index(num_splits)
    except TypeError:
        raise TypeError(f"[{_NAME}] num_splits must be an integer, got {num_splits!r}") from None
    if splits < 0 or (num_splits is not None and splits == 0):
        raise ValueError(f"[{_NAME}] num_splits must be at least 1, got {num_splits}")
    splits = min(splits, 1 << 20)
    if seqused_k is None:
        if block_table is not None:
            raise ValueError(f"[{_NAME}] block_table needs seqused_k")
        return Paging(splits=splits)
    count = len(cu_seq_q) - 1
    lengths = _integers("seqused_k", seqused_k, (count,), np.int64)
    if block_table is None:
        most = np.diff(cu_seq_k)
    else:
        block_table = _integers("block_table", block_table, (count, None), np.int32)
        most = np.full(count, block_table.shape[1] * key.shape[1])
    if count and ((lengths < 0).any() or (lengths > most).any()):
        raise ValueError(f"[{_NAME}] expected seqused_k from 0 to {most.tolist()}, got {lengths.tolist()}")
    if block_table is not None:
        used = np.arange(block_table.shape[1]) * key.shape[1] < lengths[:, None]
        if (used & ((block_table < 0) | (block_table >= len(key)))).any():
            raise ValueError(f"[{_NAME}] expected pages from 0 to {len(key) - 1} in block_table")
    return Paging(lengths, block_table, splits)


def _integers(name: str, given, shape: tuple[int | None, ...], dtype: type) -> np.ndarray:
    if not isinstance(given, np.ndarray) or isinstance(given, np.ma.MaskedArray):
        raise TypeError(f"[{_NAME}] {name} must be a numpy.ndarray, got {type(given).__name__}")
    if given.dtype.kind not in "iu":
        raise TypeError(f"[{_NAME}] {name} must be integer, got dtype {given.dtype}")
    if given.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, given.shape, strict=True)):
        wanted = ", ".join("n" if n is None else str(n) for n in shape)
        raise ValueError(f"[{_NAME}] {name} must have shape ({wanted}), got {given.shape}")
    if given.size and (given.min() < np.iinfo(dtype).min or given.max() > np.iinfo(dtype).max):
        raise ValueError(f"[{_NAME}] {name} is out of range")
    return np.ascontiguousarray(given, dtype)
