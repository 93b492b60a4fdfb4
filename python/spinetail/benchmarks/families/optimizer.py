"""Optimizer steps beside PyTorch's default, foreach and fused ones."""

from __future__ import annotations

import numpy as np

from ..case import Case, Family

MLP = [(50, 100), (50,), (10, 50), (10,)]
BERT = [(768, 768), (768,), (3072, 768), (3072,), (768, 3072), (768,)] * 6


def inputs(shapes: list[tuple[int, ...]]):
    def make() -> tuple:
        rng = np.random.default_rng(0)
        return tuple(rng.standard_normal(shape, dtype=np.float32) for shape in shapes + shapes)

    return make


def step(name: str, **options):
    """Values, then gradients; the output is the first parameter after one step."""

    def program(torch, *arrays):
        values, gradients = arrays[: len(arrays) // 2], arrays[len(arrays) // 2 :]
        parameters = [torch.nn.Parameter(torch.from_numpy(value.copy())) for value in values]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = torch.from_numpy(gradient)
        optimizer = getattr(torch.optim, name)(parameters, lr=1e-3, **options)

        def run():
            optimizer.step()
            return parameters[0]

        return run

    return program


def case(title: str, name: str, shapes: list[tuple[int, ...]], options: dict | None = None, **more) -> Case:
    options = options or {}

    def error(output: np.ndarray, *arrays: np.ndarray) -> float:
        value, g = arrays[0].astype(np.float64), arrays[len(arrays) // 2].astype(np.float64)
        if name == "AdamW":
            value = value * (1 - 1e-3 * 1e-2)
        change = {"SGD": g, "RMSprop": g / (np.sqrt(0.01 * g * g) + 1e-8)}.get(name, g / (np.abs(g) + 1e-8))
        return float(np.abs(output - (value - 1e-3 * change)).max())

    programs = {
        "spinetail": step(name, **options),
        "torch default": step(name, **options),
        "torch foreach": step(name, foreach=True, **options),
    }
    if name != "RMSprop":
        programs["torch fused"] = step(name, fused=True, **options)
    arrays = {"SGD": 5 if options else 3, "RMSprop": 5}.get(name, 9 if options else 7)
    moved = 4.0 * arrays * sum(int(np.prod(shape)) for shape in shapes)
    return Case(title, inputs(shapes), programs, error, bytes=moved, group="optimizers", **more)


FAMILY = Family(
    "Optimizer steps",
    [
        case("Adam, 24 × 1M", "Adam", [(1_000_000,)] * 24),
        case("AdamW with amsgrad, 4 × 1M", "AdamW", [(1_000_000,)] * 4, {"amsgrad": True}),
        case("SGD with momentum, 24 × 1M", "SGD", [(1_000_000,)] * 24, {"momentum": 0.9}),
        case("AdamW, 36 tensors of BERT", "AdamW", BERT),
        case("Adam, MLP 100-50-10", "Adam", MLP, quick=True),
        case("SGD, MLP 100-50-10", "SGD", MLP, quick=True),
        case("Adam, 10 small", "Adam", [(64, 16), (64,)] * 5),
        case("RMSprop, 10 small", "RMSprop", [(64, 16), (64,)] * 5),
        case("Adam, 1000 × 64", "Adam", [(64,)] * 1000),
    ],
    error="of the first parameter after one step, absolute",
    bound=1e-6,
)
