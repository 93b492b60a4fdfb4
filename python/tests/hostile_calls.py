"""Calls every public function with arguments that nobody should give it. It may raise or compute; it may not crash.

    python hostile_calls.py LOG SEED CALLS [function ...]

A function may raise what says that an argument is wrong: TypeError, ValueError, IndexError, RuntimeError, and
OverflowError, MemoryError and BufferError for numbers and memory beyond all bounds. What is asked for 2**62 of
something may take for ever: it is interrupted, as by Ctrl-C, and counts as refused. Prints each other exception.
"""

from __future__ import annotations

import inspect
import mmap
import os
import random
import resource
import signal
import sys
import types
import warnings

import numpy as np

import spinetail as st
import spinetail.nn.functional as F

GOOD = (TypeError, ValueError, IndexError, RuntimeError, OverflowError, MemoryError, BufferError)
#: What changes the process for the calls after it, or writes files.
LEFT_OUT = {"save", "load", "compile"}
SECONDS = 2


def functions() -> dict:
    """Every public function by its name."""
    found = {}
    for prefix, module in (("", st), ("nn.functional.", F)):
        for name in dir(module):
            value = getattr(module, name)
            if name.startswith(("_", "set_")) or name in LEFT_OUT or inspect.ismodule(value) or inspect.isclass(value):
                continue
            if isinstance(value, (types.FunctionType, types.BuiltinFunctionType)):
                found[prefix + name] = value
    return found


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def arrays(rng: random.Random) -> np.ndarray:
    """An array that a careless function would stumble over."""
    shape = rng.choice([(), (1,), (3,), (4,), (3, 3), (2, 3), (2, 3, 4), (1, 2, 5, 5), (1, 1, 3, 3, 3)])
    values = np.random.default_rng(rng.randrange(9)).standard_normal(shape)
    dtype = rng.choice(["f4", "f4", "f4", "f8", "f8", "i8", "i8", "i4", "i2", "u1", "?", "f2", ">f4", "u4", "u8"])
    plain = np.asarray(np.abs(values * 3) if dtype[0] in "u?" else values * 3).astype(dtype)
    change = rng.choice(
        [
            lambda: plain,
            lambda: plain,
            lambda: plain,
            lambda: read_only(plain.copy()),
            lambda: np.asfortranarray(plain),
            lambda: np.asarray(np.flip(plain)),
            lambda: np.repeat(plain, 2, -1)[..., ::2] if plain.ndim else plain,
            lambda: np.broadcast_to(plain, (2, *shape)),
            lambda: np.full(shape, rng.choice([np.nan, np.inf, -np.inf]), "f4"),
            lambda: np.zeros((0, *shape[1:]), dtype),
            lambda: np.zeros((*shape, 0), dtype),
            lambda: np.zeros((2**40, 0), "f4"),
            lambda: np.zeros((0, 2**40, 3), "f8"),
            lambda: plain.astype("c8"),
            lambda: plain.astype(object),
            lambda: plain.astype("U4"),
            lambda: plain.astype("M8[s]") if dtype == "i8" else plain,
            lambda: np.ma.array(plain, mask=np.ones(shape, bool)),
            lambda: np.zeros(shape, [("a", "f4"), ("b", "i2")]),
            lambda: np.full(shape, rng.choice([-1, 2**31, 2**62, -(2**63)]), "i8"),
        ]
    )
    return change()


def argument(rng: random.Random):
    kind = rng.random()
    if kind < 0.62:
        array = arrays(rng)
        if rng.random() < 0.5:
            try:
                tensor = st.from_numpy(array)
                return tensor.requires_grad_() if rng.random() < 0.3 and array.dtype.kind == "f" else tensor
            except GOOD:
                return array
        return array
    numbers = [0, 1, 2, -1, 3, -7, 2**31, 2**62, -(2**63), 2**80, 0.5, -1.0, float("nan"), float("inf"), 1e300, 1j]
    words = [None, True, False, "mean", "text", b"bytes", "float32", print, object(), slice(1), st.float32, np.float64]
    lists = [(), [], {}, (1,), (2, 3), (2, -1), [0.5, 1.0], ["a"], range(3), (2**62, 2**62), [[1, 2]]]
    return rng.choice([*numbers, *words, *lists, np.float32(2), np.int64(3)])


def call(function, name: str, rng: random.Random) -> None:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    args, keywords = [], {}
    for parameter in parameters:
        if parameter.kind == parameter.VAR_POSITIONAL:
            args += [argument(rng) for _ in range(rng.choice([0, 1, 1, 2, 3]))]
        elif parameter.kind == parameter.VAR_KEYWORD:
            continue
        elif parameter.default is parameter.empty:
            args.append(argument(rng))
        elif rng.random() < 0.25:
            keywords[parameter.name] = argument(rng)
    if rng.random() < 0.05:
        keywords["unknown"] = 1
    if args and rng.random() < 0.05:
        args.pop()
    result = function(*args, **keywords)
    if isinstance(result, st.Tensor) and result.requires_grad and rng.random() < 0.5:
        result.sum().backward()


class Interrupted(BaseException):
    """Raised by the alarm; no handler for ordinary errors takes it."""


def interrupt(*_):
    raise Interrupted


def main(log_path: str, seed: str, calls: str, *names: str) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    signal.signal(signal.SIGALRM, interrupt)
    sys.stdout = open(os.devnull, "w")
    known = functions()
    wrong: dict[tuple, str] = {}
    with open(log_path, "r+b") as file, mmap.mmap(file.fileno(), 4096) as log:
        for name in names or known:
            for number in range(int(calls)):
                rng = random.Random(f"{seed} {name} {number}")
                log[:] = f"{name} call {number}".encode().ljust(4096, b" ")
                signal.alarm(SECONDS)
                try:
                    call(known[name], name, rng)
                except GOOD as error:
                    if type(error) is RecursionError:
                        wrong[name, "RecursionError"] = f"call {number}: {error}"
                except Interrupted:
                    pass
                except Exception as error:
                    wrong[name, type(error).__name__] = f"call {number}: {str(error)[:200]}"
                finally:
                    signal.alarm(0)
    for (name, kind), text in wrong.items():
        print(f"{name}: {kind}: {text}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
