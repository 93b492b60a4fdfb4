"""Runs families of measurements: every contestant of a case in turns, A B C A B C, each in its own process."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from .case import Case, Family
from .contestant import Worker, WorkerError
from .libraries import chosen, found, library_of
from .limits import LARGE, caches
from .rows import row

__all__ = ["Plan", "Run", "families", "family"]


def families() -> list[str]:
    """The names of all families."""
    return sorted(path.stem for path in (Path(__file__).parent / "families").glob("*.py") if path.stem != "__init__")


def family(name: str) -> Family:
    if name not in families():
        raise ValueError(f"unknown family {name!r} (known are {', '.join(families())}, limits)")
    return import_module(f".families.{name}", __package__).FAMILY


@dataclass
class Plan:
    """What to run and how long. `rounds` turns of about `seconds` for each contestant."""

    families: Sequence[str] = ()
    threads: Sequence[int] = ()
    peers: Sequence[str] | None = None
    python: str | None = None
    only: str = ""
    quick: bool = False
    rounds: int | None = None
    seconds: float | None = None
    budget: float = 4.0  #: seconds that one contestant may take for one case

    def __post_init__(self) -> None:
        processors = len(os.sched_getaffinity(0))
        self.families = list(self.families) or families()
        self.threads = sorted(set(self.threads)) or sorted({1, processors})
        self.python = self.python or os.environ.get("SPINETAIL_PEER_PYTHON") or sys.executable
        self.rounds = self.rounds or (3 if self.quick else 7)
        self.seconds = self.seconds or (0.01 if self.quick else 0.04)
        if self.quick:
            self.budget = 1.0

    def cases(self, name: str) -> list[Case]:
        """The chosen cases of a family."""
        return [
            case
            for case in family(name).cases
            if self.only in case.name and (case.quick or not self.quick) and case.programs
        ]


@dataclass
class Run:
    """One run: its workers live until it is closed, so each library is imported once for each thread count."""

    plan: Plan
    note: Callable[[str], None] = lambda line: print(line, file=sys.stderr)
    workers: dict[tuple[str, int], Worker | None] = field(default_factory=dict)
    limits: dict[int, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted = chosen(self.plan.peers)
        for name in self.plan.families:
            family(name)
        self.pythons = {"spinetail": sys.executable}
        self.versions = {}
        for python in dict.fromkeys((self.plan.python, sys.executable)):
            for library, version in found(python).items():
                if library in wanted and library not in self.pythons:
                    self.pythons[library], self.versions[library] = python, version
        self.absent = [name for name in wanted if name not in self.pythons]

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *problem: object) -> None:
        for worker in self.workers.values():
            if worker:
                worker.close()
        self.workers.clear()

    def measure_limits(self) -> dict[int, dict[str, Any]]:
        for threads in self.plan.threads:
            self.limits[threads] = self.worker("spinetail", threads).ask(limits=threads)
        return self.limits

    def rows(self, name: str) -> Iterator[dict[str, Any] | None]:
        """A row for each case and thread count of a family, as they are measured; None for one that came to nothing."""
        for case in self.plan.cases(name):
            for threads in self.plan.threads:
                if case.threads is None or threads in case.threads:
                    yield self.row(name, case, threads)

    def count(self, name: str) -> int:
        return sum(
            case.threads is None or threads in case.threads
            for case in self.plan.cases(name)
            for threads in self.plan.threads
        )

    def row(self, name: str, case: Case, threads: int) -> dict[str, Any] | None:
        entered, once, errors = {}, {}, {}
        for contestant in case.programs:
            count = threads
            if fixed := re.search(r" on (\d+) threads?$", contestant):
                count = int(fixed.group(1))
                if count == threads:
                    return None  # the case compares thread counts
            if library_of(contestant) not in self.pythons:
                continue
            worker = self.worker(library_of(contestant), count)
            if worker is None:
                continue
            try:
                done = worker.ask(prepare=[name, case.name, contestant, self.rotating(len(case.programs))])
            except WorkerError as problem:
                self.failed(worker, f"{name}, {case.name}: {problem}")
                continue
            entered[contestant], once[contestant], errors[contestant] = worker, done["once"], done["error"]
        samples = self.turns(entered, once)
        for worker in {id(w): w for w in entered.values()}.values():
            if worker.alive:
                worker.ask(drop=True)
        if "spinetail" not in samples:
            return None
        return row(case, threads, samples, errors, family(name).rivals, self.limits.get(threads))

    def turns(self, entered: dict[str, Worker], once: Mapping[str, float]) -> dict[str, list[float]]:
        """Samples of each contestant. A slow one takes part in fewer rounds, but in two at least."""
        samples: dict[str, list[float]] = {contestant: [] for contestant in entered}
        lengths = {c: max(self.plan.seconds, once[c]) for c in entered}
        rounds = {c: max(2, min(self.plan.rounds, round(self.plan.budget / lengths[c]))) for c in entered}
        for turn in range(self.plan.rounds):
            for contestant, worker in list(entered.items()):
                if turn >= rounds[contestant]:
                    continue
                try:
                    samples[contestant] += worker.ask(turn=[contestant, self.plan.seconds])
                except WorkerError as problem:
                    self.failed(worker, str(problem))
                    del entered[contestant], samples[contestant]
        return samples

    def worker(self, library: str, threads: int) -> Worker | None:
        key = library, threads
        if key not in self.workers:
            try:
                self.workers[key] = Worker(library, threads, self.pythons[library])
            except WorkerError as problem:
                if library == "spinetail":
                    raise
                self.note(f"{library} takes no part: {problem}")
                self.workers[key] = None
        return self.workers[key]

    def failed(self, worker: Worker, line: str) -> None:
        """Says so; a worker that died is replaced when it is needed again."""
        self.note(line)
        if not worker.alive:
            worker.close()
            self.workers = {key: each for key, each in self.workers.items() if each is not worker}

    def rotating(self, contestants: int) -> int:
        """Bytes for data that no cache holds: twice the last cache and 512 MB at least, if memory allows."""
        try:
            available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError):
            available = 8 << 30
        return min(max(LARGE, 2 * caches()["L3"]), available // (3 * max(1, contestants)))
