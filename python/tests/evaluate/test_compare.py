"""The comparison: its figures, and every way to look at it."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import spinetail as st
from spinetail import nn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 70)


@pytest.fixture(scope="module")
def comparison():
    models = {"before": nn.Linear(6, 3), "after": nn.Linear(6, 3, bias=False)}
    return st.evaluate.compare(models, (X, Y), repeats=5, batch_size=(1, 16))


def test_figures(comparison):
    assert comparison["parameters"] == {"before": 21, "after": 18}
    assert comparison.change("parameters", "after") == pytest.approx((18 - 21) / 21)
    assert comparison["bytes"]["after"] == 72
    assert comparison["flops"]["before"] == 36  # of one sample
    assert comparison["throughput"]["after"] == pytest.approx(16 / comparison["latency_p50_16"]["after"])
    assert comparison["latency_p50_1"]["before"] <= comparison["latency_p99_1"]["before"]
    assert 0 <= comparison["accuracy"]["before"] <= 1
    with pytest.raises(KeyError, match="no measure 'speed'"):
        comparison["speed"]


def test_accuracy_is_that_of_the_metric():
    model = nn.Linear(6, 3)
    found = st.evaluate.compare({"model": model}, (X, Y), repeats=1)
    with st.no_grad():
        scores = model(st.from_numpy(X))
    assert found["accuracy"]["model"] == st.evaluate.metrics.accuracy(scores, Y)
    assert found["f1"]["model"] == st.evaluate.metrics.f1(scores.numpy().argmax(1), Y, "macro", zero_division=0)


def test_data_of_every_kind():
    model = nn.Linear(6, 3)
    wanted = st.evaluate.compare({"m": model}, (X, Y), repeats=1)["accuracy"]
    tensors = (st.from_numpy(X), st.from_numpy(Y))
    batches = [(X[i : i + 32], Y[i : i + 32]) for i in range(0, 70, 32)]
    for data in (tensors, [X, Y], batches, iter(batches)):
        assert st.evaluate.compare({"m": model}, data, repeats=1)["accuracy"] == wanted
    chosen = st.evaluate.compare(
        {"m": model}, (X, Y), repeats=1, metrics={"top 2": lambda p, t: st.evaluate.metrics.top_k(p, t, 2)}
    )
    assert chosen.rows[0].title == "top 2"


def test_regression():
    found = st.evaluate.compare({"m": nn.Linear(6, 2)}, (X, RNG.normal(size=(70, 2)).astype(np.float32)), repeats=1)
    assert [row.key for row in found.rows[:2]] == ["mse", "r2"]


def test_text(comparison):
    lines = repr(comparison).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("parameters") and "−14.3 %" in line for line in lines)
    text = comparison.to_markdown().splitlines()
    assert text[1].startswith("|:---|---:") and len({line.count("|") for line in text}) == 1
    page = comparison._repr_html_()
    assert "−14.3 %" in page and "better" in page and page.count("<tr>") == len(comparison.rows) + 1


def test_json(comparison):
    found = json.loads(comparison.to_json())
    assert found["baseline"] == "before"
    assert found["measures"]["bytes"]["change"]["after"] == pytest.approx(-1 / 7)
    assert found["environment"]["samples"] == 70


def test_save(comparison, tmp_path):
    pytest.importorskip("matplotlib")
    paths = comparison.save(
        tmp_path / "new" / "report", title="A <b> title", notes="Some notes.", history={"before": [2.0, 1.0]}
    )
    assert sorted(path.rpartition(".")[2] for path in paths.values()) == ["html", "json", "md", "png"]
    page = (tmp_path / "new/report/report.html").read_text()
    assert (
        "A &lt;b&gt; title" in page
        and "data:image/png;base64," in page
        and "http" not in page.replace("http-equiv", "")
    )
    assert (tmp_path / "new/report/report.png").read_bytes().startswith(b"\x89PNG")
    assert "# A <b> title" in (tmp_path / "new/report/report.md").read_text()
    assert json.loads((tmp_path / "new/report/report.json").read_text())["history"] == {"before": [2.0, 1.0]}


def test_without_matplotlib_nothing_is_written(comparison, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        comparison.save(tmp_path / "report")
    assert not (tmp_path / "report").exists()
    assert "<table" in comparison._repr_html_()  # what a notebook shows needs no plot


def test_bad_input():
    model = nn.Linear(6, 3)
    with pytest.raises(ValueError, match="mapping from names to models"):
        st.evaluate.compare({}, (X, Y))
    with pytest.raises(ValueError, match="70 inputs, but 2 targets"):
        st.evaluate.compare({"m": model}, (X, Y[:2]))
    with pytest.raises(ValueError, match="no data"):
        st.evaluate.compare({"m": model}, [])
    with pytest.raises(TypeError, match="data must be"):
        st.evaluate.compare({"m": model}, 3)
    with pytest.raises(IndexError, match="class 7"):
        st.evaluate.compare({"m": model}, (X, np.full(70, 7)))
