"""Running sums and products against NumPy: dtypes, axes, layouts, tails, zeros, threads; and their gradients."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
from spinetail._native import kernels
from spinetail.ops import cumulative as ops

SHAPES = [
    (1,),
    (7,),
    (8,),
    (9,),
    (40,),
    (3, 5),
    (5, 33),
    (70, 3),
    (4, 17, 6),
    (2, 1, 9),
    (0,),
    (3, 0),
    (0, 4),
    (9, 300),
]
LONG = [(100_003,), (3, 50_000), (50_000, 3), (300, 1025)]
LAYOUTS = {
    "contiguous": lambda a: a,
    "fortran": np.asfortranarray,
    "every second": lambda a: np.repeat(a, 2, -1)[..., ::2],
    "backwards": lambda a: np.flip(a.copy()),
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
}


def values(shape, dtype, product=False):
    a = np.random.default_rng(sum(shape)).standard_normal(shape)
    return np.asarray(1 + a / max(1, *shape) if product else a, dtype)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("product", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_against_numpy(dtype, product, reverse):
    for shape in SHAPES + LONG:
        a = values(shape, dtype, product)
        for axis in range(len(shape)):
            wide = np.flip(a, axis) if reverse else a
            want = (np.cumprod if product else np.cumsum)(wide.astype(np.longdouble), axis)
            scale = np.cumsum(np.abs(wide).astype(np.longdouble), axis) if not product else np.abs(want)
            got = ops.running(a, axis, product, reverse)
            assert got.dtype == a.dtype and got.shape == a.shape
            n = max(1, shape[axis])
            bound = np.finfo(dtype).eps * (np.abs(want) + (n if dtype == "f8" else n * 2.0**-29) * scale)
            assert (np.abs((np.flip(got, axis) if reverse else got) - want) <= bound).all()


@pytest.mark.parametrize("product", [False, True])
@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "u2", "i4", "i8", "u4"])
def test_integers_are_computed_in_int64(dtype, product):
    for shape in SHAPES:
        a = np.random.default_rng(0).integers(0, 120, shape).astype(dtype)
        if np.dtype(dtype).kind == "i":
            a[..., ::2] *= -1
        for axis in range(len(shape)):
            got = ops.running(a, axis, product)
            assert got.dtype == np.int64
            np.testing.assert_array_equal(got, (np.cumprod if product else np.cumsum)(a, axis, dtype=np.int64))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", "i8"])
def test_layouts(dtype, layout):
    for shape in [(5, 9), (4, 3, 17)]:
        a = LAYOUTS[layout]((np.arange(np.prod(shape)).reshape(shape) % 11).astype(dtype))
        for axis in range(len(shape)):
            np.testing.assert_array_equal(ops.running(a, axis), np.cumsum(a.astype("i8"), axis))


def test_nan_and_infinity():
    inf, nan = np.inf, np.nan
    line = np.array([1, inf, 2, -inf, 1] + [1] * 20, np.float32)
    np.testing.assert_array_equal(ops.running(line, 0), [1, inf, inf, *[nan] * 22])
    line = np.array([2.0] * 9 + [nan] + [1.0] * 9)
    np.testing.assert_array_equal(ops.running(line, 0), np.cumsum(line))
    np.testing.assert_array_equal(ops.running(line, 0, True), np.cumprod(line))
    np.testing.assert_array_equal(ops.running(np.array([2.0, 0.0, inf, 3.0]), 0, True), [2, 0, nan, nan])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_gradient_of_products_with_zeros(dtype):
    """One product without each element in turn, in float64."""
    random = np.random.default_rng(0)
    for shape in [(1,), (9,), (3, 17), (17, 3), (6, 11), (2, 5, 4)]:
        for zeros in (0, 0.1, 0.5):
            x = np.where(random.random(shape) < zeros, 0, random.standard_normal(shape)).astype(dtype)
            grad = random.standard_normal(shape).astype(dtype)
            for axis in range(len(shape)):
                rows, slopes = np.moveaxis(x.astype("f8"), axis, 0), np.moveaxis(grad.astype("f8"), axis, 0)
                want = np.empty(rows.shape)
                for i in range(len(rows)):
                    others = rows.copy()
                    others[i] = 1
                    want[i] = (np.cumprod(others, 0)[i:] * slopes[i:]).sum(0)
                got = ops.running_product_backward(grad, ops.running(x, axis, True), x, axis)
                np.testing.assert_allclose(got, np.moveaxis(want, 0, axis), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_same_bits_on_any_number_of_threads(dtype):
    for shape in [(1_000_000,), (1000, 700), (3, 700, 300), (100_000, 5)]:
        a = (np.random.default_rng(0).standard_normal(shape) * 9).astype(dtype)
        for axis in range(len(shape)):
            results = []
            for threads in (1, 2, 5):
                st.set_num_threads(threads)
                results.append(ops.running(a, axis))
                if a.dtype.kind == "f":
                    results.append(ops.running_product_backward(a, a, a, axis))
            each = len(results) // 3
            for i in range(each, len(results)):
                np.testing.assert_array_equal(results[i], results[i % each])


def test_public_functions():
    """dtype, out, negative and missing dimensions, scalars, gradients."""
    x = st.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    st.cumsum(x, -1).sum().backward()
    assert x.grad.tolist() == [[2, 1], [2, 1]]
    x.grad = None
    st.cumprod(x, 0).sum().backward()
    assert x.grad.tolist() == [[4, 5], [1, 2]]
    assert st.cumsum(st.tensor([100, 100], dtype=st.int8), 0).tolist() == [100, 200]
    assert st.cumsum(st.tensor([100, 100]), 0, dtype=st.int8).tolist() == [100, -56]
    assert st.cumsum(st.tensor([True, True]), 0, dtype=st.float64).dtype == st.float64
    assert st.cumsum(st.tensor(3), 0).dtype == st.int64
    out = np.zeros(3, np.float32)
    assert st.cumprod(np.array([2, 3, 4], np.float32), 0, out=out) is out and out.tolist() == [2, 6, 24]
    for function in (st.cumsum, st.cumprod):
        with pytest.raises(IndexError, match=rf"\[{function.__name__}\]"):
            function(st.ones(2, 3), 2)
        with pytest.raises(ValueError):
            function(np.ones(3, np.float32), 0, out=np.zeros(2, np.float32))
    assert st.autograd.gradcheck(
        lambda t: st.cumprod(t, 0), st.tensor([2.0, 0.0, 3.0], dtype=st.float64).requires_grad_()
    )


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"output": np.zeros(4, np.float32)}, ValueError),
        ({"output": np.zeros(3)}, TypeError),
        ({"output": np.zeros(6, np.float32)[::2]}, ValueError),
        ({"input": np.zeros(6, np.float32)[::2]}, ValueError),
        ({"input": np.zeros(3, np.float16)}, TypeError),
        ({"input": np.zeros(3, np.int32)}, TypeError),
        ({"axis": 1}, ValueError),
        ({"axis": -1}, ValueError),
        ({"operation": 2}, ValueError),
    ],
)
def test_what_the_kernel_refuses(change, error):
    good = {"output": np.zeros(3, np.float32), "input": np.zeros(3, np.float32), "axis": 0, "operation": 0}
    with pytest.raises(error, match=r"^\[running\]"):
        kernels.running(*{**good, "reverse": 0, **change}.values())
