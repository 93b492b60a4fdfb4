"""Measures things side by side: A, B, A, B, … in one run, so that both see the same machine.

A peer that lives in another environment runs in a worker of its own: SPINETAIL_PEER_PYTHON=/path/to/python names the
interpreter, and the two talk in lines of JSON. A peer's program defines a `run()` that does the work once.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).resolve().parents[1]


class Peer:
    """A program in a worker process, timed there."""

    def __init__(self, setup: str, threads: int = 1, python: str | None = None) -> None:
        python = python or os.environ.get("SPINETAIL_PEER_PYTHON") or sys.executable
        variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "SPINETAIL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(variables, str(threads)), "PYTHONWARNINGS": "ignore"}
        self.process = subprocess.Popen(
            [python, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.ask(setup=setup)

    def ask(self, **message: Any) -> Any:
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the worker ended"}
        if "error" in answer:
            raise RuntimeError(f"peer: {answer['error']}")
        return answer["value"]

    def time(self, calls: int) -> float:
        """Seconds per call, over `calls` calls."""
        return self.ask(time=calls)

    def value(self, expression: str) -> Any:
        return self.ask(value=expression)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Here:
    """The same for a function of this process."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function

    def time(self, calls: int) -> float:
        return seconds_per_call(self.function, calls)

    def close(self) -> None:
        pass


def seconds_per_call(function: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def interleaved(contestants: dict[str, Peer | Here], rounds: int = 15, target: float = 0.02) -> dict[str, dict]:
    """Median and minimum of each contestant's seconds per call; each round takes about `target` seconds of each."""
    calls = {}
    for name, contestant in contestants.items():
        contestant.time(1)
        once = min(contestant.time(1) for _ in range(3))
        calls[name] = max(1, min(100_000, round(target / max(once, 1e-9))))
        contestant.time(calls[name])
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            seconds[name].append(contestant.time(calls[name]))
    return {name: {"median": statistics.median(all_), "minimum": min(all_)} for name, all_ in seconds.items()}


def available(module: str) -> bool:
    """Whether the peers' interpreter has it."""
    python = os.environ.get("SPINETAIL_PEER_PYTHON") or sys.executable
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0


def machine() -> dict[str, Any]:
    import numpy

    import spinetail

    model = "unknown"
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    return {
        "cpu": model,
        "processors": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "spinetail": spinetail.__version__,
        "level": spinetail._native.level,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Rows of one shape as a Markdown table."""
    names = list(rows[0])
    cells = [names, *([f"{row[n]:.4g}" if isinstance(row[n], float) else str(row[n]) for n in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def report(name: str, title: str, rows: list[dict[str, Any]]) -> None:
    """Prints a table, and keeps it as Markdown and JSON under results/."""
    RESULTS.mkdir(exist_ok=True)
    facts = machine()
    about = f"{facts['cpu']}, {facts['processors']} processors, load {facts['load']:.1f}, level {facts['level']}"
    text = f"## {title}\n\n{about}, NumPy {facts['numpy']}\n\n{table(rows)}\n"
    print(text, flush=True)
    (RESULTS / f"{name}.md").write_text(text)
    (RESULTS / f"{name}.json").write_text(json.dumps({"machine": facts, "rows": rows}, indent=1))


def work() -> None:
    """The worker's loop: one line of JSON in, one out."""
    answers, sys.stdout = sys.stdout, sys.stderr
    names: dict[str, Any] = {}
    for line in sys.stdin:
        message = json.loads(line)
        try:
            value = None
            if "setup" in message:
                exec(message["setup"], names)
            elif "time" in message:
                value = seconds_per_call(names["run"], message["time"])
            else:
                value = eval(message["value"], names)
            answer = {"value": value}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    work()
