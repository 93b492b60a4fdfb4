"""Activations and elementary functions, forward and with their gradients."""

from __future__ import annotations

import math

import numpy as np

from .. import errors, programs
from ..case import Case, Family, also_cold

PART = slice(0, 16_384)  # what is compared with float64


def _erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf)(x)


def _normal(x: np.ndarray) -> np.ndarray:
    """The normal distribution's share below x, without cancellation."""
    return 0.5 * np.vectorize(math.erfc)(-x / math.sqrt(2))


def _tanh_gelu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


#: name → float64 reference
EXACT = {
    "gelu": lambda x: x * _normal(x),
    "gelu tanh": _tanh_gelu,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "exp": np.exp,
    "log": np.log,
    "erf": _erf,
    "relu": lambda x: np.maximum(x, 0),
    "softplus": lambda x: np.logaddexp(x, 0),
}
NUMPY = {"tanh": np.tanh, "exp": np.exp, "log": np.log, "relu": lambda x: np.maximum(x, np.float32(0))}
ONNX = {"gelu": "Gelu", "gelu tanh": "Gelu", "tanh": "Tanh", "sigmoid": "Sigmoid", "exp": "Exp", "log": "Log"}
ONNX |= {"erf": "Erf", "relu": "Relu", "softplus": "Softplus"}
POINTWISE = ("gelu", "gelu tanh", "silu", "tanh", "sigmoid")


def torch_function(name: str):
    """The function as PyTorch names it; which one is not asked while it is timed."""
    if name.startswith("gelu"):
        approximate = "tanh" if "tanh" in name else "none"
        return lambda torch, x: torch.nn.functional.gelu(x, approximate=approximate)
    if name in ("silu", "softplus", "relu"):
        return lambda torch, x: getattr(torch.nn.functional, name)(x)
    return lambda torch, x: getattr(torch, name)(x)


def jax_function(name: str):
    def function(jax, x):
        if name.startswith("gelu"):
            return jax.nn.gelu(x, approximate="tanh" in name)
        if name == "erf":
            return jax.scipy.special.erf(x)
        return getattr(jax.nn if hasattr(jax.nn, name) else jax.numpy, name)(x)

    return function


def mlx_function(name: str):
    def function(mx, x):
        import mlx.nn

        if name in ("exp", "log", "erf", "tanh", "sigmoid"):
            return getattr(mx, name)(x)
        return getattr(mlx.nn, {"gelu tanh": "gelu_approx"}.get(name, name))(x)

    return function


def inputs(name: str, size: int):
    def make() -> tuple:
        x = np.random.default_rng(0).standard_normal(size, dtype=np.float32)
        return (np.abs(x) if name == "log" else x,)

    return make


def forward(name: str, size: int, quick: bool = False) -> Case:
    same = programs.forward(torch_function(name))
    own = {"spinetail": same, "torch": same}
    if name in NUMPY:
        own["numpy"] = programs.numpy_program(NUMPY[name])
    if name in ONNX:
        options = {"approximate": "tanh" if "tanh" in name else "none"} if name.startswith("gelu") else {}
        own["onnxruntime"] = programs.onnx_program(ONNX[name], **options)
    own |= {"jax": programs.jax_program(jax_function(name)), "mlx": programs.mlx_program(mlx_function(name))}

    def error(output: np.ndarray, x: np.ndarray) -> float:
        return errors.ulps(output[PART], EXACT[name](x[PART].astype(np.float64)))

    group = "pointwise" if name in POINTWISE else "functions"
    return Case(f"{name} {size:,}", inputs(name, size), own, error, 2.0, bytes=8.0 * size, group=group, quick=quick)


def train(name: str, size: int, quick: bool = False) -> Case:
    """The function and its gradient, whose reference is a difference quotient in float64."""

    def make() -> tuple:
        (x,) = inputs(name, size)()
        return x, np.random.default_rng(1).standard_normal(size, dtype=np.float32)

    def error(output: np.ndarray, x: np.ndarray, d: np.ndarray) -> float:
        x, d, h = x[PART].astype(np.float64), d[PART].astype(np.float64), 1e-5
        return errors.relative(output[PART], d * (EXACT[name](x + h) - EXACT[name](x - h)) / (2 * h))

    same = programs.gradients(torch_function(name))
    own = {"spinetail": same, "torch": same, "jax": programs.jax_gradient(jax_function(name))}
    # Forward reads and writes, backward reads two arrays and writes one.
    return Case(f"{name} {size:,} train", make, own, error, 5e-7, bytes=20.0 * size, group="pointwise", quick=quick)


FAMILY = Family(
    "Activations and elementary functions",
    [
        *(forward(name, 65_536, quick=name in ("gelu", "tanh")) for name in EXACT),
        *(forward(name, 64) for name in ("gelu", "relu")),
        *(case for name in ("gelu", "gelu tanh", "silu", "tanh") for case in also_cold(forward(name, 1_048_576))),
        *(train(name, 65_536, quick=name == "gelu") for name in POINTWISE),
        *(train(name, 1_048_576) for name in ("gelu", "silu")),
    ],
    error="forward in ULP, with gradients the gradient's relative to its largest",
)
