"""Convolution and its gradients against float64 references, within n·eps·Σ|a·b|."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spinetail._native import kernels
from spinetail.ops import convolution as ops

sys.path.insert(0, str(Path(__file__).parents[1]))
import reference_convolution as reference

DTYPES = [np.float32, np.float64]


@st.composite
def cases(draw):
    """(batch, channels, extent, filters, kernel, stride, before, after, dilation, groups) that fit together."""
    spatial = draw(st.integers(1, 3))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(spatial))

    kernel, stride, before, after, dilation = each(1, 4), each(1, 3), each(0, 4), each(0, 4), each(1, 3)
    if draw(st.booleans()):
        groups, per_group, filters = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 35))
    else:  # depthwise
        groups, per_group, filters = draw(st.integers(2, 6)), 1, draw(st.integers(1, 2))
        if spatial == 3:
            kernel, stride = (1, *kernel[1:]), (1, *stride[1:])
            before, after = (0, *before[1:]), (0, *after[1:])
    longest = {1: 80, 2: 20, 3: 6}[spatial]
    least = [max(1, d * (k - 1) + 1 - b - a) for k, d, b, a in zip(kernel, dilation, before, after, strict=True)]
    extent = tuple(draw(st.integers(n, n + longest)) for n in least)
    batch = draw(st.integers(1, 4))
    return batch, per_group * groups, extent, filters * groups, kernel, stride, before, after, dilation, groups


def arrays(case, dtype, bias=True):
    batch, channels, extent, filters, kernel, *_, groups = case
    rng = np.random.default_rng(channels + filters)
    x = rng.standard_normal((batch, channels, *extent)).astype(dtype)
    w = rng.standard_normal((filters, channels // groups, *kernel)).astype(dtype)
    return x, w, rng.standard_normal(filters).astype(dtype) if bias else None


def plan_of(case, x, w):
    """The plan for a case, whose paddings may differ between the two ends."""
    *_, stride, before, after, dilation, groups = case
    size = [
        (n + b + a - d * (k - 1) - 1) // s + 1
        for n, b, a, d, k, s in zip(x.shape[2:], before, after, dilation, w.shape[2:], stride, strict=True)
    ]
    three = ops._three
    parameters = (*three(stride, 1), *three(before, 0), *three(after, 0), *three(dilation, 1), groups, 0)
    return ops.Plan("conv", parameters, x.shape, (x.shape[0], w.shape[0], *size), w.shape, False)


def assert_close(result, wide, bound, terms):
    """Within the error bound of a sum of so many terms in the result's dtype; `bound` sums the terms' sizes."""
    assert result.shape == wide.shape
    assert np.all(np.abs(result - wide) <= (terms + 1) * np.finfo(result.dtype).eps * bound + 1e-300)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(), st.sampled_from(DTYPES), st.booleans())
def test_forward_and_gradients(case, dtype, relu):
    check(case, dtype, relu)


def check(case, dtype, relu):
    parameters = case[5:]
    x, w, b = arrays(case, dtype)
    plan = plan_of(case, x, w)
    y = ops.forward(plan, x, w, b, relu)
    wide = reference.convolve(x, w, b, *parameters)
    bound = reference.convolve(abs(x), abs(w), abs(b), *parameters)
    assert_close(y, np.maximum(wide, 0) if relu else wide, bound, w[0].size)

    g = np.random.default_rng(1).standard_normal(plan.output).astype(dtype)
    dx = ops.backward_input(plan, g, w)
    wide = reference.gradient_to_input(g, x, w, *parameters)
    bound = reference.gradient_to_input(abs(g), x, abs(w), *parameters)
    assert_close(dx, wide, bound, w[:, 0].size)
    c = np.random.default_rng(2).standard_normal(x.shape[1]).astype(dtype)
    shift = c.astype(np.float64).reshape(-1, *[1] * (x.ndim - 2))
    dx = ops.backward_input(plan, g, w, c, relu)
    wide = np.maximum(wide + shift, 0) if relu else wide + shift
    assert_close(dx, wide, bound + abs(shift), w[:, 0].size)
    dw = ops.backward_weight(plan, g, x)
    wide = reference.gradient_to_weight(g, x, w, *parameters)
    assert_close(dw, wide, reference.gradient_to_weight(abs(g), abs(x), w, *parameters), g[:, 0].size)
    axes = (0, *range(2, g.ndim))
    db = ops.backward_bias(g)
    assert_close(db, g.astype(np.float64).sum(axes), abs(g).astype(np.float64).sum(axes), g[:, 0].size)


def last(array):
    """The same values with channels next to each other in memory."""
    return ops.channels_last(array)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(), st.sampled_from(DTYPES), st.booleans())
def test_channels_last(case, dtype, relu):
    """Arrays with channels last are taken as they stand, and results have that layout too."""
    parameters = case[5:]
    x, w, b = arrays(case, dtype)
    plan = plan_of(case, x, w)
    y = ops.forward(plan, last(x), w, b, relu)
    wide = reference.convolve(x, w, b, *parameters)
    bound = reference.convolve(abs(x), abs(w), abs(b), *parameters)
    assert_close(y, np.maximum(wide, 0) if relu else wide, bound, w[0].size)

    g = np.random.default_rng(1).standard_normal(plan.output).astype(dtype)
    dx = ops.backward_input(plan, last(g), w)
    wide = reference.gradient_to_input(g, x, w, *parameters)
    assert_close(dx, wide, reference.gradient_to_input(abs(g), x, abs(w), *parameters), w[:, 0].size)
    wide = reference.gradient_to_weight(g, x, w, *parameters)
    bound = reference.gradient_to_weight(abs(g), abs(x), w, *parameters)
    for p, q in ((last(g), last(x)), (g, last(x)), (last(g), x)):
        assert_close(ops.backward_weight(plan, p, q), wide, bound, g[:, 0].size)
    for result, source in ((y, last(x)), (dx, last(g))):
        if ops.is_channels_last(source):
            assert np.shares_memory(last(result), result)
    axes = (0, *range(2, g.ndim))
    db = ops.backward_bias(last(g))
    assert_close(db, g.astype(np.float64).sum(axes), abs(g).astype(np.float64).sum(axes), g[:, 0].size)


# Every tile height and tail, blocks of several panels, panels that cross images, rows cut into parts.
LARGER = [
    (2, 64, (56, 20), 64, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    (3, 48, (9, 9), 130, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    (1, 200, (7, 7), 150, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    (5, 70, (8, 8), 33, (1, 1), (1, 1), (0, 0), (0, 0), (1, 1), 1),
    (2, 24, (33, 35), 40, (3, 5), (2, 2), (1, 2), (1, 2), (1, 1), 2),
    (2, 3, (64, 64), 13, (7, 7), (2, 2), (3, 3), (3, 3), (1, 1), 1),
    (40, 1, (13, 14), 11, (5, 5), (1, 1), (0, 0), (0, 0), (1, 1), 1),
    (3, 6, (14, 14), 16, (5, 5), (1, 1), (0, 0), (0, 0), (1, 1), 1),
    (2, 1, (8, 8), 15, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    (2, 3, (40, 19), 32, (3, 3), (2, 1), (1, 1), (1, 1), (1, 2), 1),
    (2, 40, (150, 170), 40, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 40),
    (1, 20, (70, 81), 40, (5, 3), (2, 2), (2, 1), (2, 1), (1, 2), 20),
    (1, 8, (3000,), 16, (9,), (4,), (4,), (4,), (3,), 1),
    (1, 3, (163, 150), 5, (7, 7), (2, 2), (3, 3), (3, 3), (1, 1), 1),
    (5, 20, (9, 13), 40, (3, 3), (2, 2), (1, 0), (0, 1), (1, 1), 2),
    (2, 2, (11, 12), 1030, (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1),
    (2, 4, (20, 90), 40, (3, 3), (3, 3), (2, 2), (2, 2), (2, 2), 1),
    (2, 20, (33, 50), 35, (3, 3), (1, 2), (1, 1), (1, 1), (1, 1), 1),
]


# Depthwise 3×3: planes of less than a vector, rows that begin in the middle of one, one row or column, planes cut into
# parts, several planes with depth, results that see more padding than input.
SAME, HALF = ((1, 1), (1, 1), (1, 1)), ((2, 2), (1, 1), (1, 1))
EXTENTS = [(1, 1), (1, 5), (5, 1), (2, 2), (7, 7), (8, 7), (13, 15), (16, 16), (17, 33), (31, 30), (56, 56), (3, 200)]
EXTENTS += [
    (1, 7),
    (6, 5),
    (9, 8),
    (5, 9),
    (14, 10),
    (13, 13),
    (14, 14),
    (11, 16),
    (60, 60),
]  # a row or two in a vector
SQUARE = [
    *((2, 3, extent, 3, (3, 3), *how, (1, 1), 3) for extent in EXTENTS for how in (SAME, HALF)),
    *((1, 3, (300, 301), 3, (3, 3), *how, (1, 1), 3) for how in (SAME, HALF)),
    *((2, 3, (3, 9, 6), 3, (1, 3, 3), (1, s, s), (0, 1, 1), (0, 1, 1), (1, 1, 1), 3) for s in (1, 2)),
    *(
        (2, 3, (20, 37), 3, (3, 3), (2, 2), b, a, (1, 1), 3)
        for b in ((0, 0), (1, 1), (2, 1), (4, 4))
        for a in (b, (0, 3))
    ),
    (20, 300, (5, 5), 300, (3, 3), *SAME, (1, 1), 300),
    (1, 3, (9, 20), 3, (3, 3), (1, 1), (2, 0), (0, 2), (1, 1), 3),
]


# The same with channels last: vectors of channels and a rest, images without an inside, other windows of three columns.
WIDE = [
    *(
        (2, 37, e, 37, (3, 3), *how, (1, 1), 37)
        for e in ((1, 1), (1, 5), (3, 2), (7, 7), (9, 30))
        for how in (SAME, HALF)
    ),
    *(
        (1, 70, (33, 8), 70, (3, 3), (s, s), b, a, (1, 1), 70)
        for s in (1, 2)
        for b, a in (((0, 2), (3, 0)), ((4, 4),) * 2)
    ),
    (2, 20, (9, 8), 20, (2, 3), (1, 2), (1, 1), (0, 1), (1, 1), 20),
    (1, 20, (5, 4, 9), 20, (3, 1, 3), (1, 2, 1), (1, 0, 1), (1, 0, 1), (1, 1, 1), 20),
]


@pytest.mark.parametrize("case", SQUARE, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("relu", [False, True])
def test_depthwise(case, dtype, relu):
    test_forward_and_gradients.hypothesis.inner_test(case, dtype, relu)


@pytest.mark.parametrize("case", WIDE, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_depthwise_with_channels_last(case, dtype):
    test_channels_last.hypothesis.inner_test(case, dtype, False)
    test_channels_last.hypothesis.inner_test(case, dtype, True)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [4, 7, 14, 33])
def test_depthwise_sees_its_own_plane_alone(stride, size):
    rng = np.random.default_rng(5)
    x = np.full((3, 4, size, size), np.nan, np.float32)
    g = np.full((3, 4, (size - 1) // stride + 1, (size - 1) // stride + 1), np.nan, np.float32)
    x[1, 1:3], g[1, 1:3] = rng.standard_normal(x[1, 1:3].shape), rng.standard_normal(g[1, 1:3].shape)
    w = rng.standard_normal((4, 1, 3, 3), np.float32)
    y = ops.convolution(x, w, None, stride, 1, 1, 4)
    case = (4, (size, size), 4, (3, 3), (stride, stride), (1, 1), (1, 1), (1, 1), 4)
    dx = ops.backward_input(plan_of((3, *case), x, w), g, w)
    dw = ops.backward_weight(plan_of((1, *case), x[1:2], w), g[1:2], x[1:2])
    assert np.isfinite(y[1, 1:3]).all() and np.isnan(y[0]).all()
    assert np.isfinite(dx[1, 1:3]).all() and np.isnan(dx[0]).all()
    assert np.isfinite(dw[1:3]).all() and np.isnan(dw[0]).all()


@pytest.mark.parametrize("case", LARGER, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_larger(case, dtype):
    test_forward_and_gradients.hypothesis.inner_test(case, dtype, False)
    test_channels_last.hypothesis.inner_test(case, dtype, True)


@pytest.mark.parametrize("case", [*LARGER, *SQUARE[-16:], *WIDE[-8:]], ids=str)
@pytest.mark.parametrize("turn", [np.asarray, last])
def test_threads_do_not_change_a_bit(case, turn):
    x, w, b = arrays(case, np.float32)
    plan = plan_of(case, x, w)
    g = turn(np.random.default_rng(2).standard_normal(plan.output).astype(np.float32))
    x = turn(x)
    before = kernels.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            kernels.set_num_threads(threads)
            results.append(
                [
                    ops.forward(plan, x, w, b),
                    ops.backward_input(plan, g, w),
                    ops.backward_weight(plan, g, x),
                    ops.backward_bias(g),
                ]
            )
    finally:
        kernels.set_num_threads(before)
    for other in results[1:]:
        for a, c in zip(results[0], other, strict=True):
            assert a.tobytes() == c.tobytes()


@st.composite
def transposed(draw):
    """(input shape, weight shape, arguments) of a transposed convolution."""
    spatial = draw(st.integers(1, 3))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(spatial))

    kernel, stride, dilation = each(1, 4), each(1, 4), each(1, 5)
    groups, inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    output_padding = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    padding = tuple(draw(st.integers(0, d * (k - 1) // 2)) for d, k in zip(dilation, kernel, strict=True))
    x = (draw(st.integers(1, 2)), inputs * groups, *each(1, 5))
    return x, (inputs * groups, outputs, *kernel), (stride, padding, output_padding, groups, dilation)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(transposed())
def test_transposed(case):
    shape, weight, (stride, padding, output_padding, groups, dilation) = case
    rng = np.random.default_rng(3)
    x, w, b = rng.standard_normal(shape), rng.standard_normal(weight), rng.standard_normal(weight[1] * groups)
    y = ops.conv_transpose(x, w, b, stride, padding, output_padding, groups, dilation)
    size = [
        (n - 1) * s - 2 * p + d * (k - 1) + o + 1
        for n, s, p, d, k, o in zip(shape[2:], stride, padding, dilation, weight[2:], output_padding, strict=True)
    ]
    assert y.shape == (shape[0], weight[1] * groups, *size)
    after = tuple(p - o for p, o in zip(padding, output_padding, strict=True))
    # The reference cannot cut its padding below zero, so it works on an output long enough and is cut here.
    longer = tuple(max(0, -a) for a in after)
    blank = np.zeros((*y.shape[:2], *(n - e for n, e in zip(size, longer, strict=True))))
    arguments = (stride, padding, tuple(max(0, a) for a in after), dilation, groups)
    wide = reference.gradient_to_input(x, blank, w, *arguments)
    wide = np.pad(wide, [(0, 0), (0, 0), *((0, e) for e in longer)]) + b.reshape(1, -1, *[1] * len(size))
    np.testing.assert_allclose(y, wide, rtol=1e-10, atol=1e-10)

    g = rng.standard_normal(y.shape)
    dx, dw, db = ops.conv_transpose_backward(g, x, w, stride, padding, output_padding, groups, dilation)
    cut = g[(slice(None), slice(None), *(slice(n - e) for n, e in zip(size, longer, strict=True)))]
    np.testing.assert_allclose(dx, reference.convolve(cut, w, None, *arguments), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(dw, reference.gradient_to_weight(x, cut, w, *arguments), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(db, g.sum((0, *range(2, g.ndim))), rtol=1e-10, atol=1e-10)


def layouts(array):
    """The same values in other memory layouts."""
    wide = np.zeros([2 * n for n in array.shape], array.dtype)
    wide[tuple(slice(None, None, 2) for _ in array.shape)] = array
    yield wide[tuple(slice(None, None, 2) for _ in array.shape)]
    yield np.asfortranarray(array)
    yield np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1 % array.ndim, -1)), -1, 1 % array.ndim)
    yield np.ascontiguousarray(array[..., ::-1])[..., ::-1]
    yield array.astype(array.dtype.newbyteorder())


def test_layouts():
    rng = np.random.default_rng(4)
    x, w, b = rng.standard_normal((2, 4, 9, 7)), rng.standard_normal((6, 2, 3, 3)), rng.standard_normal(6)
    expected = ops.convolution(x, w, b, 1, 1, 1, 2)
    g = rng.standard_normal(expected.shape)
    gradients = ops.convolution_backward(g, x, w, 1, 1, 1, 2)
    for p in layouts(x):
        for q in layouts(w):  # with channels last, sums are made in another order
            assert np.allclose(ops.convolution(p, q, b, 1, 1, 1, 2), expected, 1e-13, 1e-13)
    for p in layouts(b):
        assert np.array_equal(ops.convolution(x, w, p, 1, 1, 1, 2), expected)
    for p in layouts(g):
        for a, c in zip(ops.convolution_backward(p, x, w, 1, 1, 1, 2), gradients, strict=True):
            assert np.allclose(a, c, 1e-13, 1e-12)
    constant = np.broadcast_to(np.float64(2.0), (2, 4, 9, 7))
    assert np.array_equal(ops.convolution(constant, w, b, groups=2), ops.convolution(constant.copy(), w, b, groups=2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_empty(dtype):
    x, w = np.empty((0, 3, 8, 8), dtype), np.ones((4, 3, 3, 3), dtype)
    y = ops.convolution(x, w, np.ones(4, dtype))
    assert y.shape == (0, 4, 6, 6) and y.dtype == dtype
    assert ops.convolution(last(x), w).shape == (0, 4, 6, 6)
    dx, dw, db = ops.convolution_backward(y, x, w)
    assert dx.shape == x.shape and not dw.any() and not db.any()
    none = ops.convolution(np.empty((2, 0, 5, 5), dtype), np.empty((3, 0, 3, 3), dtype), np.arange(3, dtype=dtype))
    assert np.array_equal(none, np.broadcast_to(np.arange(3).reshape(1, 3, 1, 1), (2, 3, 3, 3)))
    assert ops.conv_transpose(np.empty((0, 3, 2), dtype), np.ones((3, 2, 2), dtype)).shape == (0, 2, 3)


def test_same_and_valid():
    # An even kernel: what is odd goes behind, as in PyTorch.
    ones = np.ones((1, 1, 5))
    assert ops.convolution(ones, np.ones((1, 1, 4)), padding="same").tolist() == [[[3, 4, 4, 3, 2]]]
    assert ops.convolution(ones, np.ones((1, 1, 3)), padding="same", dilation=2).shape == (1, 1, 5)
    assert ops.convolution(ones, np.ones((1, 1, 4)), padding="valid").tolist() == [[[4, 4]]]


def test_unbatched_and_half():
    rng = np.random.default_rng(5)
    x, w = rng.standard_normal((3, 6, 6)).astype(np.float16), rng.standard_normal((2, 3, 3, 3)).astype(np.float16)
    y = ops.convolution(x, w)
    assert y.dtype == np.float16 and y.shape == (2, 4, 4)
    wide = ops.convolution(x[None].astype(np.float32), w.astype(np.float32))[0]
    assert np.array_equal(y, wide.astype(np.float16))
    dx, dw, db = ops.convolution_backward(y, x, w)
    assert dx.shape == x.shape and dw.shape == w.shape and db.dtype == np.float16


def test_nan_and_infinity_stay_where_they_are():
    x = np.zeros((1, 2, 9, 40), np.float32)
    x[0, 0, 4, 20], x[0, 1, 0, 0] = np.nan, np.inf
    for groups, w in ((1, np.ones((3, 2, 3, 3), np.float32)), (2, np.ones((4, 1, 3, 3), np.float32))):
        y = ops.convolution(x, w, padding=1, groups=groups)
        first = y[:, : len(w) // groups]
        assert np.isnan(first[..., 3:6, 19:22]).all() and np.isnan(first).sum() == 9 * first.shape[1]
        assert np.isinf(y[:, -1, :2, :2]).all() and np.isinf(y[:, -1]).sum() == 4
        assert np.isnan(ops.convolution(x, w, padding=1, groups=groups, relu=True)[0, 0, 4, 20])


def refuse(error, message, function, *args, **kwargs):
    with pytest.raises(error, match=re.escape(message)):
        function(*args, **kwargs)


def ones(*shape, dtype=np.float64):
    return np.ones(shape, dtype)


def test_bad_input():
    f, x, w = ops.convolution, ones(1, 8, 6, 6), ones(4, 4, 3, 3)
    message = "[conv2d] weight has 3 input channels per group, but input has 8 channels and groups=2 (expected 4)"
    refuse(ValueError, message, f, x, ones(4, 3, 3, 3), groups=2)
    refuse(ValueError, "input has 8 channels and groups=3", f, x, ones(3, 4, 3, 3), groups=3)
    refuse(
        ValueError, "[conv2d] weight has 3 filters, which groups=2 does not divide", f, x, ones(3, 4, 3, 3), groups=2
    )
    refuse(ValueError, "floor((6 + 0 + 0 - 1·(7 - 1) - 1) / 1) + 1 = 0", f, x, ones(4, 8, 7, 3))
    refuse(ValueError, "floor((6 + 1 + 1 - 4·(3 - 1) - 1) / 2) + 1", f, x, ones(4, 8, 3, 3), None, 2, 1, 4)
    refuse(ValueError, "the input is empty", f, ones(1, 8, 0, 6), ones(4, 8, 1, 1))
    for what in ("stride", "dilation"):
        refuse(ValueError, f"[conv2d] {what} must be at least 1, got 0", f, x, ones(4, 8, 3, 3), **{what: 0})
        refuse(
            ValueError, f"[conv2d] {what} must be at least 1, got (1, -2)", f, x, ones(4, 8, 3, 3), **{what: (1, -2)}
        )
        refuse(TypeError, f"[conv2d] {what} must be an int or a tuple of 2 ints", f, x, ones(4, 8, 3, 3), **{what: 1.0})
        refuse(
            ValueError,
            f"[conv2d] {what} must be an int or a tuple of 2 ints",
            f,
            x,
            ones(4, 8, 3, 3),
            **{what: [1] * 3},
        )
    refuse(ValueError, "[conv2d] padding must not be negative, got -1", f, x, ones(4, 8, 3, 3), padding=-1)
    refuse(ValueError, "padding='same' needs stride 1, got stride (2, 2)", f, x, w, None, 2, "same", 1, 2)
    refuse(ValueError, "'same' or 'valid', got 'full'", f, x, w, None, 1, "full", 1, 2)
    refuse(ValueError, "[conv2d] groups must be at least 1, got 0", f, x, w, groups=0)
    refuse(TypeError, "[conv2d] groups must be an int, got 1.5", f, x, w, groups=1.5)
    refuse(ValueError, "[conv2d] input must have 4 dimensions (or 3 without batch)", f, ones(6, 6), w)
    refuse(ValueError, "[conv] weight must have 3, 4 or 5 dimensions, got shape (4, 4)", f, x, ones(4, 4))
    refuse(ValueError, "[conv2d] weight has an empty axis", f, x, ones(4, 8, 0, 3))
    refuse(ValueError, "[conv2d] bias must have shape (4,), got (3,)", f, x, w, ones(3), groups=2)
    refuse(
        TypeError,
        "[conv2d] expected one dtype, got input float64 and weight float32",
        f,
        x,
        ones(4, 8, 3, 3, dtype=np.float32),
    )
    refuse(
        TypeError,
        "[conv2d] expected one dtype, got input float64 and bias float32",
        f,
        x,
        ones(4, 8, 3, 3),
        ones(4, dtype=np.float32),
    )
    refuse(TypeError, "[conv2d] input must be floating point, got dtype int64", f, x.astype(np.int64), w, groups=2)
    refuse(TypeError, "[conv2d] input must be floating point, got dtype complex128", f, x.astype(complex), w, groups=2)
    refuse(TypeError, "[conv2d] input must be a numpy.ndarray, got MaskedArray", f, np.ma.masked_array(x), w, groups=2)
    refuse(
        ValueError,
        "[conv2d] the output has shape (1, 4, 4, 4), but its gradient (1, 4, 4, 5)",
        ops.convolution_backward,
        ones(1, 4, 4, 5),
        x,
        w,
        groups=2,
    )


def test_bad_input_transposed():
    f, x = ops.conv_transpose, ones(1, 4, 5, 5)
    refuse(ValueError, "[conv_transpose2d] weight has 3 input channels, but input has 4", f, x, ones(3, 2, 3, 3))
    refuse(
        ValueError,
        "output_padding must be smaller than stride or dilation, got 2 with stride 2 and dilation 1",
        f,
        x,
        ones(4, 2, 3, 3),
        None,
        2,
        0,
        2,
    )
    refuse(ValueError, "(5 - 1)·1 - 2·4 + 1·(3 - 1) + 0 + 1 = -1", f, x, ones(4, 2, 3, 3), None, 1, 4)
    refuse(ValueError, "input has 4 channels, which groups=3 does not divide", f, x, ones(4, 2, 3, 3), groups=3)
    refuse(ValueError, "padding must be an int or a tuple of ints, got 'same'", f, x, ones(4, 2, 3, 3), padding="same")


def test_the_kernel_itself_refuses_what_does_not_fit():
    """The native entry checks every extent again: nothing that Python passes makes it read out of bounds."""
    call = kernels.convolution_forward
    good = (1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0)
    x, w = ones(1, 2, 5, 5), ones(3, 2, 3, 3)
    call(np.empty((1, 3, 3, 3)), x, w, None, good, 0)
    for y, a, b, c, parameters in [
        (ones(1, 3, 3, 4), x, w, None, good),
        (ones(1, 4, 3, 3), x, w, None, good),
        (ones(2, 3, 3, 3), x, w, None, good),
        (ones(1, 3, 3, 3), x, ones(3, 1, 3, 3), None, good),
        (ones(1, 3, 3), x, w, None, good),
        (ones(1, 3, 3, 3), x, w, ones(2), good),
        (ones(1, 3, 3, 3), x[:, :, ::-1], w, None, good),
        (ones(1, 3, 3, 3), last(x), w, None, good),
        (last(ones(1, 3, 3, 3)), x, w, None, good),
        (last(ones(1, 3, 3, 3)), last(x), last(w), None, good),
        (last(ones(1, 3, 3, 3)), last(ones(1, 2, 5, 10))[..., ::2], w, None, good),
        (last(ones(1, 3, 3, 3)), last(ones(1, 4, 5, 5))[:, ::2], w, None, good),
        *((ones(1, 3, 3, 3), x, w, None, (*good[:i], bad, *good[i + 1 :])) for i in range(13) for bad in (-1, 2**40)),
        *((ones(1, 3, 3, 3), x, w, None, (*good[:i], 0, *good[i + 1 :])) for i in (0, 1, 2, 9, 10, 11, 12)),
    ]:
        with pytest.raises(ValueError):
            call(y, a, b, c, parameters, 0)
    with pytest.raises(ValueError):
        call(ones(1, 3, 3, 3), x, w, None, good, 7)
    with pytest.raises(TypeError):
        call(ones(1, 3, 3, 3), x, w.astype(np.float32), None, good, 0)
    # The transposed map takes any extents: it only ever reads where its source is.
    for stride in (1, 3, 2**30):
        out = np.full((1, 2, 7, 9), np.nan)
        kernels.convolution_backward_input(out, ones(1, 3, 4, 4), w, None, (1, stride, stride, *good[3:]), 0)
        assert np.isfinite(out).all()


WINOGRAD = [
    # images, channels, filters, height, width, padding, groups
    (1, 16, 16, 4, 4, 1, 1),
    (2, 3, 5, 1, 1, 1, 1),
    (3, 17, 33, 7, 9, 1, 1),
    (2, 40, 70, 14, 13, 0, 1),
    (1, 24, 40, 30, 61, 2, 1),
    (2, 36, 20, 17, 18, (2, 0), 2),
    (40, 16, 48, 6, 5, 1, 1),
    (1, 256, 64, 12, 70, 1, 1),
]


@pytest.mark.parametrize("images,channels,filters,height,width,padding,groups", WINOGRAD)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name,bound", [("winograd", 1.5e-5), ("winograd2", 2e-6)])
def test_winograd(name, bound, images, channels, filters, height, width, padding, groups, bias):
    """Forward and gradient to the input, F(4×4)'s within a bound of their own that direct sums keep a tenth of."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((images, channels, height, width), dtype=np.float32)
    w = rng.standard_normal((filters, channels // groups, 3, 3), dtype=np.float32)
    b = rng.standard_normal(filters, dtype=np.float32) if bias else None
    before = padding if isinstance(padding, tuple) else (padding, padding)
    parameters = ((1, 1), before, before, (1, 1), groups)
    with ops.algorithm(name):
        y = ops.convolution(x, w, b, padding=padding, groups=groups, relu=bias)
        g = rng.standard_normal(y.shape, dtype=np.float32)
        dx = ops.convolution_backward(g, x, w, padding=padding, groups=groups, needs=(True, False, False))[0]
    wide = reference.convolve(x, w, b, *parameters)
    assert_near(y, np.maximum(wide, 0) if bias else wide, bound)
    assert_near(dx, reference.gradient_to_input(g, x, w, *parameters), bound)
    with ops.algorithm(name):  # the same sums of the same numbers
        z = ops.convolution(last(x), w, b, padding=padding, groups=groups, relu=bias)
        dz = ops.convolution_backward(last(g), x, w, padding=padding, groups=groups, needs=(True, False, False))[0]
    if kernels.vector_width == 16:  # else all sums are direct
        assert np.array_equal(y, z) and np.array_equal(dx, dz)
    with ops.algorithm("direct"):
        direct = ops.convolution(x, w, b, padding=padding, groups=groups, relu=bias)
    assert_near(direct, np.maximum(wide, 0) if bias else wide, 1e-6 * channels**0.5)


def assert_near(result, wide, bound):
    """Relative to the largest."""
    assert result.shape == wide.shape
    assert np.abs(result - wide).max() <= bound * np.abs(wide).max()


@pytest.mark.parametrize("name,size", [("winograd", 4), ("winograd2", 2)])
def test_winograd_keeps_not_a_number_in_its_tiles_and_ignores_threads(name, size):
    import spinetail

    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 64, 30, 30), dtype=np.float32)
    w = rng.standard_normal((64, 64, 3, 3), dtype=np.float32)
    before = spinetail.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            spinetail.set_num_threads(threads)
            with ops.algorithm(name):
                results.append(ops.convolution(x, w, padding=1))
                results.append(ops.convolution(x[:1, :, :9, :9].copy(), w, padding=1))
    finally:
        spinetail.set_num_threads(before)
    assert np.array_equal(results[0], results[2]) and np.array_equal(results[1], results[3])
    x[0, 0, 0, 0] = np.nan
    with ops.algorithm(name):
        y = ops.convolution(x, w, padding=1)
    assert np.isnan(y[0, :, 0, 0]).all() and not np.isnan(y[0, :, size:]).any() and not np.isnan(y[1:]).any()


def test_algorithm_names():
    with pytest.raises(ValueError, match="algorithm must be one of automatic, direct, winograd, winograd2, got 'fft'"):
        with ops.algorithm("fft"):
            pass


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.dtype(">f8")])
def test_channels_moved_behind(channels, dtype):
    x = np.random.default_rng(0).normal(size=(2, channels, 60, 70)).astype(dtype)
    for array in (x, x[:, :, ::-1], ops.channels_last(x)):
        found = ops.channels_last(array)
        assert found.transpose(0, 2, 3, 1).flags.c_contiguous and found.dtype.isnative
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(
    "case",
    [
        (1, 128, (4, 4), 128, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
        (1, 64, (9, 7), 80, (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1),
        (3, 100, (5, 3), 70, (1, 1), (2, 2), (0, 0), (0, 0), (1, 1), 1),
        (2, 80, (6, 5), 200, (3, 2), (1, 1), (0, 2), (1, 0), (2, 1), 2),
        (1, 70, (40,), 300, (5,), (3,), (2,), (2,), (2,), 1),
        (2, 20, (2, 5, 4), 77, (2, 3, 3), (1, 2, 1), (1, 1, 1), (0, 1, 1), (1, 1, 1), 1),
    ],
)
def test_few_pixels_and_many_weights(case, dtype, relu):
    """Shapes whose weights are read, and whose gradient is stored, without being packed."""
    check(case, dtype, relu)
