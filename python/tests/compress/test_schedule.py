"""Gradual pruning: the cubic, and where it ends."""

from __future__ import annotations

import pytest

import spinetail as st
from spinetail import nn
from spinetail.compress import prune


def test_cubic():
    model = nn.Linear(100, 100)
    schedule = prune.Schedule(model, 0.9, steps=10, start=5, every=2, initial=0.2)
    found = [schedule.step() for _ in range(20)]
    assert found[:5] == [0.0] * 5
    for time in range(5, 16, 2):
        wanted = 0.9 + (0.2 - 0.9) * (1 - (time - 5) / 10) ** 3
        assert found[time] == pytest.approx(wanted)
    assert found[6] == found[5] and found[8] == found[7]  # only every second step
    assert found[15:] == [0.9] * 5
    assert prune.sparsity(model).share == pytest.approx(0.9)


def test_the_last_step_is_exact_though_every_does_not_divide():
    model = nn.Linear(10, 10)
    schedule = prune.Schedule(model, 0.5, steps=7, every=3, scope="layer")
    found = [schedule.step() for _ in range(8)]
    assert found[-1] == 0.5 and prune.sparsity(model).share == 0.5
    assert schedule.finalize() is model


def test_another_method():
    st.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 40), nn.Linear(40, 4))
    schedule = prune.Schedule(model, 0.8, steps=4, method=prune.random, exclude="1")
    for _ in range(6):
        schedule.step()
    assert prune.sparsity(model)["0.weight"] == (1280, 1600)
    assert prune.sparsity(model)["1.weight"] == (0, 160)


@pytest.mark.parametrize(
    "options", [{"sparsity": 1.0}, {"sparsity": 0.2, "initial": 0.5}, {"steps": 0}, {"every": 0}, {"start": -1}]
)
def test_bad_options(options):
    with pytest.raises(ValueError, match=r"\[Schedule\]"):
        prune.Schedule(nn.Linear(2, 2), **{"steps": 3, **options})
