"""interpolate, unfold, fold: PyTorch's golden values, gradients, second derivatives, edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spinetail as st
from spinetail.functional import grid, resampling

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "resampling.npz")
CASES = sorted({name.rpartition("/")[0] for name in GOLDEN.files})
LINEAR = [case for case in CASES if not case.startswith("grid_sample")]
SAMPLES = [case for case in CASES if case.startswith("grid_sample")]


@pytest.mark.parametrize("case", LINEAR)
def test_golden(case):
    """Values and gradients that PyTorch gave, in float64; and the second derivative, by transposition."""
    name, _, arguments = case.partition(" ")
    function = getattr(resampling if hasattr(resampling, name) else grid, name)
    options = eval(f"dict({arguments})")
    x, y, g, dx = (GOLDEN[f"{case}/{part}"] for part in "x y g dx".split())
    tensor = st.from_numpy(x.copy()).requires_grad_()
    result = function(tensor, **options)
    assert result.shape == y.shape
    np.testing.assert_allclose(result.detach().numpy(), y, rtol=1e-11, atol=1e-11)
    grad = st.from_numpy(g.copy()).requires_grad_()
    (first,) = st.autograd.grad(result, tensor, grad, create_graph=True)
    np.testing.assert_allclose(first.detach().numpy(), dx, rtol=1e-11, atol=1e-11)
    plain = function(x, **options)
    assert isinstance(plain, np.ndarray) and np.array_equal(plain, result.detach().numpy())
    v = np.random.default_rng(0).standard_normal(x.shape)
    (second,) = st.autograd.grad((first * st.from_numpy(v)).sum(), grad)
    assert np.vdot(second.numpy(), g) == pytest.approx(np.vdot(dx, v), rel=1e-10, abs=1e-10)
    single = function(x.astype(np.float32), **options)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, y, rtol=1e-5, atol=1e-5)
    if name != "affine_grid":
        half = function(x.astype(np.float16), **options)
        assert half.dtype == np.float16
        np.testing.assert_allclose(half, y, rtol=2e-3, atol=4e-3)


@pytest.mark.parametrize("case", SAMPLES)
def test_grid_sample(case):
    options = eval(f"dict({case.partition(' ')[2]})")
    x, y, g, dx, places, dgrid = (GOLDEN[f"{case}/{part}"] for part in "x y g dx grid dgrid".split())
    a, b = (st.from_numpy(each.copy()).requires_grad_() for each in (x, places))
    result = grid.grid_sample(a, b, **options)
    np.testing.assert_allclose(result.detach().numpy(), y, rtol=1e-11, atol=1e-11)
    result.backward(st.from_numpy(g.copy()))
    np.testing.assert_allclose(a.grad.numpy(), dx, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(b.grad.numpy(), dgrid, rtol=1e-10, atol=1e-10)
    single = grid.grid_sample(x.astype(np.float32), places.astype(np.float32), **options)
    np.testing.assert_allclose(single, y, rtol=1e-4, atol=1e-4)
    # Many pixels at once, and each on its own: whole vectors and their rest.
    wide = np.concatenate([places.reshape(places.shape[0], 1, -1, places.shape[-1])] * 5, 2)
    if x.ndim == 4:
        many = grid.grid_sample(x, wide, **options)
        np.testing.assert_allclose(many, np.concatenate([y.reshape(*y.shape[:2], 1, -1)] * 5, -1), atol=1e-11)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("extent", [(1, 1), (1, 40), (40, 1), (31, 33), (7, 70)])
@pytest.mark.parametrize("output", [(1, 1), (3, 100), (100, 3), (33, 31), (64, 16)])
def test_rows_and_columns_of_any_extent(mode, extent, output):
    """Against one dense matrix for each axis, which the identity's resampling shows; both dtypes."""
    x = np.random.default_rng(0).standard_normal((2, 1, *extent))
    down = resampling.interpolate(np.eye(extent[0])[None, None], (output[0], extent[0]), mode=mode)[0, 0]
    across = resampling.interpolate(np.eye(extent[1])[None, None], (output[1], extent[1]), mode=mode)[0, 0]
    exact = down @ x @ across.T
    np.testing.assert_allclose(resampling.interpolate(x, output, mode=mode), exact, atol=1e-13)
    single = st.from_numpy(x.astype(np.float32)).requires_grad_()
    y = resampling.interpolate(single, output, mode=mode)
    np.testing.assert_allclose(y.detach().numpy(), exact, atol=2e-6)
    g = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(st.from_numpy(g.astype(np.float32)))
    dx = down.T @ g @ across
    np.testing.assert_allclose(single.grad.numpy(), dx, atol=1e-6 * (1 + abs(dx).max()) * 4)


def test_infinities_and_nan_stay_where_they_are():
    x = np.zeros((1, 1, 3, 40), np.float32)
    x[..., 1, 7], x[..., 2, 20] = np.inf, np.nan
    y = resampling.interpolate(x, scale_factor=2)
    assert np.isinf(y).sum() == 4 and np.isnan(y).sum() == 4
    tensor = st.zeros(1, 1, 3, 40).requires_grad_()
    grad = np.zeros((1, 1, 3, 17), np.float32)
    grad[..., 1, 5] = np.inf
    resampling.interpolate(tensor, (3, 17)).backward(st.from_numpy(grad))
    assert np.isinf(tensor.grad.numpy()).sum() == 1 and not np.isnan(tensor.grad.numpy()).any()
    y = resampling.interpolate(x, (7, 90), mode="bilinear")
    assert np.isnan(y[0, 0, :2]).sum() == 0 and np.isnan(y[0, 0, -1]).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_bits_on_any_number_of_threads(dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 16, 57, 61)).astype(dtype)
    places = rng.uniform(-1.2, 1.2, (3, 40, 50, 2)).astype(dtype)

    def results():
        a, b = st.from_numpy(x).requires_grad_(), st.from_numpy(places).requires_grad_()
        for mode in ("nearest", "bilinear", "bicubic"):
            y = resampling.interpolate(a, scale_factor=1.9, mode=mode)
            y.backward(y.detach())
            yield y
        y = resampling.unfold(a, 3, padding=1, stride=2)
        y.backward(y.detach())
        yield y
        y = grid.grid_sample(a, b)
        y.backward(y.detach())
        yield from (y, a.grad, b.grad)

    before = st.get_num_threads()
    try:
        st.set_num_threads(1)
        one = [each.detach().numpy().copy() for each in results()]
        st.set_num_threads(4)
        four = [each.detach().numpy().copy() for each in results()]
    finally:
        st.set_num_threads(before)
    assert all(np.array_equal(a, b) for a, b in zip(one, four, strict=True))


def test_gradcheck():
    rng = np.random.default_rng(0)
    x = st.from_numpy(rng.standard_normal((1, 2, 4, 5))).requires_grad_()
    places = st.from_numpy(rng.uniform(-0.9, 0.9, (1, 2, 3, 2))).requires_grad_()
    check = st.autograd.gradcheck
    assert check(lambda x: resampling.interpolate(x, (7, 3), mode="bicubic"), (x,))
    assert check(lambda x: resampling.interpolate(x, (3, 9), mode="bilinear", antialias=True), (x,))
    assert check(lambda x: resampling.unfold(x, 2, padding=1, dilation=2), (x,))
    for mode in ("bilinear", "bicubic"):
        assert check(lambda x, g, mode=mode: grid.grid_sample(x, g, mode), (x, places))


def test_layers():
    x = st.from_numpy(np.random.default_rng(0).standard_normal((1, 2, 4, 6)))
    same = [
        (st.nn.Upsample((3, 5), mode="bilinear"), resampling.interpolate(x, (3, 5), mode="bilinear")),
        (st.nn.UpsamplingNearest2d(scale_factor=3), resampling.interpolate(x, scale_factor=3)),
        (
            st.nn.UpsamplingBilinear2d(scale_factor=2),
            resampling.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
        ),
        (st.nn.Unfold(2, stride=2), resampling.unfold(x, 2, stride=2)),
        (st.nn.Sequential(st.nn.Unfold(2, stride=2), st.nn.Fold((4, 6), 2, stride=2)), x),
    ]
    for layer, expected in same:
        assert np.array_equal(layer(x).numpy(), expected.numpy())
    assert "scale_factor=3, mode='nearest'" in repr(same[1][0])


def test_empty():
    assert resampling.interpolate(np.zeros((0, 2, 3, 3)), scale_factor=2).shape == (0, 2, 6, 6)
    assert resampling.unfold(np.zeros((0, 2, 3, 3)), 2).shape == (0, 8, 4)
    assert resampling.fold(np.zeros((0, 8, 4)), (3, 3), 2).shape == (0, 2, 3, 3)
    assert grid.grid_sample(np.zeros((0, 2, 3, 3)), np.zeros((0, 1, 4, 2))).shape == (0, 2, 1, 4)
    assert grid.grid_sample(np.zeros((2, 0, 3, 3)), np.zeros((2, 1, 4, 2))).shape == (2, 0, 1, 4)


def test_no_number_in_the_grid_counts_as_minus_one():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    places = np.array([[[[np.nan, 0.0], [np.inf, 0.0], [1e300, -np.inf]]]])
    y = grid.grid_sample(x, places, padding_mode="border", align_corners=True)
    assert y.ravel().tolist() == [3.0, 5.0, 2.0]


def test_bad_input():
    x = np.ones((2, 3, 4, 5))
    bad = [
        (ValueError, r"either size or scale_factor", dict()),
        (ValueError, r"only one of", dict(size=3, scale_factor=2)),
        (ValueError, r"align_corners is for", dict(size=3, align_corners=True)),
        (NotImplementedError, r"needs 3 dimensions, got shape \(2, 3, 4, 5\)", dict(size=3, mode="linear")),
        (NotImplementedError, r"unknown mode 'cubic'", dict(size=3, mode="cubic")),
        (ValueError, r"size must be an int or a tuple of 2 ints", dict(size=(3, 4, 5))),
        (ValueError, r"1 ... 2³¹ - 1 elements along each axis, got \(4, 5\) and \(0, 0\)", dict(scale_factor=0.1)),
        (ValueError, r"antialias is for", dict(size=3, antialias=True)),
        (ValueError, r"positive and finite, got -1", dict(scale_factor=-1)),
        (ValueError, r"recompute_scale_factor", dict(size=3, recompute_scale_factor=True)),
    ]
    for error, text, options in bad:
        with pytest.raises(error, match=r"\[interpolate\] .*" + text):
            resampling.interpolate(x, **options)
    with pytest.raises(TypeError, match=r"must be floating point"):
        resampling.interpolate(x.astype(int), 3)
    with pytest.raises(ValueError, match=r"\(4 \+ 2·0 - 1·\(5 - 1\) - 1\) / 1\) \+ 1 = 0"):
        resampling.unfold(x, 5)
    with pytest.raises(ValueError, match=r"has 3 columns, but an output of \(3, 3\) has 2·2 = 4 windows"):
        resampling.fold(np.ones((1, 8, 3)), (3, 3), 2)
    with pytest.raises(ValueError, match=r"7 rows of columns, which the kernel's 4 elements do not divide"):
        resampling.fold(np.ones((1, 7, 4)), (3, 3), 2)
    with pytest.raises(ValueError, match=r"grid must have shape \(2, …, 2\)"):
        grid.grid_sample(x, np.ones((1, 2, 2, 2)))
    with pytest.raises(ValueError, match=r"mode must be one of bilinear, nearest, bicubic, got 'area'"):
        grid.grid_sample(x, np.ones((2, 2, 2, 2)), "area")
    with pytest.raises(TypeError, match=r"one dtype, got float64 and float32"):
        grid.grid_sample(x, np.ones((2, 2, 2, 2), np.float32))
    with pytest.raises(ValueError, match=r"theta must have shape \(N, 2, 3\)"):
        grid.affine_grid(np.ones((1, 3, 3)), (1, 1, 2, 2))
