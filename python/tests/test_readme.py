"""What the README and the architecture page claim: their programs run, and the paths they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", "docs/architecture.md"]
PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_program_runs(program):
    exec(compile(program, "README.md", "exec"), {})


def test_there_is_a_program_for_each_door():
    assert len(PROGRAMS) >= 2


@pytest.mark.parametrize("page", PAGES)
def test_paths_exist(page):
    """Every path in code quotes that starts in a folder of the project, without a <placeholder>."""
    quoted = re.findall(r"`([\w./-]+)`", (ROOT / page).read_text())
    roots = ("Sources/", "Tests/", "python/", "tools/", "docs/", "examples/", "benchmarks/")
    missing = [path for path in quoted if path.startswith(roots) and not (ROOT / path).exists()]
    assert not missing


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    text = "\n".join((ROOT / page).read_text() for page in PAGES)
    named = {name or other for name, other in re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", text, re.M)}
    assert {"demo", "test"} <= named <= targets


def test_contributing_is_short():
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 40
