"""Samplers: in which order a loader takes samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import length_hint
from typing import Any, Generic, TypeVar

import numpy as np

from ..autograd import Tensor
from ..functional import random
from ..functional.generator import Generator, source

T_co = TypeVar("T_co", covariant=True)
BLOCK = 4096  # indices that are turned into Python integers at a time


class Sampler(Generic[T_co]):
    """The base of all samplers: a subclass defines `__iter__` and, where there is a length, `__len__`."""

    def __init__(self, data_source: Any = None) -> None:
        pass

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} should define __iter__")


class Resumable(Sampler[T_co]):
    """A sampler whose pass can be taken up where another one left it.

    `state_dict()` says where the pass under way stands, and `load_state_dict` makes the next pass the rest of that one.
    With a generator of the sampler's own the state holds it too; the default one is the program's to keep.
    """

    _given: Any = None  # counts what the pass under way has given
    _rest: dict[str, Any] | None = None  # where the next pass begins

    def _length(self) -> int | None:
        try:
            return len(self)  # type: ignore[arg-type]
        except TypeError:  # a batch sampler on top of a stream
            return None

    def _position(self) -> int:
        if self._rest is not None:
            return self._rest["position"]
        return 0 if self._given is None else self._given()

    def state_dict(self) -> dict[str, Any]:
        """How many entries the pass under way has given (0 between passes), and of how many."""
        return {"position": self._position(), "length": self._length()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue, at the next pass, where the sampler stood whose state this is.

        Raises: ValueError for the state of another kind of sampler, or of one with another number of entries.
        """
        name = type(self).__name__
        if not isinstance(state_dict, dict) or state_dict.keys() != self.state_dict().keys():
            raise ValueError(f"[{name}] this is not the state of a {name}")
        position, length = state_dict["position"], self._length()
        if state_dict["length"] != length:
            raise ValueError(f"[{name}] the state is of {state_dict['length']} entries, but there are {length}")
        if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position <= (length or position):
            raise ValueError(f"[{name}] position should be from 0 to {length}, but got {position!r}")
        self._rest, self._given = dict(state_dict), None

    def _begin(self) -> dict[str, Any]:
        rest, self._rest, self._given = self._rest, None, None
        return rest or {"position": 0}


class SequentialSampler(Resumable[int]):
    """0, 1, 2, ... up to the length of the dataset."""

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        length = len(self.data_source)
        indices = iter(range(self._begin()["position"], length))
        self._given = lambda: (length - length_hint(indices)) % max(length, 1)
        return indices

    def __len__(self) -> int:
        return len(self.data_source)


def _positive(name: str, what: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value <= 0:
        raise ValueError(f"[{name}] {what} should be a positive integer value, but got {what}={value}")


def _boolean(name: str, what: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"[{name}] {what} should be a boolean value, but got {what}={value}")


class _Drawn(Resumable[int]):
    """A sampler whose order is an array drawn at the start of each pass."""

    generator: Any
    _before: Any = None  # the generator's state before the pass under way was drawn

    def draw(self) -> np.ndarray:
        """The indices of one pass."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """The position in the pass under way, the random state that its order was drawn from, and the present one."""
        own = None if self.generator is None else self.generator.get_state()
        before = self._before if self._rest is None else self._rest["before"]
        return {**super().state_dict(), "before": before, "generator": own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Draw the same order again at the next pass and continue in it.

        Raises: ValueError for the state of another kind of sampler, or of one with another number of entries.
        """
        super().load_state_dict(state_dict)
        if self.generator is not None and state_dict["generator"] is not None:
            self.generator.set_state(state_dict["generator"])

    def _order(self, before: Any) -> np.ndarray:
        generator = self.generator
        if before is None:
            self._before = source(generator).get_state()
            return self.draw()
        self._before, self.generator = before, Generator().set_state(before)
        try:
            return self.draw()
        finally:
            self.generator = generator

    def __iter__(self) -> Iterator[int]:
        rest = self._begin()
        return self._give(self._order(rest.get("before")), rest["position"])

    def _give(self, indices: np.ndarray, position: int) -> Iterator[int]:
        for start in range(position, len(indices), BLOCK):
            block = indices[start : start + BLOCK].tolist()
            given, rows = start + len(block), iter(block)
            self._given = lambda given=given, rows=rows: given - length_hint(rows)
            yield from rows
        self._given = self._before = None


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


class BatchSampler(Resumable[list[int]]):
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

    def state_dict(self) -> dict[str, Any]:
        """The position in the pass under way, in batches, and what brings the sampler below to the pass's start.

        One that is not of this package is iterated again, so it should give the same indices again.
        """
        inner = start(self.sampler)
        return {**super().state_dict(), "batch_size": self.batch_size, "sampler": inner}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue, at the next pass, where the sampler stood whose state this is.

        Raises: ValueError for the state of another kind of sampler, or of one with other sizes.
        """
        super().load_state_dict(state_dict)
        if state_dict["batch_size"] != self.batch_size:
            self._rest = None
            raise ValueError(
                f"[BatchSampler] the state is of batches of {state_dict['batch_size']}, not of {self.batch_size}"
            )
        if state_dict["sampler"] is not None and isinstance(self.sampler, Resumable):
            self.sampler.load_state_dict(state_dict["sampler"])

    def __iter__(self) -> Iterator[list[int]]:
        given = self._begin()["position"]
        indices = iter(self.sampler)
        next(islice(indices, given * self.batch_size, given * self.batch_size), None)
        return self._give(indices, given)

    def _give(self, indices: Iterator[int], given: int) -> Iterator[list[int]]:
        self._given = lambda: given
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                break
            given += 1
            yield batch
        self._given = None

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type]
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


def start(sampler: Any) -> dict[str, Any] | None:
    """The state that brings a sampler back to the start of the pass under way; None for one that keeps no state."""
    return {**sampler.state_dict(), "position": 0} if isinstance(sampler, Resumable) else None
