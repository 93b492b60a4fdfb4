"""A run that was interrupted and resumed is, bit for bit, the one that was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import spinetail as st
from spinetail import nn, optim, train
from spinetail.optim import lr_scheduler


class Noisy(st.utils.data.Dataset):
    """Samples with noise from every source of random numbers (in threads only from that which each has for itself)."""

    def __init__(self, threads):
        self.threads = threads

    def __len__(self):
        return 26

    def __getitem__(self, index):
        noise = st.rand(1).item() + (0.0 if self.threads else random.random() + np.random.rand())
        x = np.cos(np.arange(6) * (index + 1)).astype(np.float32) + 0.1 * np.float32(noise)
        return x, int(index % 2)


class Hits:
    """A metric that streams."""

    def reset(self):
        self.right = self.seen = 0

    def update(self, output, target):
        self.right += int((output.argmax(1) == target).sum())
        self.seen += len(target)

    def compute(self):
        return self.right / max(self.seen, 1)

    def state_dict(self):
        return dict(self.__dict__)

    def load_state_dict(self, state):
        self.__dict__.update(state)


SETTINGS = {
    "adam": {
        "optimizer": lambda p: optim.AdamW(p, lr=0.01),
        "scheduler": lambda o: lr_scheduler.CosineAnnealingLR(o, 4),
    },
    "onecycle": {
        "optimizer": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
        "scheduler": lambda o: lr_scheduler.OneCycleLR(o, 0.5, total_steps=16),
        "each": "step",
        "accumulate": 2,
    },
    "own generator": {"optimizer": lambda p: optim.RMSprop(p, lr=0.01), "generator": True, "ema": 0.9},
    "workers": {
        "optimizer": lambda p: optim.Adagrad(p, lr=0.1),
        "loader": {"num_workers": 1, "persistent_workers": True},
    },
    "plateau": {
        "optimizer": lambda p: optim.Adam(p),
        "scheduler": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0),
    },
}


class Shuffled:
    """A sampler of the program's own, without a state: the batches before are read again."""

    def __len__(self):
        return 26

    def __iter__(self):
        return iter(random.sample(range(26), 26))


SETTINGS["own sampler"] = {
    "optimizer": lambda p: optim.AdamW(p, lr=0.01),
    "loader": {"sampler": Shuffled(), "shuffle": None},
    "ema": 0.5,
}
SETTINGS["int8"] = {"optimizer": lambda p: optim.AdamW(p, lr=0.01, state_dtype="int8", max_grad_norm=1.0)}
SETTINGS["two workers"] = {"optimizer": lambda p: optim.Lion(p, lr=0.001), "loader": {"num_workers": 2}}


def run(case, checkpoint=None, callbacks=(), resume=False, epochs=4):
    """All of it made anew, as in another process."""
    setting = SETTINGS[case]
    st.manual_seed(3 if not resume else 99)
    random.seed(3 if not resume else 99)
    np.random.seed(3 if not resume else 99)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))
    o = setting["optimizer"](model.parameters())
    options = dict(setting.get("loader", {}))
    if setting.get("generator"):
        options["generator"] = st.Generator().manual_seed(5 if not resume else 7)
    validation = [(st.ones(3, 6), st.tensor([0, 1, 0]))]
    stopping = train.EarlyStopping(patience=50)
    history = train.fit(
        model,
        st.utils.data.DataLoader(Noisy("loader" in setting), batch_size=4, **{"shuffle": True, **options}),
        o,
        epochs=epochs,
        scheduler=setting["scheduler"](o) if "scheduler" in setting else None,
        scheduler_each=setting.get("each", "epoch"),
        accumulate=setting.get("accumulate", 1),
        ema=setting.get("ema"),
        validation=validation,
        metrics={"hits": Hits()},
        early_stopping=stopping,
        checkpoint=checkpoint,
        resume=resume,
        callbacks=callbacks,
        progress=False,
    )
    numbers = [row[name] for row in history for name in row if name != "seconds"]
    arrays = [*model.state_dict().values(), *stopping.best_state.values()]
    arrays += [v for entry in o.state_dict()["state"].values() for v in entry.values()]
    return numbers, [np.array(value.numpy()) for value in arrays]


def same(a, b):
    assert a[0] == b[0]
    for x, y in zip(a[1], b[1], strict=True):
        np.testing.assert_array_equal(x, y)


class Interrupt(train.Callback):
    """Presses Ctrl-C after a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, run):
        if run.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def usual_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("step", [1, 5, 7, 8, 10])
@pytest.mark.parametrize("case", SETTINGS)
def test_resumed_runs_are_the_same_bits(tmp_path, case, step):
    path = tmp_path / "checkpoint.safetensors"
    whole = run(case, callbacks=[Interrupt(-1)])
    with pytest.raises(KeyboardInterrupt):
        run(case, path, [Interrupt(step)])
    same(run(case, path, [Interrupt(-1)], resume=True), whole)


@pytest.mark.parametrize("case", SETTINGS)
def test_more_epochs_go_on(tmp_path, case):
    path = tmp_path / "checkpoint.safetensors"
    whole = run(case)
    run(case, path, epochs=1)
    run(case, path, epochs=3, resume=True)
    same(run(case, path, resume=True), whole)
    same(run(case, path, resume=True), whole)  # there is nothing left to do


def test_an_interrupted_validation_is_made_again(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    model = nn.Linear(6, 2)
    start = {name: st.from_numpy(np.array(v.numpy())) for name, v in model.state_dict().items()}

    def attempt(resume, press):
        model.load_state_dict(start)
        rows = [(st.ones(3, 6), st.tensor([0, 1, 0]))]

        class Pressing:
            def __iter__(self):
                if press:
                    os.kill(os.getpid(), signal.SIGINT)
                return iter(rows * 3)

        o = optim.SGD(model.parameters(), lr=0.1)
        options = {"validation": Pressing(), "metrics": {"hits": Hits()}, "progress": False}
        return train.fit(model, rows * 2, o, epochs=2, checkpoint=path, resume=resume, **options)

    with pytest.raises(KeyboardInterrupt):
        attempt(False, True)
    assert st.load(path)["progress"] == [0, 2, 2, False, True]
    found = attempt(True, False)
    wanted = attempt(False, False)
    for name in ("loss", "hits", "val_loss", "val_hits"):
        assert found[name] == wanted[name]


def test_a_second_ctrl_c_does_not_wait_and_does_not_save(tmp_path):
    path = tmp_path / "checkpoint.safetensors"

    class Twice(train.Callback):
        def on_step_end(self, run):
            if run.epoch == 1:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run("adam", path, [Twice()])
    assert st.load(path)["progress"][:2] == [1, 0]  # of the end of the first epoch


PROGRAM = """
import sys, time
import numpy as np
import spinetail as st
st.manual_seed(0)
model = st.nn.Sequential(st.nn.Linear(4, 8), st.nn.Dropout(0.5), st.nn.Linear(8, 1))
x = st.randn(40, 4)
loader = st.utils.data.DataLoader(st.utils.data.TensorDataset(x, x[:, :1] * 2), batch_size=4, shuffle=True)
optimizer = st.optim.Adam(model.parameters(), lr=0.01)
slow = float(sys.argv[2])
class Slow(st.train.Callback):
    def on_step_end(self, run):
        if run.step == 13:
            print("ready", flush=True)
        time.sleep(slow)
st.train.fit(model, loader, optimizer, st.nn.functional.mse_loss, epochs=4, checkpoint=sys.argv[1], resume=True,
             callbacks=[Slow()], progress=False)
print(np.concatenate([p.detach().numpy().ravel() for p in model.parameters()]).tobytes().hex())
"""


def test_ctrl_c_from_outside(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(st.__file__).parents[1])}

    def start(name, slow):
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / name), slow]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    first = start("a", "0.05")
    assert first.stdout.readline() == "ready\n"
    time.sleep(0.1)
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=60)
    assert (first.returncode != 0 and "KeyboardInterrupt" in errors) or "Interrupted" in errors
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]  # and nothing half written beside it
    assert 13 <= st.load(tmp_path / "a")["progress"][2] < 40
    resumed, _ = start("a", "0").communicate(timeout=60)
    whole, _ = start("b", "0").communicate(timeout=60)
    assert resumed.splitlines()[-1] == whole.splitlines()[-1] and len(whole.splitlines()[-1]) > 100


def test_checkpoints_that_do_not_fit(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    run("adam", path, epochs=1)
    with pytest.raises(ValueError, match="the checkpoint has a scheduler, the call has none"):
        run("workers", path, resume=True)
    with pytest.raises(ValueError, match="it has 0 callbacks, but 1 were given"):
        run("adam", path, [lambda run: None], resume=True)
    run("own generator", path, epochs=1)
    SETTINGS["own generator"]["generator"] = False
    try:
        with pytest.raises(ValueError, match="states of 2 generators, but the loader has 1"):
            run("own generator", path, resume=True)
    finally:
        SETTINGS["own generator"]["generator"] = True
    st.save({"a": 1}, path)
    with pytest.raises(ValueError, match="is not a checkpoint of fit"):
        run("adam", path, resume=True)
    path.write_bytes(b"no")
    with pytest.raises(ValueError, match=r"^\[load\]"):
        run("adam", path, resume=True)
    path.unlink()
    assert len(run("adam", path, resume=True)[0]) > 0  # without a file it begins
