"""What attention is asked for beside its operands: which keys a query sees, what happens to scores and weights."""

from __future__ import annotations

from math import inf
from operator import index
from typing import NamedTuple

import numpy as np

NAME = "scaled_dot_product_attention"


class Dropout(NamedTuple):
    """The probability with which a weight becomes 0, and what (with the weight's place) decides which ones do."""

    probability: float
    seed: int
    offset: int


class Terms(NamedTuple):
    """Which keys a query sees, and what happens to its scores: query i stands at key i, or with `lower_right` at key
    i + keys - queries, and sees `left` keys before and `right` keys after that one (-1: all)."""

    left: int = -1
    right: int = -1
    lower_right: bool = False
    softcap: float = 0.0
    slopes: np.ndarray | None = None


PLAIN, CAUSAL = Terms(), Terms(right=0)


def terms(
    is_causal: bool = False,
    causal: str | None = None,
    window: int | tuple[int, int] | None = None,
    alibi_slopes: np.ndarray | None = None,
    softcap: float | None = None,
    name: str = NAME,
) -> Terms:
    """The options of the public functions as Terms; raises what is wrong with them."""
    if causal is None and window is None and alibi_slopes is None and softcap is None:
        return CAUSAL if is_causal else PLAIN
    if causal is not None and causal not in ("upper_left", "lower_right"):
        raise ValueError(f'[{name}] causal must be "upper_left" or "lower_right", got {causal!r}')
    if causal is not None and is_causal:
        raise RuntimeError(f"[{name}] is_causal=True and causal={causal!r} exclude each other: give one of them")
    bounded = is_causal or causal is not None
    left = right = -1
    if window is not None:
        try:
            left, right = (index(n) for n in window) if isinstance(window, (tuple, list)) else (index(window),) * 2
        except (TypeError, ValueError):
            raise TypeError(f"[{name}] window must be an integer or two of them, got {window!r}") from None
        if left < -1 or right < -1:
            raise ValueError(f"[{name}] window must be at least 0, or -1 for all keys on a side, got {window!r}")
    if softcap is not None and not 0.0 < softcap < inf:
        raise ValueError(f"[{name}] softcap must be positive and finite, got {softcap}")
    if alibi_slopes is not None:
        if not isinstance(alibi_slopes, np.ndarray) or isinstance(alibi_slopes, np.ma.MaskedArray):
            raise TypeError(f"[{name}] alibi_slopes must be a numpy.ndarray, got {type(alibi_slopes).__name__}")
        if (
            alibi_slopes.dtype.kind != "f" and alibi_slopes.dtype.name != "bfloat16"
        ) or alibi_slopes.dtype.itemsize > 8:
            raise TypeError(f"[{name}] alibi_slopes must be floating point, got dtype {alibi_slopes.dtype}")
    least = 1 << 62  # the kernel takes 64 bits
    return Terms(
        min(left, least), 0 if bounded else min(right, least), causal == "lower_right", softcap or 0.0, alibi_slopes
    )
