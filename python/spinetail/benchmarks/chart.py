"""A family's ratios as horizontal bars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

COLORS = ("#1b6ca8", "#e08e2b", "#4f9d69", "#a04668")


def draw(result: Mapping[str, Any], machine: Mapping[str, Any], path: Path) -> None:
    """One bar for each case and thread count, on a logarithmic scale: how much longer the best peer takes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    rows = [row for row in result["rows"] if row["ratio"]]
    cases = list(dict.fromkeys(row["case"] for row in rows))
    counts = sorted({row["threads"] for row in rows})
    figure = Figure(figsize=(9, 1.3 + 0.34 * len(cases) * max(1, len(counts) * 0.75)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    height = 0.8 / len(counts)
    for index, threads in enumerate(counts):
        some = [row for row in rows if row["threads"] == threads]
        places = [cases.index(row["case"]) + (index - (len(counts) - 1) / 2) * height for row in some]
        label = f"{threads} thread{'s' * (threads > 1)}"
        bars = [row["ratio"] - 1 for row in some]
        axes.barh(places, bars, height * 0.9, left=1, color=COLORS[index % len(COLORS)], label=label)
        for place, row in zip(places, some, strict=True):
            text = f" {row['ratio']:.2f}  {row['best']} "
            right = row["ratio"] >= 1
            axes.text(row["ratio"], place, text, va="center", ha="left" if right else "right", fontsize=7.5)
    axes.set_xscale("log")
    axes.axvline(1, color="#333333", linewidth=1)
    low, high = min(1, *(row["ratio"] for row in rows)), max(1, *(row["ratio"] for row in rows))
    axes.set_xlim(low / (1.25 if low == 1 else 1.8), high * (high / low) ** 0.18 * 1.5)
    axes.set_yticks(range(len(cases)), cases, fontsize=8.5)
    axes.set_ylim(len(cases) - 0.4, -0.6)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("time of the best peer (named) over ours; right of 1× we are faster")
    figure.suptitle(result["title"], fontsize=12, fontweight="bold", x=0.01, ha="left")
    axes.set_title(
        f"{machine['cpu']}, {machine['processors']} processors, {machine['day']}",
        fontsize=8,
        color="#555555",
        loc="left",
    )
    figure.legend(loc="outside upper right", fontsize=8, ncols=len(counts), frameon=False)
    figure.savefig(path)
