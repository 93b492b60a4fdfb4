"""A small CNN's training step with cross-entropy and SGD, beside PyTorch in both layouts and JAX."""

from __future__ import annotations

import numpy as np

from .. import errors, programs
from ..case import Case, Family

CHANNELS, HIDDEN, CLASSES, RATE = 32, 128, 10, 0.01


def weights(size: int) -> list[np.ndarray]:
    """Of the convolution and of both linear layers, each with its bias, for square images."""
    random, inputs = np.random.default_rng(0), CHANNELS * (size // 2) ** 2
    shapes = (CHANNELS, 1, 3, 3), (CHANNELS,), (HIDDEN, inputs), (HIDDEN,), (CLASSES, HIDDEN), (CLASSES,)
    fans = (9, 9, inputs, inputs, HIDDEN, HIDDEN)
    return [random.uniform(-1, 1, s).astype(np.float32) / np.float32(n**0.5) for s, n in zip(shapes, fans, strict=True)]


def network(torch, size: int):
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, CHANNELS, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(CHANNELS * (size // 2) ** 2, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, CLASSES),
    )
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), weights(size), strict=True):
            parameter.copy_(torch.from_numpy(value))
    return model


def step(channels_last: bool = False, **options):
    """A program whose output is the first loss; the steps go on from there."""

    def program(torch, x, y):
        model = network(torch, x.shape[-1])
        x, y = torch.from_numpy(programs.turned(x) if channels_last else x), torch.from_numpy(y)
        if channels_last:
            model = model.to(memory_format=torch.channels_last)
        criterion = torch.nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE, **options)

        def run():
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return run

    return program


def jax_step(jax, x, y):
    """The whole step as one compiled function that takes the memory of the weights it replaces."""
    np_ = jax.numpy

    def loss(w, x, y):
        z = jax.lax.conv_general_dilated(x, w[0], (1, 1), ((1, 1), (1, 1))) + w[1][:, None, None]
        z = jax.lax.reduce_window(np_.maximum(z, 0), -np.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        z = np_.maximum(z.reshape(len(z), -1) @ w[2].T + w[3], 0) @ w[4].T + w[5]
        return -np_.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1).mean()

    def update(w, x, y):
        value, slopes = jax.value_and_grad(loss)(w, x, y)
        return value, [a - RATE * slope for a, slope in zip(w, slopes, strict=True)]

    compiled, state = jax.jit(update, donate_argnums=0), [np_.asarray(w) for w in weights(x.shape[-1])]
    x, y = np_.asarray(x), np_.asarray(y)

    def run():
        value, state[:] = jax.block_until_ready(compiled(list(state), x, y))
        return value

    return run


def exact(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The first loss in float64."""
    n, size = len(x), x.shape[-1]
    w = [value.astype(np.float64) for value in weights(size)]
    x = np.pad(x[:, 0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    z = sum(w[0][:, 0, i, j, None, None] * x[:, None, i : i + size, j : j + size] for i in range(3) for j in range(3))
    z = np.maximum(z + w[1][:, None, None], 0)
    z = z.reshape(n, CHANNELS, size // 2, 2, size // 2, 2).max((3, 5)).reshape(n, -1)
    z = np.maximum(z @ w[2].T + w[3], 0) @ w[4].T + w[5]
    top = z.max(1, keepdims=True)
    logs = z - top - np.log(np.exp(z - top).sum(1, keepdims=True))
    return -logs[np.arange(n), y].mean()


def case(name: str, batch: int, size: int, group: str, quick: bool = False) -> Case:
    def inputs() -> tuple:
        random = np.random.default_rng(1)
        x = random.standard_normal((batch, 1, size, size), dtype=np.float32)
        return x, random.integers(0, CLASSES, batch)

    def error(output: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
        return errors.relative(output, exact(x, y))

    own = {
        "spinetail": step(),
        "torch": step(),
        "torch channels-last": step(channels_last=True),
        "torch fused": step(fused=True),
        "jax": jax_step,
    }
    pixels, hidden = size * size, CHANNELS * (size // 2) ** 2 * HIDDEN
    # Forward and the weights' gradients, and the inputs' for all layers but the first.
    flops = 2.0 * batch * (2 * CHANNELS * 9 * pixels + 3 * (hidden + HIDDEN * CLASSES))
    # The weights are read twice and their gradients written, the step reads both and writes one; the feature maps.
    moved = 24.0 * hidden + 4.0 * batch * CHANNELS * pixels * 4
    return Case(name, inputs, own, error, flops=flops, bytes=moved, group=group, quick=quick)


FAMILY = Family(
    "CNN training steps",
    [case("small CNN, batch 64", 64, 28, "cnn step"), case("small CNN of 8×8, batch 8", 8, 8, "cnn steps", quick=True)],
    error="the first loss, relative",
    bound=1e-6,
    note="3×3 convolution from 1 to 32 channels, ReLU, 2×2 max pooling, 128 neurons with ReLU, 10 classes.",
)
