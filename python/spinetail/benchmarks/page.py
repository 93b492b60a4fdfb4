"""Results as tables for a terminal and as a page in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..evaluate.table import Table, size, time
from .limits import busy
from .reasons import explained, misses
from .rows import beyond, summary
from .targets import TARGETS, verdict

Result = Mapping[str, Any]


def table(result: Result, threads: int) -> Table:
    """The rows of one thread count: times, ratio, share of the limit, errors."""
    rows = [row for row in result["rows"] if row["threads"] == threads]
    names = list(dict.fromkeys(name for row in rows for name in row["contestants"]))
    errors = [n for n in names if any(row["contestants"].get(n, {}).get("error") is not None for row in rows)]
    heads = ["case", *names, "ratio", "of minima", "of limit", *(f"error {name}" for name in errors)]
    return Table(heads, [_cells(row, names, errors) for row in rows])


def _cells(row: Result, names: Sequence[str], errors: Sequence[str]) -> list[str]:
    contestants = row["contestants"]

    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    return [
        row["case"],
        *(time(contestants[n]["median"]) if n in contestants else "–" for n in names),
        number(row["ratio"], ".2f"),
        number(row["ratio of minima"], ".2f"),
        number(row["limit"], ".0%"),
        *(number(contestants.get(n, {}).get("error"), ".2g") for n in errors),
    ]


def verdicts(rows: Sequence[Result]) -> Table:
    """Geometric mean and worst case of each group, beside its target."""
    lines = []
    for line in summary(rows):
        target = TARGETS.get(line["group"])
        title = target.title if target else f"{line['group']} (no target)"
        wanted = "" if target is None else f"{target.geomean:g}" + (f", {target.worst:g}" if target.worst else "")
        lines.append(
            [
                title,
                str(line["threads"]),
                str(line["cases"]),
                f"{line['geomean']:.2f}",
                f"{line['worst']:.2f}",
                line["worst case"],
                wanted,
                verdict(line),
            ]
        )
    return Table(["group", "threads", "cases", "geomean", "worst", "worst case", "target", "verdict"], lines)


def missed(results: Mapping[str, Result]) -> Table | None:
    """The cases below a target that their group misses, and why; None if there are none."""
    lines = [explained(one) for one in misses(results)]
    return Table(["case", "threads", "ratio", "at the limit", "why"], lines) if lines else None


def accuracy(result: Result) -> list[str]:
    """Whether our errors are within their bounds, as a sentence; nothing where no bound is stated."""
    bounds = sorted(
        {
            bound
            for row in result["rows"]
            if (bound := result["bound"] if row["bound"] is None else row["bound"]) is not None
        }
    )
    if not bounds:
        return []
    above = beyond(result["rows"], result["bound"])
    stated = f"{bounds[0]:.2g}" + (f" to {bounds[-1]:.2g}" if len(bounds) > 1 else "")
    return [f"Above the bound: {', '.join(above)}." if above else f"All errors of spinetail are within {stated}."]


def limits_table(limits: Mapping[int, Any]) -> Table:
    heads = ["threads", "float32", "float64", *(f"{x['level']} read, write, copy" for x in _first(limits)["memory"])]
    rows = [
        [
            str(threads),
            *(f"{each[dtype] / 1e9:.0f} GFLOP/s" for dtype in ("float32", "float64")),
            *(", ".join(f"{x[k] / 1e9:.0f}" for k in ("read", "write", "copy")) + " GB/s" for x in each["memory"]),
        ]
        for threads, each in limits.items()
    ]
    return Table(heads, rows)


def _first(limits: Mapping[int, Any]) -> Any:
    return next(iter(limits.values()))


def facts(machine: Mapping[str, Any]) -> str:
    """What it ran on, in a few lines of Markdown."""
    peers = ", ".join(f"{name} {version}" for name, version in machine["peers"].items()) or "none"
    caches = ", ".join(f"{level} {size(each)}" for level, each in machine["caches"].items())
    return (
        f"- {machine['cpu']}, {machine['processors']} processors, {caches}, {size(machine['memory'])} of memory, "
        f"{machine['system']}\n"
        f"- spinetail {machine['spinetail']} at CPU level {machine['level']} ({size(machine['installed bytes'])} "
        f"installed), Python {machine['python']}, NumPy {machine['numpy']}\n"
        f"- peers: {peers}\n- {machine['day']}, load {machine['load']} at the start, by `{machine['command']}`\n"
    )


HOW = """\
Every library runs in a process of its own that is stopped while another is measured; they take turns, and a turn begins
with calls that do not count. Times are medians of a call as made from Python; *ratio* is the best peer's median over
ours (above 1 we are faster), *of minima* the same of the fastest calls; *of limit* is the least time that the machine's
measured arithmetic and bandwidth allow, over ours. *Cold* data rotates through more memory than the caches hold.
Errors are against float64.
"""

MISSED = """\
Cases below a target that their group misses. *At the limit* is the ratio that the case would have at the machine's
measured limit: no code can do better on this machine. The reasons were found by profiling on an Intel Xeon (Emerald
Rapids) or, where they name it, an AMD EPYC (Genoa), both of 2 cores.
"""


def page(results: Mapping[str, Result], machine: Mapping[str, Any], limits: Mapping[int, Any], charts: Path) -> str:
    """The whole page; `charts` is the charts' folder as the page names it."""
    parts = ["# Benchmarks", HOW, facts(machine)]
    rows = [row for result in results.values() for row in result["rows"]]
    parts += ["## Groups and targets", verdicts(rows).markdown()]
    if (short := missed(results)) is not None:
        parts += ["### Misses and their reasons", MISSED, short.markdown()]
    parts.append("## Limits of this machine")
    parts += [limits_table(limits).markdown()]
    if warning := busy(limits):
        parts.append(f"**{warning[0].upper()}{warning[1:]}.**")
    for name, result in results.items():
        parts.append(f"## {result['title']}")
        if result["note"]:
            parts.append(result["note"])
        if result["error"]:
            parts.append(" ".join([f"Errors: {result['error']}.", *accuracy(result)]))
        for threads in dict.fromkeys(row["threads"] for row in result["rows"]):
            parts += [f"### {name}, {threads} thread{'s' * (threads > 1)}", table(result, threads).markdown()]
        if result["rows"] and any(row["ratio"] for row in result["rows"]):
            parts.append(f"![{result['title']}: ratios]({charts / f'{name}.png'})")
    return "\n\n".join(part.strip() for part in parts) + "\n"
