"""Losses with their gradients beside PyTorch's, in turns and in processes of their own: time and error.

    python benchmarks/loss.py [--peer PYTHON] [--threads 1 2] [--rounds 3] [--only NAME ...]

`--peer` is an interpreter that has PyTorch. Errors are those of the gradient, relative to
the largest magnitude of a float64 reference.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

CASES = {
    "cross_entropy 1x10": ("cross_entropy", (1, 10)),
    "cross_entropy 64x10": ("cross_entropy", (64, 10)),
    "cross_entropy 256x1000": ("cross_entropy", (256, 1000)),
    "cross_entropy 512x50257": ("cross_entropy", (512, 50257)),
    "mse_loss 1024x1024": ("mse_loss", (1024, 1024)),
}


def reference(name, x, target, rows):
    """The gradient's first rows in float64."""
    import numpy as np

    size, samples, x, target = x.size, len(x), x[:rows].astype(np.float64), target[:rows]
    if name == "mse_loss":
        return 2 * (x - target) / size
    e = np.exp(x - x.max(1, keepdims=True))
    e /= e.sum(1, keepdims=True)
    e[np.arange(len(x)), target] -= 1
    return e / samples


def measure(library, case, threads, seconds):
    """Seconds of one forward and backward, the best of those that fit, and the gradient's largest relative error."""
    import numpy as np

    name, shape = case
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, dtype=np.float32)
    target = rng.standard_normal(shape, dtype=np.float32) if name == "mse_loss" else rng.integers(0, shape[1], shape[0])
    if library == "spinetail":
        import spinetail as torch
    else:
        import torch
    torch.set_num_threads(threads)
    function = getattr(torch.nn.functional, name)
    tensor, wanted = torch.from_numpy(x).requires_grad_(), torch.from_numpy(target)
    repeat = max(1, 2000 // x.size)
    times = []

    def run():
        tensor.grad = None
        function(tensor, wanted).backward()

    run()
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(times) < 3:
        start = time.perf_counter()
        for _ in range(repeat):
            run()
        times.append((time.perf_counter() - start) / repeat)
    expected = reference(name, x, target, 16)
    return min(times), float(np.abs(tensor.grad.numpy()[:16] - expected).max() / np.abs(expected).max())


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
