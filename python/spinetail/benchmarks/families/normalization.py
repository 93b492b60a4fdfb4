"""Layer, RMS, group and batch normalization, forward and with their gradients."""

from __future__ import annotations

import numpy as np

from .. import errors, programs
from ..case import Case, Family, also_cold

EPSILON = 1e-5
GROUPS = 8


def axes(name: str, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape to look at the input in, and the axes to normalize there."""
    if name == "group_norm":
        return (shape[0], GROUPS, -1), (2,)
    return shape, (0, *range(2, len(shape))) if name == "batch_norm" else (-1,)


def plain(np_, name: str, x, w, b):
    """The function in NumPy's words, for float64 references and for JAX."""
    folded, over = axes(name, x.shape)
    y = x.reshape(folded)
    if name == "rms_norm":
        return y / np_.sqrt((y * y).mean(over, keepdims=True) + EPSILON) * w
    y = (y - y.mean(over, keepdims=True)) / np_.sqrt(y.var(over, keepdims=True) + EPSILON)
    if name == "layer_norm":
        return y * w + b
    line = (1, -1, *[1] * (x.ndim - 2))
    return y.reshape(x.shape) * w.reshape(line) + b.reshape(line)


def torch_function(name: str):
    def function(torch, x, w, b):
        F = torch.nn.functional
        if name == "layer_norm":
            return F.layer_norm(x, w.shape, w, b, EPSILON)
        if name == "rms_norm":
            return F.rms_norm(x, w.shape, w, EPSILON)
        if name == "group_norm":
            return F.group_norm(x, GROUPS, w, b, EPSILON)
        return F.batch_norm(x, None, None, w, b, True, 0.1, EPSILON)

    return function


def mlx_function(name: str):
    def function(mx, x, w, b):
        return mx.fast.layer_norm(x, w, b, EPSILON) if name == "layer_norm" else mx.fast.rms_norm(x, w, EPSILON)

    return function


def case(name: str, shape: tuple[int, ...], train: bool = False, quick: bool = False) -> Case:
    def inputs() -> tuple:
        rng = np.random.default_rng(0)
        size = shape[-1] if name in ("layer_norm", "rms_norm") else shape[1]
        x, w, b = (rng.standard_normal(s, dtype=np.float32) for s in (shape, size, size))
        return (x, w, b, rng.standard_normal(shape, dtype=np.float32)) if train else (x, w, b)

    def error(output: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray, d: np.ndarray | None = None) -> float:
        x, w, b = (a.astype(np.float64) for a in (x, w, b))
        if d is None:
            return errors.relative(output, plain(np, name, x, w, b))
        return errors.relative(output, gradient(name, x, w, d.astype(np.float64)))

    def jax_function(jax, x, w, b):
        return plain(jax.numpy, name, x, w, b)

    if train:
        weights = 2 if name == "rms_norm" else 3
        same = programs.gradients(torch_function(name), weights)
        own = {"spinetail": same, "torch": same, "jax": programs.jax_gradient(jax_function)}
    else:
        same = programs.forward(torch_function(name))
        own = {"spinetail": same, "torch": same}
        if name == "layer_norm":
            own["onnxruntime"] = programs.onnx_program("LayerNormalization", axis=-1, epsilon=EPSILON)
        own["jax"] = programs.jax_program(jax_function)
        if name in ("layer_norm", "rms_norm"):
            own["mlx"] = programs.mlx_program(mlx_function(name))
    if len(shape) == 4:
        own["torch channels-last"] = programs.channels_last(same)
    title = f"{name} {'×'.join(map(str, shape))}" + (" train" if train else "")
    moved = (20.0 if train else 8.0) * float(np.prod(shape))
    return Case(title, inputs, own, error, bytes=moved, group="pointwise", quick=quick)


def gradient(name: str, x: np.ndarray, w: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The input's gradient in float64."""
    rows = name in ("layer_norm", "rms_norm")
    d = d * (w if rows else w.reshape(1, -1, *[1] * (x.ndim - 2)))
    folded, over = axes(name, x.shape)
    y, d = x.reshape(folded), d.reshape(folded)
    if name != "rms_norm":
        y = y - y.mean(over, keepdims=True)
    scale = 1 / np.sqrt((y * y).mean(over, keepdims=True) + EPSILON)
    y = y * scale
    d = d - y * (d * y).mean(over, keepdims=True) - (0 if name == "rms_norm" else d.mean(over, keepdims=True))
    return (d * scale).reshape(x.shape)


IMAGES = (32, 64, 56, 56)
FAMILY = Family(
    "Normalization",
    [
        *also_cold(case("layer_norm", (4096, 768), quick=True)),
        case("layer_norm", (64, 64)),
        case("layer_norm", (4096, 768), train=True, quick=True),
        case("layer_norm", (64, 64), train=True),
        case("rms_norm", (4096, 768)),
        case("rms_norm", (512, 4096)),
        case("rms_norm", (4096, 768), train=True),
        case("group_norm", IMAGES),
        case("group_norm", IMAGES, train=True),
        case("batch_norm", IMAGES),
        case("batch_norm", IMAGES, train=True),
        case("batch_norm", (64, 512), train=True, quick=True),
    ],
    error="relative to the largest; with gradients, the input's gradient",
    bound=5e-7,
    note="JAX computes the gradient of the input alone; the others those of weight and bias too.",
)
