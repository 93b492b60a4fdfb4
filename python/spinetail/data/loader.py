"""`DataLoader`: batches of a dataset, shuffled and prepared ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, repeat
from typing import Any, Generic, TypeVar

import numpy as np

from ..functional import random
from .collate import default_collate, default_convert
from .dataset import Dataset, IterableDataset, Subset, TensorDataset
from .files import MappedDataset
from .info import WorkerInfo
from .progress import Pass, Progress
from .sampler import BatchSampler, RandomSampler, Resumable, Sampler, SequentialSampler, start

T_co = TypeVar("T_co", covariant=True)
WHOLE = (TensorDataset.__getitem__, MappedDataset.__getitem__)  #: whose samples `take` gives many of at once
FIXED = {"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers", "num_workers"}


class DataLoader(Generic[T_co]):
    """Batches of a dataset: the samples in the sampler's order, joined by `collate_fn`.

    `batch_size` None gives samples as they are. `shuffle` draws a new order for each pass, from `generator` or from the
    default one, which `manual_seed` sets. `drop_last` leaves out a last, shorter batch. `sampler` gives indices and
    `batch_sampler` lists of indices in place of these.

    `num_workers` threads prepare `prefetch_factor` batches each ahead of the loop (2 by default) and deliver them in
    order unless `in_order=False`; an exception in one of them is raised in the loop. They share memory with the
    loop, so nothing is pickled and notebooks work; they help where the dataset releases the interpreter's lock, as
    NumPy and file reading do. `worker_init_fn(id)` is called in each. In a worker the default random generator is one
    of its own, seeded anew for each batch: what a dataset draws does not depend on which worker draws it, nor on how
    many there are. `timeout` is in seconds, 0 for none. With
    `persistent_workers` the threads stay between passes. `pin_memory`, `pin_memory_device` and
    `multiprocessing_context` are accepted and have no effect: there is nothing to pin, and no process.

    `state_dict()` says where the pass under way stands, and after `load_state_dict` the next pass is its rest.

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
        self._progress = Progress()
        self._rest: Progress | None = None  # where the next pass begins
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
        progress, self._rest = self._rest or Progress(), None
        self._progress = progress
        skipped = progress.delivered if streaming else 0
        if streaming:
            progress.delivered = 0  # a stream is read again up to its place
        if self.num_workers == 0:
            iterator: Any = Pass(self._opener()() if streaming else map(self._fetcher(), self._indices()), progress)
        else:
            if progress.seed is None:
                seed, position = random.key(self.generator)
                progress.seed = seed ^ (position * 0x9E3779B97F4A7C15 % (1 << 64))  # another one for each pass
            iterator = self._workers(progress.seed).start(repeat(None) if streaming else self._indices(), progress)
        for _ in zip(range(skipped), iterator, strict=False):
            pass
        return iterator

    def _workers(self, seed: int) -> Any:
        if self._iterator is not None:
            return self._iterator
        from .worker import ThreadedIterator  # threads are imported when they are used

        count = self.num_workers
        iterator = ThreadedIterator(
            [WorkerInfo(i, count, (seed + i) % (1 << 63), self.dataset) for i in range(count)],
            self._fetcher(),
            self.worker_init_fn,
            self._opener() if isinstance(self.dataset, IterableDataset) else None,
            self.prefetch_factor or 2,
            self.timeout,
            self.in_order,
            self.persistent_workers,
        )
        if self.persistent_workers:
            self._iterator = iterator
        return iterator

    def _order(self) -> Any:
        """What gives the indices: of samples, or lists of them."""
        return self.batch_sampler if self._batches else self.sampler

    def _indices(self) -> Iterator[Any]:
        order, position = self._order(), self._progress.delivered
        indices = iter(order)
        self._progress.order = start(order)
        return indices if isinstance(order, Resumable) else islice(indices, position, None)

    def state_dict(self) -> dict[str, Any]:
        """Where the pass under way stands, with its order and its workers' seed; `st.save` takes it.

        A pass counts as under way from `iter` until the loop has asked for more than there is, even if a `break` has
        ended it. A sampler that is not of this package is iterated again, and so is a stream, which is read up to its
        place: both should give the same again. The default generator is the program's to keep (`get_rng_state`).

        Raises: RuntimeError in the middle of a pass whose workers deliver out of order.

        >>> import spinetail as st
        >>> loader = st.utils.data.DataLoader(range(6), batch_size=2, shuffle=True)
        >>> batches = iter(loader)
        >>> first, state = next(batches), loader.state_dict()
        >>> again = st.utils.data.DataLoader(range(6), batch_size=2, shuffle=True)
        >>> again.load_state_dict(state)
        >>> [b.tolist() for b in again] == [b.tolist() for b in batches]
        True
        """
        progress = self._rest or self._progress
        if progress.delivered and not progress.over and not self.in_order and self.num_workers:
            raise RuntimeError("[DataLoader] with in_order=False there is no state in the middle of a pass")
        return {
            "batches": 0 if progress.over else progress.delivered,
            "batch_size": self.batch_size,
            "seed": None if progress.over else progress.seed,
            "order": start(self._order()) if progress.over else progress.order or start(self._order()),
            "generator": None if self.generator is None else self.generator.get_state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Make the next pass the rest of the one that `state_dict` was taken from.

        Raises: ValueError for what is not a loader's state, or one of other data or batches.
        """
        if not isinstance(state_dict, dict) or state_dict.keys() != self.state_dict().keys():
            raise ValueError("[DataLoader] this is not the state of a DataLoader")
        batches, order = state_dict["batches"], self._order()
        if isinstance(batches, bool) or not isinstance(batches, int) or batches < 0:
            raise ValueError(f"[DataLoader] batches should be a number of batches, but got {batches!r}")
        if state_dict["batch_size"] != self.batch_size:
            raise ValueError(
                f"[DataLoader] the state is of batches of {state_dict['batch_size']}, not of {self.batch_size}"
            )
        if isinstance(order, Resumable) != (state_dict["order"] is not None):
            raise ValueError("[DataLoader] the state is of a loader with another kind of sampler")
        if isinstance(order, Resumable):
            order.load_state_dict({**state_dict["order"], "position": batches})
        if self.generator is not None and state_dict["generator"] is not None:
            self.generator.set_state(state_dict["generator"])
        self._rest = Progress(batches, state_dict["seed"], state_dict["order"])

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
    if not isinstance(dataset, TensorDataset) or type(dataset).__getitem__ not in WHOLE:
        return None
    if any(getattr(tensor, "requires_grad", False) or tensor.dtype == object for tensor in dataset.tensors):
        return None
    return lambda indices: dataset.take(np.asarray(indices, dtype=np.int64))
