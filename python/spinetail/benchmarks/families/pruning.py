"""Masks by magnitude: which elements are not among the k smallest."""

from __future__ import annotations

import numpy as np

from ..case import Case, Family


def ours(_, w, count):
    from spinetail.ops import pruning

    return lambda: pruning.magnitude_mask(w, count)


def numpy_program(np_, w, count):
    def run():
        a = np_.abs(w)
        return a > np_.partition(a, count - 1)[count - 1]

    return run


def torch_program(torch, w, count):
    w = torch.from_numpy(w)

    def run():
        a = w.abs()
        return a > torch.kthvalue(a, count).values

    run.context = torch.inference_mode
    return run


def case(size: int, share: float, quick: bool = False) -> Case:
    def inputs() -> tuple:
        return np.random.default_rng(0).standard_normal(size, dtype=np.float32), int(size * share)

    def error(output: np.ndarray, w: np.ndarray, count: int) -> float:
        return float(abs(int((~output).sum()) - count))

    programs = {"spinetail": ours, "torch": torch_program, "numpy": numpy_program}
    return Case(f"{size:,}, {share:.0%}", inputs, programs, error, bytes=5.0 * size, group="pruning", quick=quick)


FAMILY = Family(
    "Pruning masks",
    [case(10_000_000, 0.9), case(10_000_000, 0.5), case(1_000_000, 0.9, quick=True), case(10_000, 0.9, quick=True)],
    error="elements on the wrong side",
    bound=0.0,
)
