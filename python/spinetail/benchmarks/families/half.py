"""bfloat16 products beside our own float32 ones and PyTorch's bfloat16."""

from __future__ import annotations

import numpy as np

from .. import errors, programs
from ..case import Case, Family, also_cold


def rounded(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random float32 numbers that bfloat16 holds exactly, so that errors are the product's alone."""
    bits = rng.standard_normal(shape).astype(np.float32).view(np.uint32)
    return (bits & np.uint32(0xFFFF0000)).view(np.float32)


def contestants(function) -> dict:
    """`function(torch, a, b)` in bfloat16 and in float32."""

    def narrow(torch, a, b):
        inputs = [torch.from_numpy(x).to(torch.bfloat16) for x in (a, b)]

        def run():
            return function(torch, *inputs)

        run.context = torch.inference_mode
        return run

    return {"spinetail": narrow, "spinetail float32": programs.forward(function), "torch bfloat16": narrow}


MATMUL = contestants(lambda torch, a, b: torch.matmul(a, b))
LINEAR = contestants(lambda torch, a, b: torch.nn.functional.linear(a, b))


def product(m: int, k: int, n: int, layer: bool = False, quick: bool = False) -> Case:
    """(m, k) times (k, n), or a layer whose weight lies as (n, k)."""

    def inputs() -> tuple:
        rng = np.random.default_rng(0)
        return rounded((m, k), rng), rounded((n, k) if layer else (k, n), rng)

    def error(output, a, b) -> float:
        return errors.product(output, a, b.T if layer else b, 2.0**-8)

    return Case(
        f"{'linear ' if layer else ''}{m}×{k}×{n}",
        inputs,
        LINEAR if layer else MATMUL,
        error,
        bound=0.75,
        flops=2.0 * m * k * n,
        bytes=2.0 * (m * k + k * n + m * n),
        group="half",
        quick=quick,
    )


BERT = ((768, 768), (768, 3072), (3072, 768))
ROWS = (1, 8, 32, 128, 512)

FAMILY = Family(
    "bfloat16 matrix products",
    [
        product(1024, 1024, 1024, quick=True),
        *(product(m, k, n) for m in ROWS for k, n in BERT),
        product(32, 4096, 4096),
        *also_cold(product(1, 4096, 4096)),
        *(product(m, 768, 2304, layer=True, quick=m == 8) for m in ROWS),
        *(product(m, 4096, 4096, layer=True) for m in ROWS),
        *(product(m, 4096, 11008, layer=True) for m in (16, 64)),
        *also_cold(product(1, 4096, 11008, layer=True)),
        *also_cold(product(8, 4096, 11008, layer=True)),
    ],
    error="of the first 8 rows, in 2⁻⁸·Σ|a·b|",
    rivals=("spinetail float32",),
    note="The ratio is against our own float32 product; the limit is float32's, which bfloat16 may pass. Few rows gain "
    "because half the bytes move; many rows are bound by the sums, which are float32's own.",
)
