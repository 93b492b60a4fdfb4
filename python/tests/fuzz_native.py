"""Calls every kernel with random arguments, right and wrong. A kernel may raise or compute; it may not crash.

    python fuzz_native.py record CORPUS
    python fuzz_native.py call CORPUS LOG SEED CALLS [kernel ...]

The first keeps what the docstrings' examples hand to each kernel. The second makes calls out of nothing, and out of
those with a thing or two changed. Arrays lie between two pages that nobody may touch, so that one element too far
ends the process; the log then says which call was the last one.
"""

from __future__ import annotations

import ctypes
import doctest
import faulthandler
import importlib
import mmap
import os
import pickle
import pkgutil
import random
import sys

import numpy as np

from spinetail._native import kernels

NUMBERS = [*range(-2, 5), 7, 8, 16, 100, 2**31, 2**32 + 1, 2**62, -(2**63), 2**63 - 1]
REALS = [0.0, -0.0, 1.0, 0.5, 0.9, 0.999, 1e-8, -1.0, 1e300, 1e-300, float("inf"), float("nan")]
EXTENTS = [0, 1, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33]
USUAL = ["f4", "f8"]
UNUSUAL = [
    "f2",
    "i1",
    "u1",
    "i4",
    "i8",
    "?",
    "u4",
    ">f4",
    ">f8",
    "c8",
    "O",
    "M8[s]",
    "V4",
    "S3",
    [("a", "f4"), ("b", "i2")],
]
STRANGE = [None, 0, 1.5, "text", [1.0, 2.0], (), {}, object(), np.float32(1), np.ma.array([1.0, 2.0], mask=[0, 1])]


class Fence:
    """A few pages, with a forbidden one on either side."""

    def __init__(self, pages: int) -> None:
        size = mmap.PAGESIZE
        self.bytes = pages * size
        self.map = mmap.mmap(-1, self.bytes + 2 * size)
        self.memory = np.frombuffer(self.map, np.uint8)
        start = self.memory.ctypes.data
        libc = ctypes.CDLL(None, use_errno=True)
        for page in (start, start + size + self.bytes):
            if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(size), 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.memory = self.memory[size:-size]

    def place(self, size: int, at_end: bool) -> np.ndarray:
        return self.memory[self.bytes - size :] if at_end else self.memory[:size]


class Call:
    """One kernel's random arguments: mostly arrays that could go together, or the first check ends it."""

    def __init__(self, chance: random.Random, fences: list[Fence]) -> None:
        self.chance = chance
        self.free = chance.sample(fences, len(fences))
        self.rank = chance.choice([1, 1, 2, 2, 3, 4, 4, 5])
        small = [extent for extent in EXTENTS if extent ** max(1, self.rank - 1) < 1500]  # or one call takes minutes
        self.extents = chance.sample(small, chance.choice([1, 1, 2, 3]))
        self.shape = tuple(chance.choice(self.extents) for _ in range(self.rank))
        self.dtype = chance.choice(USUAL)
        self.wild = chance.random() < 0.3  # a call in which much is wrong

    def dtype_of_array(self) -> object:
        odd = self.chance.random() < (0.3 if self.wild else 0.08)
        return self.chance.choice(UNUSUAL + USUAL) if odd else self.dtype

    def shape_of_array(self) -> tuple[int, ...]:
        kind = self.chance.random()
        if kind < 0.5:
            return self.shape
        if kind < 0.75:  # a part of it: a bias, a row, statistics
            start = self.chance.randrange(self.rank + 1)
            return self.shape[start : self.chance.randint(start, self.rank)]
        rank = self.chance.randrange(6) if self.wild else self.rank
        return tuple(self.chance.choice(self.extents) for _ in range(rank))

    def array(self) -> np.ndarray:
        dtype = np.dtype(self.dtype_of_array())
        shape = self.shape_of_array()
        layout = self.chance.random()
        step = 1 if layout < 0.8 else self.chance.choice([-1, 2, -2])
        base = (*shape[:-1], shape[-1] * abs(step)) if shape else ()
        size = int(np.prod(base, dtype=np.int64)) * dtype.itemsize
        if dtype.hasobject or not self.free or size + 1 > self.free[-1].bytes:
            return np.zeros(shape, dtype)
        memory = self.free.pop().place(size, self.chance.random() < 0.5)
        out = memory.view(dtype).reshape(base) if size else np.zeros(base, dtype)
        self.fill(out)
        if shape and step != 1:
            out = out[..., ::step]
        elif shape and layout > 0.75:
            out = np.broadcast_to(out[..., :1], shape) if self.wild and shape[-1] else out.T
        elif layout > 0.73 and size > dtype.itemsize and out.ndim == 1:  # out of alignment
            out = memory[1 : 1 + size - dtype.itemsize].view(dtype)
        if self.chance.random() < 0.03:
            out.flags.writeable = False
        return out

    def fill(self, out: np.ndarray) -> None:
        generator = np.random.default_rng(self.chance.randrange(2**32))
        if out.dtype.kind == "f":
            out[...] = generator.standard_normal(out.shape)
            if out.size and self.chance.random() < 0.2:
                out.flat[self.chance.randrange(out.size)] = self.chance.choice(REALS)
        elif out.dtype.kind in "iu":  # labels and indices, some of them out of range
            out[...] = generator.integers(0, self.chance.choice([1, 2, 5, 100]), out.shape)
            if out.size and out.dtype.kind == "i" and self.chance.random() < 0.3:
                out.flat[self.chance.randrange(out.size)] = self.chance.choice([-1, -100, 127, np.iinfo(out.dtype).min])
        elif out.dtype.kind == "b":
            out[...] = generator.integers(0, 2, out.shape)

    def integer(self) -> object:
        likely = [0, 1, 1, 2, 3, *self.extents]
        return self.chance.choice(NUMBERS if self.chance.random() < 0.15 else likely)

    def argument(self, letter: str) -> object:
        if self.chance.random() < (0.05 if self.wild else 0.01):
            return self.chance.choice([*STRANGE, *NUMBERS])
        if letter in "WR":
            return self.array()
        if letter in "ON":
            return None if self.chance.random() < 0.3 else self.array()
        if letter == "L":
            several = [self.array() for _ in range(self.chance.choice([0, 1, 1, 2, 3]))]
            return tuple(several) if self.chance.random() < 0.2 else several
        if letter == "I":
            return self.integer()
        if letter == "D":
            return self.chance.choice(REALS)
        count = self.chance.randrange(30) if self.wild else 24
        return tuple(self.integer() if self.wild else self.chance.choice([0, 1, 1, 1, 2]) for _ in range(count))

    # ---- calls that worked, with a thing or two changed

    def like(self, old: np.ndarray) -> np.ndarray:
        """A copy in fenced memory, in another layout now and then."""
        size = old.nbytes
        if old.dtype.hasobject or not self.free or size > self.free[-1].bytes:
            return old.copy()
        memory = self.free.pop().place(size, self.chance.random() < 0.5) if size else np.zeros(0, np.uint8)
        out = memory.view(old.dtype).reshape(old.shape)
        out[...] = old
        return out

    def changed(self, old: object) -> object:
        chance = self.chance
        if isinstance(old, np.ndarray):
            way = chance.randrange(8)
            shape = list(old.shape)
            if way < 3 and shape:  # another extent
                axis = chance.randrange(len(shape))
                shape[axis] = max(0, chance.choice([0, 1, shape[axis] - 1, shape[axis] + 1, 2 * shape[axis]]))
                return self.like(np.resize(old, shape) if old.size else np.zeros(shape, old.dtype))
            if way == 3:  # another rank
                return self.like(old[None] if chance.random() < 0.5 or not shape else old[0:1].reshape(-1))
            if way == 4:
                return self.like(np.zeros(shape, chance.choice(USUAL + UNUSUAL)))
            if way == 5 and old.dtype.kind in "iufb":  # other values: labels, indices and lengths out of range
                out = self.like(old)
                self.fill(out)
                return out
            if way == 6:
                return self.like(np.repeat(old, 2, axis=-1))[..., ::2] if shape else old
            return self.like(old.T)
        if isinstance(old, bool | int):
            return self.integer() if chance.random() < 0.5 else old + chance.choice([-1, 1])
        if isinstance(old, float):
            return chance.choice(REALS)
        if isinstance(old, list | tuple) and old:
            items = list(old)
            place = chance.randrange(len(items))
            items[place : place + 1] = chance.choice([[], [self.changed(items[place])], [items[place]] * 2])
            return type(old)(items)
        return self.array()

    def variation(self, old: list) -> list:
        out = [self.like(each) if isinstance(each, np.ndarray) else each for each in old]
        out = [[self.like(a) for a in each] if isinstance(each, list) else each for each in out]
        for _ in range(self.chance.choice([0, 1, 1, 1, 2, 3])):
            place = self.chance.randrange(len(out))
            out[place] = self.changed(out[place])
        return out


def record(corpus: str) -> None:
    """Runs the docstrings' examples and keeps the first few calls of each kernel."""
    import spinetail

    kept: dict[str, list] = {name: [] for name in kernels.signatures()}

    def copy(value: object) -> object:
        if isinstance(value, list | tuple):
            return type(value)(copy(each) for each in value)
        return np.array(value) if isinstance(value, np.ndarray) else value

    def watch(name: str, kernel: object):
        def watched(*arguments):
            size = sum(a.nbytes for a in arguments if isinstance(a, np.ndarray))
            if len(kept[name]) < 12 and size < 1 << 18:
                kept[name].append([copy(argument) for argument in arguments])
            return kernel(*arguments)

        return watched

    for name in kept:
        setattr(kernels, name, watch(name, getattr(kernels, name)))
    rooms = [name for name in ("ops", "functional", "nn", "optim") if os.path.isdir(f"{spinetail.__path__[0]}/{name}")]
    for room in rooms:
        package = importlib.import_module(f"spinetail.{room}")
        modules = [package.__name__, *(m.name for m in pkgutil.walk_packages(package.__path__, package.__name__ + "."))]
        for module in map(importlib.import_module, modules):
            for example in doctest.DocTestFinder().find(module):
                doctest.DocTestRunner(verbose=False).run(example, out=lambda text: None)
    with open(corpus, "wb") as file:
        pickle.dump(kept, file)


def main(corpus: str, log: str, seed: int, calls: int, names: list[str]) -> None:
    faulthandler.enable()
    fences = [Fence(16) for _ in range(24)]
    signatures = kernels.signatures()
    with open(corpus, "rb") as file:
        examples = pickle.load(file)
    done = refused = 0
    with open(log, "r+b") as file, mmap.mmap(file.fileno(), 4096) as last, np.errstate(all="ignore"):
        for name in names or sorted(signatures):
            kernel, letters = getattr(kernels, name), signatures[name]
            for number in range(calls):
                chance = random.Random(f"{name} {seed} {number}")
                last[:128] = f"{name} seed {seed} call {number}".encode().ljust(128)
                call = Call(chance, fences)
                if examples.get(name) and chance.random() < 0.6:
                    arguments = call.variation(chance.choice(examples[name]))
                else:
                    arguments = [call.argument(letter) for letter in letters]
                if chance.random() < 0.02:
                    arguments = arguments[: chance.randrange(len(arguments))] + [None] * chance.choice([0, 9])
                faulthandler.dump_traceback_later(20, exit=True)
                try:
                    kernel(*arguments)
                    done += 1
                except (TypeError, ValueError, IndexError, OverflowError, MemoryError):
                    refused += 1
    faulthandler.cancel_dump_traceback_later()
    print(done, refused)


if __name__ == "__main__":
    if sys.argv[1] == "record":
        record(sys.argv[2])
    else:
        main(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6:])
