"""The whole of `spinetail bench`: measure, print, and keep as JSON, Markdown and charts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .limits import busy
from .machine import machine
from .page import accuracy, facts, limits_table, missed, page, table, verdicts
from .run import Plan, Run, families, family

__all__ = ["bench", "listing"]


def listing() -> str:
    """The families and how many cases each has."""
    lines = [f"{name:16} {family(name).title} ({len(family(name).cases)} cases)" for name in families()]
    return "\n".join([*lines, f"{'limits':16} what this machine's arithmetic and memory can do"])


def bench(plan: Plan, output: str | Path, page_file: str | Path | None = None, command: str = "spinetail bench") -> int:
    """Run the plan, and write `<family>.json`, `<family>.png` and `benchmarks.md` to the output folder."""
    only_limits = list(plan.families) == ["limits"]
    plan.families = [name for name in plan.families if name != "limits"]
    with Run(plan) as run:
        about = machine(run.versions, command)
        print(facts(about))
        if run.absent and not only_limits:
            print(f"not found, so left out: {', '.join(run.absent)} (`--peer-python` names their interpreter)\n")
        limits = run.measure_limits()
        print(limits_table(limits).text(), flush=True)
        if warning := busy(limits):
            print(f"spinetail bench: warning: {warning}", file=sys.stderr)
        if only_limits:
            return 0
        if not sum(map(run.count, plan.families)):
            raise ValueError(f"no case of {', '.join(plan.families)} has {plan.only!r} in its name")
        folder = Path(output)
        folder.mkdir(parents=True, exist_ok=True)
        results: dict[str, Any] = {}
        with bar(sum(map(run.count, plan.families))) as tick:
            run.note = tick.note
            for name in plan.families:
                result = results[name] = measured(run, name, tick)
                data = {"machine": about, "limits": limits, "family": name, **result}
                (folder / f"{name}.json").write_text(json.dumps(data, indent=1))
                tick.write(text(name, result))
    write_page(results, about, limits, folder / "benchmarks.md", Path("."))
    if page_file is not None:
        target = Path(page_file)
        write_page(results, about, limits, target, Path(target.stem))
    rows = [row for result in results.values() for row in result["rows"]]
    if len(results) > 1:
        print(f"\n== all\n\n{verdicts(rows).text()}")
    if (short := missed(results)) is not None:
        print(f"\n== misses and their reasons\n\n{short.text()}")
    print(f"\nwritten: {folder / 'benchmarks.md'}" + (f", {page_file}" if page_file else ""))
    return 0


def measured(run: Run, name: str, tick: Bar) -> dict[str, Any]:
    about = family(name)
    rows = []
    tick.about(name)
    for row in run.rows(name):
        if row is not None:
            rows.append(row)
        tick.step()
    return {"title": about.title, "error": about.error, "bound": about.bound, "note": about.note, "rows": rows}


def text(name: str, result: dict[str, Any]) -> str:
    """A family's tables and groups for a terminal."""
    parts = [f"\n== {name}: {result['title']}" + (f" (errors: {result['error']})" if result["error"] else "")]
    for threads in dict.fromkeys(row["threads"] for row in result["rows"]):
        parts += [f"\n{threads} thread{'s' * (threads > 1)}", table(result, threads).text()]
    return "\n".join([*parts, "", verdicts(result["rows"]).text(), *accuracy(result)])


def write_page(results: dict[str, Any], about: dict, limits: dict, path: Path, charts: Path) -> None:
    """The page, and its charts in the folder that it names, if matplotlib is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(results, about, limits, charts))
    if find_spec("matplotlib") is None:
        print("no charts: they take matplotlib (pip install matplotlib)", file=sys.stderr)
        return
    from .chart import draw

    folder = path.parent / charts
    folder.mkdir(parents=True, exist_ok=True)
    for name, result in results.items():
        if any(row["ratio"] for row in result["rows"]):
            draw(result, about, folder / f"{name}.png")


class Bar:
    """Progress on stderr, by tqdm where it is installed."""

    def __init__(self, total: int) -> None:
        self.bar = None
        if find_spec("tqdm") is not None:
            from tqdm import tqdm

            self.bar = tqdm(total=total, file=sys.stderr, unit="case", dynamic_ncols=True, disable=not os.isatty(2))

    def about(self, name: str) -> None:
        if self.bar is not None:
            self.bar.set_description(name)

    def step(self) -> None:
        if self.bar is not None:
            self.bar.update()

    def write(self, line: str) -> None:
        if self.bar is not None:
            self.bar.write(line, file=sys.stdout)
        else:
            print(line)
        sys.stdout.flush()

    def note(self, line: str) -> None:
        if self.bar is not None:
            self.bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr)


@contextmanager
def bar(total: int) -> Iterator[Bar]:
    made = Bar(total)
    try:
        yield made
    finally:
        if made.bar is not None:
            made.bar.close()
