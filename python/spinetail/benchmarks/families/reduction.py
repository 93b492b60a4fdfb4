"""Sums, extremes, the k largest, and rows of a table by number."""

from __future__ import annotations

import numpy as np

from .. import errors, programs
from ..case import Case, Family, also_cold

#: name → (PyTorch's and our call, NumPy's, JAX's, MLX's, ONNX operator and its attributes)
CALLS = {
    "sum": (
        lambda torch, x: torch.sum(x),
        np.sum,
        lambda jax, x: x.sum(),
        lambda mx, x: mx.sum(x),
        ("ReduceSum", {"keepdims": 0}),
    ),
    "sum of rows": (
        lambda torch, x: torch.sum(x, dim=-1),
        lambda x: x.sum(-1),
        lambda jax, x: x.sum(-1),
        lambda mx, x: mx.sum(x, axis=-1),
        None,
    ),
    "sum of columns": (
        lambda torch, x: torch.sum(x, dim=0),
        lambda x: x.sum(0),
        lambda jax, x: x.sum(0),
        lambda mx, x: mx.sum(x, axis=0),
        None,
    ),
    "max of rows": (
        lambda torch, x: torch.amax(x, dim=-1),
        lambda x: x.max(-1),
        lambda jax, x: x.max(-1),
        lambda mx, x: mx.max(x, axis=-1),
        None,
    ),
    "argmax of rows": (
        lambda torch, x: torch.argmax(x, dim=-1),
        lambda x: x.argmax(-1),
        lambda jax, x: x.argmax(-1),
        lambda mx, x: mx.argmax(x, axis=-1),
        ("ArgMax", {"axis": -1, "keepdims": 0}),
    ),
    "top 5 of rows": (
        lambda torch, x: torch.topk(x, 5, dim=-1)[0],
        lambda x: np.partition(x, x.shape[-1] - 5, -1)[:, -5:],
        lambda jax, x: jax.lax.top_k(x, 5)[0],
        lambda mx, x: mx.topk(x, 5, axis=-1),
        None,
    ),
}


def exact(name: str, x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    axis = {"sum": None, "sum of columns": 0}.get(name, -1)
    if name.startswith("sum"):
        return x.sum(axis)
    if name.startswith("max"):
        return x.max(-1)
    return x.argmax(-1) if name.startswith("argmax") else np.sort(x, -1)[:, -5:]


def case(name: str, shape: tuple[int, ...], quick: bool = False) -> Case:
    def inputs() -> tuple:
        return (np.random.default_rng(0).standard_normal(shape, dtype=np.float32),)

    def error(output: np.ndarray, x: np.ndarray) -> float:
        wanted = exact(name, x)
        if name.startswith("sum"):
            axis = {"sum": None, "sum of columns": 0}.get(name, -1)
            return float(np.max(np.abs(output - wanted) / np.abs(x).sum(axis, dtype=np.float64)) / 2.0**-23)
        return errors.relative(np.sort(output, -1) if output.ndim == 2 else output, wanted)

    own, numpy_call, jax_call, mlx_call, operator = CALLS[name]
    same = programs.forward(own)
    calls = {"spinetail": same, "torch": same, "numpy": programs.numpy_program(numpy_call)}
    if operator is not None:
        attributes = operator[1]
        kind = {"ArgMax": np.int64}.get(operator[0])
        calls["onnxruntime"] = programs.onnx_program(operator[0], result=kind, **attributes)
    calls |= {"jax": programs.jax_program(jax_call), "mlx": programs.mlx_program(mlx_call)}
    title = f"{name} {'×'.join(map(str, shape))}"
    bound = 1.0 if name.startswith("sum") else 0.0
    return Case(title, inputs, calls, error, bound, bytes=4.0 * np.prod(shape), group="reductions", quick=quick)


def embedding(rows: int, width: int, count: int, train: bool = False) -> Case:
    def inputs() -> tuple:
        rng = np.random.default_rng(0)
        table = rng.standard_normal((rows, width), dtype=np.float32)
        numbers = rng.integers(0, rows, count)
        return (table, numbers, rng.standard_normal((count, width), dtype=np.float32)) if train else (table, numbers)

    def error(output: np.ndarray, table: np.ndarray, numbers: np.ndarray, d: np.ndarray | None = None) -> float:
        wanted = table[numbers].astype(np.float64)
        if d is not None:
            wanted = np.zeros(table.shape)
            np.add.at(wanted, numbers, d)
        return errors.relative(output, wanted)

    def function(torch, table, numbers):
        return torch.nn.functional.embedding(numbers, table)

    title = f"embedding {count} of {rows}×{width}" + (" train" if train else "")
    moved = 8.0 * count * width + (4.0 * rows * width if train else 0)
    if train:
        same = programs.gradients(function)
        calls = {"spinetail": same, "torch": same}
    else:
        same = programs.forward(function)
        calls = {
            "spinetail": same,
            "torch": same,
            "numpy": programs.numpy_program(lambda table, numbers: table[numbers]),
            "onnxruntime": programs.onnx_program("Gather"),
            "jax": programs.jax_program(lambda jax, table, numbers: table[numbers]),
            "mlx": programs.mlx_program(lambda mx, table, numbers: mx.take(table, numbers, axis=0)),
        }
    return Case(title, inputs, calls, error, 5e-7, bytes=moved, group="reductions")


FAMILY = Family(
    "Reductions, extremes and embeddings",
    [
        *also_cold(case("sum", (4096, 1024), quick=True)),
        case("sum of rows", (4096, 1024)),
        case("sum of columns", (4096, 1024)),
        case("max of rows", (4096, 1024)),
        case("argmax of rows", (4096, 1024), quick=True),
        case("argmax of rows", (64, 10)),
        case("top 5 of rows", (256, 1000)),
        case("top 5 of rows", (32, 50257)),
        case("sum", (64,)),
        embedding(30522, 768, 4096),
        embedding(30522, 768, 4096, train=True),
        embedding(1000, 64, 64),
    ],
    error="sums in eps·Σ|x|, others relative to the largest",
)
