import sys
from pathlib import Path

import numpy as np
import pytest

from spinetail import optim
from spinetail.optim import lr_scheduler

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from scheduler_cases import CASES, EPOCHS, PLATEAU, RATES, value  # noqa: E402

golden = np.load(GOLDEN / "scheduler.npz")


def optimizer():
    return optim.SGD([{"params": [np.zeros(1)], "lr": rate} for rate in RATES])


def step(o):
    o.step([np.zeros(1)] * len(o.param_groups))


@pytest.mark.parametrize("case", CASES)
def test_rates_are_pytorchs(case):
    name, options = CASES[case]
    o = optimizer()
    scheduler = getattr(lr_scheduler, name)(o, **options)
    rates = [scheduler.get_last_lr()]
    for epoch in range(EPOCHS):
        if epoch == 9:  # saved and loaded on the way
            saved = scheduler.state_dict()
            assert "optimizer" not in saved
            present = [group["lr"] for group in o.param_groups]
            scheduler = getattr(lr_scheduler, name)(o, **options)
            for group, rate in zip(o.param_groups, present, strict=True):
                group["lr"] = rate
            scheduler.load_state_dict(saved)
        step(o)
        scheduler.step()
        rates.append(scheduler.get_last_lr())
    np.testing.assert_allclose(rates, golden[case], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("case", sorted(set(CASES) - {"lambda", "multiplicative", "restarts_longer"}))
def test_an_epoch_can_be_jumped_to(case):
    name, options = CASES[case]
    o = optimizer()
    scheduler = getattr(lr_scheduler, name)(o, **options)
    step(o)
    for epoch in (3, 7, 1):
        scheduler.step(epoch)
        np.testing.assert_allclose(scheduler.get_last_lr(), golden[case][epoch], rtol=1e-9)


@pytest.mark.parametrize("case", PLATEAU)
def test_plateau_is_pytorchs(case):
    o = optimizer()
    scheduler = lr_scheduler.ReduceLROnPlateau(o, **PLATEAU[case])
    rates = []
    for epoch in range(EPOCHS):
        if epoch == 5:
            saved = scheduler.state_dict()
            scheduler = lr_scheduler.ReduceLROnPlateau(o, **PLATEAU[case])
            scheduler.load_state_dict(saved)
        scheduler.step(value(epoch))
        rates.append([group["lr"] for group in o.param_groups])
    np.testing.assert_allclose(rates, golden[f"plateau_{case}"], rtol=1e-12)


def test_schedulers_can_be_chained():
    o = optimizer()
    first, second = lr_scheduler.LinearLR(o), lr_scheduler.ExponentialLR(o, 0.9)
    rates = []
    for _ in range(EPOCHS):
        step(o)
        first.step()
        second.step()
        rates.append([group["lr"] for group in o.param_groups])
    np.testing.assert_allclose(rates, golden["chained"], rtol=1e-12)


def test_the_first_rate_is_set_at_once():
    o = optimizer()
    lr_scheduler.LinearLR(o)
    np.testing.assert_allclose([group["lr"] for group in o.param_groups], np.array(RATES) / 3)


def test_order_of_steps_is_watched():
    scheduler = lr_scheduler.StepLR(optimizer(), 2)
    with pytest.warns(UserWarning, match=r"before `optimizer.step\(\)`"):
        scheduler.step()


def test_resuming_needs_initial_rates():
    with pytest.raises(KeyError, match=r"initial_lr.*param_groups\[0\]"):
        lr_scheduler.StepLR(optimizer(), 2, last_epoch=3)


def test_bad_options():
    o = optimizer()
    with pytest.raises(TypeError, match="is not an Optimizer"):
        lr_scheduler.StepLR(3, 2)
    with pytest.raises(ValueError, match="factor expected to be between 0 and 1"):
        lr_scheduler.ConstantLR(o, 2.0)
    with pytest.raises(ValueError, match="Expected 2 lr_lambdas, but got 1"):
        lr_scheduler.LambdaLR(o, [lambda e: 1])
    with pytest.raises(ValueError, match="Factor should be"):
        lr_scheduler.ReduceLROnPlateau(o, factor=1.0)
    with pytest.raises(ValueError, match="mode best is unknown"):
        lr_scheduler.ReduceLROnPlateau(o, mode="best")
    with pytest.raises(ValueError, match="T_max"):
        lr_scheduler.CosineAnnealingLR(o, 0)
