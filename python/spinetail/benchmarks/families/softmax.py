"""Softmax and log-softmax over the last axis, forward and with their gradients."""

from __future__ import annotations

import numpy as np

from .. import errors, programs
from ..case import Case, Family, also_cold


def exact(name: str, x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    logs = x - x.max(-1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(-1, keepdims=True))
    return np.exp(logs) if name == "softmax" else logs


def case(name: str, shape: tuple[int, ...], train: bool = False, quick: bool = False) -> Case:
    def inputs() -> tuple:
        rng = np.random.default_rng(0)
        return tuple(rng.standard_normal(shape, dtype=np.float32) for _ in range(1 + train))

    def error(output: np.ndarray, x: np.ndarray, d: np.ndarray | None = None) -> float:
        y = exact(name, x[:16])
        if d is None:
            return errors.relative(output[:16], y)
        d = d[:16].astype(np.float64)
        if name == "softmax":
            return errors.relative(output[:16], y * (d - (d * y).sum(-1, keepdims=True)))
        return errors.relative(output[:16], d - np.exp(y) * d.sum(-1, keepdims=True))

    def torch_function(torch, x):
        return getattr(torch.nn.functional, name)(x, dim=-1)

    def jax_function(jax, x):
        return getattr(jax.nn, name)(x, axis=-1)

    def mlx_function(mx, x):
        return mx.softmax(x, axis=-1) if name == "softmax" else x - mx.logsumexp(x, axis=-1, keepdims=True)

    if train:
        same = programs.gradients(torch_function)
        own = {"spinetail": same, "torch": same, "jax": programs.jax_gradient(jax_function)}
    else:
        same = programs.forward(torch_function)
        operator = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}[name]
        own = {
            "spinetail": same,
            "torch": same,
            "onnxruntime": programs.onnx_program(operator, axis=-1),
            "jax": programs.jax_program(jax_function),
            "mlx": programs.mlx_program(mlx_function),
        }
    title = f"{name} {'×'.join(map(str, shape))}" + (" train" if train else "")
    moved = (20.0 if train else 8.0) * np.prod(shape)
    return Case(title, inputs, own, error, bytes=moved, group="pointwise", quick=quick)


FAMILY = Family(
    "Softmax",
    [
        *(case(name, (4096, 768), quick=name == "softmax") for name in ("softmax", "log_softmax")),
        *also_cold(case("softmax", (12 * 512, 512))),
        *(case(name, (32, 50257)) for name in ("softmax", "log_softmax")),
        case("softmax", (64, 10)),
        case("log_softmax", (64, 10)),
        *(case(name, (4096, 768), train=True, quick=name == "softmax") for name in ("softmax", "log_softmax")),
        case("softmax", (64, 10), train=True),
    ],
    error="of the first rows, relative to the largest",
    note="Outputs are dropped at once, so that each library gives the next call the same memory again.",
    bound=5e-7,
)
