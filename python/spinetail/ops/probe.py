"""What this machine can do at most: floating-point operations and bytes per second, measured by loops of nothing else.

The number of threads is the one that is set. A measurement takes the best of the tries that fit into `seconds`.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

from .._native import kernels

#: Elements that one piece of a kernel's work may touch.
MOST_TOUCHED = 1 << 26


def arithmetic(dtype: type = np.float32, pieces: int = 16, steps: int = 100_000, seconds: float = 0.08) -> float:
    """Floating-point operations per second of multiply-adds in registers (two operations each).

    >>> arithmetic(steps=1000, seconds=0) > 1e6
    True
    """
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise TypeError(f"[arithmetic] expected dtype float32 or float64, got {np.dtype(dtype)}")
    sums, operations = np.empty(pieces, dtype), np.empty(pieces)
    least = _best(lambda: kernels.probe_arithmetic(sums, operations, steps), seconds)
    return float(operations.sum()) / least


def bandwidth(kind: str, size: int, threads: int = 1, seconds: float = 0.08) -> float:
    """Bytes per second of reading, writing or copying `size` bytes for each of the threads again and again.

    A copy counts its bytes twice, once for the reading and once for the writing.

    >>> bandwidth("read", 4096, seconds=0) > 1e6
    True
    """
    if kind not in ("read", "write", "copy"):
        raise ValueError(f"[bandwidth] expected 'read', 'write' or 'copy', got {kind!r}")
    count = max(1, size // (8 if kind == "copy" else 4))
    # Small data is one piece a thread, which it keeps in its cache; large data is cut until a piece is short enough.
    pieces = threads * -(-count // (MOST_TOUCHED // 8))
    repeats = max(1, MOST_TOUCHED // 16 // count)
    if kind == "write":
        y = np.zeros(count * threads, np.float32)
        return y.nbytes * repeats / _best(lambda: kernels.probe_write(y, pieces, repeats), seconds)
    x = np.ones(count * threads, np.float32)
    if kind == "read":
        sums = np.empty(pieces, np.float32)
        return x.nbytes * repeats / _best(lambda: kernels.probe_read(sums, x, repeats), seconds)
    y = np.zeros(count * threads, np.float32)
    return 2 * x.nbytes * repeats / _best(lambda: kernels.probe_copy(y, x, pieces, repeats), seconds)


def _best(call: Callable[[], object], seconds: float) -> float:
    """The shortest of at least three calls, and of all that fit: a thread that wakes may wait for its processor."""
    call()
    times: list[float] = []
    end = perf_counter() + seconds
    while len(times) < 3 or perf_counter() < end:
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return min(times)
