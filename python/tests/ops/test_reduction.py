"""Reductions against float64 NumPy: every operation over every set of axes, layouts, tails, NaN, accuracy, threads."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import spinetail
from spinetail._native import kernels
from spinetail.ops import reduction as ops

SHAPES = [(), (1,), (3, 5), (7, 64), (64, 7), (3, 5, 17), (2, 3, 4, 5), (1000, 3), (300, 65), (2, 200, 33), (5, 1, 6)]
LONG = [(2, 70_000), (70_000, 2), (1, 140_000, 1), (3, 1500, 40)]


def log_sum_exp(a, axes, keepdims):
    top = a.max(axes, keepdims=True)
    y = np.log(np.exp(a - top).sum(axes, keepdims=True)) + top
    return y if keepdims else y.reshape(a.sum(axes).shape)


def spread(a, axes, keepdims):
    return ((a - a.mean(axes, keepdims=True)) ** 2).sum(axes, keepdims=keepdims)


REFERENCES = {
    ops.SUM: lambda a, x, k: a.sum(x, keepdims=k),
    ops.SUM_ABS: lambda a, x, k: np.abs(a).sum(x, keepdims=k),
    ops.SUM_SQUARES: lambda a, x, k: (a * a).sum(x, keepdims=k),
    ops.PRODUCT: lambda a, x, k: a.prod(x, keepdims=k),
    ops.LARGEST: lambda a, x, k: a.max(x, keepdims=k),
    ops.SMALLEST: lambda a, x, k: a.min(x, keepdims=k),
    ops.LARGEST_ABS: lambda a, x, k: np.abs(a).max(x, keepdims=k),
    ops.SMALLEST_ABS: lambda a, x, k: np.abs(a).min(x, keepdims=k),
    ops.SPREAD: spread,
    ops.LOG_SUM_EXP: log_sum_exp,
    ops.NORM: lambda a, x, k: np.sqrt((a * a).sum(x, keepdims=k)),
}
LAYOUTS = {
    "contiguous": lambda a: a,
    "fortran": np.asfortranarray,
    "every second": lambda a: np.repeat(a, 2, -1)[..., ::2] if a.ndim else a,
    "backwards": lambda a: np.flip(a.copy()),
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
}


def values(shape, dtype, seed=0):
    return np.asarray(np.random.default_rng(seed).standard_normal(shape) * 0.5 + 1.5, dtype)


def near_one(a, operation):
    """Factors whose product neither overflows nor vanishes."""
    return np.asarray(1 + (a - 1) / max(1, a.size), a.dtype) if operation == ops.PRODUCT else a


def axes_of(shape):
    return [None, *(c for n in range(1, len(shape) + 1) for c in itertools.combinations(range(len(shape)), n))]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("operation", REFERENCES)
def test_against_numpy(operation, dtype):
    for shape in SHAPES + LONG:
        a = near_one(values(shape, dtype), operation)
        bound = (64 + a.size if operation == ops.PRODUCT and dtype == "f8" else 64) * np.finfo(dtype).eps
        for axes, keep in itertools.product(axes_of(shape), (False, True)):
            want = REFERENCES[operation](a.astype(np.float64), axes, keep)
            got = ops.reduce(a, axes, keep, operation)
            assert got.shape == want.shape and got.dtype == a.dtype
            np.testing.assert_allclose(got, want, rtol=bound, atol=bound)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("operation", REFERENCES)
def test_layouts(operation, layout):
    for shape in [(3, 5), (4, 3, 17), (2, 3, 4, 5), (40, 1, 33)]:
        a = LAYOUTS[layout](near_one(values(shape, np.float32), operation))
        for axes in axes_of(shape):
            want = REFERENCES[operation](a.astype(np.float64), axes, False)
            np.testing.assert_allclose(ops.reduce(a, axes, False, operation), want, rtol=2e-5)


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_extremes_and_their_places(dtype, largest):
    """The first of equal elements, and the first NaN over all; infinities; every axis."""
    whole, place, one = (np.max, np.argmax, ops.LARGEST) if largest else (np.min, np.argmin, ops.SMALLEST)
    for shape in SHAPES + LONG:
        a = values(shape, dtype)
        hole = np.random.default_rng(1).random(shape) < 0.05
        for b in (a, np.round(a), np.where(hole, np.nan, a), np.full(shape, np.inf), np.full(shape, -np.inf), a * 0):
            b = np.asarray(b, dtype)
            for axis in [None, *range(len(shape))]:
                found, index = ops.find(b, axis, False, largest)
                np.testing.assert_array_equal(index, place(b, axis))
                np.testing.assert_array_equal(found, whole(b, axis))
                axes = None if axis is None else (axis,)
                np.testing.assert_array_equal(ops.reduce(b, axes, False, one), whole(b, axis))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_error_bound_of_ten_million_terms(dtype):
    """4·eps·Σ|x| in float32 and 8·eps·Σ|x| in float64, over all elements and over either axis."""
    a = np.random.default_rng(0).standard_normal(10_000_000).astype(dtype) + np.asarray(0.3, dtype)
    bound = (4 if dtype == "f4" else 8) * np.finfo(dtype).eps
    for shape, axis in (((10_000_000,), 0), ((1000, 10_000), 0), ((10, 1_000_000), 1)):
        b = a.reshape(shape)
        exact = b.astype(np.longdouble).sum(axis)
        size = np.abs(b).astype(np.longdouble).sum(axis)
        assert (np.abs(ops.sum(b, (axis,)) - exact) <= bound * size).all()


def test_variance_at_a_large_mean():
    a = np.random.default_rng(0).standard_normal((300, 5000)) + 1e4
    for dtype, tolerance in ((np.float32, 1e-6), (np.float64, 1e-12)):
        b = a.astype(dtype)
        for axes in (None, (0,), (1,)):
            want = spread(b.astype(np.longdouble), axes, False)
            np.testing.assert_allclose(ops.reduce(b, axes, False, ops.SPREAD), want.astype(np.float64), rtol=tolerance)


def test_float32_neither_overflows_nor_vanishes_on_the_way():
    assert ops.reduce(np.full(4, 1e30, np.float32), None, False, ops.NORM) == np.float32(2e30)
    assert ops.reduce(np.full(4, 1e-30, np.float32), None, False, ops.NORM) == np.float32(2e-30)
    tall = np.array([1e30, 1e-30] * 8, np.float32)
    np.testing.assert_allclose(ops.reduce(tall, None, False, ops.PRODUCT), 1, rtol=1e-5)
    big = np.full((40, 40), 700.0, np.float32)
    np.testing.assert_allclose(ops.reduce(big, (0,), False, ops.LOG_SUM_EXP), 700 + np.log(40), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("axis", [0, 1])
def test_nan_and_infinity(dtype, axis):
    inf, nan = np.inf, np.nan
    rows = np.array([[1, inf, 2], [1, -inf, 2], [inf, 1, -inf], [nan, inf, 1], [-inf, -inf, -inf], [inf, inf, inf]])
    a = np.asarray(rows if axis == 1 else rows.T.copy(), dtype)
    expected = {
        ops.SUM: [inf, -inf, nan, nan, -inf, inf],
        ops.PRODUCT: [inf, -inf, -inf, nan, -inf, inf],
        ops.LARGEST: [inf, 2, inf, nan, -inf, inf],
        ops.SMALLEST_ABS: [1, 1, 1, nan, inf, inf],
        ops.LOG_SUM_EXP: [inf, np.log(np.e + np.e**2), inf, nan, -inf, inf],
        ops.SPREAD: [nan] * 6,
        ops.NORM: [inf, inf, inf, nan, inf, inf],
    }
    for operation, want in expected.items():
        np.testing.assert_allclose(ops.reduce(a, (axis,), False, operation), want, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("operation", [*REFERENCES, ops.FIND_LARGEST])
def test_same_bits_on_any_number_of_threads(operation, dtype):
    for shape in [(1_300_000,), (1000, 1100), (3, 700, 300), (200_000, 5)]:
        a = np.random.default_rng(0).standard_normal(shape).astype(dtype)
        results = []
        for threads in (1, 2, 5):
            spinetail.set_num_threads(threads)
            for axis in [None, *range(len(shape))]:
                if operation == ops.FIND_LARGEST:
                    results.append(ops.find(a, axis, False, True)[1])
                else:
                    results.append(ops.reduce(a, None if axis is None else (axis,), False, operation))
        each = len(shape) + 1
        for i in range(each, 3 * each):
            np.testing.assert_array_equal(results[i], results[i % each])


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_top(dtype, largest):
    """Against a stable sort: values, indices, ties to the lower index, NaN the largest; any k, any axis."""
    random = np.random.default_rng(0)
    shapes = (((1,), 0), ((7,), 0), ((3, 100), 1), ((100, 3), 0), ((2, 37, 5), 1), ((5000,), 0), ((40, 8), 1))
    for shape, axis in (*shapes, ((2, 9), 1), ((2, 32), 1), ((2, 33), 1), ((30_000,), 0)):
        a = values(shape, dtype)
        holes = np.where(random.random(shape) < 0.1, np.nan, np.where(random.random(shape) < 0.1, -np.inf, a))
        rising = np.arange(a.size).reshape(shape)
        for b in (a, np.round(a), holes, a * 0 * np.sign(a - 1.5), rising, -rising):
            b = np.asarray(b, dtype)
            n = shape[axis]
            for k in sorted({0, 1, 2, n // 9, n // 2, n} & set(range(n + 1))):
                flat = np.moveaxis(b, axis, -1)
                descending = np.flip(np.argsort(np.flip(flat, -1), -1, kind="stable"), -1)
                place = n - 1 - descending if largest else np.argsort(flat, -1, kind="stable")
                place = np.moveaxis(place[..., :k], -1, axis)
                found, index = ops.top(b, k, axis, largest)
                np.testing.assert_array_equal(index, place)
                np.testing.assert_array_equal(found, np.take_along_axis(b, place, axis))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("operation", [ops.PRODUCT, ops.LARGEST, ops.SMALLEST_ABS, ops.FIND_LARGEST])
def test_short_rows_of_every_length_and_number(operation, dtype):
    """Rows are reduced in blocks of as many as a vector has lanes; next to them there is memory of others."""
    for n, rows in itertools.product([*range(1, 35), 63, 64, 65, 130], [2, 3, 7, 8, 9, 15, 16, 17, 33]):
        a = values((rows, n), dtype, n)
        a[rows // 2, n // 3] = np.nan
        a[-1] = 1.0
        wide = np.full((rows, n + 3), np.inf, dtype)
        wide[:, :n] = a
        for b in (a, wide[:, :n], a[::-1], np.broadcast_to(a[:1], a.shape)):
            if operation == ops.FIND_LARGEST:
                found, place = ops.find(b, 1, False, True)
                np.testing.assert_array_equal(place, np.argmax(b, 1))
                np.testing.assert_array_equal(found, np.max(b, 1))
            else:
                want = REFERENCES[operation](b.astype(np.float64), 1, False)
                np.testing.assert_allclose(ops.reduce(b, (1,), False, operation), want, rtol=n * np.finfo(dtype).eps)


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">f4"])
def test_truth(dtype, every):
    """any and all, over all sets of axes: zeros of both signs, NaN, nothing, other layouts."""
    whole = np.all if every else np.any
    for shape in [*SHAPES, (0,), (3, 0), (0, 3), (2, 200_000), (3, 5, 2050)]:
        for share in (0.0, 0.02, 0.98, 1.0):
            a = np.asarray(np.random.default_rng(0).random(shape) < share, dtype)
            if np.dtype(dtype).kind == "f" and a.size:
                a.flat[0] = np.nan if share else -0.0
            for b in (a, np.asfortranarray(a), np.asarray(np.flip(a))):
                for axes, keep in itertools.product(axes_of(shape), (False, True)):
                    got = ops.any_or_all(b, axes, keep, every)
                    np.testing.assert_array_equal(got, whole(b, axes, keepdims=keep))
                    assert got.dtype == bool


def test_truth_of_uint8_is_uint8():
    for function in (spinetail.any, spinetail.all):
        assert function(spinetail.tensor([0, 7], dtype=spinetail.uint8)).dtype == spinetail.uint8
        assert function(spinetail.tensor([0, 7])).dtype == spinetail.bool
    with pytest.raises(TypeError, match=r"expected numbers or bools"):
        ops.any_or_all(np.zeros(3, np.complex64), None, False, True)


def test_halves_are_summed_in_float32():
    a = np.full(10_000, 1.001, np.float16)
    assert ops.sum(a).dtype == np.float16 and abs(float(ops.sum(a)) - 10_010) < 8


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"values": np.zeros(4, np.float32)}, ValueError),
        ({"values": np.zeros(3)}, TypeError),
        ({"values": np.zeros(6, np.float32)[::2]}, ValueError),
        ({"values": None}, ValueError),
        ({"indices": np.zeros(3, np.int64)}, ValueError),
        ({"operation": ops.FIND_LARGEST, "indices": np.zeros(3, np.int32)}, TypeError),
        ({"operation": ops.FIND_LARGEST, "indices": np.zeros(2, np.int64)}, ValueError),
        ({"operation": 99}, ValueError),
        ({"operation": -1}, ValueError),
        ({"first": -1}, ValueError),
        ({"first": 2}, ValueError),
        ({"last": 2}, ValueError),
        ({"input": np.zeros((3, 0), np.float32)}, ValueError),
        ({"input": np.zeros((3, 4), np.int32)}, TypeError),
        ({"input": np.zeros((4, 3), np.float32).T}, ValueError),
        ({"input": np.zeros((3, 4, 2), np.float32)[..., ::2]}, ValueError),
    ],
)
def test_what_the_kernel_refuses(change, error):
    good = {"values": np.full(3, 7, np.float32), "indices": None, "input": np.zeros((3, 4), np.float32), "first": 1}
    arguments = {**good, "last": 1, "operation": ops.SUM, "parameter": 1.0, **change}
    with pytest.raises(error, match=r"^\[reduction\]"):
        kernels.reduction(*arguments.values())
    if arguments["values"] is not None:
        assert set(np.asarray(arguments["values"]).tolist()) <= {7.0, 0.0}


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_dtype_that_is_equal_but_not_the_same_object(order):
    x = np.asarray(np.ones((2, 3, 4), np.float32, order=order), np.dtype(np.float32).newbyteorder("="))
    assert ops.sum(x, (0, 2)).tolist() == [8.0] * 3 and ops.find(x, 1, False, True)[1].shape == (2, 4)
