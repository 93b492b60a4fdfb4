"""What the benchmarks share: each library in processes of its own, in turns, and one table of the best times."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable


def best(run: Callable[[], object], seconds: float) -> float:
    """Seconds of one call: the best of those that fit into `seconds`, after a warm-up."""
    run()
    run()
    repeat, times, end = 1, [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        for _ in range(repeat):
            run()
        took = time.perf_counter() - start
        times.append(took / repeat)
        if took < 2e-4:
            repeat *= 4
            times.clear()
    return min(times)


def main(script: str, description: str | None, cases: dict, peers: list[str], measure: Callable) -> None:
    """Runs `measure(library, case, threads, seconds) -> (seconds, error)` for each library and prints a table."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default=sys.executable, help="the interpreter that has the peers")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--run", nargs=3, metavar=("LIBRARY", "CASE", "THREADS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        library, case, threads = options.run
        print(json.dumps(measure(library, cases[case], int(threads), options.seconds)))
        return
    libraries = ["spinetail", *peers]
    print(
        f"{'case':34} {'threads':>7} {'spinetail':>11} {'error':>8}  {'peer':14} {'time':>11} {'error':>8} {'ratio':>6}"
    )
    for case in options.only or cases:
        for threads in options.threads:
            seen: dict[str, list] = {library: [] for library in libraries}
            for _ in range(options.rounds):
                for library in libraries:
                    python = sys.executable if library == "spinetail" else options.peer
                    command = [python, script, "--run", library, case, str(threads), "--seconds", str(options.seconds)]
                    output = subprocess.run(command, capture_output=True, text=True)
                    if output.returncode:
                        raise SystemExit(output.stderr)
                    seen[library].append(json.loads(output.stdout))
            times = {library: statistics.median(t for t, _ in values) for library, values in seen.items()}
            errors = {library: values[0][1] for library, values in seen.items()}
            for peer in peers:
                print(
                    f"{case:34} {threads:7} {times['spinetail'] * 1e6:9.2f}us {errors['spinetail']:8.1e}  {peer:14} "
                    f"{times[peer] * 1e6:9.2f}us {errors[peer]:8.1e} {times[peer] / times['spinetail']:6.2f}",
                    flush=True,
                )
