"""Convolution with prepared weights against float64 references, and against `convolution`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spinetail._native import kernels
from spinetail.ops import activation
from spinetail.ops import convolution as ops
from spinetail.ops.prepared_convolution import ACTIVATIONS, Prepared

sys.path.insert(0, str(Path(__file__).parents[1]))
import reference_convolution as reference
from ops.test_convolution import DTYPES, LARGER, SQUARE, WIDE, arrays, assert_close, cases, last


def prepared(case, dtype, activation="none"):
    """A case with equal paddings: its convolution, input, residual, float64 sum without the residual, and bound."""
    *_, stride, before, _, dilation, groups = case
    x, w, b = arrays(case, dtype)
    reach = [d * (k - 1) + 1 - 2 * p for d, k, p in zip(dilation, w.shape[2:], before, strict=True)]
    x = np.pad(x, [(0, 0), (0, 0), *((0, max(0, r - n)) for r, n in zip(reach, x.shape[2:], strict=True))], "wrap")
    parameters = (stride, before, before, dilation, groups)
    wide = reference.convolve(x, w, b, *parameters)
    r = np.random.default_rng(9).standard_normal(wide.shape).astype(dtype)
    bound = reference.convolve(abs(x), abs(w), abs(b), *parameters) + abs(r)
    return Prepared(w, b, stride, before, dilation, groups, activation), x, r, wide, bound


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(), st.sampled_from(DTYPES), st.sampled_from(["none", "relu"]), st.booleans())
def test_sums(case, dtype, name, adds):
    layer, x, r, wide, bound = prepared(case, dtype, name)
    wide = wide + r if adds else wide
    wide = np.maximum(wide, 0) if name == "relu" else wide
    terms = layer.weight[0].size + 1
    for turn in (np.asarray, last):
        y = layer(turn(x), turn(r) if adds else None)
        assert y.dtype == dtype
        assert np.shares_memory(last(y), y)
        assert_close(y, wide, bound, terms)
    assert_close(layer(x[0], r[0] if adds else None), wide[0], bound[0], terms)


@pytest.mark.parametrize("case", [*LARGER, *SQUARE[::5], *WIDE], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_larger(case, dtype):
    test_sums.hypothesis.inner_test(case, dtype, "relu", True)
    test_sums.hypothesis.inner_test(case, dtype, "relu", False)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("case", [LARGER[0], LARGER[2], LARGER[4], SQUARE[9]], ids=str)
def test_activations(name, case):
    """The activation of the very sums that come without one."""
    for dtype in DTYPES:
        layer, x, r, _, bound = prepared(case, dtype, name)
        plain, *_ = prepared(case, dtype)
        function = getattr(activation, {"gelu_tanh": "gelu"}.get(name, name), lambda x: x)
        arguments = {"gelu_tanh": ("tanh",), "leaky_relu": (0.01,)}.get(name, ())
        for residual in (None, r):
            y = layer(x, residual)
            expected = function(np.ascontiguousarray(plain(x, residual)), *arguments)
            # A residual and the sums' two parts may be added in another order.
            assert np.all(abs(y - expected) <= 8 * np.finfo(dtype).eps * (bound + 1))


@pytest.mark.parametrize("case", [*LARGER, *SQUARE[-16:]], ids=str)
def test_threads_do_not_change_a_bit(case):
    layer, x, r, *_ = prepared(case, np.float32, "silu")
    before = kernels.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            kernels.set_num_threads(threads)
            again = Prepared(layer.weight, layer.bias, *layer.arguments, layer.activation)
            results.append((again(x, r).tobytes(), again(x).tobytes()))
    finally:
        kernels.set_num_threads(before)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("name", ["direct", "winograd", "winograd2"])
def test_algorithms(name):
    """Each can be asked for; one weight serves them all, and inputs of several shapes."""
    rng = np.random.default_rng(1)
    w, b = rng.standard_normal((70, 36, 3, 3)).astype(np.float32), rng.standard_normal(70).astype(np.float32)
    layer = Prepared(w, b, padding=1)
    for shape in [(1, 36, 7, 7), (3, 36, 30, 18), (2, 36, 1, 5)]:
        x = rng.standard_normal(shape).astype(np.float32)
        r = rng.standard_normal((shape[0], 70, *shape[2:])).astype(np.float32)
        bound = reference.convolve(abs(x), abs(w), abs(b), (1, 1), (1, 1), (1, 1), (1, 1), 1)
        wide = reference.convolve(x, w, b, (1, 1), (1, 1), (1, 1), (1, 1), 1)
        layer(x)
        with ops.algorithm(name):
            y, z = layer(x), layer(x, r)
        assert np.all(abs(y - wide) <= 1e-5 * bound.max())
        assert np.all(abs(z - wide - r) <= 1e-5 * bound.max())
        assert np.all(abs(layer(x) - wide) <= 1e-5 * bound.max())


@pytest.mark.parametrize("case", [LARGER[0], LARGER[2], LARGER[4], SQUARE[9]], ids=str)
def test_the_residual_may_be_the_output(case):
    layer, x, r, *_ = prepared(case, np.float32, "relu6")
    expected = layer(x, r)
    (way,) = layer._ways.values()
    out = last(r).copy("K")
    kernels.convolution_forward_prepared(
        out, last(x), way.prepared, layer.weight, layer.bias, out, way.parameters, *layer._end
    )
    assert np.array_equal(out, expected)


def test_nothing_to_sum():
    for shape in [(2, 0, 5, 5), (0, 3, 5, 5)]:
        w = np.empty((4, shape[1], 3, 3), np.float32)
        w[...] = 1
        y = Prepared(w, np.arange(-2, 2, dtype=np.float32), activation="relu")(np.ones(shape, np.float32))
        assert np.array_equal(y, np.broadcast_to(np.array([0, 0, 0, 1.0]).reshape(1, 4, 1, 1), (shape[0], 4, 3, 3)))


def test_half():
    rng = np.random.default_rng(5)
    x, w = rng.standard_normal((2, 3, 6, 6)).astype(np.float16), rng.standard_normal((2, 3, 3, 3)).astype(np.float16)
    y = Prepared(w, w[:, 0, 0, 0])(x, x[:, :2, :4, :4])
    wide = ops.convolution(x.astype(np.float32), w.astype(np.float32), w[:, 0, 0, 0].astype(np.float32))
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.astype(float), wide + x[:, :2, :4, :4].astype(float), 2e-3, 2e-3)


def test_what_is_refused():
    w = np.ones((4, 3, 3, 3), np.float32)
    layer = Prepared(w)
    x = np.ones((1, 3, 5, 5), np.float32)
    for make, error, message in [
        (lambda: Prepared(w, activation="softmax"), ValueError, r"\[conv2d\] activation must be one of none, relu"),
        (lambda: Prepared([1.0]), TypeError, "weight must be a numpy.ndarray, got list"),
        (lambda: Prepared(w[0, 0]), ValueError, "weight must have 3, 4 or 5 dimensions"),
        (lambda: Prepared(w.astype(int)), TypeError, "must be floating point, got dtype int64"),
        (lambda: Prepared(w, np.ones(3, np.float32)), ValueError, r"bias must have shape \(4,\), got \(3,\)"),
        (lambda: Prepared(w, np.ones(4)), TypeError, "expected one dtype"),
        (lambda: Prepared(w, stride=0)(x), ValueError, "stride must be at least 1, got 0"),
        (
            lambda: layer(x.astype(float)),
            TypeError,
            r"\[conv2d\] expected one dtype, got weight float32 and input float64",
        ),
        (lambda: layer(x.tolist()), TypeError, "input must be a numpy.ndarray, got list"),
        (lambda: layer(np.ma.array(x)), TypeError, "input must be a numpy.ndarray, got MaskedArray"),
        (lambda: layer(x[:, :2]), ValueError, "weight has 3 input channels per group, but input has 2"),
        (lambda: layer(x[0, 0]), ValueError, "input must have 4 dimensions"),
        (lambda: layer(x, x), ValueError, r"residual must have the output's shape \(1, 4, 3, 3\), got \(1, 3, 5, 5\)"),
        (lambda: layer(x, np.ones((1, 4, 3, 3))), TypeError, "expected one dtype, got weight float32 and residual"),
    ]:
        with pytest.raises(error, match=message):
            make()


def test_the_kernels_refuse_what_was_not_chosen():
    x, w = np.ones((1, 5, 5, 3), np.float32).transpose(0, 3, 1, 2), np.ones((4, 3, 3, 3), np.float32)
    parameters = (1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1)
    y, choice = np.empty((1, 3, 3, 4), np.float32).transpose(0, 3, 1, 2), np.zeros(2, np.int64)
    kernels.convolution_choose(choice, y, x, w, (*parameters, 0))
    memory = np.empty(choice[1], np.float32)
    for algorithm in (0, 7):
        with pytest.raises(ValueError, match="argument 2: parameter out of range"):
            kernels.convolution_prepare(memory, w, (*parameters, algorithm))
    chosen = (*parameters, int(choice[0]))
    kernels.convolution_prepare(memory, w, chosen)
    with pytest.raises(ValueError, match="argument 0: mismatched shape"):
        kernels.convolution_prepare(memory[1:].copy(), w, chosen)
    kernels.convolution_forward_prepared(y, x, memory, w, None, None, chosen, 0, 0, 0)
    assert (y == 27).all()
    for arguments, message in [
        ((y, x, memory[1:].copy(), w, None, None, chosen, 0, 0, 0), "argument 2: mismatched shape"),
        ((y, x, memory.astype(float), w, None, None, chosen, 0, 0, 0), "argument 2: unsupported or mismatched dtype"),
        ((y, x, memory, w, None, y[:, :2], chosen, 0, 0, 0), "argument 5: mismatched shape"),
        ((y, x, memory, w, None, y.copy("C"), chosen, 0, 0, 0), "argument 5: unsupported memory layout"),
        ((y, x, memory, w, None, None, (*parameters, 0), 0, 0, 0), "argument 6: parameter out of range"),
        ((y, x, memory, w, None, None, chosen, 3, 0, 0), "argument 7: parameter out of range"),
        ((y.copy("C"), x, memory, w, None, None, chosen, 0, 0, 0), "argument 0: unsupported memory layout"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            kernels.convolution_forward_prepared(*arguments)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_are_not_copied(dtype):
    made = Prepared(np.ones((4, 3, 1, 1), dtype))
    y = made(np.ones((1, 3, 5, 5), dtype))
    assert y.dtype is np.dtype(dtype) and made.dtype is y.dtype and y.base is not None
