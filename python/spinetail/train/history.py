"""What happened in each epoch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any


class History:
    """A row for each epoch: "epoch" (from 1), "loss", metrics, the same with "val_" in front, "lr" and "seconds".

    >>> import spinetail as st
    >>> history = st.train.History()
    >>> history.append({"epoch": 1, "loss": 2.0}); history.append({"epoch": 2, "loss": 1.5})
    >>> history.to_dict(), history["loss"], len(history)
    ({'epoch': [1, 2], 'loss': [2.0, 1.5]}, [2.0, 1.5], 2)
    """

    def __init__(self, rows: list[dict[str, Any]] | None = None) -> None:
        self.rows = [dict(row) for row in rows or []]

    def append(self, row: dict[str, Any]) -> None:
        """Add an epoch."""
        self.rows.append(row)

    @property
    def names(self) -> list[str]:
        """The columns, in the order of their first appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self.names:
            raise KeyError(f"the history has no {name!r}; it has {', '.join(self.names) or 'no rows'}")
        return [row.get(name) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def to_dict(self) -> dict[str, list[Any]]:
        """Columns, as `pandas.DataFrame` takes them."""
        return {name: self[name] for name in self.names}

    def plot(self, path: str | os.PathLike | None = None, *, figure: Any = None) -> Any:
        """Draw losses, metrics (training and validation in one panel) and the rate; returns the figure.

        `path` saves it; `figure` is a matplotlib figure to draw into.
        Raises: ImportError without matplotlib; ValueError for an empty history.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ImportError("[History] a plot needs matplotlib: pip install matplotlib") from None
        if not self.rows:
            raise ValueError("[History] there is no epoch to plot yet")
        panels = [n for n in self.names if n not in ("epoch", "seconds") and not n.startswith("val_")]
        if figure is None:
            figure = Figure(figsize=(3.4 * len(panels), 2.8), layout="constrained")
        for axis, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for key, label, colour in ((name, "training", "#1f5f8b"), (f"val_{name}", "validation", "#c05a2b")):
                if key in self.names:
                    marker = "o" if len(self) < 20 else ""
                    axis.plot(self["epoch"], self[key], label=label, color=colour, marker=marker, ms=3)
            if f"val_{name}" in self.names:
                axis.legend(frameon=False)
            axis.set(title="learning rate" if name == "lr" else name, xlabel="epoch")
            axis.grid(alpha=0.3, lw=0.5)
            axis.xaxis.get_major_locator().set_params(integer=True)
        if path is not None:
            figure.savefig(path)
        return figure

    def _table(self) -> list[list[str]]:
        def text(value: Any) -> str:
            return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)

        return [self.names, *([text(row.get(name)) for name in self.names] for row in self.rows)]

    def __repr__(self) -> str:
        table = self._table()
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join("  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in table)

    def _repr_html_(self) -> str:
        head, *body = self._table()
        cells = ["".join(f"<td>{cell}</td>" for cell in row) for row in body]
        names = "".join(f"<th>{name}</th>" for name in head)
        return f"<table><tr>{names}</tr>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
