import math

import numpy as np
import pytest

from spinetail._native import kernels
from spinetail.autograd import Tensor, make
from spinetail.nn import utils


def leaf(array, grad=None):
    tensor = make(Tensor, np.array(array), True)
    if grad is not None:
        tensor.grad = make(Tensor, np.array(grad))
    return tensor


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", [1.0, 2.0, 3.0, 0.5, math.inf])
def test_total_norm(order, dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in [(3, 4), (), (0,), (50_001,), (17,)]]
    flat = np.concatenate([a.reshape(-1) for a in arrays]).astype(np.float64)
    expected = np.abs(flat).max() if order == math.inf else (np.abs(flat) ** order).sum() ** (1 / order)
    norms = []
    before = kernels.get_num_threads()
    try:
        for threads in (1, 2):
            kernels.set_num_threads(threads)
            norms.append(utils.get_total_norm([make(Tensor, a) for a in arrays], order)._array)
    finally:
        kernels.set_num_threads(before)
    assert norms[0] == norms[1] and norms[0].dtype == dtype
    np.testing.assert_allclose(norms[0], expected, rtol=1e-6 if dtype == np.float32 else 1e-12)
    strided = [np.repeat(a[..., None], 2, -1)[..., 0] for a in arrays]
    np.testing.assert_allclose(utils.get_total_norm(strided, order)._array, norms[0])


def test_float32_squares_do_not_overflow():
    assert utils.get_total_norm([np.array([3e30, 4e30], np.float32)]).item() == pytest.approx(5e30)


def test_clip_grad_norm():
    p = leaf([0.0, 0.0, 0.0], [3.0, 4.0, 0.0])
    frozen = leaf([1.0])
    norm = utils.clip_grad_norm_([p, frozen], 1.0)
    assert isinstance(norm, Tensor) and norm._array == 5.0
    np.testing.assert_allclose(p.grad._array, [0.6, 0.8, 0.0], atol=1e-6)
    before = p.grad._array.copy()
    assert utils.clip_grad_norm_(p, 2.0)._array == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_array_equal(p.grad._array, before)
    assert utils.clip_grad_norm_([frozen], 1.0)._array == 0.0
    assert utils.clip_grad_norm_([leaf([0.0], [0.0])], 1.0)._array == 0.0
    assert utils.clip_grad_norm_(iter([leaf([0.0], [2.0])]), 1.0)._array == 2.0
    version = p.grad._version
    utils.clip_grad_norm_(p, 0.1)
    assert p.grad._version == version + 1


def test_clip_grad_norm_with_values_that_are_not_finite():
    p, q = leaf([0.0, 0.0], [math.inf, 1.0]), leaf([0.0], [2.0])
    assert utils.clip_grad_norm_([p, q], 1.0)._array == math.inf
    np.testing.assert_array_equal(p.grad._array, [math.nan, 0.0])
    np.testing.assert_array_equal(q.grad._array, [0.0])
    for order in (1.0, 2.0, 3.0, math.inf):
        p = leaf([0.0] * 40, [1.0] * 20 + [math.nan] + [3.0] * 19)
        with pytest.raises(RuntimeError, match="non-finite"):
            utils.clip_grad_norm_(p, 1.0, order, error_if_nonfinite=True)
        assert np.isnan(utils.clip_grad_norm_(p, 1.0, order)._array)
        assert np.isnan(p.grad._array).all()
    with pytest.raises(ValueError, match="norm_type > 0"):
        utils.clip_grad_norm_(p, 1.0, -1)


def test_clip_bare_gradients():
    g, h = np.array([[3.0]]), np.array([4.0], np.float32)
    assert utils.clip_grad_norm_([g, h], 1.0)._array == 5.0
    np.testing.assert_allclose([g[0, 0], h[0]], [0.6, 0.8], atol=1e-6)
    with pytest.raises(TypeError, match="expected dtype float32 or float64"):
        utils.clip_grad_norm_([np.ones(3, int)], 1.0)
    with pytest.raises(ValueError, match="read-only"):
        utils.clip_grad_norm_(np.broadcast_to(np.float64(3.0), (2, 2)), 1.0)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 40_000])
def test_clip_grad_value(size):
    values = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    values[3:4] = np.nan
    p = leaf(np.zeros(size, np.float32), values)
    utils.clip_grad_value_(p, 0.5)
    np.testing.assert_array_equal(p.grad._array, np.clip(values, -0.5, 0.5))
    strided = np.repeat(values[:, None], 2, 1)[:, 0]
    utils.clip_grad_value_(strided, 0.5)
    np.testing.assert_array_equal(strided, np.clip(values, -0.5, 0.5))


def test_parameters_and_vector():
    parameters = [leaf(np.arange(6.0).reshape(2, 3)), leaf(7.0)]
    vector = utils.parameters_to_vector(parameters)
    np.testing.assert_array_equal(vector.detach()._array, [0, 1, 2, 3, 4, 5, 7])
    vector.sum().backward()
    np.testing.assert_array_equal(parameters[0].grad._array, np.ones((2, 3)))
    utils.vector_to_parameters(make(Tensor, np.arange(7.0) * 2), parameters)
    np.testing.assert_array_equal(parameters[0]._array, [[0, 2, 4], [6, 8, 10]])
    assert parameters[1]._array == 12.0 and parameters[1].requires_grad
    with pytest.raises(ValueError, match=r"expected a vector of shape \(7,\)"):
        utils.vector_to_parameters(make(Tensor, np.ones(6)), parameters)
    with pytest.raises(TypeError, match="to be a Tensor"):
        utils.vector_to_parameters(np.ones(7), parameters)
