"""Datasets and splits."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
from spinetail.utils.data import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)


def test_tensor_dataset():
    data = TensorDataset(st.arange(6).reshape(3, 2), np.arange(3))
    assert len(data) == 3
    x, y = data[1]
    assert x.tolist() == [2, 3] and y == 1
    assert data[-1][0].tolist() == [4, 5] and [len(part) for part in data[:2]] == [2, 2]
    with pytest.raises(IndexError):
        data[3]
    for wrong, error in (
        ((), ValueError),
        ((st.ones(2), st.ones(3)), ValueError),
        ((st.tensor(1),), ValueError),
        (([1],), TypeError),
    ):
        with pytest.raises(error, match=r"\[TensorDataset\]"):
            TensorDataset(*wrong)


def test_stack_dataset():
    assert StackDataset([1, 2], "ab")[1] == (2, "b") and len(StackDataset([1, 2], "ab")) == 2
    assert StackDataset(n=[1], c="a")[0] == {"n": 1, "c": "a"}
    for args, kwargs in (((), {}), (([1], [1, 2]), {}), (([1],), {"a": [1]})):
        with pytest.raises(ValueError, match=r"\[StackDataset\]"):
            StackDataset(*args, **kwargs)


def test_concat_dataset():
    data = ConcatDataset(["ab", "", "cde"])
    assert [data[i] for i in range(len(data))] == list("abcde") and data[-5] == "a"
    for index in (5, -6):
        with pytest.raises(IndexError, match="out of range for 5"):
            data[index]
    with pytest.raises(ValueError):
        ConcatDataset([])

    class Ten(Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, index):
            return index

    both = Ten() + Ten()
    assert len(both) == 20 and both[13] == 3


def test_chain_dataset():
    class Numbers(IterableDataset):
        def __init__(self, numbers):
            self.numbers = numbers

        def __iter__(self):
            return iter(self.numbers)

        def __len__(self):
            return len(self.numbers)

    chain = Numbers([1, 2]) + Numbers([3])
    assert list(chain) == [1, 2, 3] and len(chain) == 3 and list(chain) == [1, 2, 3]
    with pytest.raises(TypeError, match="IterableDatasets only"):
        list(ChainDataset([[1]]))
    with pytest.raises(TypeError, match="ChainDataset"):
        ConcatDataset([chain])


def test_subset_and_missing_methods():
    assert list(Subset("abc", [2, 0])[i] for i in range(2)) == ["c", "a"]
    with pytest.raises(NotImplementedError, match="__getitem__"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(IterableDataset())


@pytest.mark.parametrize(
    "lengths, sizes",
    [([7, 3], [7, 3]), ([0.5, 0.5], [5, 5]), ([0.33, 0.33, 0.34], [4, 3, 3]), ([10, 0], [10, 0]), ([1.0], [10])],
)
def test_random_split(lengths, sizes):
    parts = random_split(range(10), lengths, st.Generator().manual_seed(0))
    assert [len(part) for part in parts] == sizes
    assert sorted(part[i] for part in parts for i in range(len(part))) == list(range(10))
    again = random_split(range(10), lengths, generator=st.Generator().manual_seed(0))
    assert [part.indices for part in again] == [part.indices for part in parts]


@pytest.mark.parametrize("lengths", [[5, 4], [11, -1], [0.5, 0.6], [0.5, 0.4], []])
def test_random_split_refuses(lengths):
    with pytest.raises(ValueError, match=r"\[random_split\]"):
        random_split(range(10), lengths)


def test_one_sample_is_a_count_and_not_a_fraction():
    assert [len(part) for part in random_split(range(1), [1, 0])] == [1, 0]
