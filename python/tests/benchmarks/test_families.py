"""Every family of measurements: it loads, its names are clear, and what it measures of ours is right."""

from __future__ import annotations

import ast
import math
from contextlib import nullcontext
from pathlib import Path

import pytest

import spinetail as st
from spinetail.benchmarks import run
from spinetail.benchmarks.libraries import LIBRARIES, library_of
from spinetail.benchmarks.targets import TARGETS
from spinetail.benchmarks.worker import plain

FOLDER = Path(run.__file__).parent
QUICK = [(name, case) for name in run.families() for case in run.family(name).cases if case.quick]
#: The largest error of ours in a family's own unit, where it is not a relative one of float32.
BOUNDS = {"gemm": 8.0, "threads": 8.0, "half": 2.0, "reduction": 2.0, "activation": 2.0, "pruning": 0.0}


@pytest.mark.parametrize("name", run.families())
def test_declaration(name):
    family = run.family(name)
    assert family.title and family.cases
    assert any(case.quick for case in family.cases)
    for case in family.cases:
        assert next(iter(case.programs)) == "spinetail"
        assert {library_of(contestant) for contestant in case.programs} <= LIBRARIES.keys()
        assert case.flops >= 0 and case.bytes >= 0 and case.dtype in ("float32", "float64")


def test_each_target_has_cases():
    groups = {case.group for name in run.families() for case in run.family(name).cases}
    assert set(TARGETS) <= groups


@pytest.mark.parametrize(("name", "case"), QUICK, ids=[f"{name}, {case.name}" for name, case in QUICK])
def test_ours_is_right(name, case):
    inputs = case.inputs()
    call = case.programs["spinetail"](st, *inputs)
    with getattr(call, "context", nullcontext)():
        output = call()
    if case.error is not None:
        error = case.error(plain(output), *inputs)
        assert math.isfinite(error) and error <= BOUNDS.get(name, 1e-5)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("families/*.py")), ids=lambda path: path.stem)
def test_what_peers_read_needs_only_numpy(path):
    """The peers' interpreters have no spinetail: a family's top imports NumPy, the standard library and siblings."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names}.isdisjoint(
                {"spinetail", *LIBRARIES} - {"numpy"}
            )
        elif isinstance(node, ast.ImportFrom):
            assert node.level < 3 and not (node.level == 0 and node.module.startswith("spinetail"))
            if node.level == 2 and node.module:
                assert node.module == "case"
