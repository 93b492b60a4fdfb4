"""Where a model's parameters, work, time and memory are: one table, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..autograd.graph import tensors, watched
from . import table
from .footprint import Footprint, Layer, footprint
from .memory import memory
from .running import arguments, call, evaluating

__all__ = ["Profile", "profile"]


@dataclass
class Profile:
    """The result of `profile`: a `footprint`, and for each of its layers `seconds` and `memory` (bytes put out)."""

    footprint: Footprint
    seconds: dict[str, float]
    memory: dict[str, int]
    total_seconds: float
    peak_memory: int

    @property
    def layers(self) -> list[Layer]:
        """The layers that have parameters or compute something."""
        return self.footprint.layers

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain Python values."""
        result = self.footprint.to_dict()
        for row in result["layers"]:
            row["seconds"], row["memory"] = self.seconds.get(row["name"], 0.0), self.memory.get(row["name"], 0)
        return result | {"seconds": self.total_seconds, "peak_memory": self.peak_memory}

    def _table(self) -> table.Table:
        rows = []
        for x in self.layers:
            seconds = self.seconds.get(x.name, 0.0)
            share = f"{seconds / self.total_seconds * 100:.0f} %" if self.total_seconds else ""
            rows.append(
                [
                    x.name or "(model)",
                    table.shape(x.shape),
                    table.count(x.parameters),
                    table.size(x.bytes),
                    table.short(x.flops),
                    table.time(seconds),
                    share,
                    table.size(self.memory.get(x.name, 0)),
                ]
            )
        found = self.footprint
        total = [
            "total",
            "",
            table.count(found.parameters),
            table.size(found.bytes),
            table.short(found.flops),
            table.time(self.total_seconds),
            "",
            table.size(self.peak_memory) + " peak",
        ]
        heads = ["layer", "output", "parameters", "bytes", "FLOPs", "time", "share", "memory"]
        return table.Table(heads, rows, total, left=2)

    def __repr__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()


def profile(model: Any, x: Any, *, repeats: int = 20, warmup: int = 3) -> Profile:
    """Parameters, bytes, FLOPs, time and memory of each layer for one forward pass on `x`.

    `x` is the input, or a tuple of inputs. A layer's time is its own, without what its children take: the median over
    `repeats` passes in evaluation mode. A layer's memory is the bytes of what it puts out; the total is the peak of a
    whole pass, measured as `memory` says. Counting is `footprint`'s.

    >>> import spinetail as st
    >>> found = st.evaluate.profile(st.nn.Sequential(st.nn.Linear(8, 4), st.nn.ReLU()), st.zeros(16, 8), repeats=3)
    >>> found.footprint.flops, found.memory["0"]
    (1024, 256)
    """
    if repeats < 1 or warmup < 0:
        raise ValueError(f"[profile] repeats must be at least 1 and warmup at least 0, but got {repeats} and {warmup}")
    inputs = arguments("profile", x)
    counted = footprint(model, inputs)
    passes: list[dict[str, int]] = []
    produced: dict[str, int] = {}
    open_spans: list[list[Any]] = []  # [path, start, time of children]

    def enter(path: str) -> None:
        open_spans.append([path, perf_counter_ns(), 0])

    def leave(path: str, output: Any) -> None:
        name, start, inner = open_spans.pop()
        spent = perf_counter_ns() - start
        passes[-1][name] = passes[-1].get(name, 0) + spent - inner
        if open_spans:
            open_spans[-1][2] += spent
        produced[path] = sum(t._array.nbytes for t in tensors(output))

    with watched(model, enter, leave), evaluating(model), no_grad():
        for _ in range(warmup + repeats):
            passes.append({})
            open_spans.clear()
            call(model, inputs)
    measured = passes[warmup:]
    names = {name for one in measured for name in one}
    seconds = {name: float(np.median([one.get(name, 0) for one in measured])) / 1e9 for name in names}
    total = sum(seconds.values())
    listed = {layer.name for layer in counted.layers}
    for name in sorted(names - listed):  # layers without parameters that take time of their own, such as pooling
        if seconds[name] * 200 > total:
            counted.layers.append(Layer(name, type(model.get_submodule(name)).__name__))
    order = {path: i for i, (path, _) in enumerate(model.named_modules())}
    counted.layers.sort(key=lambda layer: order[layer.name])
    return Profile(counted, seconds, produced, total, memory(model, inputs))
