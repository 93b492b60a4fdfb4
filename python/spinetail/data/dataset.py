"""Datasets: where samples come from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import floor, isclose
from typing import Any, Generic, TypeVar

import numpy as np

from ..autograd import Tensor
from ..autograd.tape import wrap
from ..functional import random

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """A map from indices to samples: a subclass defines `__getitem__` and, for most uses, `__len__`.

    >>> import spinetail as st
    >>> class Squares(st.utils.data.Dataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, index):
    ...         return index * index
    >>> [batch.tolist() for batch in st.utils.data.DataLoader(Squares(), batch_size=2)]
    [[0, 1], [4, 9]]
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} should define __getitem__")

    def __add__(self, other: Dataset[T_co]) -> ConcatDataset[T_co]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co], Iterable[T_co]):
    """A stream of samples: a subclass defines `__iter__`.

    With several workers each one iterates over the whole stream, unless `__iter__` takes its share by
    `get_worker_info`.
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} should define __iter__")

    def __add__(self, other: Dataset[T_co]) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Tensors or arrays whose first axes agree: sample i is the i-th entry of each.

    A loader with the usual collation takes whole batches from it by one index operation.
    Raises: ValueError without tensors, for one without axes, or for first axes that differ.

    >>> import spinetail as st
    >>> data = st.utils.data.TensorDataset(st.zeros(5, 2), st.arange(5))
    >>> len(data), data[3][1]
    (5, tensor(3))
    """

    tensors: tuple[Any, ...]

    def __init__(self, *tensors: Tensor | np.ndarray) -> None:
        if not tensors:
            raise ValueError("[TensorDataset] expected at least one tensor")
        for tensor in tensors:
            if not isinstance(tensor, (Tensor, np.ndarray)):
                raise TypeError(f"[TensorDataset] expected tensors or arrays, but got {type(tensor).__name__}")
            if tensor.ndim == 0:
                raise ValueError("[TensorDataset] a tensor without axes has no samples")
        sizes = [tensor.shape[0] for tensor in tensors]
        if len(set(sizes)) != 1:
            raise ValueError(f"[TensorDataset] Size mismatch between tensors: their first axes have {sizes} entries")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple([tensor[index] for tensor in self.tensors])

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])

    def take(self, indices: np.ndarray | slice) -> list[Any]:
        """The batch of the samples at `indices`: one new tensor for each of `tensors`."""
        arrays = [tensor._array if isinstance(tensor, Tensor) else tensor for tensor in self.tensors]
        return [wrap(a[indices].copy() if isinstance(indices, slice) else a.take(indices, 0)) for a in arrays]


class StackDataset(Dataset):
    """Datasets of one length side by side: sample i is the tuple, or the dict, of their i-th samples.

    >>> import spinetail as st
    >>> data = st.utils.data.StackDataset(image=[10, 20], label=[0, 1])
    >>> data[1]
    {'image': 20, 'label': 1}
    """

    datasets: tuple[Any, ...] | dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError(
                "[StackDataset] takes datasets by position (samples are tuples) or by name (dicts), not both"
            )
        self.datasets = args or kwargs
        parts = args or tuple(kwargs.values())
        if not parts:
            raise ValueError("[StackDataset] expected at least one dataset")
        lengths = [len(part) for part in parts]
        if len(set(lengths)) != 1:
            raise ValueError(f"[StackDataset] Size mismatch between datasets: their lengths are {lengths}")
        self._length = lengths[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple([dataset[index] for dataset in self.datasets])

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T_co]):
    """Datasets one after another.

    >>> import spinetail as st
    >>> data = st.utils.data.ConcatDataset([[1, 2], [3]])
    >>> len(data), data[2], data[-1]
    (3, 3, 3)
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("[ConcatDataset] expected at least one dataset")
        for dataset in self.datasets:
            if isinstance(dataset, IterableDataset):
                raise TypeError("[ConcatDataset] does not take an IterableDataset; use ChainDataset")
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T_co:
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"[ConcatDataset] index {index} is out of range for {length} samples")
        index %= length
        which = bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]


class ChainDataset(IterableDataset):
    """Streams one after another."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)

    def __iter__(self) -> Iterator:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise TypeError(f"[ChainDataset] takes IterableDatasets only, but got {type(dataset).__name__}")
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)


class Subset(Dataset[T_co]):
    """Some samples of a dataset, by their indices.

    >>> import spinetail as st
    >>> st.utils.data.Subset("abcde", [4, 0])[0]
    'e'
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(dataset: Any, lengths: Sequence[int | float], generator: Any = None) -> list[Subset]:
    """Split a dataset at random into subsets without common samples.

    `lengths` are numbers of samples that sum to the dataset's, or fractions that sum to 1: then each is rounded
    down, and the samples left over go one each to the first subsets. Raises: ValueError for other lengths.

    >>> import spinetail as st
    >>> a, b = st.utils.data.random_split(range(10), [0.75, 0.25])
    >>> len(a), len(b)
    (8, 2)
    """
    total = len(dataset)
    counts = list(lengths)
    if any(not 0 <= count for count in counts):
        raise ValueError(f"[random_split] lengths cannot be negative, but got {counts}")
    if counts and isclose(sum(counts), 1) and sum(counts) <= 1 + 1e-9 and not all(isinstance(c, int) for c in counts):
        counts = [floor(total * fraction) for fraction in counts]
        for i in range(total - sum(counts)):
            counts[i % len(counts)] += 1
    if sum(counts) != total:
        raise ValueError(
            f"[random_split] Sum of input lengths {list(lengths)} does not equal the {total} samples of the dataset"
        )
    order = random.permutation(total, generator).tolist()
    return [Subset(dataset, order[end - count : end]) for end, count in zip(accumulate(counts), counts, strict=True)]
