"""Which worker of a DataLoader a thread is."""

from __future__ import annotations

from _thread import _local
from typing import Any

here = _local()


class WorkerInfo:
    """What `get_worker_info` tells: `id`, `num_workers`, `seed` (its own, repeatable) and `dataset`."""

    __slots__ = ("dataset", "id", "num_workers", "seed")

    def __init__(self, id: int, num_workers: int, seed: int, dataset: Any) -> None:
        self.id = id
        self.num_workers = num_workers
        self.seed = seed
        self.dataset = dataset

    def __repr__(self) -> str:
        return f"WorkerInfo(id={self.id}, num_workers={self.num_workers}, seed={self.seed})"


def get_worker_info() -> WorkerInfo | None:
    """Which worker of a DataLoader the calling thread is; None outside of workers.

    Workers are threads and share the dataset. Their default random generator is their own, seeded for each batch;
    one that needs other repeatable random numbers, such as NumPy's, seeds them with `get_worker_info().seed`.
    """
    return getattr(here, "info", None)
