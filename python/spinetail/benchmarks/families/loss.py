"""Losses with their gradients."""

from __future__ import annotations

import numpy as np

from .. import errors, programs
from ..case import Case, Family, also_cold


def torch_program(name: str):
    def program(torch, x, target):
        x, target = torch.from_numpy(x).requires_grad_(), torch.from_numpy(target)
        function = getattr(torch.nn.functional, name)

        def run():
            x.grad = None
            function(x, target).backward()
            return x.grad

        return run

    return program


def jax_function(name: str):
    def function(jax, x, target):
        jnp = jax.numpy

        def loss(x):
            if name == "mse_loss":
                return ((x - target) ** 2).mean()
            return -jnp.take_along_axis(jax.nn.log_softmax(x), target[:, None], 1).mean()

        return jax.grad(loss)(x)

    return function


def case(name: str, shape: tuple[int, int], quick: bool = False) -> Case:
    def inputs() -> tuple:
        rng = np.random.default_rng(0)
        x = rng.standard_normal(shape, dtype=np.float32)
        if name == "mse_loss":
            return x, rng.standard_normal(shape, dtype=np.float32)
        return x, rng.integers(0, shape[1], shape[0])

    def error(output: np.ndarray, x: np.ndarray, target: np.ndarray) -> float:
        some, target = x[:16].astype(np.float64), target[:16]
        if name == "mse_loss":
            return errors.relative(output[:16], 2 * (some - target) / x.size)
        e = np.exp(some - some.max(1, keepdims=True))
        e /= e.sum(1, keepdims=True)
        e[np.arange(len(e)), target] -= 1
        return errors.relative(output[:16], e / len(x))

    same = torch_program(name)
    own = {"spinetail": same, "torch": same, "jax": programs.jax_program(jax_function(name))}
    arrays = 3 if name == "mse_loss" else 2
    title = f"{name} {'×'.join(map(str, shape))}"
    moved = 4.0 * arrays * shape[0] * shape[1]
    group = "pointwise" if name == "cross_entropy" else "losses"
    return Case(title, inputs, own, error, bytes=moved, group=group, quick=quick)


FAMILY = Family(
    "Losses with their gradients",
    [
        case("cross_entropy", (1, 10)),
        case("cross_entropy", (64, 10), quick=True),
        case("cross_entropy", (256, 1000), quick=True),
        *also_cold(case("cross_entropy", (512, 50257))),
        case("mse_loss", (64, 10)),
        case("mse_loss", (1024, 1024)),
    ],
    error="the gradient's, relative to its largest",
    bound=5e-7,
)
