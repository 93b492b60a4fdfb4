"""`fit` against plain loops, and what it refuses."""

from __future__ import annotations

import sys
from copy import deepcopy

import numpy as np
import pytest

import spinetail as st
from spinetail import nn, optim, train

F = nn.functional


def data(size=48, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 6)).astype(np.float32)
    return st.utils.data.TensorDataset(st.from_numpy(x), st.from_numpy((x[:, 0] > x[:, 1]).astype(np.int64)))


def net(seed=0):
    st.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


def loader(batch_size=8, **options):
    return st.utils.data.DataLoader(data(), batch_size=batch_size, **options)


def same(a, b):
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy(), err_msg=name)


def accuracy(output, target):
    return st.evaluate.metrics.accuracy(output, target)


def test_it_is_the_plain_loop():
    fitted, plain = net(), net()
    o = optim.Adam(fitted.parameters(), lr=0.01)
    s = optim.lr_scheduler.OneCycleLR(o, 0.05, total_steps=18)
    st.manual_seed(5)
    history = train.fit(
        fitted,
        loader(shuffle=True),
        o,
        epochs=3,
        scheduler=s,
        scheduler_each="step",
        clip_norm=0.5,
        metrics={"accuracy": accuracy},
        progress=False,
    )
    o = optim.Adam(plain.parameters(), lr=0.01)
    s = optim.lr_scheduler.OneCycleLR(o, 0.05, total_steps=18)
    st.manual_seed(5)
    losses, hits = [], []
    batches = loader(shuffle=True)
    for _ in range(3):
        total = right = 0.0
        for x, y in batches:
            o.zero_grad()
            out = plain(x)
            loss = F.cross_entropy(out, y)
            loss.backward()
            nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
            o.step()
            s.step()
            total += loss.item() * len(x)
            right += (out.argmax(1) == y).sum().item()
        losses.append(total / 48)
        hits.append(right / 48)
    same(fitted, plain)
    assert history["loss"] == losses
    np.testing.assert_allclose(history["accuracy"], hits, rtol=1e-12)
    assert history["epoch"] == [1, 2, 3]


def test_accumulated_batches_are_one_large_one():
    """Without a batch norm the mean of equal batches' gradients is that of all; an epoch's rest is a step too."""
    models = [nn.Linear(6, 2, dtype=st.float64) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    x = st.from_numpy(np.random.default_rng(1).normal(size=(40, 6)))
    pairs = st.utils.data.TensorDataset(x, (x[:, 0] > 0).long())
    steps = []
    for model, size, accumulate in ((models[0], 4, 4), (models[1], 16, 1)):
        o = optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        train.fit(
            model,
            st.utils.data.DataLoader(pairs, batch_size=size),
            o,
            epochs=2,
            accumulate=accumulate,
            clip_value=0.01,
            callbacks=[lambda run: steps.append(run.step)],
            progress=False,
        )
    assert steps == [3, 6, 3, 6]
    np.testing.assert_allclose(models[0].weight.detach().numpy(), models[1].weight.detach().numpy(), rtol=1e-12)


def test_schedules_validation_and_early_stopping():
    model = net()
    o = optim.SGD(model.parameters(), lr=0.1)
    s = optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, factor=0.5, threshold=10.0, threshold_mode="abs")
    stopping = train.EarlyStopping(patience=2, min_delta=100.0)
    states = []
    history = train.fit(
        model,
        loader(),
        o,
        epochs=9,
        scheduler=s,
        validation=loader(batch_size=20),
        early_stopping=stopping,
        callbacks=[lambda run: states.append(deepcopy(run.model))],
        progress=False,
    )
    assert history["lr"] == [0.1, 0.1, 0.05, 0.025] and len(history) == 4 and stopping.best_epoch == 0
    same(model, states[0])  # the best weights are back
    assert history["val_loss"][0] == stopping.best
    assert train.evaluate(model, loader(batch_size=20), F.cross_entropy)["loss"] == stopping.best
    assert model.training and model[1].training


def test_averaged_weights_are_validated():
    model = net()
    average = optim.swa_utils.AveragedModel(model, multi_avg_fn=optim.swa_utils.get_ema_multi_avg_fn(0.9))
    o = optim.SGD(model.parameters(), lr=0.5)
    history = train.fit(model, loader(), o, epochs=2, validation=loader(), ema=average, progress=False)
    assert average.n_averaged.item() == 12
    assert history["val_loss"][-1] == train.evaluate(average, loader(), F.cross_entropy)["loss"]
    assert history["val_loss"][-1] != train.evaluate(model, loader(), F.cross_entropy)["loss"]
    seen = []
    train.fit(model, loader(), o, ema=0.5, callbacks=[lambda run: seen.append(run.average)], progress=False)
    assert seen[0].n_averaged.item() == 6


class Moments(train.Callback):
    def __init__(self, stop_after):
        self.seen, self.stop_after = [], stop_after

    def on_fit_begin(self, run):
        self.seen.append("fit")

    def on_epoch_begin(self, run):
        self.seen.append(f"epoch {run.epoch}")

    def on_step_end(self, run):
        self.seen.append(f"step {run.step}")

    def on_epoch_end(self, run):
        self.seen.append(f"end {run.history['epoch'][-1]}")
        run.stop = run.epoch == self.stop_after

    def on_fit_end(self, run):
        self.seen.append("done")


def test_callbacks_are_called_in_order():
    moments = Moments(2)
    model = net()
    train.fit(model, loader(24), optim.SGD(model.parameters()), epochs=7, callbacks=[moments], progress=False)
    steps = ["epoch 0", "step 1", "step 2", "end 1", "epoch 1", "step 3", "step 4", "end 2"]
    assert moments.seen == ["fit", *steps, "done"]


def test_other_batches():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 1)

        def forward(self, a, b):
            return self.fc(st.cat([a, b], 1))

    model = Two()
    o = optim.SGD(model.parameters(), lr=0.1)
    arrays = [(np.ones((2, 3), np.float32), st.ones(2, 1), np.zeros((2, 1), np.float32))]
    assert train.fit(model, arrays, o, F.mse_loss, progress=False)["loss"][0] > 0
    named = [{"a": st.ones(2, 3), "b": st.ones(2, 1), "y": st.zeros(2, 1)}]
    train.fit(model, named, o, F.mse_loss, unpack=lambda b: ((b["a"], b["b"]), b["y"]), progress=False)
    with pytest.raises(TypeError, match=r"expected batches \(\*inputs, target\), but got dict"):
        train.fit(model, named, o, F.mse_loss, progress=False)
    with pytest.raises(TypeError, match="but got list of length 1"):
        train.fit(model, [[st.ones(1)]], o, F.mse_loss, progress=False)
    with pytest.raises(ValueError, match="gave no batches"):
        train.fit(model, [], o, F.mse_loss, progress=False)


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_progress(capsys, monkeypatch, with_tqdm):
    if with_tqdm:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    model = net()
    train.fit(model, loader(), optim.SGD(model.parameters()), epochs=2, validation=loader(), metrics={"a": accuracy})
    shown = capsys.readouterr().err
    assert "epoch 1/2" in shown and "6/6" in shown and "val_loss=" in shown and "val_a=" in shown
    train.fit(model, loader(), optim.SGD(model.parameters()), progress=False)
    assert capsys.readouterr().err == ""


def test_the_guard_stops_before_the_step():
    model = net()
    before = deepcopy(model.state_dict())
    batches = [(st.full((4, 6), float("inf")), st.zeros(4, dtype=st.int64))]
    with pytest.raises(
        FloatingPointError, match=r"\[fit\] epoch 1, batch 1: the loss is nan; the gradient of '0.weight'"
    ):
        train.fit(model, batches, optim.SGD(model.parameters()), progress=False)
    assert st.equal(model.state_dict()["0.weight"], before["0.weight"])


class Unbound:
    optimizer = None

    def step(self):
        pass


def bad(**options):
    model = options.pop("model", None) or net()
    o = options.pop("optimizer", None) or optim.SGD(
        net().parameters() if options.pop("other", 0) else model.parameters()
    )
    options = {name: value(o) if callable(value) and name == "scheduler" else value for name, value in options.items()}
    return train.fit(model, loader(), o, **{"progress": False, **options})


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"model": 3}, AttributeError, "parameters"),
        ({"optimizer": 3}, TypeError, "optimizer should be Optimizer, but it is int"),
        ({"optimizer": optim.LBFGS(net().parameters())}, TypeError, "give its step a closure"),
        ({"loss": 3}, TypeError, "loss should be a function"),
        ({"other": True}, ValueError, "none of the optimizer's parameters is the model's"),
        ({"epochs": 0}, ValueError, "epochs should be a positive integer, but it is 0"),
        ({"accumulate": 1.5}, ValueError, "accumulate should be a positive integer, but it is 1.5"),
        ({"clip_norm": 0.0}, ValueError, "clip_norm should be positive"),
        ({"clip_value": -1}, ValueError, "clip_value should be positive, but it is -1"),
        ({"scheduler_each": "batch"}, ValueError, "'epoch' or 'step', but it is 'batch'"),
        ({"scheduler": lambda o: Unbound()}, ValueError, "does not belong to the optimizer"),
        (
            {"scheduler": optim.lr_scheduler.ReduceLROnPlateau, "scheduler_each": "step"},
            ValueError,
            "waits for the value of an epoch",
        ),
        ({"early_stopping": 3}, TypeError, "should be an EarlyStopping, but it is int"),
        ({"early_stopping": train.EarlyStopping(monitor="val_f1")}, ValueError, "watches 'val_f1', but there are loss"),
        ({"callbacks": [3]}, TypeError, "expected a Callback or a function"),
        ({"callbacks": [train.Callback]}, TypeError, "expected a Callback or a function"),
        ({"metrics": {"f": 3}}, TypeError, "the metric 'f' should be a function"),
        ({"ema": 1.5}, ValueError, "Invalid decay value 1.5"),
    ],
)
def test_bad_options(options, error, text):
    with pytest.raises(error, match=text):
        bad(**options)
