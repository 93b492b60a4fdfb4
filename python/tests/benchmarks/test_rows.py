"""Statistics, targets, tables, pages and charts from made-up samples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spinetail.benchmarks import errors, rows
from spinetail.benchmarks.bench import text, write_page
from spinetail.benchmarks.case import Case, Family, also_cold
from spinetail.benchmarks.limits import busy
from spinetail.benchmarks.machine import machine
from spinetail.benchmarks.page import accuracy
from spinetail.benchmarks.reasons import REASONS, explained, misses
from spinetail.benchmarks.run import family
from spinetail.benchmarks.targets import TARGETS, verdict

LEVEL = {"read": 4e9, "write": 1e9, "copy": 2e9}
LIMITS = {
    "float32": 1e9,
    "float64": 5e8,
    "memory": [
        {"level": "L1", "size": 1000, **LEVEL},
        {"level": "memory", "size": 1 << 62, **dict.fromkeys(LEVEL, 1e8)},
    ],
}


def case(name="a", group="gemm", **more):
    return Case(name, tuple, {"spinetail": None}, group=group, **more)


def row(ours, numpy, torch=None, threads=1, rivals=None, limits=LIMITS, **more):
    samples = {"spinetail": ours, "numpy": numpy} | ({"torch": torch} if torch else {})
    return rows.row(case(**more), threads, samples, {"spinetail": 1e-7, "numpy": None}, rivals, limits)


def test_geomean():
    assert rows.geomean([2, 8]) == pytest.approx(4)
    assert math.isnan(rows.geomean([]))


def test_row():
    made = row([2.0, 1.0, 4.0], [4.0, 6.0, 8.0], [3.0, 9.0, 9.0])
    assert made["best"] == "numpy" and made["ratio"] == 3 and made["ratio of minima"] == 3
    assert made["contestants"]["spinetail"] == {"median": 2, "minimum": 1, "samples": 3, "error": 1e-7}
    assert row([2.0], [4.0], [3.0])["best"] == "torch"
    assert row([2.0], [4.0], [3.0], rivals=("numpy",))["ratio"] == 2
    alone = row([2.0], [4.0], rivals=())
    assert alone["best"] is None and alone["ratio"] is None


def test_share_of_the_limit():
    assert rows.share(case(flops=5e8), 1.0, LIMITS) == pytest.approx(0.5)
    assert rows.share(case(flops=5e8, dtype="float64"), 2.0, LIMITS) == pytest.approx(0.5)
    assert rows.share(case(bytes=1000), 1e-6, LIMITS) == pytest.approx(0.25)
    assert rows.share(case(bytes=1001), 1e-4, LIMITS) == pytest.approx(0.1001)
    assert rows.share(case(bytes=1000, cold=True), 1e-4, LIMITS) == pytest.approx(0.1)
    assert rows.share(case(), 1.0, LIMITS) is None
    assert rows.share(case(flops=1), 1.0, None) is None


def test_summary_and_verdicts():
    made = [row([1.0], [2.0]), row([1.0], [8.0], name="b"), row([1.0], [0.5], threads=2), row([1.0], [1.0], rivals=())]
    one, two = rows.summary(made)
    assert (one["threads"], one["cases"], one["worst case"]) == (1, 2, "a") and one["geomean"] == pytest.approx(4)
    assert verdict(one) == "met"
    assert verdict(two) == "missed: geomean < 1, worst < 0.9"
    assert verdict({**one, "group": "other"}) == ""
    assert verdict({**one, "group": "step 1", "geomean": 11.9, "worst": 0.1}) == "missed: geomean < 12"
    assert set(TARGETS) >= {"gemm", "small gemm", "pointwise", "half", "threads"}


def test_misses_and_their_reasons():
    made = [
        row([1.0], [0.5], flops=2.5e8),
        row([1.0], [0.5], threads=2),
        row([1.0], [0.9], name="b"),
        row([1.0], [1.1]),
    ]
    few = misses({"gemm": {"rows": made[:2]}, "half": {"rows": [row([1.0], [0.1], group="none")]}})
    assert [one["case"] for one in few] == ["a"]
    assert few[0]["ratios"] == {1: (0.5, pytest.approx(2.0)), 2: (0.5, None)}
    assert explained(few[0]) == ["gemm: a", "1, 2", "0.50, 0.50", "2.00, –", "not profiled"]
    assert [one["case"] for one in misses({"gemm": {"rows": made[2:]}})] == ["b"]  # the geomean misses: all below it
    assert misses({"gemm": {"rows": made[3:]}}) == []


def test_reasons_are_of_cases_that_exist():
    for name, reasons in REASONS.items():
        assert not set(reasons) - {case.name for case in family(name).cases}


def test_errors_beyond_their_bounds():
    made = [row([1.0], [2.0]), row([1.0], [2.0], name="b", bound=1e-8)]
    assert rows.beyond(made, None) == ["b (1e-07 > 1e-08)"] and rows.beyond(made[:1], 1e-7) == []
    assert rows.beyond(made[:1], 0.0) == ["a (1e-07 > 0)"]
    assert accuracy({"rows": made, "bound": None}) == ["Above the bound: b (1e-07 > 1e-08)."]
    assert accuracy({"rows": made[:1], "bound": 2e-7}) == ["All errors of spinetail are within 2e-07."]
    assert accuracy({"rows": made[:1], "bound": None}) == []


def test_a_busy_machine_is_named():
    assert busy({1: {"float32": 100.0}, 2: {"float32": 190.0}}) == ""
    assert busy({2: {"float32": 100.0}}) == ""
    assert busy({1: {"float32": 100.0}, 2: {"float32": 110.0}}).startswith("2 threads did only 1.1 times")


def test_names_are_unique():
    with pytest.raises(ValueError, match="one name"):
        Family("two", [case(), case()])
    hot, cold = also_cold(case(quick=True))
    assert hot.quick and not hot.cold and cold.cold and not cold.quick and cold.name != hot.name


def test_errors():
    exact = np.array([1.0, -2.0, 0.0])
    near = exact.astype(np.float32)
    near[0] = np.nextafter(near[0], np.float32(2))
    assert errors.ulps(near, exact) == 1
    assert errors.relative(near, exact) == pytest.approx(2**-24)
    a, b = np.ones((9, 4), np.float32), np.ones((4, 3), np.float32)
    assert errors.product(a @ b, a, b) == 0
    assert errors.product(a @ b + np.float32(4 * 2.0**-22), a, b) == pytest.approx(2)
    assert errors.product(np.float64(a) @ b, np.float64(a), np.float64(b)) == 0


def test_page_and_chart(tmp_path):
    pytest.importorskip("matplotlib")
    made = [row([1e-3], [2e-3]), row([1e-3], [5e-4], name="b | c", threads=2), row([1e-3], [1e-3], rivals=(), name="d")]
    result = {"title": "Some work", "error": "in ULP", "bound": 2e-7, "note": "A note.", "rows": made}
    about = machine({"numpy": "2.4"}, "spinetail bench some")
    write_page({"some": result}, about, {1: LIMITS}, tmp_path / "page.md", tmp_path.__class__("charts"))
    page = (tmp_path / "page.md").read_text()
    for part in (
        "# Benchmarks",
        "Some work",
        "b \\| c",
        "1.00 ms",
        "2.00",
        "met",
        "missed",
        "(charts/some.png)",
        about["cpu"],
    ):
        assert part in page
    assert "spinetail bench some" in page and "numpy 2.4" in page
    assert (tmp_path / "charts/some.png").read_bytes()[:4] == b"\x89PNG"
    shown = text("some", result)
    assert "1 thread\n" in shown and "2 threads\n" in shown and "error spinetail" in shown
