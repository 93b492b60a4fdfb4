"""Running models for measurement: inputs as tensors, evaluation mode, threads; everything put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..autograd import Tensor, wrap
from ..config import get_num_threads, set_num_threads

__all__ = ["arguments", "batch_of", "call", "evaluating", "probing", "threads_set"]


def arguments(name: str, example: Any) -> tuple[Any, ...]:
    """The example as a tuple of positional arguments, arrays as tensors. A list is one sequence, not several inputs."""
    given = example if isinstance(example, tuple) else (example,)
    if not given:
        raise ValueError(f"[{name}] the example input is an empty tuple")
    return tuple(wrap(item) if isinstance(item, np.ndarray) else item for item in given)


def call(model: Any, inputs: tuple[Any, ...]) -> Any:
    """`model(*inputs)`."""
    return model(*inputs)


def batch_of(inputs: tuple[Any, ...], size: int) -> tuple[Any, ...]:
    """The inputs with `size` samples: the first ones, repeated where there are too few."""
    result = []
    for item in inputs:
        if isinstance(item, Tensor) and item._array.ndim and len(item._array):
            rows = np.arange(size) % len(item._array)
            item = wrap(np.ascontiguousarray(item._array[rows]))
        result.append(item)
    return tuple(result)


@contextmanager
def evaluating(*models: Any) -> Iterator[None]:
    """Put modules into evaluation mode, and back into the modes in which they were."""
    before = [(module, module.training) for model in models if hasattr(model, "modules") for module in model.modules()]
    for model in models:
        if hasattr(model, "eval"):
            model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.__dict__["training"] = training


@contextmanager
def probing(model: Any, inputs: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Let all of a model be recorded: parameters require gradients meanwhile, and the inputs given back do too."""
    before = [(parameter, parameter._requires_grad) for parameter in model.parameters()]
    for parameter, _ in before:
        parameter._requires_grad = parameter._array.dtype.kind not in "biu"
    watched = []
    for item in inputs:
        if isinstance(item, Tensor):
            floating = item._array.dtype.kind not in "biu"
            item = wrap(item._array)
            item._requires_grad = floating
        watched.append(item)
    try:
        with evaluating(model):
            yield tuple(watched)
    finally:
        for parameter, required in before:
            parameter._requires_grad = required


@contextmanager
def threads_set(count: int | None) -> Iterator[int]:
    """Compute with `count` threads (None: as many as now); yields the number in use."""
    before = get_num_threads()
    if count is not None:
        if not isinstance(count, int | np.integer) or count < 1:
            raise ValueError(f"[threads] the number of threads must be at least 1, but it is {count!r}")
        set_num_threads(int(count))
    try:
        yield get_num_threads()
    finally:
        set_num_threads(before)
