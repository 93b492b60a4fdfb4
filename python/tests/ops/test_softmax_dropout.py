"""Softmax of input + mask with dropout, against float64 and against the two kernels that it replaces."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail
from spinetail._native import kernels
from spinetail.ops import activation, random
from spinetail.ops import softmax_dropout as ops

SHAPES = [(1,), (7, 31), (3, 64), (2, 3, 5, 100), (2, 4097), (1, 20_000), (3, 1), (4, 3, 33)]
DRAW = (0.3, 7, 11)
INF = np.inf


def reference(x, mask, grad, draw):
    """Shares times factors, and the gradient, in float64."""
    x, grad = x.astype(np.float64), grad.astype(np.float64)
    with np.errstate(all="ignore"):
        z = x if mask is None else x + (np.where(mask, 0, -INF) if mask.dtype == bool else mask.astype(np.float64))
        e = np.exp(z - z.max(-1, keepdims=True))
        p = e / e.sum(-1, keepdims=True)
    p[np.isneginf(z).all(-1)] = 0
    factor = random.dropout(np.ones(x.shape), *draw)
    g = grad * factor
    return p * factor, p * (g - (g * p).sum(-1, keepdims=True))


def masks(shape, dtype, rng):
    rows = shape[-2] if len(shape) > 1 else 1
    some = rng.random((rows, shape[-1])) < 0.6
    yield None
    yield some if len(shape) > 1 else some[0]
    yield np.where(some, 0.5, -INF).astype(dtype) if len(shape) > 1 else np.full(shape, 0.25, dtype)
    yield np.ones((), bool)
    if len(shape) > 2:
        yield rng.standard_normal((shape[0], *(1,) * (len(shape) - 2), shape[-1])).astype(dtype)
        yield rng.standard_normal((shape[1], *(1,) * (len(shape) - 2))).astype(dtype)[..., :1]
        yield np.asfortranarray(rng.standard_normal(shape).astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_and_backward(shape, dtype):
    rng = np.random.default_rng(1)
    eps = np.finfo(dtype).eps
    x, grad = (3 * rng.standard_normal(shape).astype(dtype) for _ in range(2))
    for mask in masks(shape, dtype, rng):
        for draw in (DRAW, (0.0, 0, 0)):
            y, statistics = ops.softmax_dropout(x, -1, *draw, mask)
            dx = ops.softmax_dropout_backward(grad, statistics, x, -1, *draw, mask)
            expected, slope = reference(x, mask, grad, draw)
            np.testing.assert_allclose(y, expected, rtol=64 * eps, atol=np.finfo(dtype).tiny)
            assert np.abs(dx - slope).max() <= 64 * eps * max(1e-3, np.abs(slope).max())
            assert y.dtype == dx.dtype == dtype


@pytest.mark.parametrize("columns", [31, 32, 64, 100, 4097])
def test_the_same_bits_as_softmax_and_dropout(columns):
    x = np.random.default_rng(2).standard_normal((37, columns)).astype(np.float32)
    expected = random.dropout(activation.softmax(x, 1), *DRAW)
    np.testing.assert_array_equal(ops.softmax_dropout(x, 1, *DRAW)[0], expected)


@pytest.mark.parametrize("axis", [0, 1, -2])
def test_other_axes_and_layouts(axis):
    rng = np.random.default_rng(3)
    x, grad = (rng.standard_normal((5, 6, 7)).transpose(2, 0, 1)[::2] for _ in range(2))
    mask = rng.random((5, 1)) < 0.7
    last = [np.ascontiguousarray(np.moveaxis(np.broadcast_to(a, x.shape), axis, -1)) for a in (x, grad, mask)]
    y, statistics = ops.softmax_dropout(x, axis, *DRAW, mask)
    dx = ops.softmax_dropout_backward(grad, statistics, x, axis, *DRAW, mask)
    expected, saved = ops.softmax_dropout(last[0], -1, *DRAW, last[2])
    slope = ops.softmax_dropout_backward(last[1], saved, last[0], -1, *DRAW, last[2])
    np.testing.assert_array_equal(y, np.moveaxis(expected, -1, axis))
    np.testing.assert_array_equal(dx, np.moveaxis(slope, -1, axis))


def test_special_values():
    x = np.zeros((6, 40), np.float32)
    x[0, 3], x[1, 3], x[2] = np.nan, INF, -INF
    hidden = np.ones((6, 40), bool)
    hidden[3:5] = False
    x[4, 5] = np.nan
    y, statistics = ops.softmax_dropout(x, 1, mask=hidden)
    assert np.isnan(y[[0, 1, 4]]).all() and not y[2:4].any() and np.allclose(y[5], 1 / 40)
    dx = ops.softmax_dropout_backward(np.ones_like(x), statistics, x, 1, mask=hidden)
    assert not dx[2:4].any()
    assert np.isnan(ops.softmax_dropout(x, 1)[0][:3]).all()  # as softmax: only a mask makes zeros
    assert not ops.softmax_dropout(x, 1, 1.0)[0].any()
    assert not ops.softmax_dropout_backward(x, statistics, x, 1, 1.0).any()


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0,)])
def test_nothing(shape):
    x = np.zeros(shape)
    y, statistics = ops.softmax_dropout(x, -1, *DRAW, np.ones(shape, bool))
    assert y.shape == shape and ops.softmax_dropout_backward(x, statistics, x, -1, *DRAW).shape == shape
    assert ops.softmax_dropout(np.float64(3.0).reshape(()), 0)[0] == 1


def test_halves_are_computed_in_float32():
    x = np.random.default_rng(5).standard_normal((9, 70)).astype(np.float16)
    mask = np.where(x > 0, np.float16(0.5), np.float16(-INF))
    y, statistics = ops.softmax_dropout(x, -1, *DRAW, mask)
    wide, _ = ops.softmax_dropout(x.astype(np.float32), -1, *DRAW, mask.astype(np.float32))
    np.testing.assert_array_equal(y, wide.astype(np.float16))
    assert ops.softmax_dropout_backward(x, statistics, x, -1, *DRAW, mask).dtype == np.float16


def test_threads_give_the_same_bits():
    x = np.random.default_rng(6).standard_normal((8, 99, 511)).astype(np.float32)
    mask = np.tril(np.ones((99, 511), bool))
    results = []
    for threads in (1, 2, 5):
        spinetail.set_num_threads(threads)
        y, statistics = ops.softmax_dropout(x, -1, *DRAW, mask)
        dx = ops.softmax_dropout_backward(x, statistics, x, -1, *DRAW, mask)
        results.append(y.tobytes() + dx.tobytes())
    assert results[0] == results[1] == results[2]


def test_bad_input_is_explained():
    x = np.zeros((2, 3), np.float32)
    for call, error, text in [
        (lambda: ops.softmax_dropout([1.0], 0), TypeError, "input must be a numpy.ndarray, got list"),
        (lambda: ops.softmax_dropout(x.astype(int), 0), TypeError, "must be floating point"),
        (lambda: ops.softmax_dropout(x, 2), IndexError, "dim is 2, but input is 2-dimensional"),
        (lambda: ops.softmax_dropout(x, 1, mask=[True]), TypeError, "mask must be a numpy.ndarray, got list"),
        (lambda: ops.softmax_dropout(x, 1, mask=x.astype(float)), TypeError, "bool .* or the input's float32, got fl"),
        (lambda: ops.softmax_dropout(x, 1, mask=x.T), ValueError, r"\(3, 2\) does not broadcast to the input's \(2, 3"),
        (lambda: ops.softmax_dropout(x, 1, mask=x[None]), ValueError, "does not broadcast"),
        (lambda: ops.softmax_dropout_backward(x.T, x, x, 1), ValueError, "grad_output has shape"),
    ]:
        with pytest.raises(error, match=text):
            call()


def test_kernel_checks_its_arguments():
    """What reaches a kernel past the checks in Python is refused, never followed out of bounds."""
    x, s = np.zeros((4, 5), np.float32), np.zeros((4, 2), np.float32)
    y, wide = np.zeros_like(x), np.zeros((4, 5))
    f, b = kernels.softmax_dropout_forward, kernels.softmax_dropout_backward
    for call in [
        lambda: f(y[:3], s, x, None, 0, 0, 0.5),
        lambda: f(wide, s, x, None, 0, 0, 0.5),
        lambda: f(y, s[:3], x, None, 0, 0, 0.5),
        lambda: f(y, np.zeros((4, 2)), x, None, 0, 0, 0.5),
        lambda: f(y, np.zeros((4, 4), np.float32)[:, ::2], x, None, 0, 0, 0.5),
        lambda: f(y, s, x, x[:, :4], 0, 0, 0.5),
        lambda: f(y, s, x, wide, 0, 0, 0.5),
        lambda: f(y, s, x, np.broadcast_to(x[:, :1], x.shape), 0, 0, 0.5),
        lambda: f(y, s, x, None, 0, 0, 1.0),
        lambda: f(y, s, x, None, 0, 0, np.nan),
        lambda: f(y[:, ::2], s, x[:, ::2], None, 0, 0, 0.5),
        lambda: b(y, x[:3], s, x, None, 0, 0, 0.5),
        lambda: b(y, wide, s, x, None, 0, 0, 0.5),
        lambda: b(y, x, s[:2], x, None, 0, 0, 0.5),
        lambda: b(y, x, s, x, x[:2], 0, 0, 0.5),
    ]:
        with pytest.raises((TypeError, ValueError)):
            call()
