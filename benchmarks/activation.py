"""Elementwise functions and softmax beside PyTorch's, in turns and in processes of their own: time and error.

    python benchmarks/activation.py [--peer PYTHON] [--threads 1 2] [--rounds 3] [--only NAME ...]

`--peer` is an interpreter that has PyTorch. Errors are relative to the largest magnitude of a float64 reference.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

FUNCTIONS = ("exp", "log", "tanh", "sigmoid", "erf", "relu", "gelu", "silu", "softplus")
CASES = {f"{name} {size}": (name, (size,)) for size in (65_536, 1_000_000) for name in FUNCTIONS}
CASES |= {
    "softmax 4096x768": ("softmax", (4096, 768)),
    "log_softmax 4096x768": ("log_softmax", (4096, 768)),
    "softmax 64x12x128x128": ("softmax", (64, 12, 128, 128)),
    "gelu 4x10": ("gelu", (4, 10)),
    "softmax 4x10": ("softmax", (4, 10)),
}


def reference(name, x):
    """The function in float64."""
    import math

    import numpy as np

    x = x.astype(np.float64)
    erf = np.vectorize(math.erf)
    if name in ("softmax", "log_softmax"):
        shifted = x - x.max(-1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        return np.exp(logs) if name == "softmax" else logs
    return {
        "exp": np.exp,
        "log": np.log,
        "tanh": np.tanh,
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "erf": erf,
        "relu": lambda x: np.maximum(x, 0),
        "gelu": lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2))),
        "silu": lambda x: x / (1 + np.exp(-x)),
        "softplus": lambda x: np.logaddexp(x, 0),
    }[name](x)


def measure(library, case, threads, seconds):
    """Seconds of one call, the best of those that fit into `seconds`, and the largest relative error."""
    import numpy as np

    name, shape = case
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    if name == "log":
        x = np.abs(x)
    if library == "spinetail":
        import spinetail as torch
    else:
        import torch
    torch.set_num_threads(threads)
    function = getattr(torch.nn.functional, name, None) or getattr(torch, name)
    tensor = torch.from_numpy(x)
    options = {"dim": -1} if "softmax" in name else {}
    repeat = max(1, 20_000 // x.size)
    times = []
    with torch.inference_mode():
        out = np.asarray(function(tensor, **options))
        stop = time.perf_counter() + seconds
        while time.perf_counter() < stop or len(times) < 3:
            start = time.perf_counter()
            for _ in range(repeat):
                function(tensor, **options)
            times.append((time.perf_counter() - start) / repeat)
    part = slice(0, 65_536 if x.ndim == 1 else 16)
    expected = reference(name, x[part])
    return min(times), float(np.abs(out[part] - expected).max() / np.abs(expected).max())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", default=sys.executable)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        library, name, threads = options.measure
        print(json.dumps(measure(library, CASES[name], int(threads), options.seconds)))
        return
    print(f"{'case':26} {'threads':>7} {'spinetail':>12} {'torch':>12} {'ratio':>6} {'error':>9} {'torch':>9}")
    for name in (n for n in CASES if any(o in n for o in options.only)):
        for threads in options.threads:
            best = {}
            for _ in range(options.rounds):
                for library, python in (("spinetail", sys.executable), ("torch", options.peer)):
                    command = [python, __file__, "--measure", library, name, str(threads)]
                    command += ["--seconds", str(options.seconds)]
                    done = subprocess.run(command, capture_output=True, text=True)
                    if done.returncode == 0:
                        best[library] = min(best.get(library, [9e9, 0]), json.loads(done.stdout))
            ours, theirs = best["spinetail"], best.get("torch", [float("nan")] * 2)
            print(
                f"{name:26} {threads:7} {ours[0] * 1e6:9.1f} µs {theirs[0] * 1e6:9.1f} µs {theirs[0] / ours[0]:6.2f} "
                f"{ours[1]:9.1e} {theirs[1]:9.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
