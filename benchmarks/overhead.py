"""What surrounds the kernels: nanoseconds of a native call, microseconds of a functional, the import, the sizes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
from harness import Here, interleaved, report

import spinetail
from spinetail._native import kernels


def imports(rounds: int = 15) -> dict[str, float]:
    """Milliseconds to import, each in a new interpreter, in turn; the package's are those over NumPy's."""
    code = "import time; s = time.perf_counter(); import {}; print((time.perf_counter() - s) * 1e3)"
    over = "import numpy, time; s = time.perf_counter(); import {}; print((time.perf_counter() - s) * 1e3)"
    programs = {"import numpy": code.format("numpy"), "import spinetail, after numpy": over.format("spinetail")}
    times: dict[str, list[float]] = {name: [] for name in programs}
    # An installed package has its bytecode; without it each import would compile every module.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(rounds):
        for name, program in programs.items():
            command = [sys.executable, "-c", program]
            times[name].append(float(subprocess.check_output(command, env=environment)))
    return {name: statistics.median(each) for name, each in times.items()}


def main() -> None:
    x = np.ones(16, np.float32)
    y = np.empty_like(x)
    big, out = np.ones((64, 64), np.float32), np.empty((64, 64), np.float32)
    relu, matmul = kernels.activation_forward, kernels.matmul
    functional = spinetail.nn.functional.relu
    calls = {
        "native relu, 16 floats": Here(lambda: relu(y, x, 1, 0.0, 0.0)),
        "the lambda around it alone": Here(lambda: None),
        "functional relu on an ndarray, 16 floats": Here(lambda: functional(x)),
        "numpy.maximum, 16 floats": Here(lambda: np.maximum(x, 0)),
        "native matmul 64³": Here(lambda: matmul(out, big, big, None, 0)),
        "numpy matmul 64³": Here(lambda: np.matmul(big, big, out)),
    }
    times = interleaved(calls, rounds=25, target=0.01)
    rows = [
        {"what": name, "median": f"{time['median'] * 1e9:.0f} ns", "best": f"{time['minimum'] * 1e9:.0f} ns"}
        for name, time in times.items()
    ]
    rows += [{"what": name, "median": f"{time:.1f} ms", "best": ""} for name, time in imports().items()]
    folder = Path(spinetail.__file__).parent
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    rows.append(
        {"what": "the package, installed", "median": f"{sum(f.stat().st_size for f in files) / 1e6:.2f} MB", "best": ""}
    )
    for path in sorted(folder.glob("_*.so")):
        rows.append({"what": path.name, "median": f"{path.stat().st_size / 1e6:.3f} MB", "best": ""})
    report("overhead", "What surrounds the kernels", rows)


if __name__ == "__main__":
    main()
