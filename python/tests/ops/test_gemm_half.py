"""Products of float16 and bfloat16 against float64: summed in float32, rounded once, on every layout, tail and edge."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from spinetail._native import kernels
from spinetail.ops import gemm

ml_dtypes = pytest.importorskip("ml_dtypes")
DTYPES = [ml_dtypes.bfloat16, np.float16]
# Tails and edges of the register tiles, of the inner products (4 × 4), of pairs of depth and of strips of columns.
ROWS = [0, 1, 2, 3, 5, 8, 12, 13, 15, 33]
COLUMNS = [0, 1, 3, 4, 5, 16, 31, 33, 70, 130]
DEPTHS = [0, 1, 2, 15, 16, 17, 31, 33, 65]
LARGE = [(200, 300, 400), (97, 513, 500), (14, 2100, 33), (1, 700, 900), (6, 300, 1000), (530, 40, 800), (300, 2, 600)]
# Layers' weights that are widened where they stand.
LARGE += [(32, 205, 131), (61, 197, 77), (28, 192, 64)]
# Several blocks of depth, and tasks with rows that are packed once for each thread or once for all.
LARGE += [(47, 331, 1003), (97, 141, 2100), (150, 33, 2111)]


def matrix(rng, rows, columns, dtype, layout="C"):
    if layout == "F":
        return matrix(rng, columns, rows, dtype).T
    if layout == "stepped":
        return matrix(rng, 2 * rows, 3 * columns, dtype)[::2, ::3]
    if layout == "reversed":
        return matrix(rng, rows, columns, dtype)[::-1, ::-1]
    if layout == "broadcast":
        return np.broadcast_to(matrix(rng, 1, columns, dtype), (rows, columns))
    return rng.standard_normal((rows, columns)).astype(dtype)


def assert_right(a, b, bias=None, relu=False, function=None):
    """float32 results within the bound of float32 sums, half results those rounded to nearest even."""
    wide = a.astype(np.float64) @ b.astype(np.float64)
    bound = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))
    if bias is not None:
        wide, bound = wide + bias.astype(np.float64), bound + np.abs(bias.astype(np.float64))
    wide = np.maximum(wide, 0) if relu else wide
    sums, halves = np.empty(wide.shape, np.float32), np.empty(wide.shape, a.dtype)
    for out in (sums, halves):
        if function is None:
            out[...] = gemm.matmul(a, b, out.dtype)
        else:
            function(out)
    assert np.all(np.abs(sums - wide) <= (a.shape[-1] + 1) * np.finfo(np.float32).eps * bound)
    assert np.array_equal(halves.astype(np.float32), sums.astype(a.dtype).astype(np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layouts", ["CC", "CF", "FC", "FF"])
def test_every_tail(dtype, layouts):
    rng = np.random.default_rng(1)
    for m, n, k in itertools.product(ROWS, COLUMNS, DEPTHS):
        assert_right(matrix(rng, m, k, dtype, layouts[0]), matrix(rng, k, n, dtype, layouts[1]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layouts", ["CC", "CF", "FC", "FF"])
def test_large(dtype, layouts):
    rng = np.random.default_rng(2)
    for m, n, k in LARGE:
        assert_right(matrix(rng, m, k, dtype, layouts[0]), matrix(rng, k, n, dtype, layouts[1]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["stepped", "reversed", "broadcast"])
def test_odd_layouts(dtype, layout):
    rng = np.random.default_rng(3)
    for m, n, k in [(3, 5, 7), (20, 40, 30), (120, 130, 140)]:
        assert_right(matrix(rng, m, k, dtype, layout), matrix(rng, k, n, dtype, layout))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_that_begin_anywhere(dtype):
    """Matrices inside larger ones, with odd numbers from row to row."""
    rng = np.random.default_rng(4)
    for m, n, k in [(2, 9, 40), (30, 50, 70)]:
        a, b = matrix(rng, m + 2, k + 7, dtype)[1:-1, 3 : 3 + k], matrix(rng, n + 2, k + 9, dtype)[1:-1, 5 : 5 + k].T
        assert_right(a, b)


@pytest.mark.parametrize(
    "shapes",
    [
        ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
        ((5, 1, 2, 3), (4, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 2)), ((4, 0, 3), (4, 3, 2)),
        ((6, 70, 80), (6, 80, 90)), ((2, 150, 130), (2, 130, 140)), ((3, 1, 50, 60), (1, 2, 60, 70)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", DTYPES)
def test_leading_axes(dtype, shapes):
    rng = np.random.default_rng(5)
    a, b = (rng.standard_normal(s).astype(dtype) for s in shapes)
    result = gemm.matmul(a, b, np.dtype(np.float32))
    assert result.dtype == np.float32
    assert gemm.matmul(a, b).dtype == dtype
    wide = a.astype(np.float64) @ b.astype(np.float64)
    assert result.shape == wide.shape
    bound = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))
    assert np.all(np.abs(result - wide) <= (a.shape[-1] + 1) * np.finfo(np.float32).eps * bound)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("bias", [None, "half", "float"])
def test_linear(dtype, relu, bias):
    rng = np.random.default_rng(6)
    for m, n, k in [(1, 50, 100), (64, 10, 128), (33, 200, 300), (0, 4, 5), (3, 0, 5), (3, 4, 0), (200, 3, 97)]:
        x, w = matrix(rng, m, k, dtype), matrix(rng, n, k, dtype)
        b = None if bias is None else rng.standard_normal(n).astype(dtype if bias == "half" else np.float32)

        def call(out, x=x, w=w, b=b):
            kernels.linear_forward(out, x, w, b, relu)

        result = gemm.linear(x, w, b, relu)
        assert result.dtype == dtype
        assert_right(x, w.T, b, relu, call)
        rounded = np.empty(result.shape, dtype)
        call(rounded)
        assert np.array_equal(result, rounded)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", [0, 1, 5, 6, 7, 9, 11])
def test_activations_and_a_bias_for_rows(dtype, activation):
    """As the float32 kernel ends its products, rounded once."""
    rng = np.random.default_rng(9)
    for m, n, k in [(2, 70, 40), (40, 130, 33), (70, 3, 20)]:
        x, w, b = matrix(rng, m, k, dtype), matrix(rng, n, k, dtype), matrix(rng, 1, n, dtype)[0]
        wide = [array.astype(np.float32) for array in (x, w, b)]
        sums, expected = np.empty((m, n), np.float32), gemm.linear(*wide, activation)
        kernels.linear_forward(sums, x, w, b, activation)
        assert np.allclose(sums, expected, rtol=1e-5, atol=1e-5)
        assert np.array_equal(gemm.linear(x, w, b, activation), sums.astype(dtype))
        column = matrix(rng, m, 2, dtype)[:, :1]
        kernels.matmul(sums, x, w.T, column, activation)
        kernels.matmul(expected, wide[0], wide[1].T, column.astype(np.float32), activation)
        assert np.allclose(sums, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("leading", [(), (7,), (2, 3), (0,), (300,)])
def test_linear_backward(dtype, leading):
    rng = np.random.default_rng(7)
    x, w = rng.standard_normal((*leading, 40)).astype(dtype), matrix(rng, 30, 40, dtype)
    grad = rng.standard_normal((*leading, 30)).astype(dtype)
    dx, dw, db = gemm.linear_backward(grad, x, w, bias_dtype=np.dtype(np.float32))
    flat, rows = grad.reshape(-1, 30), x.reshape(-1, 40)
    assert np.array_equal(dx, gemm.matmul(grad, w))
    assert np.array_equal(dw, gemm.matmul(flat.T, rows))
    assert dx.dtype == dw.dtype == dtype
    assert db.dtype == np.float32
    assert np.allclose(db, flat.astype(np.float64).sum(0), atol=1e-4)
    assert gemm.linear_backward(grad, x, w)[2].dtype == dtype
    assert gemm.linear_backward(grad, x, w, (False, False, False)) == (None, None, None)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_number_survives(dtype):
    """Times one: all 65536 bit patterns come back, subnormal ones, zeros, infinities and NaN among them."""
    values = np.arange(65536, dtype=np.uint16).view(dtype)
    one = np.ones((1, 1), dtype)
    with np.errstate(invalid="ignore"):
        result = gemm.matmul(values.reshape(-1, 1), one)[:, 0]
        wide = gemm.matmul(values.reshape(-1, 1), one, np.dtype(np.float32))[:, 0]
        expected = values.astype(np.float32)
    number = ~np.isnan(expected)
    assert np.array_equal(wide[number], expected[number])
    assert np.array_equal(result[number], values[number])
    assert np.isnan(wide[~number]).all()
    assert np.isnan(result[~number].astype(np.float32)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding_goes_to_even_and_overflow_to_infinity(dtype):
    """A bias in float32 that lies on and beside the middle of two neighbours."""
    values = np.arange(0x3C00, 0x3D00, dtype=np.uint16).view(dtype).astype(np.float32)
    middle = (values[:-1] + values[1:]) / 2
    wanted = [middle, np.nextafter(middle, np.float32(0)), np.nextafter(middle, np.float32(9))]
    edge = [
        0.0,
        -0.0,
        65503.0,
        65519.9,
        65520.0,
        -65520.0,
        1e30,
        3.4e38,
        -3.4e38,
        6e-8,
        2.98e-8,
        2.99e-8,
        1e-40,
        np.inf,
    ]
    bias = np.concatenate([*wanted, np.array([*edge, -np.inf, np.nan], np.float32)])
    x, w = np.zeros((1, 1), dtype), np.zeros((len(bias), 1), dtype)
    with np.errstate(over="ignore"):
        expected = (bias + np.float32(0)).astype(dtype)
    for rows in (1, 40):
        result = gemm.linear(np.broadcast_to(x, (rows, 1)), w, bias)
        for row in result:
            assert np.array_equal(row.astype(np.float32), expected.astype(np.float32), equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 40])
def test_nan_and_infinity_propagate(dtype, rows):
    x = np.zeros((rows, 70), dtype)
    x[0, 3], w = np.nan, np.ones((35, 70), dtype)
    w[2, 5], x[-1, 5] = np.inf, 1
    with np.errstate(invalid="ignore"):
        result = gemm.linear(x, w, None, True).astype(np.float32)
    assert np.isnan(result[0]).all()
    if rows > 1:
        assert result[-1, 2] == np.inf and np.isnan(result[1, 2]) and (result[1, 3:] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(257, 300, 700), (1, 3000, 500), (9, 900, 900), (1100, 64, 64)])
def test_same_bits_for_any_number_of_threads(dtype, shape):
    m, n, k = shape
    rng = np.random.default_rng(8)
    a, b = matrix(rng, m, k, dtype), matrix(rng, k, n, dtype)
    before = kernels.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 8):
            kernels.set_num_threads(threads)
            results.append(
                (gemm.matmul(a, b, np.dtype(np.float32)), gemm.matmul(a, np.asfortranarray(b), np.dtype(np.float32)))
            )
    finally:
        kernels.set_num_threads(before)
    for direct, transposed in results[1:]:
        assert np.array_equal(direct, results[0][0]) and np.array_equal(transposed, results[0][1])


def test_bad_input():
    x = np.ones((2, 3), np.float16)
    with pytest.raises(TypeError, match="one dtype, got float16 and bfloat16"):
        gemm.matmul(x, x.T.astype(DTYPES[0]))
    with pytest.raises(TypeError, match="one dtype, got float16 and float32"):
        gemm.matmul(x, x.T.astype(np.float32))
    with pytest.raises(ValueError, match=r"inner dimensions differ: \(2, 3\)"):
        gemm.matmul(x, x)
    with pytest.raises(TypeError, match="one dtype, got input float16 and bias float64"):
        gemm.linear(x, x, np.ones(2))
    with pytest.raises(TypeError, match="masked"):
        gemm.matmul(np.ma.masked_array(x), x.T)
    for out in (np.empty((2, 2)), np.empty((2, 2), DTYPES[0])):
        with pytest.raises(TypeError, match=r"\[matmul\] argument 0: unsupported or mismatched dtype"):
            kernels.matmul(out, x, x.T, None, 0)
