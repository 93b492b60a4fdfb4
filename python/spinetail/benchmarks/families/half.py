"""bfloat16 products beside our own float32 ones and PyTorch's bfloat16."""

from __future__ import annotations

import numpy as np

from .. import errors, programs
from ..case import Case, Family


def rounded(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random float32 numbers that bfloat16 holds exactly, so that errors are the product's alone."""
    bits = rng.standard_normal(shape).astype(np.float32).view(np.uint32)
    return (bits & np.uint32(0xFFFF0000)).view(np.float32)


def narrow(torch, a, b):
    inputs = [torch.from_numpy(x).to(torch.bfloat16) for x in (a, b)]

    def run():
        return torch.matmul(*inputs)

    run.context = torch.inference_mode
    return run


PROGRAMS = {
    "spinetail": narrow,
    "spinetail float32": programs.forward(lambda torch, a, b: torch.matmul(a, b)),
    "torch bfloat16": narrow,
}


def product(m: int, k: int, n: int, quick: bool = False) -> Case:
    def inputs() -> tuple:
        rng = np.random.default_rng(0)
        return rounded((m, k), rng), rounded((k, n), rng)

    def error(output, a, b) -> float:
        return errors.product(output, a, b, 2.0**-8)

    moved = 2.0 * (m * k + k * n + m * n)
    return Case(f"{m}×{k}×{n}", inputs, PROGRAMS, error, flops=2.0 * m * k * n, bytes=moved, group="half", quick=quick)


FAMILY = Family(
    "bfloat16 matrix products",
    [
        product(1024, 1024, 1024, quick=True),
        *(product(m, k, n) for m in (32, 128, 512) for k, n in ((768, 768), (768, 3072), (3072, 768))),
        product(32, 4096, 4096),
        product(1, 4096, 4096),
    ],
    error="of the first 8 rows, in 2⁻⁸·Σ|a·b|",
    rivals=("spinetail float32",),
    note="The ratio is against our own float32 product; the limit is float32's, which bfloat16 may pass.",
)
