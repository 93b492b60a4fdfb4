"""Models side by side: quality, speed, size and work in one table, with the change against the first."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..autograd import Tensor, no_grad, wrap
from . import metrics as measures
from . import report, table
from .footprint import footprint
from .latency import latency
from .memory import memory
from .running import batch_of, evaluating, threads_set

__all__ = ["Comparison", "Row", "compare"]


@dataclass
class Row:
    """One measure of all models. `better` is "higher", "lower" or "" (neither is better in itself)."""

    key: str
    title: str
    values: dict[str, float]
    better: str = ""
    unit: str = ""

    def change(self, name: str, baseline: str) -> float | None:
        """(after − before) / before, or None where before is 0."""
        before = self.values[baseline]
        return None if not before else (self.values[name] - before) / before

    def show(self, name: str) -> str:
        """The value as people read it."""
        value = self.values[name]
        drawn = {"s": table.time, "B": table.size, "%": lambda v: f"{v * 100:.2f} %", "": table.short}
        return drawn[self.unit](value) if self.unit != "n" else table.count(int(value))


@dataclass
class Comparison:
    """The result of `compare`: `rows` of measures. It shows itself in terminals and notebooks; `save` writes it."""

    names: list[str]
    rows: list[Row]
    environment: dict[str, Any] = field(default_factory=dict)

    @property
    def baseline(self) -> str:
        """The model against which changes are counted: the first."""
        return self.names[0]

    def __getitem__(self, key: str) -> dict[str, float]:
        """The values of one measure, by model: `comparison["latency_p50"]["after"]`."""
        for row in self.rows:
            if row.key == key:
                return dict(row.values)
        raise KeyError(f"no measure {key!r}: there are {', '.join(row.key for row in self.rows)}")

    def change(self, key: str, name: str) -> float | None:
        """(after − before) / before of one measure for one model."""
        for row in self.rows:
            if row.key == key:
                return row.change(name, self.baseline)
        raise KeyError(f"no measure {key!r}: there are {', '.join(row.key for row in self.rows)}")

    def table(self) -> table.Table:
        """The rows with a change beside each value but the baseline's."""
        heads = [""]
        for name in self.names:
            heads += [name] if name == self.baseline else [name, ""]
        rows = []
        for row in self.rows:
            cells = [row.title]
            for name in self.names:
                cells.append(row.show(name))
                if name != self.baseline:
                    cells.append(table.percent(row.change(name, self.baseline)))
            rows.append(cells)
        return table.Table(heads, rows)

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return report.html_table(self)

    def to_markdown(self) -> str:
        """The table in Markdown."""
        return self.table().markdown()

    def to_dict(self) -> dict[str, Any]:
        """Values and changes of every measure as plain Python values; times in seconds, sizes in bytes."""
        rows = {}
        for row in self.rows:
            changes = {name: row.change(name, self.baseline) for name in self.names[1:]}
            rows[row.key] = {
                "title": row.title,
                "unit": {"n": "", "%": ""}.get(row.unit, row.unit),
                "better": row.better,
                "values": row.values,
                "change": changes,
            }
        return {"baseline": self.baseline, "models": self.names, "measures": rows, "environment": self.environment}

    def to_json(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def plot(self, history: Mapping[str, Sequence[float]] | None = None) -> Any:
        """The report's figure: a panel for each of the main measures. Raises: ImportError without matplotlib."""
        return report.figure(self, history)

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        title: str = "Before and after",
        notes: str = "",
        history: Mapping[str, Sequence[float]] | None = None,
    ) -> dict[str, str]:
        """Write report.html (one file, with the plot inside), report.md, report.json and report.png into a folder.

        `notes` is a paragraph below the title, `history` maps names to values for each epoch, which are plotted.
        Returns: the paths by kind. Raises: ImportError without matplotlib, before anything is written.
        """
        return report.save(self, folder, title, notes, history)


def compare(
    models: Mapping[str, Any],
    data: Any,
    *,
    metrics: Mapping[str, Callable[..., Any]] | None = None,
    batch_size: int | Sequence[int] = (1, 64),
    repeats: int = 200,
    seconds: float = 2.0,
    threads: int | None = None,
) -> Comparison:
    """Measure models on the same data and the same machine: the first is the baseline, the others are compared to it.

    `data` is a pair (inputs, targets) of arrays or Tensors, or anything that yields such pairs as batches, a
    `DataLoader` for example; a mapping of inputs to several positional arguments is a pair (tuple, targets).
    `metrics` maps names to functions (prediction, target) -> number; by default accuracy and macro F1 for targets that
    are whole numbers, else mean squared error and R². Latency is measured at each batch size with the models taking
    turns (see `latency`), peak memory and throughput at the largest; FLOPs are those of one sample.

    A model is credited with what is really stored and computed: a masked weight counts with all its bytes and FLOPs,
    and the row "nonzero parameters" says how many of them are not zero. Changes are (after − before) / before.

    Raises: ValueError for no models, no data, or predictions that do not fit the targets.

    >>> import numpy as np
    >>> import spinetail as st
    >>> x, y = np.ones((8, 4), np.float32), np.zeros(8, np.int64)
    >>> models = {"before": st.nn.Linear(4, 2), "after": st.nn.Linear(4, 2, bias=False)}
    >>> table = st.evaluate.compare(models, (x, y), repeats=5)
    >>> table["parameters"], table.change("parameters", "after")
    ({'before': 10.0, 'after': 8.0}, -0.2)
    """
    named = dict(models) if isinstance(models, Mapping) else {}
    if not named:
        raise ValueError("[compare] models must be a mapping from names to models, with at least one")
    sizes = [batch_size] if isinstance(batch_size, int) else sorted(set(batch_size))
    batches = _batches(data, max(64, sizes[-1]))
    rows = _quality(named, batches, metrics)
    example = batches[0][0]
    largest = sizes[-1]
    with threads_set(threads) as used:
        speeds = latency(named, example, batch_size=sizes, repeats=repeats, seconds=seconds)
        for size in sizes:
            where = f"batch {size}"
            found = speeds[size]
            suffix = "" if len(sizes) == 1 else f"_{size}"
            rows += [
                Row(f"latency_p50{suffix}", f"latency p50, {where}", {n: found[n].p50 for n in named}, "lower", "s"),
                Row(f"latency_p99{suffix}", f"latency p99, {where}", {n: found[n].p99 for n in named}, "lower", "s"),
            ]
        rates = {n: speeds[largest][n].throughput for n in named}
        rows.append(Row("throughput", "samples per second", rates, "higher"))
        peaks = {n: float(memory(model, batch_of(example, largest))) for n, model in named.items()}
    prints = {n: footprint(model, batch_of(example, 1)) for n, model in named.items()}
    rows += [
        Row("parameters", "parameters", {n: float(p.parameters) for n, p in prints.items()}, "lower", "n"),
        Row("nonzero", "nonzero parameters", {n: float(p.nonzero) for n, p in prints.items()}, "", "n"),
        Row("bytes", "size in memory", {n: float(p.bytes) for n, p in prints.items()}, "lower", "B"),
        Row("file_bytes", "size of saved file", {n: float(p.file_bytes) for n, p in prints.items()}, "lower", "B"),
        Row("memory", f"peak memory, batch {largest}", peaks, "lower", "B"),
        Row("flops", "FLOPs per sample", {n: float(p.flops) for n, p in prints.items()}, "lower"),
    ]
    samples = sum(len(target) for _, target in batches)
    return Comparison(list(named), rows, _environment() | {"threads": used, "samples": samples})


def _batches(data: Any, size: int) -> list[tuple[tuple[Any, ...], np.ndarray]]:
    """The data as a list of (inputs, targets), inputs as a tuple of tensors."""
    if isinstance(data, tuple | list) and len(data) == 2 and hasattr(data[1], "shape"):
        inputs, targets = data
        parts = inputs if isinstance(inputs, tuple) else (inputs,)
        arrays = [part._array if isinstance(part, Tensor) else np.asarray(part) for part in parts]
        labels = targets._array if isinstance(targets, Tensor) else np.asarray(targets)
        if any(len(array) != len(labels) for array in arrays):
            raise ValueError(f"[compare] {len(arrays[0])} inputs, but {len(labels)} targets")
        steps = range(0, len(labels), size)
        result = [(tuple(wrap(a[i : i + size]) for a in arrays), labels[i : i + size]) for i in steps]
    elif isinstance(data, Iterable):
        result = []
        for batch in data:
            if not isinstance(batch, tuple | list) or len(batch) < 2:
                raise ValueError("[compare] data must yield pairs (inputs, targets)")
            *given, labels = batch
            parts = given[0] if len(given) == 1 and isinstance(given[0], tuple) else tuple(given)
            arrays = [part._array if isinstance(part, Tensor) else np.asarray(part) for part in parts]
            result.append(
                (tuple(map(wrap, arrays)), labels._array if isinstance(labels, Tensor) else np.asarray(labels))
            )
    else:
        raise TypeError(
            f"[compare] data must be (inputs, targets) or yield such pairs, but it is {type(data).__name__}"
        )
    if not result:
        raise ValueError("[compare] there are no data")
    return result


def _quality(named: dict[str, Any], batches: list[Any], metrics: Mapping[str, Callable[..., Any]] | None) -> list[Row]:
    targets = np.concatenate([labels for _, labels in batches])
    classes = targets.dtype.kind in "biu" and targets.ndim == 1
    predictions = {}
    with evaluating(*named.values()), no_grad():
        for name, model in named.items():
            outputs = [model(*inputs) for inputs, _ in batches]
            predictions[name] = np.concatenate([o._array if isinstance(o, Tensor) else np.asarray(o) for o in outputs])
    if metrics is not None:
        return [
            Row(key, key, {n: float(function(p, targets)) for n, p in predictions.items()}, "higher")
            for key, function in metrics.items()
        ]
    if classes:
        scores = {n: measures.accuracy(p, targets) for n, p in predictions.items()}
        f1 = {n: float(measures.f1(_labels(p), targets, "macro", zero_division=0)) for n, p in predictions.items()}
        return [Row("accuracy", "accuracy", scores, "higher", "%"), Row("f1", "F1 (macro)", f1, "higher", "%")]
    return [
        Row("mse", "mean squared error", {n: measures.mse(p, targets) for n, p in predictions.items()}, "lower"),
        Row("r2", "R²", {n: measures.r2(p, targets) for n, p in predictions.items()}, "higher"),
    ]


def _labels(prediction: np.ndarray) -> np.ndarray:
    return prediction.argmax(axis=1) if prediction.ndim == 2 else prediction


def _environment() -> dict[str, Any]:
    from .._native import level

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cpu": _cpu(),
        "kernels": level,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
