"""What models weigh and compute, against figures worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

import spinetail as st
from spinetail import nn


def layers(found):
    return {layer.name: layer for layer in found.layers}


def test_linear():
    model = nn.Sequential(nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10))
    found = st.evaluate.footprint(model, np.zeros((3, 100), np.float32))
    assert found.parameters == 100 * 50 + 50 + 50 * 10 + 10
    assert found.bytes == found.parameters * 4
    assert found.macs == 3 * (100 * 50 + 50 * 10)  # a batch of three
    assert found.flops == 2 * found.macs
    assert layers(found)["0"].macs == 3 * 5000
    assert layers(found)["2"].shape == (3, 10)
    assert found.file_bytes > found.bytes


def test_convolution():
    model = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, groups=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
    found = st.evaluate.footprint(model, st.zeros(2, 4, 6, 6))
    assert layers(found)["0"].macs == 2 * 8 * 36 * (4 // 2) * 9
    assert layers(found)["1"].macs == 2 * 8 * 36
    assert layers(found)["1"].bytes == 4 * 8 * 4 + 8  # weight, bias, mean, variance; the counter is int64


def test_attention():
    width, rows, batch = 16, 5, 3
    model = nn.MultiheadAttention(width, 4, batch_first=True)
    x = st.zeros(batch, rows, width)
    found = st.evaluate.footprint(model, (x, x, x))
    projections = batch * rows * width * width * 4
    products = batch * rows * rows * width * 2
    assert found.macs == projections + products


def test_packed_sequences_and_rotary_embedding():
    class Packed(nn.Module):
        def forward(self, q, k, v):
            q = nn.functional.rotary_embedding(q)
            return nn.functional.varlen_attn(q, k, v, np.array([0, 2, 5]), np.array([0, 4, 5]))

    found = st.evaluate.footprint(Packed(), (st.zeros(5, 3, 8), st.zeros(5, 3, 8), st.zeros(5, 3, 6)))
    assert found.macs == 5 * 3 * 8 * 2 + (2 * 4 + 3 * 1) * 3 * (8 + 6)


def test_what_is_called_without_a_module_counts_too():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(st.ones(7, 5))

        def forward(self, x):
            return nn.functional.linear(x, self.weight) @ self.weight

    found = st.evaluate.footprint(Net(), st.zeros(2, 5))
    assert found.macs == 2 * 7 * 5 * 2
    assert found.layers[0].name == ""


def test_masks_are_not_credited():
    model = nn.Linear(20, 20, bias=False)
    before = st.evaluate.footprint(model, st.zeros(1, 20))
    st.compress.prune.magnitude(model, sparsity=0.9)
    after = st.evaluate.footprint(model, st.zeros(1, 20))
    assert after.nonzero == 40
    assert (after.parameters, after.bytes, after.macs, after.file_bytes) == (400, 1600, 400, before.file_bytes)


def test_nothing_is_left_behind():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    model[0].bias.requires_grad = False
    model.train()
    model[1].eval()
    st.evaluate.footprint(model, st.zeros(1, 4))
    st.evaluate.profile(model, st.zeros(1, 4), repeats=2)
    assert model.training and model[0].training and not model[1].training
    assert model[0].weight.requires_grad and not model[0].bias.requires_grad
    assert model[0].weight.grad is None
    assert not model[0]._hooked and not model._hooked


def test_profile():
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
    found = st.evaluate.profile(model, st.zeros(32, 64), repeats=5)
    assert found.memory["0"] == 32 * 64 * 4
    assert found.peak_memory >= 32 * (64 + 8) * 4  # the ReLU works inside the first product
    assert 0 < sum(found.seconds.values()) < 1
    text = repr(found)
    assert "64×" not in text.splitlines()[0] and "32×64" in text and "total" in text
    assert "<table" in found._repr_html_()
    json.dumps(found.to_dict())


def test_memory_sees_what_numpy_allocates():
    small = st.evaluate.memory(nn.Linear(8, 8), st.zeros(16, 8))
    large = st.evaluate.memory(nn.Linear(8, 8000), st.zeros(16, 8))
    assert large - small == pytest.approx(16 * 7992 * 4, rel=0.05)


def test_latency():
    calls = []

    class Net(nn.Module):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def forward(self, x):
            assert not self.training and not st.is_grad_enabled()
            calls.append((self.name, len(x)))
            return x

    models = {"a": Net("a"), "b": Net("b")}
    found = st.evaluate.latency(models, st.zeros(3, 2), batch_size=[1, 4], repeats=6, warmup=2)
    assert list(found) == [1, 4] and list(found[1]) == ["a", "b"]
    assert found[4]["a"].batch == 4 and len(found[4]["a"].seconds) == 6
    assert found[4]["a"].throughput == pytest.approx(4 / found[4]["a"].p50)
    assert found[1]["b"].p50 <= found[1]["b"].p99
    measured = [name for name, size in calls if size == 1][4:]
    assert "".join(measured) == "abbaabbaabba"  # turn by turn, in an order that rotates
    assert models["a"].training
    before = st.get_num_threads()
    assert st.evaluate.latency(models["a"], st.zeros(1, 2), repeats=1, threads=1).threads == 1
    assert st.get_num_threads() == before


def test_bad_input():
    model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="repeats must be at least 1"):
        st.evaluate.latency(model, st.zeros(1, 2), repeats=0)
    with pytest.raises(ValueError, match="batch sizes"):
        st.evaluate.latency(model, st.zeros(1, 2), batch_size=0)
    with pytest.raises(ValueError, match="no models"):
        st.evaluate.latency({}, st.zeros(1, 2))
    with pytest.raises(TypeError, match="expected a Module"):
        st.evaluate.footprint(lambda x: x, st.zeros(1, 2))
    with pytest.raises(ValueError, match="empty tuple"):
        st.evaluate.footprint(model, ())
    with pytest.raises(ValueError, match="threads"):
        st.evaluate.latency(model, st.zeros(1, 2), threads=0)
