"""Cycles with momentum, schedules made of others, restarts and resumption, against PyTorch's trajectories."""

import io
import pickle
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

import spinetail as st
from spinetail import optim
from spinetail.optim import lr_scheduler as schedules

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from scheduler_cases import CASES, COMPOSED, CYCLES, EPOCHS, RATES, RESUME_AT, RESUMED, WARMUP  # noqa: E402

golden = np.load(GOLDEN / "scheduler.npz")


def optimizer(name="SGD"):
    return getattr(optim, name)([{"params": [np.zeros(1)], "lr": rate} for rate in RATES], lr=0.1)


def cycle(case, o):
    _, name, options = CYCLES[case]
    return getattr(schedules, name)(o, **options)


def saved(state):
    """What comes back from a file."""
    file = io.BytesIO()
    st.save(state, file)
    file.seek(0)
    return st.load(file)


def run(o, s, make, resume_at=None, epochs=EPOCHS):
    rows = []
    for epoch in range(epochs + 1):
        if epoch:
            o.step([np.zeros(1)] * 2)
            s.step()
        momenta = [g["betas"][0] if "betas" in g else g["momentum"] for g in o.param_groups]
        rows.append([*s.get_last_lr(), *momenta])
        assert s.get_last_lr() == [group["lr"] for group in o.param_groups]
        if epoch == resume_at:  # all of it anew, from a file
            states = saved([o.state_dict(), s.state_dict()])
            o = optimizer(type(o).__name__)
            s = make(o)
            o.load_state_dict(states[0])
            s.load_state_dict(states[1])
    return np.array(rows)


@pytest.mark.parametrize("resume_at", [None, 0, 7, 16])
@pytest.mark.parametrize("case", CYCLES)
def test_cycles_are_pytorchs(case, resume_at):
    o = optimizer(CYCLES[case][0])
    rows = run(o, cycle(case, o), lambda o: cycle(case, o), resume_at)
    np.testing.assert_allclose(rows, golden[case], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("resume_at", [None, 0, 4, 5, 8, 20])
@pytest.mark.parametrize("case", COMPOSED)
def test_composed_schedules_are_pytorchs(case, resume_at):
    o = optimizer()
    rows = run(o, COMPOSED[case](schedules, o), lambda o: COMPOSED[case](schedules, o), resume_at)
    np.testing.assert_allclose(rows[:, :2], golden[case], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("last", RESUME_AT)
@pytest.mark.parametrize("case", RESUMED)
def test_a_last_epoch_resumes_as_in_pytorch(case, last):
    name, options = CASES[case]
    o = optimizer()
    for group, rate in zip(o.param_groups, (0.25, 0.75), strict=True):
        group["initial_lr"] = rate
    rows = run(o, getattr(schedules, name)(o, last_epoch=last, **options), None, epochs=8)
    np.testing.assert_allclose(rows[:, :2], golden[f"resumed_{case}_{last}"], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("case", ["restarts", "restarts_longer"])
def test_restarts_take_fractions_of_epochs(case):
    o = optimizer()
    s = schedules.CosineAnnealingWarmRestarts(o, **CASES[case][1])
    o.step([np.zeros(1)] * 2)
    rates = []
    for i in range(40):
        s.step(i * 0.6)
        rates.append(s.get_last_lr())
    s.step()
    np.testing.assert_allclose([*rates, s.get_last_lr()], golden[f"fractions_{case}"], rtol=1e-9, atol=1e-12)


def test_warmup_is_a_line_and_a_cosine():
    o = optimizer()
    rows = run(o, schedules.WarmupCosine(o, **WARMUP), None, epochs=WARMUP["total_iters"])
    np.testing.assert_allclose(rows[:, :2], golden["warmup"], rtol=1e-12)
    s = schedules.WarmupCosine(optimizer(), 0, 2)
    assert s.get_last_lr() == list(RATES)
    o = s.optimizer
    assert run(o, s, lambda o: schedules.WarmupCosine(o, 0, 2), 1, epochs=5)[2:, :2].max() == 0.0


def test_a_chain_begins_inside_a_sequence():
    """Where PyTorch's raises: the chain is at its epoch 0 when its turn comes."""

    def chain(o):
        return schedules.ChainedScheduler([schedules.ConstantLR(o, 0.5, 3), schedules.ExponentialLR(o, 0.9)])

    o = optimizer()
    alone = run(o, chain(o), None, epochs=8)[:, :2]
    o = optimizer()
    rows = run(o, schedules.SequentialLR(o, [schedules.StepLR(o, 2), chain(o)], [5]), None, epochs=13)[:, :2]
    np.testing.assert_allclose(rows[5:], alone, rtol=1e-12)
    o = optimizer()
    rows = run(o, schedules.SequentialLR(o, [chain(o), schedules.StepLR(o, 2)], [9]), None, epochs=8)[:, :2]
    np.testing.assert_allclose(rows, alone, rtol=1e-12)
    o = optimizer()
    inner = schedules.SequentialLR(o, [schedules.ConstantLR(o, 0.5, 9), chain(o)], [2])
    rows = run(o, schedules.SequentialLR(o, [schedules.StepLR(o, 2), inner], [3]), None, epochs=13)[:, :2]
    np.testing.assert_allclose(rows[3:5, 0], [0.25, 0.25])
    np.testing.assert_allclose(rows[5:], alone, rtol=1e-12)


@pytest.mark.parametrize("case", [*CYCLES, *COMPOSED])
def test_schedules_copy_and_pickle(case):
    o = optimizer(CYCLES[case][0] if case in CYCLES else "SGD")
    s = cycle(case, o) if case in CYCLES else COMPOSED[case](schedules, o)
    copies = [deepcopy(s)]
    if "own" not in case:  # functions in place have no name to be pickled by
        copies.append(pickle.loads(pickle.dumps(s)))
    o.step([np.zeros(1)] * 2)
    s.step()
    for copy in copies:
        copy.optimizer.step([np.zeros(1)] * 2)
        copy.step()
        assert copy.optimizer is not o and copy.get_last_lr() == s.get_last_lr()


class Halving:
    def __init__(self):
        self.factor = 0.5

    def __call__(self, x):
        return self.factor**x


def test_the_state_of_a_scale_object_is_kept():
    options = {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 2}
    s = schedules.CyclicLR(optimizer(), scale_fn=Halving(), **options)
    s._scale_fn_custom.factor = 0.25
    other = schedules.CyclicLR(optimizer(), scale_fn=Halving(), **options)
    state = saved(s.state_dict())
    other.load_state_dict(state)
    assert other.scale_fn(2) == 0.0625 and state["_scale_fn_custom"] == {"factor": 0.25}


def test_a_new_group_gets_the_least_rate_of_all():
    o = optimizer()
    s = schedules.ReduceLROnPlateau(o, patience=0, min_lr=0.3)
    listed = schedules.ReduceLROnPlateau(o, patience=0, min_lr=[0.1, 0.1])
    o.add_param_group({"params": [np.zeros(2)], "lr": 1.0})
    s.step(1.0)
    s.step(1.0)
    np.testing.assert_allclose(s.get_last_lr(), [0.3, 0.3, 0.3])
    listed.step(1.0)
    with pytest.raises(RuntimeError, match=r"\(3\) differs from when `ReduceLROnPlateau` was initialized \(2\)"):
        listed.step(1.0)


def test_order_of_steps_is_watched_inside_others():
    o = optimizer()
    s = schedules.ChainedScheduler([schedules.StepLR(o, 2)])
    with pytest.warns(UserWarning, match=r"before `optimizer.step\(\)`"):
        s.step()


S = schedules
BAD = [
    (lambda o: S.CosineAnnealingWarmRestarts(o, 0), "Expected positive integer T_0, but got 0"),
    (lambda o: S.CosineAnnealingWarmRestarts(o, 2.5), "Expected positive integer T_0, but got 2.5"),
    (lambda o: S.CosineAnnealingWarmRestarts(o, 2, 0), "Expected integer T_mult >= 1, but got 0"),
    (lambda o: S.CosineAnnealingWarmRestarts(o, 2, eta_min="a"), "Expected float or int eta_min, but got a of type"),
    (lambda o: S.CosineAnnealingWarmRestarts(o, 2).step(-1), "Expected non-negative epoch, but got -1"),
    (lambda o: S.CyclicLR(o, 0.1, 1.0, mode="square"), "mode is invalid and scale_fn is None"),
    (lambda o: S.CyclicLR(o, 0.1, 1.0, step_size_up=0), "positive step sizes, but got 0"),
    (lambda o: S.CyclicLR(o, [0.1], 1.0), "base_lr has 1 values, param_groups has 2"),
    (lambda o: S.OneCycleLR(o, 1.0), "either total_steps OR"),
    (lambda o: S.OneCycleLR(o, 1.0, total_steps=0), "Expected positive integer total_steps, but got 0"),
    (lambda o: S.OneCycleLR(o, 1.0, epochs=-1, steps_per_epoch=2), "Expected positive integer epochs, but got -1"),
    (lambda o: S.OneCycleLR(o, 1.0, 10, pct_start=2.0), "Expected float between 0 and 1 pct_start, but got 2.0"),
    (lambda o: S.OneCycleLR(o, 1.0, 10, anneal_strategy="no"), "must be one of 'cos' or 'linear', instead got no"),
    (lambda o: S.OneCycleLR(o, [1.0], 10), "max_lr has 1 values, param_groups has 2"),
    (lambda o: S.ChainedScheduler([]), "ChainedScheduler expects at least one scheduler to be chained"),
    (lambda o: S.ChainedScheduler([S.ReduceLROnPlateau(o)]), "does not support `ReduceLROnPlateau`.*index 0"),
    (lambda o: S.ChainedScheduler([S.StepLR(o, 1), S.StepLR(optimizer(), 1)]), "same optimizer.*StepLR at index 1"),
    (lambda o: S.SequentialLR(o, [], []), "SequentialLR expects at least one scheduler, but got no"),
    (lambda o: S.SequentialLR(o, [S.StepLR(o, 1)], [3]), "number of schedulers 1 and the number of milestones.*1"),
    (lambda o: S.SequentialLR(o, [S.StepLR(optimizer(), 1)], []), "expects all schedulers to belong to the same"),
    (lambda o: S.WarmupCosine(o, 5, 5), "0 <= warmup_iters < total_iters, but got 5 and 5"),
    (lambda o: S.WarmupCosine(o, 1, 5, start_factor=2), "start_factor between 0 and 1, but got 2"),
]


@pytest.mark.parametrize(("make", "text"), BAD, ids=range(len(BAD)))
def test_bad_options(make, text):
    o = optimizer()
    o.step([np.zeros(1)] * 2)
    with pytest.raises(ValueError, match=text):
        make(o)


def test_bad_optimizers_and_states():
    for name, options in (("CyclicLR", (0.1, 1.0)), ("OneCycleLR", (1.0, 10)), ("CosineAnnealingWarmRestarts", (3,))):
        with pytest.raises(TypeError, match="int is not an Optimizer"):
            getattr(schedules, name)(3, *options)
    for name, options in (("CyclicLR", (0.1, 1.0)), ("OneCycleLR", (1.0, 10))):
        with pytest.raises(ValueError, match="must support momentum or beta1"):
            getattr(schedules, name)(optimizer("Adagrad"), *options)
    with pytest.raises(TypeError, match="at index 0 should have `optimizer`"):
        schedules.ChainedScheduler([3], optimizer())
    o = optimizer()
    s = schedules.OneCycleLR(o, 1.0, total_steps=2)
    o.step([np.zeros(1)] * 2)
    s.step()
    s.step()
    with pytest.raises(ValueError, match=r"Tried to step 3 times\. The specified number of total steps is 2"):
        s.step()
    chain = schedules.ChainedScheduler([schedules.StepLR(o, 1)])
    with pytest.raises(ValueError, match="the state has 0 schedulers, but there are 1"):
        chain.load_state_dict({"_schedulers": []})
