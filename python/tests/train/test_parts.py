"""Early stopping, the guard, products in bfloat16, the history."""

from __future__ import annotations

import io
from copy import deepcopy

import numpy as np
import pytest

import spinetail as st
from spinetail import nn, train

F = nn.functional


def test_early_stopping():
    nan = float("nan")
    for mode, sign in (("min", 1.0), ("max", -1.0)):
        stopping = train.EarlyStopping(patience=2, min_delta=0.5, mode=mode)
        found = [stopping.step(sign * v) for v in (nan, 5.0, 4.6, 4.4, nan, 4.4, 4.0)]
        assert found == [False, False, False, False, False, False, True]
        assert stopping.best == sign * 4.4 and stopping.best_epoch == 3
    stopping = train.EarlyStopping(patience=0)
    assert [stopping.step(v) for v in (nan, 1.0, 1.0)] == [True, False, True]
    stopping = train.EarlyStopping(patience=1)
    assert [stopping.step(float("inf")) for _ in range(3)] == [False, False, True]


def test_the_best_weights_come_back_from_a_file():
    model = nn.Linear(2, 1)
    stopping = train.EarlyStopping()
    for value, weight in ((3.0, 1.0), (2.0, 2.0), (4.0, 3.0)):
        nn.init.constant_(model.weight, weight)
        stopping.step(st.tensor(value), model)
    file = io.BytesIO()
    st.save(stopping.state_dict(), file)
    file.seek(0)
    other = train.EarlyStopping()
    other.load_state_dict(st.load(file))
    other.restore(model)
    assert model.weight.tolist() == [[2.0, 2.0]] and (other.best, other.epoch) == (2.0, 2)
    plain = train.EarlyStopping(restore_best=False)
    plain.step(1.0, model)
    assert plain.best_state is None


@pytest.mark.parametrize(
    ("options", "text"),
    [({"mode": "best"}, "'min' or 'max', but got 'best'"), ({"patience": -1}, "-1"), ({"min_delta": -0.5}, "-0.5")],
)
def test_bad_stopping(options, text):
    with pytest.raises(ValueError, match=text):
        train.EarlyStopping(**options)


def test_the_guard_names_what_is_wrong():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    train.check_finite(model)  # no gradients yet
    model(st.ones(2, 3)).sum().backward()
    train.check_finite(model, st.tensor(1.0))
    model[1].weight.grad._array[0, 1] = np.inf
    with pytest.raises(FloatingPointError, match=r"^here: the gradient of '1.weight' has 1 of 4 .*first is inf\)$"):
        train.check_finite(model, where="here")
    model[0].bias._array[2] = np.nan
    text = r"^the loss is nan; the parameter '0.bias' has 1 of 4 .*; the gradient of '1.weight'"
    with pytest.raises(FloatingPointError, match=text):
        train.check_finite(model, float("nan"))
    for parameter in model.parameters():
        parameter._array[...] = np.nan
    with pytest.raises(FloatingPointError, match=r"and 1 more$"):
        train.check_finite(model)


def test_large_finite_gradients_pass():
    """Their squares overflow float64, they do not."""
    layer = nn.Linear(2, 1, dtype=st.float64)
    layer(st.full((1, 2), 1e200, dtype=st.float64)).sum().backward()
    train.check_finite(layer)


@pytest.mark.parametrize("shape", ["linear", "conv"])
def test_bfloat16_rounds_operands_and_results(shape):
    st.manual_seed(0)
    if shape == "linear":
        layer, x = nn.Linear(16, 8), st.randn(5, 16)
    else:
        layer, x = nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular"), st.randn(2, 3, 6, 6)
    x.requires_grad = True
    exact = layer(x)
    exact.square().sum().backward()
    wanted = [np.array(t.grad.numpy()) for t in (layer.weight, layer.bias, x)]
    layer.zero_grad()
    x.grad = None
    with train.bfloat16(layer):
        found = layer(x)
    assert "forward" not in layer.__dict__ and layer.weight.dtype == found.dtype == st.float32
    np.testing.assert_array_equal(found.detach().numpy(), found.detach().bfloat16().float().numpy())
    bound = 2.0**-6 * float(exact.abs().max())
    assert 0 < float((found - exact).abs().max()) < bound
    found.square().sum().backward()
    for tensor, value in zip((layer.weight, layer.bias, x), wanted, strict=True):
        assert tensor.grad.dtype == st.float32
        np.testing.assert_allclose(tensor.grad.numpy(), value, atol=2.0**-6 * np.abs(value).max())


def test_bfloat16_trains_about_as_well():
    """Small gradients need no loss scaling; the loss stays within 3 % of float32's."""
    losses = []
    for bf16 in (False, True):
        st.manual_seed(0)
        model = st.models.DigitsNet(channels=(4, 8), width=16, hidden=16, heads=2)
        x, y = st.rand(32, 1, 8, 8), st.randint(0, 10, (32,))
        o = st.optim.AdamW(model.parameters(), lr=3e-3)
        history = train.fit(
            model, [(x, y)] * 30, o, lambda a, b: 1e-6 * F.cross_entropy(a, b), bf16=bf16, progress=False
        )
        with st.no_grad():
            losses.append(F.cross_entropy(model.eval()(x), y).item())
        assert len(history) == 1 and all(p.dtype == st.float32 for p in model.parameters())
    assert losses[0] < 1.5 and abs(losses[1] / losses[0] - 1) < 0.03


def test_bfloat16_can_be_off_nested_and_left_by_an_error():
    layer = nn.Linear(2, 2)
    with train.bfloat16(layer, enabled=False):
        assert "forward" not in layer.__dict__
    with pytest.raises(ValueError, match="features"), train.bfloat16(layer), train.bfloat16(layer):
        layer(st.ones(1, 7))
    assert "forward" not in layer.__dict__
    deepcopy(layer)


def test_history():
    history = train.History([{"epoch": 1, "loss": 2.0, "lr": 0.1}])
    history.append({"epoch": 2, "loss": 1.25, "val_loss": 3.0, "lr": 0.1})
    assert history.to_dict() == {"epoch": [1, 2], "loss": [2.0, 1.25], "lr": [0.1, 0.1], "val_loss": [None, 3.0]}
    assert repr(history).splitlines()[2].split() == ["2", "1.25", "0.1", "3"]
    assert history._repr_html_().count("<tr>") == 3
    assert [row["epoch"] for row in history] == [1, 2]
    with pytest.raises(KeyError, match="the history has no 'f1'; it has epoch, loss, lr, val_loss"):
        _ = history["f1"]
    with pytest.raises(ValueError, match="no epoch to plot"):
        train.History().plot()


def test_history_is_plotted(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [{"epoch": i, "loss": 1 / i, "acc": 0.5, "val_loss": 2 / i, "lr": 0.1, "seconds": 1.0} for i in range(1, 5)]
    figure = train.History(rows).plot(tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")
    assert [axis.get_title() for axis in figure.axes] == ["loss", "acc", "learning rate"]
    assert [line.get_label() for line in figure.axes[0].lines] == ["training", "validation"]
    np.testing.assert_allclose(figure.axes[0].lines[1].get_ydata(), [2.0, 1.0, 2 / 3, 0.5])
