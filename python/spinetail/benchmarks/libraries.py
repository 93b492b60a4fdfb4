"""The libraries that can take part, and how each of them is told its number of threads."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

__all__ = ["LIBRARIES", "Library", "environment", "found", "library_of"]


@dataclass(frozen=True)
class Library:
    """One library: the module that programs get, what else it takes, its name as a distribution."""

    module: str
    needs: tuple[str, ...] = ()
    install: tuple[str, ...] = ()


LIBRARIES = {
    "spinetail": Library("spinetail"),
    "torch": Library("torch", install=("torch",)),
    "torchvision": Library("torchvision", ("torch",), ("torchvision",)),
    "numpy": Library("numpy", install=("numpy",)),
    "onnxruntime": Library("onnxruntime", ("onnx",), ("onnxruntime", "onnx")),
    "jax": Library("jax", install=("jax",)),
    "mlx": Library("mlx.core", install=("mlx[cpu]",)),
}


def library_of(contestant: str) -> str:
    """ "torch fused" is torch."""
    return contestant.split()[0]


def environment(threads: int) -> dict[str, str]:
    """The variables that make every library use so many threads."""
    counts = ("OMP", "OPENBLAS", "MKL", "SPINETAIL", "NUMEXPR", "VECLIB_MAXIMUM")
    one = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" if threads == 1 else ""
    return {
        **{f"{name}_NUM_THREADS": str(threads) for name in counts},
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": one,
        "PYTHONWARNINGS": "ignore",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


@cache
def found(python: str) -> dict[str, str]:
    """The libraries that an interpreter has, each with its version."""
    names = sorted({m.partition(".")[0] for lib in LIBRARIES.values() for m in (lib.module, *lib.needs)})
    code = (
        "import importlib.metadata as m, importlib.util as u, json\n"
        "def v(n):\n"
        "    try: return m.version(n)\n"
        "    except m.PackageNotFoundError: return '?'\n"
        f"print(json.dumps({{n: v(n) for n in {names!r} if u.find_spec(n)}}))"
    )
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=120)
    except OSError as problem:
        raise ValueError(f"the peers' interpreter {python!r} does not run: {problem.strerror}") from None
    if done.returncode:
        raise ValueError(f"the peers' interpreter {python!r} does not run: {done.stderr.strip().splitlines()[-1:]}")
    have = json.loads(done.stdout)
    return {
        name: have[library.module.partition(".")[0]]
        for name, library in LIBRARIES.items()
        if all(m.partition(".")[0] in have for m in (library.module, *library.needs))
    }


def chosen(names: Sequence[str] | None) -> list[str]:
    """The peers of that name, all if there is none."""
    known = [name for name in LIBRARIES if name != "spinetail"]
    for name in names or ():
        if name not in known:
            raise ValueError(f"unknown peer {name!r} (known are {', '.join(known)})")
    return list(names) if names is not None else known
