"""The command line: help, information, exit codes, errors without tracebacks, and the main job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import spinetail as st
from spinetail import cli, demo

PATH = os.pathsep.join(filter(None, [str(Path(st.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]))


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "spinetail", *arguments],
        capture_output=True,
        text=True,
        timeout=250,
        env={**os.environ, "PYTHONPATH": PATH, **variables},
    )


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "demo" in text and "info" in text
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in ("--out", "--seed", "--threads", "--quick"):
        assert option in text


def test_version_and_info(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"spinetail {st.__version__}\n"
    assert cli.main(["info"]) == 0
    assert "CPU level" in capsys.readouterr().out


def test_wrong_arguments(capsys):
    assert cli.main([]) == 2
    for arguments in (["nothing"], ["demo", "--seed", "x"], ["demo", "--threads", "0"], ["demo", "--seed", "-1"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 2
    assert "expected a whole number" in capsys.readouterr().err


def test_errors_are_one_line(tmp_path, monkeypatch, capsys):
    def broken(*arguments, **options):
        raise ValueError("[somewhere] something is wrong")

    monkeypatch.setattr(demo, "run", broken)
    assert cli.main(["demo"]) == 1
    assert capsys.readouterr().err == "spinetail demo: error: [somewhere] something is wrong\n"
    monkeypatch.setenv("SPINETAIL_DEBUG", "1")
    with pytest.raises(ValueError, match="something is wrong"):
        cli.main(["demo"])


def test_module_is_the_command():
    found = command("info")
    assert found.returncode == 0 and "spinetail" in found.stdout
    assert command("demo", "--threads", "none").returncode == 2


def test_an_output_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    found = command("demo", "--quick", "--out", str(tmp_path / "file"))
    assert found.returncode == 1
    assert "Traceback" not in found.stderr and "spinetail demo: error:" in found.stderr
    assert "epoch" not in found.stderr  # noticed before the work


def test_digits():
    data = demo.digits()
    assert data.train.shape == (1347, 1, 8, 8) and data.test.shape == (450, 1, 8, 8)
    assert data.train.dtype == np.float32 and data.train.max() == 1.0
    assert np.abs(np.bincount(data.test_labels) - 45).max() <= 1
    together = np.concatenate([data.train, data.test]).reshape(1797, -1)
    whole = np.sort((together * 16).sum(1))
    from sklearn.datasets import load_digits

    np.testing.assert_allclose(whole, np.sort(load_digits().data.sum(1)))
    np.testing.assert_array_equal(demo.digits().test, data.test)


def test_shifts():
    images = np.arange(5 * 64, dtype=np.float32).reshape(5, 1, 8, 8) + 1
    moved = demo.shifted(images, np.random.default_rng(0))
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for before, after in zip(padded[:, 0], moved[:, 0], strict=True):
        assert any(np.array_equal(after, before[i : i + 8, j : j + 8]) for i in range(3) for j in range(3))


def test_what_is_missing_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert cli.main(["demo", "--out", str(tmp_path)]) == 1
    assert (
        capsys.readouterr().err
        == "spinetail demo: error: the digits come with scikit-learn: pip install scikit-learn\n"
    )
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    assert cli.main(["demo", "--out", str(tmp_path)]) == 1
    assert "pip install matplotlib" in capsys.readouterr().err


def test_progress_without_tqdm(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with demo.progress("train", 3) as advance:
        for loss in (3, 2, 1):
            advance(f"loss {loss}")
    assert capsys.readouterr().err == "train: 3 epochs, loss 1\n"


def test_training_repeats_to_the_bit_for_any_number_of_threads():
    data = demo.digits()
    data.train, data.train_labels = data.train[:128], data.train_labels[:128]
    prints = []
    threads = st.get_num_threads()
    for count in (1, 2, 2):
        st.set_num_threads(count)
        st.manual_seed(1)
        model = st.models.DigitsNet((4, 8), 16, 16, 2)
        demo.fit(model, data, 2, 3e-3, np.random.default_rng(1), "test")
        prints.append(demo.fingerprint([model]))
    st.set_num_threads(threads)
    assert prints[0] == prints[1] == prints[2]


def test_the_quick_demo(tmp_path):
    found = command("demo", "--quick", "--out", str(tmp_path / "report"))
    assert found.returncode == 0, found.stderr
    assert "half the channels" in found.stdout and "report.html" in found.stdout
    assert max(len(line) for line in found.stdout.splitlines() if not line.startswith("Report")) <= 100
    report = json.loads((tmp_path / "report/report.json").read_text())
    measures = report["measures"]
    assert measures["accuracy"]["values"]["base"] > 0.95
    assert measures["accuracy"]["values"]["half the channels"] > 0.9
    assert measures["bytes"]["change"]["half the channels"] < -0.3
    assert measures["bytes"]["change"]["90 % of weights"] == 0  # masks are not credited
    assert measures["nonzero"]["change"]["90 % of weights"] < -0.85
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "report.html",
        "report.json",
        "report.md",
        "report.png",
    ]
