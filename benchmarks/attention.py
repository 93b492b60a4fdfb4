"""Attention beside PyTorch's, in turns and in processes of their own: time, GFLOP/s, ratio, and both errors.

    python benchmarks/attention.py [--peer PYTHON] [--threads 1 2] [--rounds 5] [--only NAME ...]

`--peer` is an interpreter that has PyTorch. Causal work is counted on the triangle; the backward pass as 2.5 forwards.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

CASES = {  # batch, heads, key heads, queries, keys, width, causal, backward
    "bert 1x12x512x64": (1, 12, 12, 512, 512, 64, False, False),
    "gpt2 1x12x1024x64 causal": (1, 12, 12, 1024, 1024, 64, True, False),
    "llama 1x32x512x128 causal gqa": (1, 32, 8, 512, 512, 128, True, False),
    "train 4x12x512x64 causal": (4, 12, 12, 512, 512, 64, True, True),
    "small 64x4x16x16": (64, 4, 4, 16, 16, 16, False, False),
    "small 64x4x16x16 train": (64, 4, 4, 16, 16, 16, False, True),
    "cross 2x8x1024x77x80": (2, 8, 8, 1024, 77, 80, False, False),
    "decode 1x32x1x2048x128": (1, 32, 32, 1, 2048, 128, False, False),
    "decode 1x32x1x4096x128 gqa": (1, 32, 8, 1, 4096, 128, False, False),
}


def work(batch, heads, _groups, queries, keys, width, causal, backward):
    """Floating-point operations of a case."""
    pairs = sum(min(keys, i + 1) for i in range(queries)) if causal else queries * keys
    return 4 * batch * heads * width * pairs * (3.5 if backward else 1)


def measure(library, case, threads, seconds):
    """Seconds of one call, the best of those that fit into `seconds`, and the largest error relative to float64."""
    import numpy as np

    batch, heads, groups, queries, keys, width, causal, backward = case
    rng = np.random.default_rng(0)
    q = rng.standard_normal((batch, heads, queries, width), dtype=np.float32)
    k = rng.standard_normal((batch, groups, keys, width), dtype=np.float32)
    v = rng.standard_normal((batch, groups, keys, width), dtype=np.float32)
    if library == "spinetail":
        import spinetail as torch
        from spinetail.functional.attention import scaled_dot_product_attention as function
    else:
        import torch

        function = torch.nn.functional.scaled_dot_product_attention
    torch.set_num_threads(threads)
    a, b, c = (torch.from_numpy(x) for x in (q, k, v))
    options = {"is_causal": causal, "enable_gqa": heads != groups}
    if backward:
        for x in (a, b, c):
            x.requires_grad_()
        grad = torch.from_numpy(np.ones_like(q))

        def run():
            a.grad = b.grad = c.grad = None
            out = function(a, b, c, **options)
            out.backward(grad)
            return out.detach()
    else:

        def run():
            with torch.inference_mode():
                return function(a, b, c, **options)

    out = np.asarray(run())
    times = []
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(times) < 3:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    head = slice(0, 1)
    wide = [x[head, head].astype(np.float64) for x in (q, k, v)]
    scores = wide[0] @ wide[1].swapaxes(-1, -2) / width**0.5
    if causal:
        scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    expected = powers @ wide[2] / powers.sum(-1, keepdims=True)
    return min(times), float(np.abs(out[head, head] - expected).max() / np.abs(expected).max())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", default=sys.executable)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--worker", nargs=3)
    options = parser.parse_args()
    if options.worker:
        library, name, threads = options.worker
        print(json.dumps(measure(library, CASES[name], int(threads), options.seconds)))
        return
    print(f"{'case':32} threads  {'ours':>10} {'GFLOP/s':>8}  {'peer':>10} {'GFLOP/s':>8}  ratio  error ours, peer")
    for name, case in CASES.items():
        if not any(part in name for part in options.only):
            continue
        for threads in options.threads:
            results = {"spinetail": [], "torch": []}
            for _ in range(options.rounds):
                for library, python in (("spinetail", sys.executable), ("torch", options.peer)):
                    command = [python, __file__, "--worker", library, name, str(threads)]
                    command += ["--seconds", str(options.seconds)]
                    done = subprocess.run(command, capture_output=True, text=True, check=True)
                    results[library].append(json.loads(done.stdout))
            ours, peer = (min(r[0] for r in results[x]) for x in ("spinetail", "torch"))
            ratio = statistics.median(p[0] / o[0] for o, p in zip(results["spinetail"], results["torch"], strict=True))
            flops = work(*case)
            errors = ", ".join(f"{results[x][0][1]:.1e}" for x in results)
            print(
                f"{name:32} {threads:7}  {ours * 1e6:7.0f} µs {flops / ours / 1e9:8.1f}  {peer * 1e6:7.0f} µs "
                f"{flops / peer / 1e9:8.1f}  {ratio:5.2f}  {errors}",
                flush=True,
            )


if __name__ == "__main__":
    main()
