"""state_dict of loaders and samplers: the rest of a pass is the same to the bit, from any place and through a file."""

from __future__ import annotations

import io

import numpy as np
import pytest

import spinetail as st
from spinetail.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    get_worker_info,
)


class Noisy(Dataset):
    """Draws from the default generator, as random transforms do."""

    def __init__(self, length=23):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return index, st.rand(2)


class Stream(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        return iter(range(info.id, 23, info.num_workers) if info else range(23))


def through_a_file(value):
    file = io.BytesIO()
    st.save(value, file)
    file.seek(0)
    return st.load(file)


def values(batch):
    if isinstance(batch, list):
        return [values(part) for part in batch]
    return batch if isinstance(batch, int) else batch.tolist()


KINDS = {
    "sequential": lambda **o: DataLoader(Noisy(), 4, **o),
    "shuffled": lambda **o: DataLoader(Noisy(), 4, shuffle=True, **o),
    "own generator": lambda **o: DataLoader(Noisy(), 4, shuffle=True, generator=st.Generator().manual_seed(3), **o),
    "drop_last": lambda **o: DataLoader(Noisy(), 4, shuffle=True, drop_last=True, **o),
    "subset": lambda **o: DataLoader(Noisy(), 2, sampler=SubsetRandomSampler([5, 3, 9, 1, 2]), **o),
    "weighted": lambda **o: DataLoader(Noisy(), 4, sampler=WeightedRandomSampler(np.arange(23.0), 11), **o),
    "list": lambda **o: DataLoader(Noisy(), 4, sampler=list(range(22, 0, -1)), **o),
    "batch sampler": lambda **o: DataLoader(
        Noisy(), batch_sampler=BatchSampler(RandomSampler(range(23)), 5, False), **o
    ),
    "list of batches": lambda **o: DataLoader(Noisy(), batch_sampler=[[1, 2], [3], [4, 5]], **o),
    "single samples": lambda **o: DataLoader(Noisy(5), batch_size=None, shuffle=True, **o),
    "stream": lambda **o: DataLoader(Stream(), 4, **o),
}


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_loader_goes_on_to_the_bit(kind, workers):
    options = {"num_workers": workers, "persistent_workers": workers == 3}
    for place in (0, 1, 2, None):
        st.manual_seed(7)
        loader = KINDS[kind](**options)
        list(loader)
        batches = iter(loader)
        taken = [next(batches) for _ in range(place)] if place is not None else list(batches)
        state = through_a_file({"loader": loader.state_dict(), "random": st.get_rng_state()})
        rest = [values(b) for b in batches] if place is not None else []
        after = [values(b) for b in loader], st.rand(3).tolist()

        st.manual_seed(99)
        other = KINDS[kind](**options)
        next(iter(other))  # has been used for something else
        st.set_rng_state(state["random"])
        other.load_state_dict(state["loader"])
        assert same_state(other.state_dict(), state["loader"])
        if place is not None:
            assert [values(b) for b in other] == rest and len(taken) == place
        assert ([values(b) for b in other], st.rand(3).tolist()) == after


def same_state(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_state(a[k], b[k]) for k in a)
    return a.tolist() == b.tolist() if isinstance(a, st.Tensor) else a == b


def test_the_place_counts_what_the_loop_has_got_and_not_what_workers_have_ahead():
    loader = DataLoader(Noisy(), 2, num_workers=2, prefetch_factor=4)
    batches = iter(loader)
    next(batches)
    assert loader.state_dict()["batches"] == 1
    list(batches)
    assert loader.state_dict()["batches"] == 0


def test_random_numbers_in_workers_depend_on_the_seed_alone():
    def drawn(workers):
        st.manual_seed(3)
        return [values(b) for b in DataLoader(Noisy(), 2, num_workers=workers)]

    assert drawn(1) == drawn(2) == drawn(4)
    st.manual_seed(3)
    loader = DataLoader(Noisy(), 2, num_workers=2)
    assert [values(b) for b in loader] != [values(b) for b in loader]
    state = st.get_rng_state().tolist()
    list(loader)
    changed = st.get_rng_state().tolist()
    st.manual_seed(3)
    assert changed != state  # a pass takes one seed from the default generator, and no more


def test_a_worker_may_seed_itself():
    class Seeded(Noisy):
        def __getitem__(self, index):
            st.manual_seed(index)
            return st.rand(1), st.initial_seed()

    st.manual_seed(5)
    found = [values(b) for b in DataLoader(Seeded(6), 1, num_workers=3)]
    assert st.initial_seed() == 5 and [b[1] for b in found] == [[i] for i in range(6)]
    assert found == [values(b) for b in DataLoader(Seeded(6), 1)]


SAMPLERS = [
    lambda: SequentialSampler(range(9000)),
    lambda: RandomSampler(range(9000)),
    lambda: RandomSampler(range(9000), generator=st.Generator().manual_seed(1)),
    lambda: RandomSampler(range(50), replacement=True, num_samples=9000),
    lambda: SubsetRandomSampler(range(5, 9005)),
    lambda: WeightedRandomSampler(np.arange(1.0, 50), 9000),
    lambda: BatchSampler(RandomSampler(range(9000)), 1, False),
]


@pytest.mark.parametrize("make", SAMPLERS)
def test_samplers_by_themselves(make):
    for place in (0, 5, 4096, 5000, 8999):
        sampler = make()
        indices = iter(sampler)
        for _ in range(place):
            next(indices)
        state = through_a_file(sampler.state_dict())
        assert state["position"] == place
        other = make()
        other.load_state_dict(state)
        st.rand(1)
        assert list(other) == list(indices) and len(list(other)) == 9000


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda s: {}, "not the state of a DataLoader"),
        (lambda s: None, "not the state of a DataLoader"),
        (lambda s: {**s, "batches": -1}, "number of batches"),
        (lambda s: {**s, "batches": True}, "number of batches"),
        (lambda s: {**s, "batches": 100}, "position should be from 0 to 6"),
        (lambda s: {**s, "batch_size": 3}, "batches of 3, not of 4"),
        (lambda s: {**s, "order": None}, "another kind of sampler"),
        (lambda s: {**s, "order": {**s["order"], "length": 7}}, "of 7 entries, but there are 6"),
        (lambda s: {**s, "order": {"position": 0}}, "not the state of a BatchSampler"),
        (lambda s: {**s, "order": {**s["order"], "batch_size": 5}}, "batches of 5, not of 4"),
        (lambda s: {**s, "order": {**s["order"], "sampler": {}}}, "not the state of a RandomSampler"),
    ],
)
def test_refused_states(change, text):
    loader = DataLoader(Noisy(), 4, shuffle=True)
    with pytest.raises(ValueError, match=text):
        loader.load_state_dict(change(loader.state_dict()))


def test_no_state_out_of_order_and_samplers_of_other_makes_give_their_order_again():
    loader = DataLoader(Noisy(), 4, num_workers=2, in_order=False)
    next(iter(loader))
    with pytest.raises(RuntimeError, match="in_order=False"):
        loader.state_dict()

    class Backwards(Sampler):
        def __iter__(self):
            return iter(range(9, -1, -1))

        def __len__(self):
            return 10

    loader = DataLoader(range(10), 3, sampler=Backwards())
    batches = iter(loader)
    next(batches)
    loader.load_state_dict(loader.state_dict())
    assert [b.tolist() for b in loader] == [b.tolist() for b in batches] == [[6, 5, 4], [3, 2, 1], [0]]
