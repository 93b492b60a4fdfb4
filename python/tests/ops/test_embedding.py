import numpy as np
import pytest

from spinetail._native import kernels
from spinetail.ops import embedding as ops


@pytest.mark.parametrize("columns", [0, 1, 3, 16, 17, 64, 65, 200])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_and_backward(columns, index, dtype):
    rng = np.random.default_rng(0)
    w = rng.standard_normal((11, columns)).astype(dtype)
    i = rng.integers(0, 11, (4, 9)).astype(index)
    y = ops.embedding(i, w)
    np.testing.assert_array_equal(y, w[i])
    g = rng.standard_normal(y.shape).astype(dtype)
    for padding in (None, 0, 10):
        for frequency in (False, True):
            expected = np.zeros(w.shape)
            counts = np.bincount(i.reshape(-1), minlength=11)
            for row, gradient in zip(i.reshape(-1), g.reshape(i.size, columns), strict=True):
                if row != padding:
                    expected[row] += gradient.astype(np.float64) / (counts[row] if frequency else 1)
            actual = ops.embedding_backward(g, i, 11, padding, frequency)
            assert actual.dtype == dtype
            np.testing.assert_allclose(actual, expected, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.int64, np.bool_])
def test_tables_of_any_dtype(dtype):
    w = np.arange(12).reshape(4, 3).astype(dtype)
    np.testing.assert_array_equal(ops.embedding(np.array([3, 0]), w), w[[3, 0]])


@pytest.mark.parametrize("columns", [8, 100, 600])
def test_threads_do_not_matter(columns):
    rng = np.random.default_rng(1)
    i = rng.integers(0, 50, 40_000)
    g = rng.standard_normal((40_000, columns)).astype(np.float32)
    w = rng.standard_normal((50, columns)).astype(np.float32)
    before = kernels.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            kernels.set_num_threads(threads)
            results.append((ops.embedding(i, w), ops.embedding_backward(g, i, 50)))
    finally:
        kernels.set_num_threads(before)
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    expected = np.zeros((50, columns))
    np.add.at(expected, i, g)
    np.testing.assert_allclose(results[0][1], expected, atol=2e-3)


def test_large_gradients_are_cleared():
    """Their memory is an earlier output's."""
    i = np.array([70_000, 3, 3])
    for value in (1.0, 2.0):
        actual = ops.embedding_backward(np.full((3, 9), value, np.float32), i, 70_001)
        assert actual[3, 0] == 2 * value and actual[70_000, 8] == value and actual.sum() == 27 * value
        del actual
    assert not ops.embedding_backward(np.zeros((0, 9), np.float32), np.zeros(0, int), 70_001).any()


def test_layouts_and_zero_sizes():
    w = np.random.default_rng(2).standard_normal((6, 5))
    i = np.array([[0, 5], [2, 1], [4, 3]])
    for table in (np.asfortranarray(w), np.repeat(w, 2, 1)[:, ::2]):
        np.testing.assert_array_equal(ops.embedding(i.T, table), w[i.T])
    g = np.asfortranarray(np.random.default_rng(3).standard_normal((3, 2, 5)))
    np.testing.assert_array_equal(ops.embedding_backward(g, i, 6)[5], g[0, 1])
    assert ops.embedding(np.zeros((0, 3), int), w).shape == (0, 3, 5)
    assert ops.embedding_backward(np.zeros((0, 5)), np.zeros(0, int), 6).shape == (6, 5)
    assert ops.embedding(np.array(2), w).shape == (5,)


def test_renormalize():
    w = np.array([[3.0, 4.0], [0.3, 0.4], [30.0, 40.0]])
    ops.renormalize(np.array([0, 1, 0]), w, 1.0)
    np.testing.assert_allclose(w, [[0.6, 0.8], [0.3, 0.4], [30.0, 40.0]], rtol=1e-6)


def test_bad_input():
    w = np.ones((4, 3))
    with pytest.raises(
        IndexError, match=r"\[embedding\] index 4 at position \(1, 0\) is out of range \(expected 0 <= index < 4"
    ):
        ops.embedding(np.array([[0, 1], [4, -1]]), w)
    with pytest.raises(IndexError, match=r"index -1 at position \(0,\)"):
        ops.embedding(np.array([-1]), w)
    with pytest.raises(IndexError, match="index 2147483648"):
        ops.embedding(np.array([2**31]), w)
    with pytest.raises(IndexError, match=r"\[embedding_backward\] index 9"):
        ops.embedding_backward(np.ones((1, 3)), np.array([9]), 4)
    with pytest.raises(IndexError, match="index 0"):
        ops.embedding(np.array([0]), np.ones((0, 3)))
    with pytest.raises(TypeError, match="int64 or int32, got float64"):
        ops.embedding(np.array([1.0]), w)
    with pytest.raises(ValueError, match="2-D"):
        ops.embedding(np.array([0]), np.ones(4))
    with pytest.raises(TypeError, match="got list"):
        ops.embedding([0], w)
    with pytest.raises(ValueError, match="grad_output has shape"):
        ops.embedding_backward(np.ones((2, 3)), np.array([0]), 4)
    with pytest.raises(TypeError, match="float32 or float64, got int64"):
        ops.embedding_backward(np.ones((1, 3), int), np.array([0]), 4)
    frozen = np.ones((4, 3))
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        ops.renormalize(np.array([0]), frozen, 1.0)
