"""Matrix products against float64 references: every layout, tail and edge, within n·eps·Σ|a·b|."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from spinetail._native import kernels
from spinetail.ops import gemm

DTYPES = [np.float32, np.float64]
# Tails and edges of the register tile (14 × 32, 6 × 16, 6 × 8), of the inner products (4 × 4) and of packing.
ROWS = [0, 1, 2, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 33]
COLUMNS = [0, 1, 3, 4, 5, 16, 31, 32, 33, 70]
DEPTHS = [0, 1, 2, 15, 16, 17, 65]
LARGE = [(200, 300, 400), (97, 513, 500), (14, 2100, 33), (1, 700, 900), (6, 300, 1000), (150, 10, 128)]
# A single block of rows, many of them, tall with few columns, few rows in a sweep, A read in place.
# Few sums over a great depth, several blocks of rows and of depth.
LARGE += [(31, 40, 9000), (64, 64, 5000), (700, 200, 1100)]
LARGE += [(20, 700, 2000), (1103, 70, 900), (5000, 10, 64), (13, 2000, 90), (64, 128, 784)]


# B read where it stands (several blocks, odd ends); shallow ones: whole, low and narrow tiles; inner products of rows.
LARGE += [(17, 48, 64), (32, 97, 131), (64, 512, 784), (90, 61, 95), (256, 50, 300), (24, 300, 1024), (512, 784, 64)]
LARGE += [(30, 130, 16), (57, 151, 100), (9, 300, 40), (23, 500, 5), (110, 129, 33), (64, 10, 512), (31, 16, 257)]
# Weights read where they stand: one vector of rows, columns at multiples of a page, and both.
LARGE += [(13, 200, 300), (16, 193, 1024), (30, 250, 1024), (64, 199, 2048), (7, 200, 512), (80, 200, 1024)]
# B streamed past up to 64 rows: groups of 4, 3, 2 and 1 rows, blocks of columns and depth that end oddly.
LARGE += [
    (15, 1031, 300),
    (33, 997, 301),
    (64, 520, 600),
    (41, 901, 519),
    (62, 4099, 260),
    (33, 2070, 2040),
    (9, 1300, 70),
    (5, 4200, 90),
]
# A's columns along memory and much larger than B: the turned product; what is just too small for it.
LARGE += [(240, 112, 700), (530, 128, 300), (1031, 256, 519), (230, 120, 257), (239, 120, 700)]
# Few columns over much depth, whose B is turned; panels of B that the first tile copies, whole and cut off.
LARGE += [(70, 8, 300), (66, 3, 1030), (200, 5, 257), (128, 64, 100), (61, 50, 97), (49, 33, 96)]


def assert_close(result, a, b, bias=None, relu=False):
    wide = a.astype(np.float64) @ b.astype(np.float64)
    bound = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    if bias is not None:
        wide = wide + bias
        bound = bound + np.abs(bias)
    if relu:
        wide = np.maximum(wide, 0)
    assert result.shape == wide.shape
    assert result.dtype == a.dtype
    limit = (a.shape[-1] + 1) * np.finfo(a.dtype).eps * bound
    assert np.all(np.abs(result - wide) <= limit)


def laid_out(rng, rows, columns, dtype, layout):
    """A matrix of the shape in one of several memory layouts."""
    if layout == "C":
        return rng.standard_normal((rows, columns)).astype(dtype)
    if layout == "F":
        return rng.standard_normal((columns, rows)).astype(dtype).T
    if layout == "stepped":
        return rng.standard_normal((2 * rows, 3 * columns)).astype(dtype)[::2, ::3]
    if layout == "reversed":
        return rng.standard_normal((rows, columns)).astype(dtype)[::-1, ::-1]
    if layout == "broadcast":
        return np.broadcast_to(rng.standard_normal(columns).astype(dtype), (rows, columns))
    if layout == "swapped":
        values = rng.standard_normal((rows, columns)).astype(dtype)
        return values.astype(values.dtype.newbyteorder())
    raw = np.empty(rows * columns * np.dtype(dtype).itemsize + 1, np.uint8)[1:]
    array = raw.view(dtype).reshape(rows, columns) if rows * columns else np.empty((rows, columns), dtype)
    array[...] = rng.standard_normal((rows, columns))
    return array


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layouts", ["CC", "CF", "FC", "FF"])
def test_every_tail(dtype, layouts):
    rng = np.random.default_rng(1)
    for m, n, k in itertools.product(ROWS, COLUMNS, DEPTHS):
        a, b = laid_out(rng, m, k, dtype, layouts[0]), laid_out(rng, k, n, dtype, layouts[1])
        assert_close(gemm.matmul(a, b), a, b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layouts", ["CC", "CF", "FC", "FF"])
def test_large(dtype, layouts):
    rng = np.random.default_rng(2)
    for m, n, k in LARGE:
        a, b = laid_out(rng, m, k, dtype, layouts[0]), laid_out(rng, k, n, dtype, layouts[1])
        assert_close(gemm.matmul(a, b), a, b)


@pytest.mark.parametrize("layout", ["stepped", "reversed", "broadcast", "misaligned", "swapped"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_odd_layouts(layout, dtype):
    rng = np.random.default_rng(3)
    for m, n, k in [(3, 5, 7), (20, 40, 30), (120, 130, 140)]:
        a, b = laid_out(rng, m, k, dtype, layout), laid_out(rng, k, n, dtype, layout)
        native = (a.astype(dtype), b.astype(dtype))
        result = gemm.matmul(a, b)
        assert_close(result, *native)
        assert np.array_equal(result, gemm.matmul(*map(np.ascontiguousarray, native))) or layout == "broadcast"


@pytest.mark.parametrize(
    "shapes",
    [
        ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
        ((5, 1, 2, 3), (4, 3, 2)),
        ((0, 3), (3, 2)), ((2, 0), (0, 2)), ((4, 0, 3), (4, 3, 2)), ((6, 70, 80), (6, 80, 90)), ((2, 3, 4), (4,)),
        ((4,), (2, 4, 3)), ((3, 1, 50, 60), (1, 2, 60, 70)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", DTYPES)
def test_leading_axes(shapes, dtype):
    rng = np.random.default_rng(4)
    a, b = (rng.standard_normal(s).astype(dtype) for s in shapes)
    assert_close(gemm.matmul(a, b), a, b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shapes",
    [
        ((300, 16, 16), (300, 16, 16)),  # one tile each
        ((3, 50, 9, 7), (3, 50, 7, 20)),
        ((40, 12, 5), (1, 5, 30)),
        ((1, 12, 5), (40, 5, 30)),
        ((2, 1, 16, 8), (1, 70, 8, 5)),
        ((70, 40, 64), (70, 64, 64)),  # tiles ask for the next product's operands
        ((40, 61, 100), (40, 100, 50)),
        ((5, 40, 30), (5, 30, 40)),
    ],
)
def test_batches_of_small_products(shapes, dtype):
    rng = np.random.default_rng(8)
    a, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    assert_close(gemm.matmul(a, b), a, b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("relu", [False, True])
def test_linear(dtype, relu):
    rng = np.random.default_rng(5)
    for rows, outputs, inputs in [
        (1, 50, 100),
        (64, 10, 128),
        (33, 200, 300),
        (0, 4, 5),
        (3, 0, 5),
        (3, 4, 0),
        (130, 65, 97),
    ]:
        x, w, b = (rng.standard_normal(s).astype(dtype) for s in ((rows, inputs), (outputs, inputs), (outputs,)))
        assert_close(gemm.linear(x, w, b, relu), x, w.T, b, relu)
        assert_close(gemm.linear(x, w, None, relu), x, w.T, None, relu)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("leading", [(), (1,), (7,), (2, 3), (0,), (300,)])
def test_linear_backward(dtype, leading):
    rng = np.random.default_rng(6)
    x, w = rng.standard_normal((*leading, 40)).astype(dtype), rng.standard_normal((30, 40)).astype(dtype)
    grad = rng.standard_normal((*leading, 30)).astype(dtype)
    dx, dw, db = gemm.linear_backward(grad, x, w)
    assert_close(dx, grad, w)
    flat = grad.reshape(-1, 30)
    assert_close(dw, flat.T, x.reshape(-1, 40))
    assert_close(db, flat.T, np.ones((len(flat), 1), dtype)[:, 0])
    assert gemm.linear_backward(grad, x, w, (False, False, False)) == (None, None, None)


@pytest.mark.parametrize("dtype", [*DTYPES, np.float16])
@pytest.mark.parametrize("shape", [(40, 30), (300, 17), (5, 1)])
@pytest.mark.parametrize("rows", [0, 1, 2, 65, 130])
@pytest.mark.parametrize("layout", ["C", "stepped", "broadcast"])
def test_linear_backward_behind_relu(dtype, rows, shape, layout):
    """With the output of the relu, gradients are those of the gradient that it lets through."""
    rng = np.random.default_rng(16)
    i, o = shape
    x, w = rng.standard_normal((rows, i)).astype(dtype), rng.standard_normal((o, i)).astype(dtype)
    grad = laid_out(rng, rows, o, dtype, layout)
    y = np.maximum(laid_out(rng, rows, o, dtype, layout), 0)
    if rows > 1:
        y[1, 0] = np.nan
        y[-1, -1] = -0.0
    passed = np.where(y <= 0, 0, grad).astype(dtype)
    for needs in [(True, True, True), (False, True, True), (True, False, False), (False, False, True)]:
        results = gemm.linear_backward(grad, x, w, needs, output=y)
        for result, expected in zip(results, gemm.linear_backward(passed, x, w, needs), strict=True):
            assert (result is None) == (expected is None)
            if result is not None:
                assert result.shape == expected.shape and result.dtype == dtype
                assert np.array_equal(result, expected)


def test_linear_backward_refuses_an_output_of_another_shape():
    x, w, grad = (np.ones(shape, np.float32) for shape in [(3, 4), (5, 4), (3, 5)])
    for y in (np.ones((3, 4), np.float32), np.ones((3, 5)), np.ones(5, np.float32)):
        with pytest.raises((ValueError, TypeError)):
            kernels.linear_backward(5, 6, ((6, 0),), grad, y, x, w)


# Code of the activation, the function.
ENDS = [
    (0, lambda x: x),
    (1, lambda x: np.maximum(x, 0)),
    (5, lambda x: x * np.vectorize(math.erfc)(-x * math.sqrt(0.5)) / 2),
    (6, lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
    (7, lambda x: x / (1 + np.exp(-x))),
    (9, lambda x: 1 / (1 + np.exp(-x))),
    (11, np.tanh),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape",
    [(1, 3, 5), (6, 700, 130), (3, 40, 20), (50, 33, 17), (150, 90, 700), (64, 10, 128), (9, 20, 5000), (37, 905, 300)],
)
@pytest.mark.parametrize("transposed", [False, True])
def test_every_end_of_a_product(dtype, shape, transposed):
    m, n, k = shape
    rng = np.random.default_rng(9)
    a = rng.standard_normal((m, k)).astype(dtype)
    b = rng.standard_normal((n, k)).astype(dtype).T if transposed else rng.standard_normal((k, n)).astype(dtype)
    sums = a.astype(np.float64) @ b.astype(np.float64)
    bound = (k + 4) * np.finfo(dtype).eps * (np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64) + 10)
    addend = rng.standard_normal((2 * m, 3 * n)).astype(dtype)[::2, ::3]
    column, row = rng.standard_normal(n).astype(dtype), rng.standard_normal((m, 1)).astype(dtype)
    out = np.empty((m, n), dtype)
    for code, function in ENDS:
        for bias in (None, column, row):
            kernels.matmul(out, a, b, bias, code)
            assert np.all(np.abs(out - function(sums + (0 if bias is None else bias))) <= 2 * bound)
            kernels.gemm(out, a, b, addend, bias, row, 0.5, -2.0, code)
            expected = function(0.5 * sums - 2.0 * addend + (0 if bias is None else bias) + row)
            assert np.all(np.abs(out - expected) <= 2 * bound)
    kernels.gemm(out, a, b, np.full((1, n), np.nan, dtype), None, None, 1.0, 0.0, 0)
    assert np.all(np.abs(out - sums) <= bound)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_that_overlap_are_not_read_behind_their_end(dtype):
    # A Hankel matrix: both strides are one element, so a row of B is as contiguous as a column.
    rng = np.random.default_rng(12)
    values = rng.standard_normal(360).astype(dtype)
    b = np.lib.stride_tricks.as_strided(values, (300, 61), (values.itemsize, values.itemsize))
    a = rng.standard_normal((200, 300)).astype(dtype)
    assert_close(gemm.matmul(a, b), a, np.array(b))


@pytest.mark.parametrize("transposed", [False, True])
def test_many_batches_are_the_same_on_any_number_of_threads(transposed):
    rng = np.random.default_rng(13)
    a, b = (
        rng.standard_normal((16, 130, 128)).astype(np.float32),
        rng.standard_normal((16, 128, 128)).astype(np.float32),
    )
    b = b.swapaxes(1, 2) if transposed else b
    before = kernels.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 5):
            kernels.set_num_threads(threads)
            results.append(gemm.matmul(a, b))
    finally:
        kernels.set_num_threads(before)
    assert_close(results[0], a, b)
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_ends_of_batches():
    rng = np.random.default_rng(10)
    a, b = rng.standard_normal((4, 3, 5)), rng.standard_normal((1, 5, 6))
    addend, residual = rng.standard_normal((4, 1, 6)), rng.standard_normal((4, 3, 6))
    out = np.empty((4, 3, 6))
    kernels.gemm(out, a, b, addend, None, residual, 2.0, 3.0, 0)
    assert np.allclose(out, 2 * (a @ b) + 3 * addend + residual, rtol=1e-13, atol=1e-13)
    for bias in rng.standard_normal(6), rng.standard_normal((3, 1)):
        kernels.gemm(out, a, b, None, bias, None, 1.0, 0.0, 1)
        assert np.allclose(out, np.maximum(a @ b + bias, 0), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({3: np.ones((3, 4))}, ValueError),
        ({3: np.ones((2, 4), np.float32)}, TypeError),
        ({4: np.ones(5)}, ValueError),
        ({4: np.ones(4, np.float32)}, TypeError),
        ({5: np.ones((2, 2))}, ValueError),
        ({8: 8}, ValueError),
    ],
)
def test_gemm_refuses_what_does_not_fit(change, error):
    arguments = [np.empty((2, 4)), np.ones((2, 3)), np.ones((3, 4)), None, None, None, 1.0, 1.0, 0]
    for place, value in change.items():
        arguments[place] = value
    with pytest.raises(error):
        kernels.gemm(*arguments)


def test_float32_sums_of_many_rows_stay_accurate():
    grad = np.full((200_000, 3), 0.1, np.float32)
    _, _, db = gemm.linear_backward(grad, np.ones((200_000, 1), np.float32), np.ones((3, 1), np.float32))
    assert np.allclose(db, np.float64(np.float32(0.1)) * 200_000, rtol=1e-6)


def test_nan_and_infinity_propagate():
    a = np.array([[np.nan, 1.0], [np.inf, 1.0], [0.0, 0.0]])
    result = gemm.linear(a, np.array([[1.0, 1.0], [0.0, 1.0]]), None, True)
    assert np.isnan(result[0]).all() and result[1, 0] == np.inf and np.isnan(result[1, 1]) and (result[2] == 0).all()


@pytest.mark.parametrize(
    "shape",
    [
        (257, 300, 700),
        (1, 3000, 500),
        (6, 1000, 700),
        (35, 1000, 700),
        (33, 2070, 2040),
        (64, 64, 64),
        (24, 900, 900),
        (64, 512, 784),
        (512, 784, 64),
        (64, 10, 512),
        (700, 500, 1100),
        (40, 40, 5000),
        (100, 100, 100),
        (49, 70, 200),
        (341, 33, 130),
        (256, 1024, 700),
        (1031, 128, 600),
    ],
)
def test_same_bits_for_any_number_of_threads(shape):
    m, n, k = shape
    rng = np.random.default_rng(7)
    a, b = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
    before = kernels.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 8):
            kernels.set_num_threads(threads)
            layouts = ((a, b), (a, np.asfortranarray(b)), (np.asfortranarray(a), b))
            results.append([gemm.matmul(*operands) for operands in layouts])
    finally:
        kernels.set_num_threads(before)
    for others in results[1:]:
        assert all(map(np.array_equal, others, results[0]))


def test_half_precision_is_computed_in_float32():
    rng = np.random.default_rng(8)
    a, b = rng.standard_normal((5, 300)).astype(np.float16), rng.standard_normal((300, 4)).astype(np.float16)
    assert np.array_equal(gemm.matmul(a, b), (a.astype(np.float32) @ b.astype(np.float32)).astype(np.float16))
    assert gemm.linear(a, b.T.copy()).dtype == np.float16


def test_integers_are_exact():
    a = np.arange(6).reshape(2, 3)
    assert np.array_equal(gemm.matmul(a, a.T), a @ a.T)


X = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: gemm.matmul(X, X), ValueError, r"\[matmul\] inner dimensions differ: \(2, 3\) · \(2, 3\)"),
        (lambda: gemm.matmul(X, X.T.astype(np.float64)), TypeError, "one dtype, got float32 and float64"),
        (lambda: gemm.matmul(X, X.T.astype(complex)), TypeError, "complex"),
        (lambda: gemm.matmul(X, X.T.astype(object)), TypeError, "object"),
        (lambda: gemm.matmul(np.ma.masked_array(X), X.T), TypeError, "masked"),
        (lambda: gemm.matmul(X, np.float32(1).reshape(())), ValueError, "at least 1 dimension"),
        (lambda: gemm.matmul(np.ones((2, 1, 3)), np.ones((3, 3, 1))), ValueError, "do not broadcast"),
        (lambda: gemm.linear(X, np.ones((4, 5), np.float32)), ValueError, "input has 3 features, but weight"),
        (lambda: gemm.linear(X, X.astype(np.float64)), TypeError, "one dtype"),
        (lambda: gemm.linear(X, X, np.ones(3, np.float32)), ValueError, r"bias must have shape \(2,\)"),
        (lambda: gemm.linear(X.astype(int), X), TypeError, "floating point"),
        (lambda: gemm.linear(X, None), TypeError, "weight must be a numpy.ndarray"),
        (lambda: gemm.linear(X, X[0]), ValueError, "out_features"),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()
