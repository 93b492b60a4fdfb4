"""A worker process seen from outside: it is stopped except while it is asked."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .libraries import environment

__all__ = ["Worker", "WorkerError"]

FOLDER = Path(__file__).resolve().parent


class WorkerError(RuntimeError):
    """What went wrong in a worker, in one line."""


class Worker:
    """One library on so many threads, in the interpreter `python`. Idle workers are stopped, so none of their threads
    spins beside another's measurement."""

    def __init__(self, library: str, threads: int, python: str = sys.executable, patience: float = 180.0) -> None:
        self.library, self.threads, self.patience = library, threads, patience
        self.said = tempfile.TemporaryFile("w+", errors="replace")
        variables = {**os.environ, **environment(threads)}
        if library == "spinetail":
            path = [str(FOLDER.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
            variables["PYTHONPATH"] = os.pathsep.join(path)
        elif python != sys.executable:
            variables.pop("PYTHONPATH", None)
        self.process = subprocess.Popen(
            [python, str(FOLDER / "worker.py"), library, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
            env=variables,
            start_new_session=True,  # Ctrl-C is for the parent, which ends its workers
        )
        try:
            self._answer()
        except BaseException:
            self.close()
            raise
        self._signal(signal.SIGSTOP)

    def ask(self, **message: Any) -> Any:
        """The worker's answer; WorkerError if it has none. Any failure but a plain exception ends the worker."""
        try:
            self._signal(signal.SIGCONT)
            print(json.dumps(message), file=self.process.stdin, flush=True)
        except (OSError, ValueError):
            raise self._dead() from None
        try:
            return self._answer()
        finally:
            self._signal(signal.SIGSTOP)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        if self.alive:
            self.process.kill()
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self.said):
            try:
                file.close()
            except OSError:
                pass

    def _answer(self) -> Any:
        if not select.select([self.process.stdout], [], [], self.patience)[0]:
            self.process.kill()
            raise WorkerError(f"{self.library} on {self.threads} threads did not answer for {self.patience:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise self._dead()
        answer = json.loads(line)
        if "problem" in answer:
            raise WorkerError(f"{self.library}: {answer['problem'].splitlines()[0][:200]}")
        return answer["value"]

    def _dead(self) -> WorkerError:
        self.process.kill()
        code = self.process.wait()
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        self.said.seek(0)
        last = [line for line in self.said.read().splitlines() if line.strip()][-1:]
        return WorkerError(f"{self.library}'s worker ended {how}{': ' + last[0][:200] if last else ''}")

    def _signal(self, number: int) -> None:
        if self.alive:
            os.kill(self.process.pid, number)
