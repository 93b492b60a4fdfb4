"""Pooling and padding through both doors: PyTorch's golden values, gradients, indices, second derivatives."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

import spinetail as st
from spinetail.functional import padding, pooling

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "pooling.npz")
CASES = sorted({name.rpartition("/")[0] for name in GOLDEN.files})


@pytest.mark.parametrize("case", CASES)
def test_golden(case):
    """Values and gradients that PyTorch gave, in float64; and the second derivative, by transposition."""
    name, _, arguments = case.partition(" ")
    function = getattr(padding if name == "pad" else pooling, name)
    options = eval(f"dict({arguments})")
    x, y, g, dx = (GOLDEN[f"{case}/{part}"] for part in "x y g dx".split())
    tensor = st.from_numpy(x.copy()).requires_grad_()
    result = function(tensor, **options)
    assert result.shape == y.shape
    np.testing.assert_allclose(result.detach().numpy(), y, rtol=1e-12, atol=1e-12)
    grad = st.from_numpy(g.copy()).requires_grad_()
    (first,) = st.autograd.grad(result, tensor, grad, create_graph=True)
    np.testing.assert_allclose(first.detach().numpy(), dx, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(function(x, **options), y, rtol=1e-12, atol=1e-12)
    assert isinstance(function(x, **options), np.ndarray)
    # dx is linear in g: the derivative of <dx, v> to g, applied to g, is <dx, v>.
    v = np.random.default_rng(0).standard_normal(x.shape)
    (second,) = st.autograd.grad((first * st.from_numpy(v)).sum(), grad)
    assert np.vdot(second.numpy(), g) == pytest.approx(np.vdot(dx, v), rel=1e-10, abs=1e-10)


def test_indices():
    x = st.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 6, 6))).requires_grad_()
    y, places = pooling.max_pool2d(x, 2, return_indices=True)
    assert places.dtype == st.int64 and not places.requires_grad
    flat = x.detach().numpy().reshape(2, 3, 36)
    picked = np.take_along_axis(flat, places.numpy().reshape(2, 3, 9), -1).reshape(y.shape)
    assert np.array_equal(picked, y.detach().numpy())
    again, same = pooling.max_pool2d_with_indices(x, 2)
    assert np.array_equal(again.detach().numpy(), picked) and np.array_equal(same.numpy(), places.numpy())
    y.sum().backward()
    back = pooling.max_unpool2d(y.detach(), places, 2)
    assert np.array_equal(back.numpy() != 0, x.grad.numpy() != 0)
    z = y.detach().requires_grad_()
    (pooling.max_unpool2d(z, places, 2, output_size=(7, 6)) * 3).sum().backward()
    assert np.array_equal(z.grad.numpy(), np.full(y.shape, 3.0))
    arrays = pooling.adaptive_max_pool2d(x.detach().numpy(), 2, return_indices=True)
    assert arrays[1].dtype == np.int64 and arrays[0].shape == (2, 3, 2, 2)


def test_unpooled_extents_are_less_than_a_stride_from_the_usual():
    y, places = pooling.max_pool2d(np.arange(48.0).reshape(1, 2, 4, 6), 2, return_indices=True)
    for size in ((5, 7), (4, 6), (1, 2, 5, 5)):
        if np.prod(size[-2:]) >= 24:
            assert pooling.max_unpool2d(y, places, 2, output_size=size).shape[2:] == size[-2:]
    for size in ((6, 6), (4, 4), (2, 6), (4, 8), (1, 2, 4, 9)):
        with pytest.raises(ValueError, match=r"\[max_unpool2d\] output_size .* does not fit"):
            pooling.max_unpool2d(y, places, 2, output_size=size)
    for size in ((4,), (2, 4, 6), (1, 1, 2, 4, 6)):
        with pytest.raises(ValueError, match=r"\[max_unpool2d\] output_size must have 2 or 4 elements"):
            pooling.max_unpool2d(y, places, 2, output_size=size)


def test_ties_give_the_gradient_to_the_first():
    x = st.ones(1, 1, 4, 4).requires_grad_()
    pooling.max_pool2d(x, 2).sum().backward()
    assert x.grad.numpy()[0, 0].tolist() == [[1, 0, 1, 0], [0] * 4, [1, 0, 1, 0], [0] * 4]


def test_signatures_are_those_of_pytorch():
    assert str(inspect.signature(pooling.max_pool2d)) == (
        "(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False)"
    )
    assert set(pooling.__all__) <= set(vars(pooling))
    assert pooling.avg_pool3d.__name__ == "avg_pool3d" and "volumes" in pooling.avg_pool3d.__doc__


def test_bad_input():
    x = np.ones((2, 3, 4))
    with pytest.raises(TypeError, match=r"\[max_pool2d\] input must be a Tensor or an ndarray, got list"):
        pooling.max_pool2d([1.0], 2)
    with pytest.raises(ValueError, match=r"\[pad\] pad must hold a pair for each of at most 3 axes"):
        padding.pad(x, (1, 2, 3))
    with pytest.raises(ValueError, match=r"takes 0 ... 3 elements beside an axis of extent 4, got \(4, 0\)"):
        padding.pad(x, (4, 0), mode="reflect")
    with pytest.raises(ValueError, match=r"the result would have extent 4 \+ -3 \+ -2 = -1"):
        padding.pad(x, (-3, -2))
    with pytest.raises(NotImplementedError, match=r"\[pad\] unknown mode 'mirror'"):
        padding.pad(x, (1, 1), mode="mirror")
    with pytest.raises(TypeError, match=r"\[pad\] pad must be a sequence of ints"):
        padding.pad(x, (1.5, 2))
