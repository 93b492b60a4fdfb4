"""One library in a process of its own: it prepares cases and times them when asked, in lines of JSON.

    python worker.py LIBRARY THREADS

It runs in the peers' interpreters too, so it needs nothing but NumPy and the library.
"""

from __future__ import annotations

import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != FOLDER]  # its files are no modules

import ctypes  # noqa: E402
import gc  # noqa: E402
import importlib  # noqa: E402
import itertools  # noqa: E402
import json  # noqa: E402
import signal  # noqa: E402
import types  # noqa: E402
from contextlib import nullcontext  # noqa: E402
from time import perf_counter  # noqa: E402

SAMPLES = 5  # of one turn
WARM = 0.01  # seconds before the first of them


class Prepared:
    """One contestant's work on one case: one function, or one for each set of inputs."""

    def __init__(self, library, family, case, contestant, rotating):
        case = next(c for c in load(family).cases if c.name == case)
        inputs = case.inputs()
        make = case.programs[contestant]
        size = sum(x.nbytes for x in inputs if hasattr(x, "nbytes"))
        copies = max(1, -(-rotating // max(size, 1))) if case.cold else 1
        sets = [inputs, *([x.copy() if hasattr(x, "nbytes") else x for x in inputs] for _ in range(copies - 1))]
        runs = [make(library, *each) for each in sets]
        self.context = getattr(runs[0], "context", nullcontext)
        with self.context():
            output = runs[0]()
            self.error = None if case.error is None or output is None else float(case.error(plain(output), *inputs))
            for run in runs[1:]:  # memory that was never touched is slow once
                run()
            self.next = itertools.cycle(runs).__next__ if copies > 1 else lambda run=runs[0]: run
            self.single = runs[0] if copies == 1 else None
            self.once = 1e-7
            start, calls = perf_counter(), 1
            while perf_counter() - start < 0.02:  # until a call's length is known
                self.once = max(1e-8, self.batch(calls))
                calls *= 2

    def batch(self, calls):
        """Seconds of one call, over so many."""
        run, take = self.single, self.next
        if run is not None:
            start = perf_counter()
            for _ in range(calls):
                run()
        else:
            start = perf_counter()
            for _ in range(calls):
                take()()
        return (perf_counter() - start) / calls

    def turn(self, seconds):
        """Samples of a call's seconds. The first calls do not count: they find cold caches, and threads once stopped
        may share a processor for some milliseconds."""
        with self.context():
            settled = perf_counter() + WARM
            while self.once < 0.1 and perf_counter() < settled:
                self.batch(max(1, min(1000, int(1e-3 / self.once))))
            calls = max(1, round(seconds / SAMPLES / self.once))
            samples, end = [], perf_counter() + seconds
            while not samples or (perf_counter() < end and len(samples) < 3 * SAMPLES):
                samples.append(self.batch(calls))
        self.once = min(samples)
        return samples


def plain(output):
    """An output as an ndarray."""
    import numpy as np

    if hasattr(output, "detach"):
        output = output.detach()
        return output.float().numpy() if "16" in str(output.dtype) else output.numpy()
    return np.array(output)


def load(family):
    """The family's file, without the package around it, which the peers' interpreters do not have."""
    name = "spinetail_benchmarks"
    if name not in sys.modules:
        package = sys.modules[name] = types.ModuleType(name)
        package.__path__ = [FOLDER]
    return importlib.import_module(f"{name}.families.{family}").FAMILY


def start(name, threads):
    """The library, set to its threads."""
    if name in ("jax", "mlx"):  # they take what they may run on as their number of threads
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    module = importlib.import_module({"mlx": "mlx.core"}.get(name, name))
    if name == "torch":
        module.set_num_threads(threads)
        module.set_num_interop_threads(1)
    elif name == "mlx":
        module.set_default_device(module.cpu)
    elif name == "spinetail":
        module.set_num_threads(threads)
    return module


def answer(library, prepared, message):
    """What one message asks for."""
    if "prepare" in message:
        family, case, contestant, rotating = message["prepare"]
        done = prepared[contestant] = Prepared(library, family, case, contestant, rotating)
        return {"error": done.error, "once": done.once}
    if "turn" in message:
        contestant, seconds = message["turn"]
        return prepared[contestant].turn(seconds)
    if "limits" in message:
        return importlib.import_module("spinetail.benchmarks.limits").measure(message["limits"])
    prepared.clear()
    gc.collect()
    return None


def main(name, threads):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a stopped worker must not outlive its parent

    def say(**line):
        answers.write(json.dumps(line) + "\n")
        answers.flush()

    try:
        library = start(name, threads)
    except Exception as problem:
        say(problem=f"{type(problem).__name__}: {problem}")
        return
    say(value=None)
    prepared = {}
    for line in sys.stdin:
        try:
            say(value=answer(library, prepared, json.loads(line)))
        except Exception as problem:
            say(problem=f"{type(problem).__name__}: {problem}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
