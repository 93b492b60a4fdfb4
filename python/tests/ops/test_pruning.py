import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinetail._native import kernels
from spinetail.ops import pruning as ops


def reference(arrays, count):
    """False for the `count` smallest magnitudes, the earlier one of equals first, by a stable sort."""
    flat = np.abs(np.concatenate([a.reshape(-1).astype(np.float64) for a in arrays]))
    keep = np.ones(flat.size, bool)
    keep[np.argsort(flat, kind="stable")[:count]] = False
    cuts = np.cumsum([a.size for a in arrays])[:-1]
    return [k.reshape(a.shape) for k, a in zip(np.split(keep, cuts), arrays, strict=True)]


def check(arrays, count):
    masks = ops.magnitude_masks(arrays, count)
    for mask, expected, array in zip(masks, reference(arrays, count), arrays, strict=True):
        assert mask.dtype == np.bool_ and mask.shape == array.shape
        np.testing.assert_array_equal(mask, expected)


VALUES = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "equal": lambda rng, n: np.full(n, -2.5),
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.5, -0.0, 0.0),
    "few": lambda rng, n: rng.integers(-3, 4, n).astype(float),
    "mostly zero": lambda rng, n: np.where(rng.random(n) < 0.9, 0, rng.standard_normal(n)),
    "wide": lambda rng, n: np.exp(rng.uniform(-80, 80, n)),
    "tiny": lambda rng, n: rng.standard_normal(n) * 1e-42,
    "infinite": lambda rng, n: np.where(rng.random(n) < 0.3, -np.inf, rng.standard_normal(n)),
    "close": lambda rng, n: 1 + rng.integers(0, 9, n) * 2.0**-23,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("size", [1, 2, 16, 17, 1000])
def test_exact_counts_and_ties(values, size, dtype):
    w = VALUES[values](np.random.default_rng(size), size).astype(dtype)
    for count in {0, 1, size // 3, size // 2, size - 1, size}:
        check([w], count)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("values", VALUES)
def test_large_and_many_with_any_number_of_threads(values, dtype):
    rng = np.random.default_rng(0)
    arrays = [VALUES[values](rng, n).astype(dtype) for n in (200_001, 0, 1, 65_536, 70_000)]
    before = kernels.get_num_threads()
    try:
        for threads in (1, 2):
            kernels.set_num_threads(threads)
            for count in (1, 33_333, 270_000, 335_538):
                check(arrays, count)
    finally:
        kernels.set_num_threads(before)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=60), st.data())
def test_any_numbers(values, data):
    check([np.array(values, np.float32)], data.draw(st.integers(0, len(values))))
    check([np.array(values)], data.draw(st.integers(0, len(values))))


def test_mixed_dtypes_and_layouts():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((5, 7)).astype(np.float32), rng.standard_normal((4, 6))
    c = np.asfortranarray(rng.integers(-2, 3, (6, 5)).astype(np.float64))
    for count in (0, 1, 40, 76, 77):
        check([a, b[::-1, ::2], c], count)
    # A 0-d array counts for the common dtype too: 1 + 1e-12 is larger than 1 only in float64.
    first, second = ops.magnitude_masks([np.array(1 + 1e-12), np.ones(1, np.float32)], 1)
    assert first and not second[0]


def test_select():
    assert ops.select([np.array([3.0, -1.0, 2.0, 1.0])], 2) == (1.0, 2, 2)
    assert ops.select([np.array([3.0, -1.0]), np.array([2.0, 1.0], np.float64)], 1) == (1.0, 1, 2)
    w = np.random.default_rng(2).standard_normal(100_000).astype(np.float32)
    for count in (1, 5, 50_000, 99_999, 100_000):
        assert ops.select([w], count)[0] == np.partition(np.abs(w), count - 1)[count - 1]


def test_apply():
    rng = np.random.default_rng(3)
    for dtype in (np.float32, np.float64):
        arrays = [rng.standard_normal(n).astype(dtype) for n in (0, 1, 15, 16, 17, 40_000)]
        masks = [rng.random(a.size) < 0.5 for a in arrays]
        expected = [np.where(m, a, 0) for a, m in zip(arrays, masks, strict=True)]
        ops.apply_masks(arrays, masks)
        for a, e in zip(arrays, expected, strict=True):
            np.testing.assert_array_equal(a, e)
    w, mask = np.asfortranarray(rng.standard_normal((4, 5))), rng.random((4, 5)) < 0.5
    expected = np.where(mask, w, 0)
    ops.apply_mask(w, mask)
    np.testing.assert_array_equal(w, expected)
    w = np.array([np.nan, np.inf, -1.0])
    ops.apply_mask(w, np.array([False, False, True]))
    np.testing.assert_array_equal(w, [0, 0, -1])


def test_bad_input():
    w = np.array([[1.0, 2.0], [np.nan, 3.0]])
    with pytest.raises(ValueError, match=r"\[magnitude_masks\] array 1 holds NaN at \(1, 0\)"):
        ops.magnitude_masks([np.ones(3), w], 2)
    negative = np.array([1.0, -np.nan], np.float32)
    with pytest.raises(ValueError, match=r"\[select\] array 0 holds NaN at \(1,\)"):
        ops.select([negative], 1)
    for count in (-1, 4):
        with pytest.raises(ValueError, match=f"count from 0 to 3, the number of elements, got {count}"):
            ops.magnitude_mask(np.ones(3), count)
    with pytest.raises(ValueError, match="count from 1 to 3"):
        ops.select([np.ones(3)], 0)
    with pytest.raises(TypeError, match="array 0: expected dtype float32 or float64, got int64"):
        ops.magnitude_mask(np.ones(3, int), 1)
    with pytest.raises(TypeError, match="MaskedArray"):
        ops.magnitude_mask(np.ma.masked_array(np.ones(3)), 1)
    with pytest.raises(ValueError, match="mask 0 has shape"):
        ops.apply_mask(np.ones(3), np.ones(4, bool))
    with pytest.raises(TypeError, match="mask 0: expected an ndarray of dtype bool, got int64"):
        ops.apply_mask(np.ones(3), np.ones(3, int))
    with pytest.raises(ValueError, match="1 arrays and 2 masks"):
        ops.apply_masks([np.ones(3)], [np.ones(3, bool)] * 2)
    w = np.ones(3)
    w.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        ops.apply_mask(w, np.ones(3, bool))
    assert ops.magnitude_masks([], 0) == []
    assert ops.magnitude_mask(np.ones((0, 3)), 0).shape == (0, 3)
