"""Samplers: what comes, how often, and that a seed repeats it."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
from spinetail.utils.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def generator(seed=0):
    return st.Generator().manual_seed(seed)


def test_sequential():
    assert list(SequentialSampler("abc")) == [0, 1, 2] and len(SequentialSampler("abc")) == 3


def test_random_covers_all_and_repeats():
    sampler = RandomSampler(range(9000), generator=generator())
    first = list(sampler)
    assert sorted(first) == list(range(9000)) and first != list(range(9000)) and all(type(i) is int for i in first)
    assert list(sampler) != first
    assert list(RandomSampler(range(9000), generator=generator())) == first


def test_random_counts():
    assert len(list(RandomSampler(range(4), num_samples=10))) == 10
    assert sorted(list(RandomSampler(range(4), num_samples=10))[:4]) == [0, 1, 2, 3]
    drawn = list(RandomSampler(range(3), replacement=True, num_samples=3000, generator=generator()))
    assert len(drawn) == 3000 and min(np.bincount(drawn)) > 800
    assert list(RandomSampler([])) == [] and list(RandomSampler([], replacement=True)) == []


def test_first_places_are_uniform():
    g = generator()
    counts = np.bincount([next(iter(RandomSampler(range(5), generator=g))) for _ in range(2000)])
    assert (abs(counts - 400) < 90).all()


def test_subset():
    sampler = SubsetRandomSampler([5, 5, 9], generator())
    assert sorted(sampler) == [5, 5, 9] and len(sampler) == 3


def test_weighted_with_replacement():
    drawn = list(WeightedRandomSampler([0.0, 1.0, 3.0, 0.0], 8000, generator=generator()))
    counts = np.bincount(drawn, minlength=4)
    assert counts[0] == counts[3] == 0 and abs(counts[2] / counts[1] - 3) < 0.3
    assert len(WeightedRandomSampler(st.ones(3), 5)) == 5


def test_weighted_without_replacement():
    g = generator()
    draws = [list(WeightedRandomSampler([1.0, 2.0, 0.0, 3.0], 2, False, g)) for _ in range(3000)]
    assert all(len(set(d)) == 2 and 2 not in d for d in draws)
    first = np.bincount([d[0] for d in draws], minlength=4) / 3000
    np.testing.assert_allclose(first, [1 / 6, 2 / 6, 0, 3 / 6], atol=0.04)


def test_batches():
    assert list(BatchSampler(SequentialSampler(range(5)), 2, True)) == [[0, 1], [2, 3]]
    assert len(BatchSampler(range(5), 2, True)) == 2 and len(BatchSampler(range(5), 2, False)) == 3
    assert list(BatchSampler([], 2, False)) == []


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda: RandomSampler([1], num_samples=0), ValueError),
        (lambda: RandomSampler([1], num_samples=True), ValueError),
        (lambda: RandomSampler([1], replacement=1), TypeError),
        (lambda: WeightedRandomSampler([1.0], 0), ValueError),
        (lambda: WeightedRandomSampler([-1.0, 2.0], 1), ValueError),
        (lambda: WeightedRandomSampler([float("nan")], 1), ValueError),
        (lambda: WeightedRandomSampler([0.0], 1), ValueError),
        (lambda: WeightedRandomSampler([[1.0]], 1), ValueError),
        (lambda: WeightedRandomSampler([1.0, 0.0], 2, replacement=False), ValueError),
        (lambda: BatchSampler([], 0, False), ValueError),
        (lambda: BatchSampler([], 1, 0), TypeError),
    ],
)
def test_refused(make, error):
    with pytest.raises(error):
        make()


def test_base_class():
    with pytest.raises(NotImplementedError):
        iter(Sampler())
