"""DataLoader: batches, order, threads, failures."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import namedtuple

import numpy as np
import pytest

import spinetail as st
from spinetail.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Subset,
    TensorDataset,
    default_collate,
    default_convert,
    get_worker_info,
)


class Squares(Dataset):
    def __init__(self, length=10, delay=0.0):
        self.length = length
        self.delay = delay

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index >= self.length:
            raise IndexError(index)
        if self.delay and index % 2 == 0:
            time.sleep(self.delay)
        return np.float32(index), index * index


class Stream(IterableDataset):
    def __init__(self, length, share=False):
        self.length = length
        self.share = share

    def __iter__(self):
        info = get_worker_info()
        if self.share and info is not None:
            return iter(range(info.id, self.length, info.num_workers))
        return iter(range(self.length))


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("spinetail-data")]


def wait_until_gone() -> bool:
    limit = time.monotonic() + 5
    while workers() and time.monotonic() < limit:
        time.sleep(0.01)
    return not workers()


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_in_order(count, drop_last):
    loader = DataLoader(Squares(11, 0.002), 4, num_workers=count, drop_last=drop_last)
    batches = list(loader)
    assert len(batches) == len(loader) == (2 if drop_last else 3)
    x = np.concatenate([b[0].numpy() for b in batches])
    assert x.dtype == np.float32 and x.tolist() == list(range(8 if drop_last else 11))
    assert batches[0][1].dtype == st.int64 and batches[0][1].tolist() == [0, 1, 4, 9]
    assert wait_until_gone()


@pytest.mark.parametrize("count", [0, 2])
def test_shuffling_repeats_under_a_seed(count):
    def orders(**options):
        loader = DataLoader(Squares(50), 7, shuffle=True, num_workers=count, **options)
        return [[int(i) for batch in loader for i in batch[0]] for _ in range(2)]

    st.manual_seed(5)
    first = orders()
    st.manual_seed(5)
    assert orders() == first
    assert first[0] != first[1] != list(range(50)) and sorted(first[0]) == sorted(first[1]) == list(range(50))
    own = orders(generator=st.Generator().manual_seed(1))
    st.manual_seed(99)
    assert orders(generator=st.Generator().manual_seed(1)) == own


def test_tensor_dataset_fast_path_has_the_same_values():
    x, y = st.randn(23, 3, 2), np.arange(23, dtype=np.int32)
    data = TensorDataset(x, y)

    class Slow(TensorDataset):
        def __getitem__(self, index):
            return super().__getitem__(index)

    for whole, slow in ((data, Slow(x, y)), (Subset(data, [5, 3, 9, -1]), Subset(Slow(x, y), [5, 3, 9, -1]))):
        for options in ({}, {"shuffle": True}, {"drop_last": True}, {"num_workers": 2}):
            st.manual_seed(3)
            fast = list(DataLoader(whole, 4, **options))
            st.manual_seed(3)
            by_item = list(DataLoader(slow, 4, **options))
            assert len(fast) == len(by_item)
            for a, b in zip(fast, by_item, strict=True):
                assert type(a) is list and len(a) == 2
                for u, v in zip(a, b, strict=True):
                    assert u.dtype == v.dtype and np.array_equal(u.numpy(), v.numpy())
    batch = next(iter(DataLoader(data, 2)))
    batch[0].zero_()
    assert x[0].abs().sum() > 0, "a batch is a copy"


def test_fast_path_keeps_gradients_and_refuses_bad_indices():
    x = st.ones(4, requires_grad=True)
    (batch,) = next(iter(DataLoader(TensorDataset(x), 2)))
    batch.sum().backward()
    assert x.grad.tolist() == [1, 1, 0, 0]
    for wrong in ([[7]], [[-5]]):
        with pytest.raises(IndexError):
            list(DataLoader(TensorDataset(st.ones(4)), batch_sampler=wrong))


@pytest.mark.parametrize("count", [0, 2])
def test_streams(count):
    loader = DataLoader(Stream(7), batch_size=3, num_workers=count)
    found = [batch.tolist() for batch in loader]
    once = [[0, 1, 2], [3, 4, 5], [6]]
    assert found == once if count == 0 else found == [b for b in once for _ in range(2)]
    shared = [i for batch in DataLoader(Stream(7, True), batch_size=2, num_workers=count) for i in batch.tolist()]
    assert sorted(shared) == list(range(7))
    assert list(DataLoader(Stream(3), batch_size=None, num_workers=count and 1)) == [0, 1, 2]
    assert [b.tolist() for b in DataLoader(Stream(5), 2, drop_last=True, num_workers=count and 1)] == [[0, 1], [2, 3]]
    with pytest.raises(TypeError):
        len(loader)


def test_uneven_streams_come_round_robin():
    class Uneven(IterableDataset):
        def __iter__(self):
            worker = get_worker_info().id
            return iter([worker * 100 + i for i in range([1, 4, 2][worker])])

    found = [b.item() for b in DataLoader(Uneven(), 1, num_workers=3)]
    assert found == [0, 100, 200, 101, 201, 102, 103]


def test_batch_sampler_and_samplers():
    data = Squares(6)
    assert [b[0].tolist() for b in DataLoader(data, batch_sampler=[[3, 1], [0]])] == [[3, 1], [0]]
    assert [b[0].tolist() for b in DataLoader(data, 2, sampler=[5, 4, 3])] == [[5, 4], [3]]
    assert len(DataLoader(data, batch_sampler=BatchSampler(RandomSampler(data), 4, False))) == 2
    assert list(DataLoader(data, batch_size=None))[2] == [st.tensor(2.0), 4]
    assert len(DataLoader(data, batch_size=None)) == 6
    assert list(DataLoader(Squares(0), 3)) == []
    assert list(DataLoader(TensorDataset(st.ones(0, 2)), 3, shuffle=True)) == []


def test_getitems_is_used():
    class Many(Squares):
        def __getitems__(self, indices):
            return [i * 10 for i in indices]

    assert [b.tolist() for b in DataLoader(Many(3), 2)] == [[0, 10], [20]]


def test_collate_function():
    assert list(DataLoader([1, 2, 3], 2, collate_fn=sum)) == [3, 3]


class Broken(Squares):
    def __init__(self, error):
        super().__init__(8)
        self.error = error

    def __getitem__(self, index):
        if index == 4:
            raise self.error
        return index


@pytest.mark.parametrize("count", [0, 2])
def test_exceptions_come_with_their_traceback_and_the_next_batch_follows(count):
    iterator = iter(DataLoader(Broken(KeyError("lost")), 2, num_workers=count))
    assert next(iterator).tolist() == [0, 1] and next(iterator).tolist() == [2, 3]
    with pytest.raises(KeyError, match="lost") as caught:
        next(iterator)
    frames = "".join(traceback.format_exception(caught.value))
    assert "raise self.error" in frames
    if count:
        assert "worker thread" in frames
    assert next(iterator).tolist() == [6, 7]
    with pytest.raises(StopIteration):
        next(iterator)
    assert wait_until_gone()


def test_stop_iteration_of_a_dataset_does_not_end_the_loop_in_silence():
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(DataLoader(Broken(StopIteration()), 2, num_workers=1))


def test_worker_init_and_info():
    seen = []
    loader = DataLoader(Squares(), 2, num_workers=2, worker_init_fn=seen.append)
    list(loader)
    assert sorted(seen) == [0, 1] and get_worker_info() is None

    class Told(Squares):
        def __getitem__(self, index):
            info = get_worker_info()
            assert info.dataset is self
            return info.id, info.num_workers, info.seed

    def told(loader):
        return dict((b[0].item(), (b[1].item(), b[2].item())) for b in loader)

    loader = DataLoader(Told(30), 1, num_workers=2)
    st.manual_seed(1)
    first, second = told(loader), told(loader)
    st.manual_seed(1)
    again = told(loader)
    assert first.keys() | again.keys() <= {0, 1} and {n for n, _ in first.values()} == {2}
    both = first.keys() & again.keys()
    assert all(first[worker] == again[worker] for worker in both)
    assert not {seed for _, seed in first.values()} & {seed for _, seed in second.values()}
    assert len({seed for _, seed in first.values()}) == len(first)

    def fail(worker):
        raise ValueError("no licence")

    with pytest.raises(ValueError, match="no licence"):
        list(DataLoader(Squares(), 2, num_workers=1, worker_init_fn=fail))
    assert wait_until_gone()


def test_abandoned_iterators_leave_no_threads():
    iterator = iter(DataLoader(Squares(1000, 0.001), 2, num_workers=3))
    next(iterator)
    assert workers()
    del iterator
    gc.collect()
    assert wait_until_gone()


def test_persistent_workers_stay_and_go_with_the_loader():
    for data in (Squares(10), Stream(5)):
        loader = DataLoader(data, 2, num_workers=2, persistent_workers=True)
        first = [b[0].tolist() if isinstance(b, list) else b.tolist() for b in loader]
        threads = workers()
        assert len(threads) == 2
        next(iter(loader))  # abandoned midway
        assert [b[0].tolist() if isinstance(b, list) else b.tolist() for b in loader] == first
        assert workers() == threads
        del loader
        gc.collect()
        assert wait_until_gone()


def test_out_of_order_delivers_everything():
    loader = DataLoader(Squares(40, 0.002), 1, num_workers=4, in_order=False)
    assert sorted(int(b[0]) for b in loader) == list(range(40))


def test_timeout():
    with pytest.raises(RuntimeError, match=r"timed out after 0\.05 seconds"):
        list(DataLoader(Squares(4, 0.4), 1, num_workers=1, timeout=0.05))


def test_no_more_than_the_prefetched_batches_are_made_ahead():
    made = []

    class Watched(Squares):
        def __getitem__(self, index):
            made.append(index)
            return index

    iterator = iter(DataLoader(Watched(100), 1, num_workers=2, prefetch_factor=3))
    time.sleep(0.1)
    assert len(made) == 6
    next(iterator)
    time.sleep(0.05)
    assert len(made) == 7


CTRL_C = """
import time
from spinetail.utils.data import DataLoader, Dataset
class Slow(Dataset):
    def __len__(self): return 1000
    def __getitem__(self, i):
        time.sleep(0.2)
        return i
try:
    print("ready", flush=True)
    for _ in DataLoader(Slow(), 100, num_workers=2): pass
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_ends_the_loop_and_the_process():
    process = subprocess.Popen([sys.executable, "-c", CTRL_C], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    process.stdout.readline()
    time.sleep(0.3)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert output == "interrupted\n" and process.returncode == 0 and time.monotonic() - start < 5


@pytest.mark.parametrize(
    "options, text",
    [
        ({"batch_size": 0}, "positive"),
        ({"batch_size": 1.5}, "positive"),
        ({"num_workers": -1}, "non-negative"),
        ({"timeout": -1}, "non-negative"),
        ({"prefetch_factor": 2}, "num_workers > 0"),
        ({"persistent_workers": True}, "num_workers > 0"),
        ({"num_workers": 1, "prefetch_factor": 0}, "positive"),
        ({"shuffle": True, "sampler": [0]}, "mutually exclusive"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "mutually exclusive"),
        ({"batch_sampler": [[0]], "drop_last": True}, "mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, "drop_last"),
    ],
)
def test_refused_options(options, text):
    with pytest.raises(ValueError, match=text):
        DataLoader(Squares(), **options)


def test_refused_for_streams_and_after_making():
    for options in ({"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}):
        with pytest.raises(ValueError, match="own order"):
            DataLoader(Stream(3), **options)
    loader = DataLoader(Squares())
    with pytest.raises(ValueError, match="batch_size cannot be set"):
        loader.batch_size = 3


Point = namedtuple("Point", ["x", "y"])


def test_default_collate():
    collate = default_collate
    assert collate([1.5, 2]).dtype == st.float64 and collate([1, 2]).dtype == st.int64
    assert collate([1, 2.5]).tolist() == [1.0, 2.5]
    assert collate([True, False]).dtype == st.bool
    assert collate([np.float32(1), np.float32(2)]).dtype == st.float32
    assert collate(["a", "b"]) == ["a", "b"] and collate([b"a"]) == [b"a"]
    assert collate([(1, "a"), (2, "b")])[1] == ["a", "b"] and type(collate([(1,), (2,)])) is list
    point = collate([Point(1, st.ones(2)), Point(2, st.zeros(2))])
    assert type(point) is Point and point.y.tolist() == [[1, 1], [0, 0]]
    nested = collate([{"a": [1, {"b": np.zeros((2, 3))}]}] * 2)
    assert nested["a"][1]["b"].shape == (2, 2, 3)
    with pytest.raises(ValueError, match="equal size"):
        collate([st.ones(2), st.ones(3)])
    with pytest.raises(ValueError, match="equal size"):
        collate([(1, 2), (1,)])
    with pytest.raises(TypeError, match="found object"):
        collate([object()])
    with pytest.raises(TypeError, match="<U1"):
        collate([np.array(["a"])])


def test_default_convert():
    converted = default_convert(
        {"a": np.ones(2), "b": (np.int64(3), "s"), "c": Point(1, np.zeros(1)), "d": np.array(["x"])}
    )
    assert isinstance(converted["a"], st.Tensor) and converted["b"][0].item() == 3 and converted["b"][1] == "s"
    assert isinstance(converted["c"].y, st.Tensor) and isinstance(converted["d"], np.ndarray)
