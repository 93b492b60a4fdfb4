"""Random numbers: repeatable by seed, of the right distribution, shape and dtype."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pytest

import spinetail as st
from spinetail.functional import random

DRAWS = [
    lambda g: st.rand(3, 4, generator=g),
    lambda g: st.randn(3, 4, generator=g),
    lambda g: st.randint(0, 10, (5,), generator=g),
    lambda g: st.randint(10, (5,), generator=g),
    lambda g: st.randperm(9, generator=g),
    lambda g: st.normal(0.0, 2.0, (4,), generator=g),
    lambda g: st.normal(st.zeros(4), st.ones(4), generator=g),
    lambda g: st.bernoulli(st.full((20,), 0.5), generator=g),
    lambda g: st.multinomial(st.ones(9), 4, generator=g),
    lambda g: st.multinomial(st.ones(2, 9), 4, replacement=True, generator=g),
    lambda g: st.poisson(st.full((9,), 4.0), generator=g),
    lambda g: st.empty(7).uniform_(-1, 1, generator=g),
    lambda g: st.empty(7).normal_(1, 2, generator=g),
    lambda g: st.empty(7).exponential_(generator=g),
    lambda g: st.empty(7).bernoulli_(0.3, generator=g),
    lambda g: st.empty(7).random_(5, generator=g),
    lambda g: st.rand_like(st.ones(3, dtype=st.float64), generator=g),
    lambda g: st.randn_like(st.ones(3, dtype=st.float64), generator=g),
]


@pytest.mark.parametrize("draw", DRAWS)
def test_a_seed_repeats_the_numbers(draw):
    g = st.Generator().manual_seed(5)
    first, second = draw(g), draw(g)
    assert not st.equal(first, second)
    g.manual_seed(5)
    assert st.equal(draw(g), first) and st.equal(draw(g), second)
    st.manual_seed(5)
    assert st.equal(draw(None), first)


def test_states_can_be_kept():
    g = st.Generator().manual_seed(1)
    st.rand(3, generator=g)
    g.key()
    state = g.get_state()
    twin = pickle.loads(pickle.dumps(g))
    expected, key = st.randn(4, generator=g), g.key()
    g.set_state(state)
    assert st.equal(st.randn(4, generator=g), expected) and g.key() == key
    assert st.equal(st.randn(4, generator=twin), expected)
    state = st.get_rng_state()
    a = st.rand(2)
    st.set_rng_state(state)
    assert st.equal(st.rand(2), a)
    with pytest.raises(RuntimeError, match="state"):
        g.set_state(st.zeros(5, dtype=st.uint8))
    assert st.Generator().initial_seed() != st.Generator().initial_seed()


def test_distributions():
    st.manual_seed(0)
    n = 40_000
    x = st.rand(n)
    assert x.dtype == st.float32 and 0 <= x.min() and x.max() < 1 and abs(x.mean() - 0.5) < 0.01
    assert st.rand(3, dtype=st.float64).dtype == st.float64 and st.rand(3, dtype=st.float16).dtype == st.float16
    z = st.randn(n)
    assert abs(z.mean()) < 0.02 and abs(z.std() - 1) < 0.02
    i = st.randint(-2, 3, (n,))
    assert i.dtype == st.int64 and sorted(i.unique().tolist()) == [-2, -1, 0, 1, 2]
    assert sorted(st.randperm(50).tolist()) == list(range(50))
    b = st.bernoulli(st.full((n,), 0.3))
    assert abs(b.mean() - 0.3) < 0.01 and b.dtype == st.float32
    m = st.multinomial(st.tensor([0.0, 1.0, 3.0]), n, replacement=True)
    assert abs((m == 2).float().mean() - 0.75) < 0.01 and not (m == 0).any()
    rows = st.stack([st.multinomial(st.tensor([1.0, 2.0, 0.0, 4.0]), 3) for _ in range(50)])
    assert all(sorted(r) == [0, 1, 3] for r in rows.tolist())
    first = st.multinomial(st.tensor([[1.0, 3.0]]).expand(n, 2), 1)
    assert abs(first.float().mean() - 0.75) < 0.01
    u = st.empty(n).uniform_(-3, 1)
    assert abs(u.mean() + 1) < 0.05 and u.min() >= -3 and u.max() < 1
    e = st.empty(n).exponential_(2)
    assert abs(e.mean() - 0.5) < 0.02


def test_bad_arguments():
    for call in (
        lambda: st.randint(3, 3, (2,)),
        lambda: st.normal(0.0, -1.0, (2,)),
        lambda: st.bernoulli(st.tensor([1.5])),
        lambda: st.multinomial(st.tensor([-1.0, 2.0]), 1),
        lambda: st.multinomial(st.tensor([0.0, 1.0]), 2),
        lambda: st.multinomial(st.ones(1, 1, 1), 1),
        lambda: st.empty(2).uniform_(1, 0),
        lambda: st.empty(2).normal_(0, -1),
        lambda: st.rand(-1),
    ):
        with pytest.raises(ValueError):
            call()


def test_arrays_for_other_modules():
    g = st.Generator().manual_seed(0)
    assert random.uniform((2, 3), -1, 1, np.float64, g).dtype == np.float64
    assert random.normal_array((2,), 5, 0.0, np.float32, g).tolist() == [5, 5]
    assert sorted(random.permutation(5, g).tolist()) == [0, 1, 2, 3, 4]
    assert random.integers(0, 2, (100,), g).max() == 1
    (seed, first), (again, second) = g.key(), g.key()
    assert seed == again == 0 and second == first + 1


def test_threads_may_draw_at_once():
    found = []
    threads = [threading.Thread(target=lambda: found.append(st.rand(1000).sum().item())) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(set(found)) == 4
