"""Pooling and its gradients against plain references."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spinetail._native import kernels
from spinetail.ops import pooling as ops

sys.path.insert(0, str(Path(__file__).parents[1]))
import reference_pooling as reference

DTYPES = [np.float32, np.float64]


@st.composite
def cases(draw):
    """(shape, kernel, stride, padding, dilation, ceil_mode)"""
    spatial = draw(st.integers(1, 3))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(spatial))

    kernel, stride, dilation = each(1, 4), each(1, 3), each(1, 2)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    longest = {1: 75, 2: 20, 3: 5}[spatial]
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    extent = tuple(draw(st.integers(n, n + longest)) for n in least)
    return (
        (draw(st.integers(1, 3)), draw(st.integers(1, 3)), *extent),
        kernel,
        stride,
        padding,
        dilation,
        draw(st.booleans()),
    )


def values(shape, dtype, kind):
    """Numbers with many ties, with some NaN, or neither."""
    rng = np.random.default_rng(len(shape))
    if kind == "ties":
        return rng.integers(-2, 3, shape).astype(dtype)
    x = rng.standard_normal(shape).astype(dtype)
    if kind == "nan":
        x[rng.random(shape) < 0.1] = np.nan
    return x


def axes_of(shape, output, kernel, stride, padding, dilation):
    spatial = len(kernel)
    return [
        list(reference.windows(*numbers))
        for numbers in zip(shape[-spatial:], output[-spatial:], kernel, stride, padding, dilation, strict=True)
    ]


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(), st.sampled_from(DTYPES), st.sampled_from(["ties", "nan", "plain"]))
def test_maximum(case, dtype, kind):
    shape, kernel, stride, padding, dilation, ceil_mode = case
    x = values(shape, dtype, kind)
    y, places = ops.max_pool(x, kernel, stride, padding, dilation, ceil_mode, len(kernel))
    axes = axes_of(shape, y.shape, kernel, stride, padding, dilation)
    if not all(seen for axis in axes for seen in axis):
        return  # a dilated window between the padding's zeros sees nothing: -infinity, tested below
    expected, at = reference.maximum(x, axes)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(places, at)
    g = np.random.default_rng(0).standard_normal(y.shape).astype(dtype)
    dx = np.zeros((shape[0] * shape[1], int(np.prod(shape[2:]))))
    for plane, where, grad in zip(dx, at.reshape(len(dx), -1), g.reshape(len(dx), -1), strict=True):
        np.add.at(plane, where, grad)
    result = ops.max_pool_backward(g, places, shape, len(kernel))
    assert result.dtype == dtype
    np.testing.assert_allclose(result, dx.reshape(shape), rtol=20 * np.finfo(dtype).eps, atol=20 * np.finfo(dtype).eps)


# Rows in several parts, windows as long as a part, more than one row or layer, one window, few rows in many planes.
LONG = [
    ((1, 2, 2500), (3,), (2,), (1,), (1,), False),
    ((1, 1, 2111), (2,), (1,), (0,), (700,), True),
    ((1, 2, 5, 2300), (3, 5), (2, 2), (1, 2), (1, 1), True),
    ((1, 1, 1500), (1500,), (1500,), (0,), (1,), False),
    ((2, 1, 4, 6, 40), (2, 3, 3), (1, 2, 2), (1, 1, 1), (1, 2, 1), False),
    ((9, 7, 3, 3), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((1, 3, 60, 70), (5, 5), (1, 1), (2, 2), (1, 1), False),
]


@pytest.mark.parametrize("case", LONG, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["ties", "nan", "plain"])
def test_maximum_of_long_rows(case, dtype, kind):
    test_maximum.hypothesis.inner_test(case, dtype, kind)
    shape, *parameters = case
    x = values(shape, dtype, kind)
    plan = ops.plan_max(len(shape) - 2, shape, *parameters)
    np.testing.assert_array_equal(ops.maximum(plan, x, False)[0], ops.maximum(plan, x)[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_maximum_of_what_is_all_infinite(dtype):
    x = np.full((1, 70, 7, 9), -np.inf, dtype)
    for array in (x, np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)):
        y, places = ops.max_pool(array, 3, 2, 1)
        assert (y == -np.inf).all()
        rows, columns = np.maximum(2 * np.arange(4) - 1, 0), np.maximum(2 * np.arange(5) - 1, 0)
        np.testing.assert_array_equal(places[0, 0], rows[:, None] * 9 + columns)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(), st.sampled_from(DTYPES), st.booleans(), st.sampled_from([None, 3, -2]))
def test_average(case, dtype, include, override):
    shape, kernel, stride, padding, _, ceil_mode = case
    x = values(shape, dtype, "plain")
    arguments = (kernel, stride, padding, ceil_mode, include, override, len(kernel))
    y = ops.avg_pool(x, *arguments)
    axes = axes_of(shape, y.shape, kernel, stride, padding, (1,) * len(kernel))

    def divisor(at, seen):
        if override is not None:
            return override
        if not include:
            return seen
        spans = zip(at, shape[2:], kernel, stride, padding, strict=True)
        return np.prod([min(i * s - p + k, n + p) - (i * s - p) for i, n, k, s, p in spans])

    expected = reference.average(x, axes, divisor)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected, rtol=0, atol=2 * eps * np.prod(kernel) * np.abs(x).max())
    # The gradient is the transpose: <g, average(x)> = <gradient(g), x>.
    g = np.random.default_rng(0).standard_normal(y.shape).astype(dtype)
    dx = ops.avg_pool_backward(g, shape, *arguments)
    assert dx.shape == shape and dx.dtype == dtype
    left, right = np.vdot(g.astype(float), expected), np.vdot(dx.astype(float), x.astype(float))
    assert left == pytest.approx(right, abs=float(30 * eps * (np.abs(g).sum() + 1) * np.abs(x).max()))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 9)), min_size=1, max_size=3), st.sampled_from(DTYPES))
def test_adaptive(sizes, dtype):
    extent, output = zip(*sizes, strict=True)
    x = values((2, 2, *extent), dtype, "ties")
    axes = [list(reference.adaptive_windows(n, o)) for n, o in sizes]
    expected, at = reference.maximum(x, axes)
    y, places = ops.adaptive_max_pool(x, output, len(extent))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(places, at)
    x = values((2, 2, *extent), dtype, "plain")
    y = ops.adaptive_avg_pool(x, output, len(extent))
    expected = reference.average(x, axes, lambda _, seen: seen)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected, rtol=0, atol=4 * eps * np.prod(extent) * np.abs(x).max())
    g = np.random.default_rng(0).standard_normal(y.shape).astype(dtype)
    dx = ops.adaptive_avg_pool_backward(g, x.shape, output, len(extent))
    left, right = np.vdot(g.astype(float), expected), np.vdot(dx.astype(float), x.astype(float))
    assert left == pytest.approx(right, abs=float(60 * eps * np.prod(extent) * (np.abs(g).sum() + 1)))


# Windows of two, side by side: several rows of results in a vector, planes of less than one, odd extents, depth.
HALVES = [(2, 3, 8, 8), (5, 3, 4, 4), (2, 2, 16, 8), (5, 3, 2, 2), (1, 3, 6, 16), (3, 7, 4, 16), (2, 3, 32, 32)]
HALVES += [(2, 3, 28, 28), (2, 3, 13, 70), (3, 2, 3, 8, 8), (2, 3, 5, 6, 20), (2, 3, 8), (3, 3, 71)]


@pytest.mark.parametrize("shape", HALVES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["ties", "nan", "plain", "infinite"])
def test_maximum_of_halves(shape, dtype, kind):
    spatial = len(shape) - 2
    kernel = (1,) * (spatial - 2) + (2,) * min(spatial, 2)
    x = values(shape, dtype, kind)
    if kind == "infinite":
        x[np.random.default_rng(1).random(shape) < 0.3] = np.inf
        x[np.random.default_rng(2).random(shape) < 0.3] = -np.inf
    y, places = ops.max_pool(x, kernel, spatial=spatial)
    axes = axes_of(shape, y.shape, kernel, kernel, (0,) * spatial, (1,) * spatial)
    expected, at = reference.maximum(x, axes)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(places, at)
    np.testing.assert_array_equal(ops.maximum(ops.plan_max(spatial, shape, kernel, None, 0, 1, False), x, False)[0], y)
    g = np.random.default_rng(0).standard_normal(y.shape).astype(dtype)
    room = int(np.prod(shape[2:]))
    for where in (at, np.random.default_rng(3).integers(0, room, at.shape)):  # elsewhere too, and twice
        dx = np.zeros((shape[0] * shape[1], room), dtype)
        for plane, inside, grad in zip(dx, where.reshape(len(dx), -1), g.reshape(len(dx), -1), strict=True):
            np.add.at(plane, inside, grad)
        result = ops.max_pool_backward(g, where.astype(np.int32), shape, spatial)
        np.testing.assert_allclose(result, dx.reshape(shape), rtol=0, atol=20 * np.finfo(dtype).eps)
    for beyond in (room, -2):
        wrong = at.astype(np.int32)
        wrong[-1, -1].flat[0] = beyond
        with pytest.raises(IndexError):
            ops.max_pool_backward(g, wrong, shape, spatial)


@pytest.mark.parametrize(
    "shape", [(1, 1, 7, 7), (2, 3, 7, 7), (3, 7, 5), (2, 2, 3, 4, 5), (1, 6, 40, 33), (1, 5, 1, 1)]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_average_of_whole_planes(shape, dtype):
    spatial = len(shape) - 2
    x = values(shape, dtype, "plain")
    y = ops.adaptive_avg_pool(x, 1, spatial)
    inside = tuple(range(2, len(shape)))
    np.testing.assert_allclose(y, x.astype(float).mean(inside, keepdims=True), atol=20 * np.finfo(dtype).eps)
    assert np.array_equal(y, ops.avg_pool(x, shape[2:], spatial=spatial))
    expected = np.broadcast_to(y / dtype(np.prod(shape[2:])), shape)
    np.testing.assert_array_equal(ops.adaptive_avg_pool_backward(y, shape, 1, spatial), expected)


@pytest.mark.parametrize("kernel, stride, padding", [(20, 1, 10), (20, 2, 3), (33, 7, 16), (1, 3, 0), (3, 40, 1)])
@pytest.mark.parametrize("include", [False, True])
def test_average_of_long_windows(kernel, stride, padding, include):
    case = ((2, 3, 5, 95), (2, kernel), (1, stride), (1, padding), (1, 1), True)
    test_average.hypothesis.inner_test(case, np.float32, include, None)


def last(x):
    """The same numbers with channels next to each other in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def lies_so(x):
    return np.moveaxis(x, 1, -1).flags.c_contiguous


@pytest.mark.parametrize("shape", [(2, 3, 9, 7), (3, 40, 8, 8), (1, 64, 7, 12), (2, 5, 4, 6, 5), (2, 17, 30)], ids=str)
@pytest.mark.parametrize("how", [(2, 2, 0), (3, 1, 1), (3, 2, 1), (1, 2, 0)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_channels_last_is_the_same(shape, how, dtype):
    spatial = len(shape) - 2
    kernel, stride, padding = how
    for kind in ("plain", "ties", "nan"):
        x = values(shape, dtype, kind)
        for dilation, ceil in ((1, False), (2, True)):
            if any(n + 2 * padding < dilation * (kernel - 1) + 1 for n in shape[2:]):
                continue
            arguments = (kernel, stride, padding, dilation, ceil, spatial)
            y, places = ops.max_pool(x, *arguments)
            z, where = ops.max_pool(last(x), *arguments)
            assert lies_so(z) and lies_so(where)
            np.testing.assert_array_equal(z, y)
            np.testing.assert_array_equal(where, places)
            g = np.random.default_rng(0).standard_normal(y.shape).astype(dtype)
            dx = ops.max_pool_backward(last(g), where, shape, spatial)
            assert lies_so(dx)
            expected = ops.max_pool_backward(g, places, shape, spatial)
            np.testing.assert_allclose(dx, expected, rtol=0, atol=20 * np.finfo(dtype).eps)
            np.testing.assert_array_equal(ops.max_pool_backward(g, where, shape, spatial), expected)
    x, eps = values(shape, dtype, "plain"), np.finfo(dtype).eps
    for include, divisor in ((True, None), (False, None), (True, 3)):
        arguments = (kernel, stride, padding, True, include, divisor, spatial)
        y, z = ops.avg_pool(x, *arguments), ops.avg_pool(last(x), *arguments)
        assert lies_so(z)
        np.testing.assert_allclose(z, y, rtol=0, atol=40 * eps)
        dx = ops.avg_pool_backward(last(y), shape, *arguments)
        assert lies_so(dx)
        np.testing.assert_allclose(dx, ops.avg_pool_backward(y, shape, *arguments), rtol=0, atol=40 * eps)
    for size in (1, 2, 3):
        y, z = ops.adaptive_avg_pool(x, size, spatial), ops.adaptive_avg_pool(last(x), size, spatial)
        np.testing.assert_allclose(z, y, rtol=0, atol=40 * eps)
        dx = ops.adaptive_avg_pool_backward(last(y), shape, size, spatial)
        expected = ops.adaptive_avg_pool_backward(y, shape, size, spatial)
        np.testing.assert_allclose(dx, expected, rtol=0, atol=40 * eps)
        for a, b in zip(
            ops.adaptive_max_pool(x, size, spatial), ops.adaptive_max_pool(last(x), size, spatial), strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_known_values():
    """PyTorch's ceil mode, padding in the average, and overlapping adaptive windows."""
    x = np.arange(5.0).reshape(1, 1, 5)
    assert ops.max_pool(x, 2, ceil_mode=True, spatial=1)[0].tolist() == [[[1, 3, 4]]]
    assert ops.avg_pool(x, 2, ceil_mode=True, spatial=1).tolist() == [[[0.5, 2.5, 4]]]
    assert ops.avg_pool(np.ones((1, 1, 3)), 3, 1, 1, spatial=1)[0, 0].tolist() == pytest.approx([2 / 3, 1, 2 / 3])
    assert ops.adaptive_avg_pool(x, 3, 1).tolist() == [[[0.5, 2, 3.5]]]
    # The last window would start in the padding behind: ceil mode leaves it out.
    assert ops.max_pool(np.ones((1, 1, 4)), 2, 3, 1, ceil_mode=True, spatial=1)[0].shape == (1, 1, 2)
    empty = np.full((1, 1, 4), -np.inf, np.float32)
    y, places = ops.max_pool(empty, 2, spatial=1)
    assert y.tolist() == [[[-np.inf, -np.inf]]] and places.tolist() == [[[0, 2]]]


def test_threads_do_not_change_a_bit():
    x = values((40, 20, 31, 33), np.float32, "plain")
    before = kernels.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            kernels.set_num_threads(threads)
            y, places = ops.max_pool(x, 3, 2, 1)
            z = ops.avg_pool(x, 3, 2, 1)
            dx, dz = ops.max_pool_backward(y, places, x.shape), ops.avg_pool_backward(z, x.shape, 3, 2, 1)
            results.append([a.tobytes() for a in (y, places, z, dx, dz)])
    finally:
        kernels.set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_layouts_dtypes_and_batches():
    x = values((4, 3, 9, 8), np.float64, "plain")
    y, places = ops.max_pool(x, 2)
    z = ops.avg_pool(x, 2)
    for other in (
        np.asfortranarray(x),
        np.repeat(x, 2, axis=3)[..., ::2],
        np.ascontiguousarray(x[:, ::-1])[:, ::-1],
        x.astype(">f8"),
    ):
        assert np.array_equal(ops.max_pool(other, 2)[0], y) and np.array_equal(ops.avg_pool(other, 2), z)
    assert np.array_equal(ops.max_pool(x[0], 2)[0], y[0]) and np.array_equal(ops.max_pool(x[0], 2)[1], places[0])
    assert np.array_equal(ops.avg_pool(x[0], 2), z[0])
    assert np.array_equal(
        ops.max_pool_backward(y[0], places[0], x[0].shape), ops.max_pool_backward(y, places, x.shape)[0]
    )
    assert np.array_equal(ops.avg_pool_backward(z[0], x[0].shape, 2), ops.avg_pool_backward(z, x.shape, 2)[0])
    half = x.astype(np.float16)
    assert ops.max_pool(half, 2)[0].dtype == np.float16 and ops.avg_pool(half, 2).dtype == np.float16
    assert np.array_equal(ops.max_pool(half, 2)[0], ops.max_pool(half.astype(np.float32), 2)[0])
    grad = np.broadcast_to(np.float64(1.0), y.shape)
    assert ops.max_pool_backward(grad, places, x.shape).sum() == y.size


def test_empty_batch():
    x = np.empty((0, 3, 6, 6), np.float32)
    y, places = ops.max_pool(x, 2)
    assert y.shape == places.shape == (0, 3, 3, 3)
    assert ops.max_pool_backward(y, places, x.shape).shape == x.shape
    assert ops.avg_pool(x, 3).shape == (0, 3, 2, 2) and ops.avg_pool_backward(ops.avg_pool(x, 3), x.shape, 3).size == 0
    assert ops.adaptive_avg_pool(x, 1).shape == (0, 3, 1, 1)
    assert ops.adaptive_avg_pool(np.ones((2, 3, 4, 4)), 0).shape == (2, 3, 0, 0)


def test_unpool():
    x = values((2, 3, 6, 5), np.float64, "plain")
    y, places = ops.max_pool(x, 2)
    back = ops.max_unpool(y, places, (6, 5))
    assert np.array_equal(np.sort(back[back != 0]), np.sort(y.ravel())) and np.array_equal(
        back[back != 0], x[back != 0]
    )
    with pytest.raises(
        IndexError, match=re.escape("[max_unpool2d] indices must lie in 0 ... 8 for an output of (3, 3)")
    ):
        ops.max_unpool(y, places, (3, 3))


def refuse(error, message, function, *args, **kwargs):
    with pytest.raises(error, match=re.escape(message)):
        function(*args, **kwargs)


def test_bad_input():
    x = np.ones((1, 2, 6, 6))
    refuse(ValueError, "[max_pool2d] kernel_size must be at least 1, got 0", ops.max_pool, x, 0)
    refuse(ValueError, "[max_pool2d] stride must be at least 1, got (1, 0)", ops.max_pool, x, 2, (1, 0))
    refuse(ValueError, "[avg_pool2d] padding must not be negative, got -1", ops.avg_pool, x, 2, None, -1)
    refuse(
        ValueError,
        "padding must be at most half of the kernel, got padding 2 with kernel_size 3",
        ops.avg_pool,
        x,
        3,
        1,
        2,
    )
    refuse(
        ValueError,
        "floor((input + 2·padding - dilation·(kernel - 1) - 1) / stride) + 1 = ((6 + 2·0 - 1·(7 - 1) - 1)",
        ops.max_pool,
        x,
        7,
    )
    refuse(ValueError, "and the input is empty", ops.max_pool, np.ones((1, 2, 0, 6)), (1, 1))
    refuse(
        ValueError,
        "[max_pool2d] input must have 4 dimensions (or 3 without batch), got shape (6, 6)",
        ops.max_pool,
        x[0, 0],
        2,
    )
    refuse(TypeError, "[max_pool2d] kernel_size must be an int or a tuple of 2 ints, got 2.0", ops.max_pool, x, 2.0)
    refuse(ValueError, "[avg_pool2d] divisor_override must not be zero", ops.avg_pool, x, 2, divisor_override=0)
    refuse(TypeError, "[max_pool2d] input must be floating point", ops.max_pool, x.astype(np.int64), 2)
    refuse(TypeError, "[avg_pool2d] input must be floating point", ops.avg_pool, x.astype(complex), 2)
    refuse(TypeError, "masked array", ops.avg_pool, np.ma.masked_array(x), 2)
    refuse(ValueError, "[adaptive_avg_pool2d] output_size must not be negative", ops.adaptive_avg_pool, x, -1)
    refuse(
        ValueError,
        "[adaptive_avg_pool2d] output_size must be an int or a tuple of 2 ints",
        ops.adaptive_avg_pool,
        x,
        (1,) * 3,
    )
    y, places = ops.max_pool(x, 2)
    refuse(
        ValueError,
        "the output has shape (1, 2, 3, 3), but its gradient (1, 2, 3, 2)",
        ops.max_pool_backward,
        np.ones((1, 2, 3, 2)),
        places,
        x.shape,
    )
    refuse(IndexError, "index out of range", ops.max_pool_backward, y, places + 36, x.shape)
    refuse(
        ValueError,
        "[avg_pool2d] grad_output must have shape (1, 2, 3, 3), got (1, 2, 3, 2)",
        ops.avg_pool_backward,
        np.ones((1, 2, 3, 2)),
        x.shape,
        2,
    )
