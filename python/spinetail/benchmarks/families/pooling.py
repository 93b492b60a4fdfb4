"""Pooling and interpolation at the sizes that networks for images have."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from .. import errors, programs
from ..case import Case, Family

PLANES = 4  #: of the first image, whose gradient is looked at


@dataclass(frozen=True)
class Pool:
    """The maximum ("max") or the mean ("avg") of windows of `kernel` elements along each axis of a plane."""

    kind: str
    channels: int
    plane: tuple[int, ...]
    kernel: int
    stride: int
    padding: int = 0

    @property
    def whole(self) -> bool:
        """Whether the window is the plane: what networks call adaptive or global."""
        return self.kernel == self.plane[0] == self.plane[-1]

    @property
    def output(self) -> tuple[int, ...]:
        return tuple((n + 2 * self.padding - self.kernel) // self.stride + 1 for n in self.plane)

    @property
    def name(self) -> str:
        size = "×".join(map(str, self.plane))
        window = "all" if self.whole else f"{self.kernel}/{self.stride}"
        return f"{self.kind} {window} {self.channels}×{size}"


def torch_function(pool: Pool):
    rank = len(pool.plane)

    def function(torch, x):
        F = torch.nn.functional
        if pool.whole:
            return getattr(F, f"adaptive_{pool.kind}_pool{rank}d")(x, 1)
        return getattr(F, f"{pool.kind}_pool{rank}d")(x, pool.kernel, pool.stride, pool.padding)

    return function


def jax_function(pool: Pool):
    rank = len(pool.plane)
    window, steps = (1, 1, *[pool.kernel] * rank), (1, 1, *[pool.stride] * rank)
    sides = ((0, 0), (0, 0), *[(pool.padding, pool.padding)] * rank)

    def function(jax, x):
        if pool.kind == "max":
            return jax.lax.reduce_window(x, -np.inf, jax.lax.max, window, steps, sides)
        return jax.lax.reduce_window(x, 0.0, jax.lax.add, window, steps, sides) / pool.kernel**rank

    return function


def exact(pool: Pool, x: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The gradient of some planes (C, …) in float64; the inputs have no two equal elements."""
    p, s, rank = pool.padding, pool.stride, len(pool.plane)
    lowest = -np.inf if pool.kind == "max" else 0.0
    x = np.pad(x.astype(np.float64), ((0, 0), *[(p, p)] * rank), constant_values=lowest)
    grad, d = np.zeros_like(x), d.astype(np.float64)
    places = [
        (slice(None), *(slice(i, i + s * (n - 1) + 1, s) for i, n in zip(at, pool.output, strict=True)))
        for at in product(range(pool.kernel), repeat=rank)
    ]
    if pool.kind == "max":
        y = np.max([x[place] for place in places], axis=0)
    for place in places:
        grad[place] += d * (x[place] == y) if pool.kind == "max" else d / pool.kernel**rank
    return grad[(slice(None), *(slice(p, p + n) for n in pool.plane))]


def case(pool: Pool, batch: int, quick: bool = False) -> Case:
    def inputs() -> tuple:
        rng = np.random.default_rng(0)
        shapes = (batch, pool.channels, *pool.plane), (batch, pool.channels, *pool.output)
        x, d = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
        return x, d

    def error(output: np.ndarray, x: np.ndarray, d: np.ndarray) -> float:
        return errors.relative(output[0, :PLANES], exact(pool, x[0, :PLANES], d[0, :PLANES]))

    same = programs.gradients(torch_function(pool))
    own = {"spinetail": same, "torch": same}
    if len(pool.plane) == 2:
        own["torch channels-last"] = programs.channels_last(same)
    own["jax"] = programs.jax_gradient(jax_function(pool))
    planes = batch * pool.channels
    reads, writes = planes * np.prod(pool.plane), planes * np.prod(pool.output)
    # The input is read and its gradient written; the output is written and its gradient read.
    moved = 8.0 * float(reads + writes)
    return Case(f"{pool.name}, batch {batch}", inputs, own, error, bytes=moved, group="pooling", quick=quick)


@dataclass(frozen=True)
class Resize:
    """Images of 64 channels at another size."""

    mode: str
    plane: tuple[int, int]
    output: tuple[int, int]

    @property
    def name(self) -> str:
        given, wanted = ("×".join(map(str, size)) for size in (self.plane, self.output))
        return f"{self.mode} {given} to {wanted}, 64 channels"

    def __call__(self, torch, x):
        return torch.nn.functional.interpolate(x, self.output, mode=self.mode)

    def jax(self, jax, x):
        # JAX's "cubic" has another a and weighs the border anew: no peer in bicubic.
        method = {"nearest": "nearest", "bilinear": "linear"}[self.mode]
        return jax.image.resize(x, (*x.shape[:2], *self.output), method)

    def matrix(self, axis: int) -> np.ndarray:
        """The weights along one axis in float64, outputs by inputs."""
        n, out = self.plane[axis], self.output[axis]
        at = (np.arange(out) + 0.5) * n / out - 0.5
        if self.mode == "nearest":
            return np.eye(n)[np.arange(out) * n // out]
        if self.mode == "bilinear":
            at = np.maximum(at, 0)
        taps = {"bilinear": (0, 1), "bicubic": (-1, 0, 1, 2)}[self.mode]
        weights, first = np.zeros((out, n)), np.floor(at)
        for tap in taps:
            far = np.abs(at - first - tap)
            if self.mode == "bilinear":
                weight = 1 - far
            else:
                a = -0.75
                near = ((a + 2) * far - (a + 3)) * far * far + 1
                weight = np.where(far <= 1, near, ((a * far - 5 * a) * far + 8 * a) * far - 4 * a)
            np.add.at(weights, (np.arange(out), np.clip(first + tap, 0, n - 1).astype(int)), weight)
        return weights


def resize_case(resize: Resize, batch: int, train: bool) -> Case:
    def inputs() -> tuple:
        rng = np.random.default_rng(0)
        x, d = (rng.standard_normal((batch, 64, *size), dtype=np.float32) for size in (resize.plane, resize.output))
        return (x, d) if train else (x,)

    def error(output: np.ndarray, *given: np.ndarray) -> float:
        down, across = resize.matrix(0), resize.matrix(1)
        if train:
            down, across = down.T, across.T
        return errors.relative(output[0, :PLANES], down @ given[-1][0, :PLANES].astype(np.float64) @ across.T)

    same = programs.gradients(resize) if train else programs.forward(resize)
    own = {"spinetail": same, "torch": same, "torch channels-last": programs.channels_last(same)}
    if resize.mode != "bicubic":
        own["jax"] = (programs.jax_gradient if train else programs.jax_program)(resize.jax)
    moved = (8.0 if train else 4.0) * batch * 64 * float(np.prod(resize.plane) + np.prod(resize.output))
    what = "forward and backward" if train else "forward"
    return Case(f"{resize.name}, batch {batch}, {what}", inputs, own, error, bytes=moved, group="pooling")


RESIZES = [
    Resize("nearest", (56, 56), (112, 112)),
    Resize("bilinear", (56, 56), (112, 112)),
    Resize("bicubic", (56, 56), (96, 80)),
]

POOLS = [
    Pool("max", 64, (112, 112), 3, 2, 1),
    Pool("max", 64, (224, 224), 2, 2),
    Pool("max", 32, (28, 28), 2, 2),
    Pool("max", 16, (8, 8), 2, 2),
    Pool("avg", 128, (56, 56), 2, 2),
    Pool("avg", 64, (56, 56), 3, 1, 1),
    Pool("avg", 2048, (7, 7), 7, 1),
    Pool("max", 64, (1024,), 2, 2),
    Pool("max", 16, (16, 56, 56), 2, 2),
]

FAMILY = Family(
    "Pooling",
    [case(pool, batch, quick=pool.plane == (28, 28) and batch == 1) for batch in (1, 16) for pool in POOLS]
    + [resize_case(resize, 16, train) for train in (False, True) for resize in RESIZES],
    error="of the gradient (forward: the output) of the first image's first planes, relative to the largest",
    bound=1e-6,
    note="Pooling is forward and backward; “all” is adaptive pooling to one element.",
)
