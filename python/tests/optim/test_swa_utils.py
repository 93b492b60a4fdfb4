"""Averaged weights, batch norms' statistics and SWALR against PyTorch's."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest

import spinetail as st
from spinetail import nn, optim
from spinetail.optim import swa_utils

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from averaging_cases import CASES, RATES, UPDATES, batches, net, values  # noqa: E402

golden = np.load(GOLDEN / "averaging.npz")


def update(model, step):
    for i, parameter in enumerate(model.parameters()):
        with st.no_grad():
            parameter.copy_(st.from_numpy(values(parameter.shape, i, step)))
    model.train()
    model(st.from_numpy(batches()[step % 3]))


def flat(model):
    return np.concatenate([np.ravel(value.numpy()).astype(float) for value in model.state_dict().values()])


@pytest.mark.parametrize("resume_at", [None, 1, 3])
@pytest.mark.parametrize("case", CASES)
def test_averages_are_pytorchs(case, resume_at):
    model = net(nn).double()
    update(model, 0)
    averaged = swa_utils.AveragedModel(model, **CASES[case](swa_utils))
    assert list(averaged.state_dict())[:2] == ["n_averaged", "module.0.weight"]
    for step in range(1, UPDATES):
        update(model, step)
        averaged.update_parameters(model)
        if step == resume_at:
            file = io.BytesIO()
            st.save(averaged.state_dict(), file)
            file.seek(0)
            averaged = swa_utils.AveragedModel(net(nn).double(), **CASES[case](swa_utils))
            averaged.load_state_dict(st.load(file))
    wanted = "swa" if case == "swa_multi" else case  # PyTorch's has 1/(n + 1) in float32
    np.testing.assert_allclose(flat(averaged), golden[wanted], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(flat(averaged), golden[case], rtol=1e-5, atol=1e-7)
    averaged.eval()
    swa_utils.update_bn([[st.from_numpy(x), None] for x in batches()], averaged)
    np.testing.assert_allclose(flat(averaged), golden[f"{wanted}_norm"], rtol=1e-12, atol=1e-14)
    assert not averaged.training and averaged.module[1].momentum == 0.1
    x = st.from_numpy(batches()[0])
    assert st.equal(averaged(x), averaged.module(x))


def test_averages_keep_their_dtype():
    for dtype in (st.float32, st.bfloat16):
        model = nn.Linear(3, 2).to(dtype)
        averaged = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.5))
        averaged.update_parameters(model)
        averaged.update_parameters(model)
        assert averaged.module.weight.dtype == dtype
        assert st.equal(averaged.module.weight, model.weight)
        assert averaged.module.weight.requires_grad and averaged.module.weight.grad_fn is None


@pytest.mark.parametrize("case", RATES)
def test_rates_are_pytorchs(case):
    def optimizer():
        return optim.SGD([{"params": [np.zeros(1)], "lr": rate} for rate in (0.5, 2.0)])

    o = optimizer()
    s = swa_utils.SWALR(o, **RATES[case])
    rows = [s.get_last_lr()]
    for step in range(12):
        if step == 4:
            states = o.state_dict(), s.state_dict()
            o = optimizer()
            s = swa_utils.SWALR(o, **RATES[case])
            o.load_state_dict(states[0])
            s.load_state_dict(states[1])
        o.step([np.zeros(1)] * 2)
        s.step()
        rows.append(s.get_last_lr())
    np.testing.assert_allclose(rows, golden[f"rate_{case}"], rtol=1e-12)


def test_update_bn_leaves_other_models_and_restores_after_errors():
    plain = nn.Linear(2, 2)
    swa_utils.update_bn(iter(()), plain)
    model = net(nn).eval()
    with pytest.raises(ValueError, match="7 features"):
        swa_utils.update_bn([st.ones(2, 7)], model)
    assert model[1].momentum == 0.1 and not model.training


def test_bad_input():
    for function in (swa_utils.get_ema_avg_fn, swa_utils.get_ema_multi_avg_fn):
        for decay in (-0.1, 1.1, float("nan")):
            with pytest.raises(ValueError, match=f"Invalid decay value {decay}"):
                function(decay)
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn"):
        swa_utils.AveragedModel(nn.Linear(1, 1), avg_fn=print, multi_avg_fn=print)
    averaged = swa_utils.AveragedModel(nn.Linear(1, 1))
    with pytest.raises(ValueError, match="2 of them with 6 elements, expected 2 with 2"):
        averaged.update_parameters(nn.Linear(2, 2))
    o = optim.SGD([np.zeros(1)], lr=1.0)
    with pytest.raises(ValueError, match="must be one of 'cos' or 'linear', instead got no"):
        swa_utils.SWALR(o, 0.1, anneal_strategy="no")
    with pytest.raises(ValueError, match="anneal_epochs must be equal or greater than 0, got -1"):
        swa_utils.SWALR(o, 0.1, anneal_epochs=-1)
    with pytest.raises(ValueError, match="swa_lr has 2 values, param_groups has 1"):
        swa_utils.SWALR(o, [0.1, 0.2])
    with pytest.raises(TypeError, match="is not an Optimizer"):
        swa_utils.SWALR(3, 0.1)
    assert "swa_lr" not in o.param_groups[0]


def test_imports_as_in_pytorch(run_python):
    run_python("from spinetail.optim.swa_utils import AveragedModel; import spinetail.optim.swa_utils as s; s.SWALR")
    run_python("import spinetail as st; st.optim.swa_utils.AveragedModel")
    with pytest.raises(AttributeError, match="no attribute 'swa'"):
        _ = optim.swa
