"""The k-th smallest magnitude and the mask beside NumPy and PyTorch: time, ratio, elements on the wrong side.

python benchmarks/pruning.py [--peer PYTHON] [--threads 1 2] [--rounds 5] [--only NAME ...]
"""

from __future__ import annotations

from turns import best, main

CASES = {
    "10M 90%": (10_000_000, 0.9),
    "10M 50%": (10_000_000, 0.5),
    "1M 90%": (1_000_000, 0.9),
    "10k 90%": (10_000, 0.9),
}


def measure(library: str, case: tuple, threads: int, seconds: float) -> tuple[float, float]:
    import numpy as np

    size, share = case
    w = np.random.default_rng(0).standard_normal(size, dtype=np.float32)
    count = int(size * share)
    if library == "spinetail":
        import spinetail
        from spinetail.ops import pruning

        spinetail.set_num_threads(threads)

        def run():
            return pruning.magnitude_mask(w, count)
    elif library == "numpy":

        def run():
            a = np.abs(w)
            return a > np.partition(a, count - 1)[count - 1]
    else:
        import torch

        torch.set_num_threads(threads)
        t = torch.from_numpy(w)

        def run():
            a = t.abs()
            return a > torch.kthvalue(a, count).values

    wrong = abs(int((~np.asarray(run())).sum()) - count)
    return best(run, seconds), float(wrong)


if __name__ == "__main__":
    main(__file__, __doc__, CASES, ["numpy", "torch"], measure)
