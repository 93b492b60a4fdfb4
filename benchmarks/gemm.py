"""Matrix product 1024³, float32 and float64, beside NumPy with its OpenBLAS, on one thread and on two."""

from __future__ import annotations

import os

import numpy as np
from harness import Peer, interleaved, report

SIZE = 1024
SETUP = """
import numpy as np
rng = np.random.default_rng(0)
a, b = (rng.standard_normal(({size}, {size})).astype(np.{dtype}) for _ in range(2))
"""
OURS = SETUP + "from spinetail.ops import gemm\ndef run(): return gemm.matmul(a, b)\n"
NUMPY = SETUP + "def run(): return a @ b\n"
# Largest error over n·eps·Σ|a·b|, against float64 (float64 against longdouble would take minutes: rows of it).
ERROR = (
    "float(np.max(np.abs(run()[:8] - a[:8].astype(wide) @ b.astype(wide))"
    " / (np.abs(a[:8]).astype(wide) @ np.abs(b).astype(wide))) / np.finfo(a.dtype).eps)"
)


def main() -> None:
    rows = []
    for dtype in ("float32", "float64"):
        wide = "float64" if dtype == "float32" else "longdouble"
        for threads in sorted({1, min(2, len(os.sched_getaffinity(0)))}):
            peers = {
                name: Peer(program.format(size=SIZE, dtype=dtype) + f"wide = np.{wide}\n", threads)
                for name, program in (("spinetail", OURS), ("numpy", NUMPY))
            }
            times = interleaved(peers, rounds=25, target=0.05)
            for name, peer in peers.items():
                rows.append(
                    {
                        "product": f"{SIZE}³ {dtype}",
                        "threads": threads,
                        "who": name if name == "spinetail" else f"numpy {np.__version__}",
                        "median ms": times[name]["median"] * 1e3,
                        "best ms": times[name]["minimum"] * 1e3,
                        "GFLOP/s (median)": 2 * SIZE**3 / times[name]["median"] / 1e9,
                        "speed to numpy": times["numpy"]["median"] / times[name]["median"],
                        "error / eps·Σ|ab|": peer.value(ERROR),
                    }
                )
                peer.close()
    report("gemm", "Matrix product", rows)


if __name__ == "__main__":
    main()
