"""What surrounds the kernels: calls that hardly compute, and the import."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from .. import programs
from ..case import Case, Family


def small() -> tuple:
    return (np.ones(16, np.float32),)


def row() -> tuple:
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal(s, dtype=np.float32) for s in ((1, 16), (16, 16), (16,)))


def same(function) -> dict:
    made = programs.forward(function)
    return {"spinetail": made, "torch": made}


def native(_, x):
    from spinetail._native import kernels

    y, relu = np.empty_like(x), kernels.activation_forward
    return lambda: relu(y, x, 1, 0.0, 0.0)


def importing(name: str):
    """A new interpreter that imports the library. An installed package has its bytecode, so that is allowed to be."""

    def program(_):
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        return lambda: subprocess.run([sys.executable, "-c", f"import {name}"], env=environment, check=True) and None

    return program


def backward(torch, x):
    x = torch.from_numpy(x).requires_grad_()
    one = torch.ones(*x.shape)

    def run():
        x.grad = None
        torch.relu(x).backward(one)
        return x.grad

    return run


IMPORTS = {"spinetail": "spinetail", "numpy": "numpy", "torch": "torch", "jax": "jax", "mlx": "mlx.core"}
RELU = programs.numpy_program(lambda x: np.maximum(x, np.float32(0)))
ADD = programs.numpy_program(lambda x: x + x)
LINEAR = same(lambda torch, x, w, b: torch.nn.functional.linear(x, w, b))

FAMILY = Family(
    "What surrounds the kernels",
    [
        Case(
            "the bare kernel, relu of 16", small, {"spinetail": native, "numpy": RELU}, group="overhead", threads=(1,)
        ),
        Case("relu of 16", small, same(lambda t, x: t.relu(x)) | {"numpy": RELU}, group="overhead", quick=True),
        Case("sum of two of 16", small, same(lambda t, x: x + x) | {"numpy": ADD}, group="overhead", quick=True),
        Case("linear 1×16×16", row, LINEAR, group="overhead"),
        Case("relu of 16, forward and backward", small, {"spinetail": backward, "torch": backward}, group="overhead"),
        Case(
            "a new interpreter's import",
            tuple,
            {library: importing(module) for library, module in IMPORTS.items()},
            group="imports",
            threads=(1,),
        ),
    ],
    note="NumPy's import is part of ours, of PyTorch's and of JAX's; each import includes the interpreter's start.",
    rivals=("torch", "numpy"),
)
