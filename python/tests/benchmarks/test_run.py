"""Runs with ourselves and NumPy: turns, workers that die, wrong names, Ctrl-C, the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import spinetail as st
from spinetail import cli
from spinetail.benchmarks import worker
from spinetail.benchmarks.contestant import Worker, WorkerError
from spinetail.benchmarks.run import Plan, Run, families

PATH = os.pathsep.join(filter(None, [str(Path(st.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]))
SMALL = {"threads": [1], "peers": ["numpy"], "python": sys.executable, "quick": True, "rounds": 2, "seconds": 0.001}


@pytest.fixture(autouse=True)
def own_interpreter(monkeypatch):
    monkeypatch.delenv("SPINETAIL_PEER_PYTHON", raising=False)


def state(process) -> str:
    """R, S, T (stopped), …"""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_worker_is_stopped_between_questions():
    it = Worker("numpy", 1)
    try:
        done = it.ask(prepare=["gemm", "16×16×16", "numpy", 0])
        assert done["error"] < 8 and done["once"] > 0
        samples = it.ask(turn=["numpy", 0.001])
        assert len(samples) >= 1 and min(samples) > 0
        deadline = time.monotonic() + 5
        while state(it.process) != "T" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert state(it.process) == "T"
        with pytest.raises(WorkerError, match="KeyError"):
            it.ask(turn=["nobody", 0.1])
        it.ask(drop=True)
    finally:
        it.close()
    assert not it.alive


def test_cold_data_rotates():
    from spinetail.benchmarks import run

    name, case = next((f, c) for f in families() for c in run.family(f).cases if c.cold and f == "gemm")
    size = sum(x.nbytes for x in case.inputs())
    made = worker.Prepared(__import__("numpy"), name, case.name, "numpy", 3 * size - 1)
    assert made.single is None and len({id(made.next()) for _ in range(9)}) == 3


def test_rows():
    with Run(Plan(["gemm"], only="16×16×16", **SMALL)) as run:
        run.measure_limits()
        lines = list(run.rows("gemm"))
        assert run.count("gemm") == len(lines) == 2
        processes = [each.process for each in run.workers.values()]
    for line in lines:
        assert set(line["contestants"]) == {"spinetail", "numpy"} and line["best"] == "numpy"
        assert line["ratio"] > 0 and 0 < line["limit"] < 2
        assert all(each["error"] < 8 for each in line["contestants"].values())
    assert all(process.poll() is not None for process in processes)


def test_a_worker_that_dies():
    said = []
    with Run(Plan(["gemm"], only="16×16×16", **SMALL), note=said.append) as run:
        os.kill(run.worker("numpy", 1).process.pid, signal.SIGKILL)
        first, second = run.rows("gemm")
    assert set(first["contestants"]) == {"spinetail"} and first["ratio"] is None
    assert set(second["contestants"]) == {"spinetail", "numpy"}
    assert len(said) == 1 and "gemm, 16×16×16: numpy's worker ended by signal 9" in said[0]


def test_a_worker_that_never_answers():
    it = Worker("numpy", 1)
    it.patience = 0.05
    with pytest.raises(WorkerError, match="did not answer"):
        it.ask(prepare=["reduction", "top 5 of rows 32×50257", "numpy", 0])
    it.close()


def test_a_library_that_does_not_import():
    with pytest.raises(WorkerError, match=r"onnxruntime|no_such|ModuleNotFoundError"):
        Worker("no_such_library", 1)


def test_thread_counts_against_each_other():
    with Run(Plan(["threads"], [1, 2], [], only="relu 64", rounds=2, seconds=0.001)) as run:
        one, two = run.rows("threads")
    assert one is None and set(two["contestants"]) == {"spinetail", "spinetail on 1 thread"} and two["ratio"] > 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nothing"], "unknown family 'nothing' (known are activation, "),
        (
            ["--peers", "torch,pytorch"],
            "unknown peer 'pytorch' (known are torch, torchvision, numpy, onnxruntime, jax, mlx)",
        ),
        (["--peer-python", "/nowhere/python"], "the peers' interpreter '/nowhere/python' does not run: No such file"),
        (["gemm", "--only", "no such case"], "no case of gemm has 'no such case' in its name"),
    ],
)
def test_wrong_names(arguments, line, capsys, tmp_path):
    assert cli.main(["bench", "--quick", "--threads", "1", "--output", str(tmp_path), *arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"spinetail bench: error: {line}") and said.count("\n") == 1


def test_list(capsys):
    assert cli.main(["bench", "--list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in [*families(), "limits"])


def test_limits(capsys):
    assert cli.main(["bench", "limits", "--threads", "1"]) == 0
    assert "GFLOP/s" in capsys.readouterr().out


def test_the_command(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    page = tmp_path / "docs/figures.md"
    options = ["--quick", "--threads", "1", "--peers", "numpy", "--rounds", "2", "--only", "16×16×16"]
    assert cli.main(["bench", "gemm", *options, "--output", str(tmp_path / "out"), "--page", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "== gemm: Matrix products" in shown and "small, skinny" in shown and "written:" in shown
    data = json.loads((tmp_path / "out/gemm.json").read_text())
    assert (
        data["family"] == "gemm" and len(data["rows"]) == 2 and data["machine"]["command"].startswith("spinetail bench")
    )
    assert data["limits"]["1"]["float32"] > 1e9
    assert "# Benchmarks" in (tmp_path / "out/benchmarks.md").read_text()
    for path in ("out/gemm.png", "docs/figures/gemm.png"):
        assert (tmp_path / path).read_bytes()[:4] == b"\x89PNG"
    assert "(figures/gemm.png)" in page.read_text()


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_command(tmp_path, number):
    command = ["bench", "gemm", "--threads", "1", "--peers", "numpy", "--output", str(tmp_path)]
    running = subprocess.Popen(
        [sys.executable, "-m", "spinetail", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PATH},
    )
    try:
        workers, deadline = [], time.monotonic() + 60
        while len(workers) < 2 and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
            workers = children(running.pid) if running.poll() is None else workers
        assert len(workers) == 2
        running.send_signal(number)
        said = running.communicate(timeout=30)[1]
    finally:
        running.kill()
        running.wait()
    if number == signal.SIGINT:
        assert running.returncode == 130 and "spinetail: interrupted" in said and "Traceback" not in said
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{each}").exists() for each in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    alive = [each for each in workers if Path(f"/proc/{each}").exists()]
    assert not [each for each in alive if Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[0] != "Z"]
