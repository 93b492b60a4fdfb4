"""Whole training steps of small networks with cross-entropy and Adam, beside each of PyTorch's Adams."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .. import errors
from ..case import Case, Family


def weights(sizes: tuple[int, ...]) -> list[np.ndarray]:
    """Alternating (out, in) weights and biases."""
    rng = np.random.default_rng(0)
    pairs = pairwise(sizes)
    return [rng.uniform(-1, 1, shape).astype(np.float32) / n**0.5 for n, m in pairs for shape in ((m, n), (m,))]


def network(torch, sizes: tuple[int, ...]):
    layers = []
    for n, m in pairwise(sizes):
        layers += [torch.nn.Linear(n, m), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), weights(sizes), strict=True):
            parameter.copy_(torch.from_numpy(value))
    return model


def step(**options):
    """A program whose output is the first loss; the steps go on from there."""

    def program(torch, x, y, sizes):
        x, y = torch.from_numpy(x), torch.from_numpy(y)
        model, criterion = network(torch, sizes), torch.nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **options)

        def run():
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return run

    return program


def exact(x: np.ndarray, y: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """The first loss in float64."""
    values = [value.astype(np.float64) for value in weights(sizes)]
    for i in range(0, len(values), 2):
        x = x @ values[i].T + values[i + 1]
        x = np.maximum(x, 0) if i + 2 < len(values) else x
    logs = x - x.max(1, keepdims=True)
    logs = logs - np.log(np.exp(logs).sum(1, keepdims=True))
    return -logs[np.arange(len(y)), y].mean()


def case(sizes: tuple[int, ...], batch: int, group: str) -> Case:
    def inputs() -> tuple:
        rng = np.random.default_rng(1)
        x = rng.standard_normal((batch, sizes[0]), dtype=np.float32)
        return x, rng.integers(0, sizes[-1], batch), sizes

    def error(output: np.ndarray, x: np.ndarray, y: np.ndarray, sizes: tuple[int, ...]) -> float:
        return errors.relative(output, exact(x.astype(np.float64), y, sizes))

    programs = {
        "spinetail": step(),
        "torch default": step(),
        "torch foreach": step(foreach=True),
        "torch fused": step(fused=True),
    }
    name = f"MLP {'-'.join(map(str, sizes))}, batch {batch}"
    parameters = sum(n * m for n, m in pairwise(sizes))
    # Forward, and backward to the weights; to the inputs for all layers but the first. Adam reads 4 arrays, writes 3.
    flops = 2.0 * batch * (3 * parameters - sizes[0] * sizes[1])
    return Case(name, inputs, programs, error, flops=flops, bytes=28.0 * parameters, group=group, quick=True)


FAMILY = Family(
    "Training steps",
    [case((100, 50, 10), 1, "step 1"), case((784, 512, 10), 64, "step 64"), case((784, 128, 10), 256, "steps")],
    error="the first loss, relative",
    bound=1e-6,
)
