"""Arithmetic of arrays that may be large."""

from __future__ import annotations

import numpy as np
import pytest

from spinetail._native import kernels
from spinetail.ops import arithmetic as ops


def pair(size, dtype=np.float32, start=0):
    """Arrays whose memory does not begin at a line of the cache."""
    rng = np.random.default_rng(size)
    return [rng.standard_normal(size + 3).astype(dtype)[start : size + start] for _ in range(2)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 32_767, 32_768, 100_001, 1_000_000])
def test_sums_are_numpys(size, dtype):
    x, y = pair(size, dtype, 1)
    if size > 2:
        x[:2], y[1:3] = np.inf, np.nan
    expected = x + y
    assert np.array_equal(ops.add(x, y), expected, equal_nan=True)
    out = np.full(size, 7, dtype)
    assert ops.add(x, y, out) is out and np.array_equal(out, expected, equal_nan=True)
    assert ops.add(x, y, x) is x and np.array_equal(x, expected, equal_nan=True)


def test_kernel_takes_any_size():
    for size in (1, 7, 16, 33):
        x, y = pair(size)
        assert np.array_equal(kernels.add(1, x, y), x + y)


def test_what_is_not_plain_is_numpys():
    x, y = (a.reshape(400, 500) for a in pair(200_000))
    assert np.array_equal(ops.add(x.T, y.T), (x + y).T)
    assert np.array_equal(ops.add(x, y.astype(np.float64)), x + y.astype(np.float64))
    assert np.array_equal(ops.add(x, y[0]), x + y[0])
    assert np.array_equal(ops.add(x, 2.0), x + 2)
    assert np.array_equal(ops.add(x[:, ::2], y[:, ::2]), (x + y)[:, ::2])
    counts = np.arange(200_000)
    assert np.array_equal(ops.add(counts, counts), 2 * counts)
    out = np.zeros((500, 400), np.float32).T
    assert ops.add(x, y, out) is out and np.array_equal(out, x + y)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads(threads):
    x, y = pair(3_000_000)
    before = kernels.get_num_threads()
    kernels.set_num_threads(threads)
    try:
        assert np.array_equal(ops.add(x, y), np.add(x, y))
    finally:
        kernels.set_num_threads(before)
