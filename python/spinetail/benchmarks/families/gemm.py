"""Matrix products: the shapes of language models, small and skinny ones, one row, batches, MNIST-sized layers."""

from __future__ import annotations

import numpy as np

from .. import errors, programs
from ..case import Case, Family, also_cold


def ours(spinetail, a, b):
    """On ndarrays, as NumPy is called."""
    return lambda: spinetail.matmul(a, b)


PROGRAMS = {
    "spinetail": ours,
    "torch": programs.forward(lambda torch, a, b: torch.matmul(a, b)),
    "numpy": programs.numpy_program(np.matmul),
    "onnxruntime": programs.onnx_program("MatMul"),
    "jax": programs.jax_program(lambda jax, a, b: jax.numpy.matmul(a, b)),
    "mlx": programs.mlx_program(lambda mx, a, b: mx.matmul(a, b)),
}


def product(m: int, k: int, n: int, group: str, batch: tuple[int, ...] = (), dtype: str = "float32", **options) -> Case:
    """(batch, m, k) times (batch, k, n)."""

    def inputs() -> tuple:
        rng = np.random.default_rng(0)
        return tuple(rng.standard_normal((*batch, *s)).astype(dtype) for s in ((m, k), (k, n)))

    count, item = int(np.prod(batch)), np.dtype(dtype).itemsize
    shape = "×".join(map(str, (*batch, m, k, n)))
    contestants = dict(options.pop("programs", PROGRAMS))
    if count * m * k * n > 1 << 30:
        contestants.pop("mlx", None)
    return Case(
        options.pop("name", shape if dtype == "float32" else f"{shape} {dtype}"),
        inputs,
        contestants,
        errors.product,
        bound=max(1.0, k**0.5),
        flops=2.0 * count * m * k * n,
        bytes=float(item * count * (m * k + k * n + m * n)),
        dtype=dtype,
        group=group,
        **options,
    )


BERT = [(768, 768), (768, 2304), (768, 3072), (3072, 768)]
LLAMA = [(4096, 4096), (4096, 11008), (11008, 4096)]
FLOAT64 = {name: PROGRAMS[name] for name in ("spinetail", "torch", "numpy")}

FAMILY = Family(
    "Matrix products",
    [
        product(1024, 1024, 1024, "gemm", quick=True),
        product(1024, 1024, 1024, "gemm", dtype="float64", programs=FLOAT64),
        *(product(m, k, n, "gemm", quick=(m, n) == (128, 3072)) for m in (32, 128, 512) for k, n in BERT),
        product(32, 768, 50257, "gemm"),
        *(product(m, k, n, "gemm") for m in (32, 512) for k, n in LLAMA),
        *(product(s, s, s, "small gemm", quick=s in (16, 64)) for s in (8, 16, 32, 64, 100, 128)),
        product(64, 784, 128, "small gemm", quick=True),
        product(64, 128, 10, "small gemm"),
        product(128, 46, 46, "small gemm"),
        product(6, 768, 768, "small gemm", quick=True),
        product(6, 4096, 4096, "small gemm"),
        product(1024, 1024, 8, "small gemm"),
        product(1024, 4, 1024, "small gemm"),
        *also_cold(product(1, 768, 3072, "small gemm")),
        *also_cold(product(1, 4096, 4096, "small gemm", quick=True)),
        product(16, 16, 16, "small gemm", batch=(256,), quick=True),
        product(64, 64, 64, "small gemm", batch=(64,)),
        product(128, 64, 128, "small gemm", batch=(12,)),
    ],
    error="of the first 8 rows, in eps·Σ|a·b|",
    note="Ours and NumPy's are called on ndarrays, the others on their own arrays. MLX, whose CPU product takes "
    "seconds for the largest, is left out there.",
)
