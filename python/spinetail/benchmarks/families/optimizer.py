"""Optimizer steps beside PyTorch's default, foreach and fused ones; clipping in the step beside clipping before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..case import Case, Family, Program

Shapes = list[tuple[int, ...]]
LARGE: Shapes = [(1_000_000,)] * 24
# The 200 tensors of BERT-base, every axis of its matrices shortened so that there are 30 million numbers in all.
BERT: Shapes = [(15_000, 400), (512, 400), (2, 400), (400,), (400,)]
BERT += [(400, 400), (400,)] * 48 + [(1600, 400), (1600,), (400, 1600), (400,)] * 12 + [(400,), (400,)] * 24
BERT += [(400, 400), (400,), (400,)]
LENET: Shapes = [(6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,), (10, 84), (10,)]
MLP: Shapes = [(50, 100), (50,), (10, 50), (10,)]
MANY: Shapes = [(64,)] * 1000
MOMENTUM = {"momentum": 0.9}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "Adam": ("Adam", {}),
    "AdamW": ("AdamW", {}),
    "SGD with momentum": ("SGD", MOMENTUM),
    "Adagrad": ("Adagrad", {}),
    "RMSprop": ("RMSprop", {}),
    "Lion": ("Lion", {}),
}
FUSED = ("Adam", "AdamW", "SGD", "Adagrad")
STREAMS = {"SGD": 5, "Adagrad": 5, "RMSprop": 5, "Lion": 5}  # of memory: read or written numbers for each parameter


def inputs(shapes: Shapes) -> Callable[[], tuple]:
    def make() -> tuple:
        rng = np.random.default_rng(0)
        return tuple(rng.standard_normal(shape, dtype=np.float32) for shape in shapes + shapes)

    return make


def parameters_of(torch: Any, arrays: tuple) -> list[Any]:
    """Parameters with their gradients: values come first, then gradients."""
    half = len(arrays) // 2
    parameters = [torch.nn.Parameter(torch.from_numpy(value.copy())) for value in arrays[:half]]
    for parameter, gradient in zip(parameters, arrays[half:], strict=True):
        parameter.grad = torch.from_numpy(gradient.copy())
    return parameters


def step(name: str, clip: bool = False, **options: Any) -> Program:
    """The output is the first parameter after one step."""

    def program(torch: Any, *arrays: Any) -> Callable[[], Any]:
        parameters = parameters_of(torch, arrays)
        optimizer = getattr(torch.optim, name)(parameters, lr=1e-3, **options)

        def run() -> Any:
            if clip:
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            return parameters[0]

        return run

    return program


def lion(torch: Any, *arrays: Any) -> Callable[[], Any]:
    """As published for PyTorch: a loop over the parameters."""
    parameters = parameters_of(torch, arrays)
    momenta = [torch.zeros_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def run() -> Any:
        for p, m in zip(parameters, momenta, strict=True):
            update = m.clone().mul_(0.9).add_(p.grad, alpha=0.1).sign_()
            p.add_(update, alpha=-1e-3)
            m.mul_(0.99).add_(p.grad, alpha=0.01)
        return parameters[0]

    return run


def peers(name: str, options: dict[str, Any], default: bool) -> dict[str, Program]:
    if name == "Lion":
        return {"torch loop": lion}
    if default:
        return {"torch default": step(name, **options)}
    kinds = ("foreach", "fused") if name in FUSED else ("foreach",)
    return {f"torch {kind}": step(name, **{kind: True}, **options) for kind in kinds}


def case(title: str, kind: str, shapes: Shapes, group: str, *, default: bool = False, **more: Any) -> Case:
    name, options = KINDS[kind]

    def error(output: np.ndarray, *arrays: np.ndarray) -> float:
        value, g = arrays[0].astype(np.float64), arrays[len(arrays) // 2].astype(np.float64)
        if name == "AdamW":
            value = value * (1 - 1e-3 * 1e-2)
        if name in ("Adagrad", "Adam", "AdamW", "Lion"):
            change = g / (np.abs(g) + (1e-10 if name == "Adagrad" else 1e-8))
        else:
            change = g if name == "SGD" else g / (np.sqrt(0.01 * g * g) + 1e-8)
        return float(np.abs(output - (value - 1e-3 * change)).max())

    programs = {"spinetail": step(name, **options), **peers(name, options, default)}
    moved = 4.0 * STREAMS.get(name, 7) * sum(int(np.prod(shape)) for shape in shapes)
    title = f"{kind}, {title}" + (", against the default" if default else "")
    return Case(title, inputs(shapes), programs, error, bytes=moved, group=group, **more)


def clipped(title: str, shapes: Shapes) -> Case:
    programs = {
        "spinetail": step("Adam", max_grad_norm=1.0),
        "torch foreach": step("Adam", clip=True, foreach=True),
        "torch fused": step("Adam", clip=True, fused=True),
    }
    moved = 32.0 * sum(int(np.prod(shape)) for shape in shapes)
    return Case(f"Adam with clipping, {title}", inputs(shapes), programs, bytes=moved, group="optimizers clipping")


def cases() -> list[Case]:
    found = []
    for title, shapes, group in (
        ("24 × 1M", LARGE, "optimizers large"),
        ("200 tensors of BERT", BERT, "optimizers BERT"),
    ):
        for kind in KINDS:
            if kind != "Lion":
                found.append(case(title, kind, shapes, group))
            found.append(case(title, kind, shapes, f"{group} default", default=True))
        found.append(clipped(title, shapes))
    for kind in KINDS:
        found.append(case("LeNet", kind, LENET, "optimizers small", quick=kind == "Adam"))
        found.append(case("1000 × 64", kind, MANY, "optimizers small"))
    return [*found, case("MLP 100-50-10", "Adam", MLP, "optimizers tiny", quick=True)]


FAMILY = Family("Optimizer steps", cases(), error="of the first parameter after one step, absolute", bound=1e-6)
