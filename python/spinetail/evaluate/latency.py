"""How long a forward pass takes: percentiles and throughput, several models measured turn by turn."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

import numpy as np

from ..autograd import no_grad
from . import table
from .running import arguments, batch_of, call, evaluating, threads_set

__all__ = ["Latency", "latency"]


@dataclass
class Latency:
    """Seconds of each measured pass of one model, for one batch size."""

    seconds: np.ndarray
    batch: int
    threads: int

    @property
    def p50(self) -> float:
        """The median, in seconds."""
        return float(np.percentile(self.seconds, 50))

    @property
    def p99(self) -> float:
        """What 99 % of the passes stay below, in seconds."""
        return float(np.percentile(self.seconds, 99))

    @property
    def mean(self) -> float:
        """The mean, in seconds."""
        return float(np.mean(self.seconds))

    @property
    def throughput(self) -> float:
        """Samples in a second: batch / p50."""
        return self.batch / self.p50

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain Python values; times in seconds."""
        return {
            "batch": self.batch,
            "threads": self.threads,
            "passes": len(self.seconds),
            "p50": self.p50,
            "p99": self.p99,
            "mean": self.mean,
            "throughput": self.throughput,
        }

    def __repr__(self) -> str:
        return (
            f"Latency(batch={self.batch}, threads={self.threads}, passes={len(self.seconds)}, "
            f"p50={table.time(self.p50)}, p99={table.time(self.p99)}, mean={table.time(self.mean)}, "
            f"throughput={table.short(self.throughput)}/s)"
        )


def latency(
    models: Any,
    example: Any,
    *,
    batch_size: int | Sequence[int] | None = None,
    repeats: int = 100,
    warmup: int = 5,
    seconds: float = 2.0,
    threads: int | None = None,
) -> Any:
    """Time forward passes in evaluation mode, without recording gradients.

    `models` is one model, or a mapping from names to models; then they take turns, pass by pass and in an order that
    rotates, so that other work on the machine hits all of them alike. Each model makes `warmup` passes that do not
    count, then `repeats` that do, fewer when `seconds` for each batch size are over first (but at least 5).
    `batch_size` makes batches of this many samples from the example; several sizes are measured one after another.
    `threads` is set for the measurement only.

    Returns: a `Latency`; for a mapping, a dict of them; for several batch sizes, a dict by size around that.
    Raises: ValueError unless `repeats` and batch sizes are at least 1 and `warmup` at least 0.

    >>> import spinetail as st
    >>> found = st.evaluate.latency(st.nn.Linear(8, 4), st.zeros(2, 8), repeats=5)
    >>> found.batch, len(found.seconds), found.p50 <= found.p99
    (2, 5, True)
    """
    if repeats < 1 or warmup < 0:
        raise ValueError(f"[latency] repeats must be at least 1 and warmup at least 0, but got {repeats} and {warmup}")
    inputs = arguments("latency", example)
    several = isinstance(models, Mapping)
    named = dict(models) if several else {"model": models}
    if not named:
        raise ValueError("[latency] there are no models")
    sizes: list[int | None] = [batch_size] if batch_size is None or isinstance(batch_size, int) else list(batch_size)
    if any(size is not None and size < 1 for size in sizes):
        raise ValueError(f"[latency] batch sizes must be at least 1, but got {batch_size}")
    results = {}
    with evaluating(*named.values()), no_grad(), threads_set(threads) as count:
        for size in sizes:
            batch = inputs if size is None else batch_of(inputs, size)
            shape: Any = getattr(batch[0], "shape", ())
            times = _turns(list(named.values()), batch, repeats, warmup, seconds)
            samples = int(shape[0]) if len(shape) else 1
            found = {name: Latency(times[i], samples, count) for i, name in enumerate(named)}
            results[size] = found if several else found["model"]
    return results[sizes[0]] if batch_size is None or isinstance(batch_size, int) else results


def _turns(models: list[Any], inputs: tuple[Any, ...], repeats: int, warmup: int, seconds: float) -> np.ndarray:
    """Seconds of each pass, as an array (model, pass)."""
    for _ in range(warmup):
        for model in models:
            call(model, inputs)
    times = np.zeros((len(models), repeats))
    collecting = gc.isenabled()
    gc.disable()
    try:
        limit = perf_counter_ns() + int(seconds * 1e9)
        for turn in range(repeats):
            for step in range(len(models)):
                which = (step + turn) % len(models)
                model = models[which]
                start = perf_counter_ns()
                model(*inputs)
                times[which, turn] = (perf_counter_ns() - start) / 1e9
            if turn >= 4 and perf_counter_ns() > limit:
                return times[:, : turn + 1]
    finally:
        if collecting:
            gc.enable()
    return times
