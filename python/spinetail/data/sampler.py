"""Samplers: in which order a loader takes samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from ..autograd import Tensor
from ..functional import random

T_co = TypeVar("T_co", covariant=True)
BLOCK = 4096  # indices that are turned into Python integers at a time


class Sampler(Generic[T_co]):
    """The base of all samplers: a subclass defines `__iter__` and, where there is a length, `__len__`."""

    def __init__(self, data_source: Any = None) -> None:
        pass

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} should define __iter__")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ... up to the length of the dataset."""

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


def _positive(name: str, what: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value <= 0:
        raise ValueError(f"[{name}] {what} should be a positive integer value, but got {what}={value}")


def _boolean(name: str, what: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"[{name}] {what} should be a boolean value, but got {what}={value}")


class _Drawn(Sampler[int]):
    """A sampler whose order is an array drawn at the start of each pass."""

    generator: Any

    def draw(self) -> np.ndarray:
        """The indices of one pass."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        indices = self.draw()
        for start in range(0, len(indices), BLOCK):
            yield from indices[start : start + BLOCK].tolist()


class RandomSampler(_Drawn):
    """All samples in a random order, or with `replacement` independent draws.

    `num_samples` indices in all (the dataset's length by default; without replacement orders are joined as needed).
    `generator` gives the seed of each pass; without one the default generator does, which `manual_seed` sets.
    Raises: ValueError unless `num_samples` is a positive integer.

    >>> import spinetail as st
    >>> sorted(st.utils.data.RandomSampler(range(5)))
    [0, 1, 2, 3, 4]
    """

    def __init__(
        self, data_source: Any, replacement: bool = False, num_samples: int | None = None, generator: Any = None
    ) -> None:
        _boolean("RandomSampler", "replacement", replacement)
        if num_samples is not None:
            _positive("RandomSampler", "num_samples", num_samples)
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator

    @property
    def num_samples(self) -> int:
        """The number of indices in one pass."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def draw(self) -> np.ndarray:
        total, count = len(self.data_source), self.num_samples
        if total == 0:
            return np.empty(0, np.int64)
        if self.replacement:
            return random.integers(0, total, (count,), self.generator)
        orders = [random.permutation(total, self.generator) for _ in range(-(-count // total))]
        return np.concatenate(orders)[:count] if len(orders) != 1 else orders[0][:count]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(_Drawn):
    """The given indices in a random order.

    >>> import spinetail as st
    >>> sorted(st.utils.data.SubsetRandomSampler([7, 3, 5]))
    [3, 5, 7]
    """

    def __init__(self, indices: Sequence[int], generator: Any = None) -> None:
        self.indices = indices
        self.generator = generator

    def draw(self) -> np.ndarray:
        return np.asarray(self.indices, dtype=np.int64)[random.permutation(len(self.indices), self.generator)]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(_Drawn):
    """`num_samples` indices, each drawn with a probability proportional to its weight.

    Without `replacement` no index comes twice, and there must be enough weights that are not zero.
    Raises: ValueError for weights that are negative, not finite, all zero or not one-dimensional.

    >>> import spinetail as st
    >>> list(st.utils.data.WeightedRandomSampler([0.0, 1.0], 3))
    [1, 1, 1]
    """

    def __init__(self, weights: Any, num_samples: int, replacement: bool = True, generator: Any = None) -> None:
        _positive("WeightedRandomSampler", "num_samples", num_samples)
        _boolean("WeightedRandomSampler", "replacement", replacement)
        array = np.asarray(weights._array if isinstance(weights, Tensor) else weights, dtype=np.float64)
        if array.ndim != 1:
            raise ValueError(f"[WeightedRandomSampler] weights should be one-dimensional, but got shape {array.shape}")
        if not np.isfinite(array).all() or (array < 0).any() or not array.any():
            raise ValueError("[WeightedRandomSampler] weights should be finite, not negative, and not all zero")
        if not replacement and num_samples > np.count_nonzero(array):
            raise ValueError(
                f"[WeightedRandomSampler] cannot draw {num_samples} different samples: "
                f"{np.count_nonzero(array)} weights are not zero"
            )
        self.weights = array
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def draw(self) -> np.ndarray:
        if self.replacement:
            edges = np.cumsum(self.weights)
            points = random.uniform((self.num_samples,), 0.0, float(edges[-1]), np.float64, self.generator)
            last = int(np.flatnonzero(self.weights)[-1])
            return np.minimum(np.searchsorted(edges, points, side="right"), last)
        # Efraimidis and Spirakis (2006): the largest u^(1/w) are a weighted sample without replacement
        uniform = random.uniform((len(self.weights),), 0.0, 1.0, np.float64, self.generator)
        with np.errstate(divide="ignore"):
            keys = np.log1p(-uniform) / self.weights
        keys[self.weights == 0] = -np.inf
        return np.argsort(-keys, kind="stable")[: self.num_samples]

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` indices of another sampler; the last one may be shorter unless `drop_last`.

    >>> import spinetail as st
    >>> list(st.utils.data.BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Sampler[int] | Iterable[int], batch_size: int, drop_last: bool) -> None:
        _positive("BatchSampler", "batch_size", batch_size)
        _boolean("BatchSampler", "drop_last", drop_last)
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type]
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
