"""The example scripts run, and do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import spinetail

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PATH = os.pathsep.join(filter(None, [str(Path(spinetail.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]))


def run(name: str, folder: Path, *arguments: str) -> str:
    found = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": PATH},
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_array_pruning(tmp_path):
    text = run("array_pruning.py", tmp_path)
    kept = re.search(r"kept columns: +(.*)", text).group(1)
    assert kept == re.search(r"useful columns: +(.*)", text).group(1)
    assert "after:  (1000, 10), 80,000 bytes (-90%)" in text


def test_mlp(tmp_path):
    text = run("mlp.py", tmp_path)
    assert text.count("output shape (32, 10)") == 4
    assert min(map(float, re.findall(r"accuracy (\S+)", text))) > 0.8
    assert "width 50, depth 1: 5,560 parameters" in text


def test_lenet(tmp_path):
    text = run("lenet.py", tmp_path)
    assert float(re.search(r"test accuracy (\S+) %", text).group(1)) >= 98.5


def test_inference(tmp_path):
    text = run("inference.py", tmp_path)
    differences = [float(number) for number in re.findall(r"differs by (\S+)", text)]
    assert len(differences) == 3 and max(differences) < 1e-5
    assert len(re.findall(r"^[a-z ]+ [\d.]+ ms$", text, re.M)) == 3
    assert "FusedConv2d(512, 512, kernel_size=(1, 1), stride=(1, 1), activation=silu)" in text


def test_text(tmp_path):
    text = run("text.py", tmp_path, "40")
    before, after = (float(re.search(rf"held-out loss {when}: (\S+)", text).group(1)) for when in ("before", "after"))
    assert 4.5 < before < 5.2 and after < 0.75 * before
    assert len(text.partition("a sample:\n")[2]) >= 300


def test_numpy_training(tmp_path):
    text = run("numpy_training.py", tmp_path, str(tmp_path / "losses.png"))
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")
    losses = re.findall(r"loss (\S+) -> (\S+)", text)
    assert len(losses) == 6 and all(float(last) < 0.7 * float(first) for first, last in losses)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_script_has_a_test(path):
    assert f"def test_{path.stem}(" in Path(__file__).read_text()
