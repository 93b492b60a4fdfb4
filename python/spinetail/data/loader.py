"""`DataLoader`: batches of a dataset, shuffled and prepared ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, repeat
from typing import Any, Generic, TypeVar

import numpy as np

from ..functional import random
from .collate import default_collate, default_convert
from .dataset import Dataset, IterableDataset, Subset, TensorDataset
from .info import WorkerInfo
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

T_co = TypeVar("T_co", covariant=True)
FIXED = {"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers", "num_workers"}


class DataLoader(Generic[T_co]):
    """Batches of a dataset: the samples in the sampler's order, joined by `collate_fn`.

    `batch_size` None gives samples as they are. `shuffle` draws a new order for each pass, from `generator` or from the
    default one, which `manual_seed` sets. `drop_last` leaves out a last, shorter batch. `sampler` gives indices and
    `batch_sampler` lists of indices in place of these.

    `num_workers` threads prepare `prefetch_factor` batches each ahead of the loop (2 by default) and deliver them in
    order unless `in_order=False`; an exception in one of them is raised in the loop. They share memory with the
    loop, so nothing is pickled and notebooks work; they help where the dataset releases the interpreter's lock, as
    NumPy and file reading do. `worker_init_fn(id)` is called in each. `timeout` is in seconds, 0 for none. With
    `persistent_workers` the threads stay between passes. `pin_memory`, `pin_memory_device` and
    `multiprocessing_context` are accepted and have no effect: there is nothing to pin, and no process.

    Raises: ValueError for options that exclude each other.

    >>> import spinetail as st
    >>> data = st.utils.data.TensorDataset(st.arange(5.0), st.arange(5))
    >>> for x, y in st.utils.data.DataLoader(data, batch_size=2, drop_last=True):
    ...     print(x, y)
    tensor([0., 1.]) tensor([0, 1])
    tensor([2., 3.]) tensor([2, 3])
    """

    def __init__(
        self,
        dataset: Dataset[T_co] | Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler | Iterable | None = None,
        batch_sampler: Sampler[list] | Iterable[list] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        streaming = isinstance(dataset, IterableDataset)
        _check(num_workers, timeout, prefetch_factor, persistent_workers)
        if streaming and (shuffle or sampler is not None or batch_sampler is not None):
            what = "shuffle" if shuffle else "sampler" if sampler is not None else "batch_sampler"
            raise ValueError(f"[DataLoader] an IterableDataset has its own order: {what} cannot be given")
        if sampler is not None and shuffle:
            raise ValueError("[DataLoader] sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "[DataLoader] batch_sampler option is mutually exclusive with "
                    "batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("[DataLoader] batch_size=None makes no batches, so drop_last cannot be given")
        if sampler is None and not streaming:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None:
            checked = BatchSampler(() if streaming else sampler, batch_size, drop_last)  # type: ignore[arg-type]
            batch_sampler = None if streaming else checked
        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.multiprocessing_context = multiprocessing_context
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.in_order = in_order
        self.persistent_workers = persistent_workers
        self._batches = batch_size is not None or batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if self._batches else default_convert)
        self._iterator: Any = None
        self._made = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and getattr(self, "_made", False):
            raise ValueError(f"[DataLoader] {name} cannot be set after the loader has been made")
        object.__setattr__(self, name, value)

    def __len__(self) -> int:
        if self.sampler is not None or self.batch_sampler is not None:
            return len(self.batch_sampler if self._batches else self.sampler)  # type: ignore[arg-type]
        count = len(self.dataset)
        if self.batch_size is None:
            return count
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        streaming = isinstance(self.dataset, IterableDataset)
        if self.num_workers == 0:
            return self._opener()() if streaming else map(self._fetcher(), self._indices())
        iterator = self._iterator
        if iterator is None:
            from .worker import ThreadedIterator  # threads are imported when they are used

            seed, position = random.key(self.generator)
            seed ^= position * 0x9E3779B97F4A7C15  # another one for each pass
            count = self.num_workers
            iterator = ThreadedIterator(
                [WorkerInfo(i, count, (seed + i) % (1 << 63), self.dataset) for i in range(count)],
                self._fetcher(),
                self.worker_init_fn,
                self._opener() if streaming else None,
                self.prefetch_factor or 2,
                self.timeout,
                self.in_order,
                self.persistent_workers,
            )
            if self.persistent_workers:
                self._iterator = iterator
        return iterator.start(repeat(None) if streaming else self._indices())

    def _indices(self) -> Iterator[Any]:
        return iter(self.batch_sampler if self._batches else self.sampler)  # type: ignore[arg-type]

    # What the next two return must not refer to the loader: threads hold it, and would keep the loader alive.

    def _opener(self) -> Callable[[], Iterator[Any]]:
        """The function that begins a pass over a stream."""
        dataset, size, drop_last, collate = self.dataset, self.batch_size, self.drop_last, self.collate_fn

        def stream() -> Iterator[Any]:
            samples = iter(dataset)
            if size is None:
                yield from map(collate, samples)
                return
            while batch := list(islice(samples, size)):
                if drop_last and len(batch) < size:
                    return
                yield collate(batch)

        return stream

    def _fetcher(self) -> Callable[[Any], Any]:
        """The function from indices to a batch."""
        dataset, collate = self.dataset, self.collate_fn
        if not self._batches:
            return lambda index: collate(dataset[index])
        if collate is default_collate:
            whole = _whole(dataset)
            if whole is not None:
                return whole
        if hasattr(dataset, "__getitems__"):
            return lambda indices: collate(dataset.__getitems__(indices))
        return lambda indices: collate([dataset[index] for index in indices])


def _check(num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool) -> None:
    if num_workers < 0:
        raise ValueError(
            f"[DataLoader] num_workers option should be non-negative, but got {num_workers}; use 0 for no threads"
        )
    if timeout < 0:
        raise ValueError(f"[DataLoader] timeout option should be non-negative, but got {timeout}")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError("[DataLoader] prefetch_factor needs num_workers > 0: without workers nothing is prefetched")
    if prefetch_factor is not None and prefetch_factor < 1:
        raise ValueError(f"[DataLoader] prefetch_factor option should be positive, but got {prefetch_factor}")
    if persistent_workers and num_workers == 0:
        raise ValueError("[DataLoader] persistent_workers option needs num_workers > 0")


def _whole(dataset: Any) -> Callable[[Any], list[Any]] | None:
    """A function that takes a batch from a TensorDataset, or from a Subset of one, at once; None for other datasets."""
    if type(dataset) is Subset:
        below = _whole(dataset.dataset)
        if below is None:
            return None
        places = np.asarray(dataset.indices, dtype=np.int64)
        return lambda indices: below(places[np.asarray(indices, dtype=np.int64)])
    if not isinstance(dataset, TensorDataset) or type(dataset).__getitem__ is not TensorDataset.__getitem__:
        return None
    if any(getattr(tensor, "requires_grad", False) or tensor.dtype == object for tensor in dataset.tensors):
        return None
    return lambda indices: dataset.take(np.asarray(indices, dtype=np.int64))
