"""The key-value cache: views, pages, rewinding, stored dtypes."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
from spinetail.nn import KVCache

RNG = np.random.default_rng(0)


def pieces(count, batch=2, heads=3, width=4, values=5, dtype=np.float32):
    return (RNG.standard_normal((batch, heads, count, each)).astype(dtype) for each in (width, values))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_views_of_all_so_far(dtype):
    cache = KVCache(2, 3, 4, 5, dtype=dtype, page_size=4)
    keys, values = [], []
    for count in (3, 1, 1, 0, 9, 1):
        key, value = pieces(count, dtype=dtype)
        keys.append(key)
        values.append(value)
        found = cache.append(key, value)
        assert cache.length == sum(k.shape[2] for k in keys) <= cache.capacity and cache.capacity % 4 == 0
        for array, expected, own in zip(found, (keys, values), (cache.keys, cache.values), strict=True):
            assert isinstance(array, np.ndarray) and array.base is not None
            np.testing.assert_array_equal(array, np.concatenate(expected, 2))
            np.testing.assert_array_equal(array, own.numpy())
    size = np.dtype(dtype).itemsize
    assert cache.nbytes == 2 * 3 * cache.capacity * (4 + 5) * size
    assert np.shares_memory(cache.append(*pieces(1, dtype=dtype))[0], cache.keys.numpy())


def test_tensors_give_tensors():
    cache = KVCache(2, 3, 4, 5)
    keys, values = cache.append(*map(st.from_numpy, pieces(2)))
    assert isinstance(keys, st.Tensor) and values.shape == (2, 3, 2, 5)


def test_rewind_and_reset():
    cache = KVCache(2, 3, 4, 5, page_size=2)
    key, value = pieces(7)
    cache.append(key, value)
    memory = cache.capacity
    cache.rewind(4)
    again, other = pieces(2)
    keys, values = cache.append(again, other)
    np.testing.assert_array_equal(keys, np.concatenate([key[:, :, :4], again], 2))
    np.testing.assert_array_equal(values, np.concatenate([value[:, :, :4], other], 2))
    cache.reset()
    assert cache.length == 0 and cache.capacity == memory and cache.keys.shape == (2, 3, 0, 4)
    for length in (-1, 1):
        with pytest.raises(ValueError, match="from 0 to 0"):
            cache.rewind(length)


def test_growth_is_geometric_and_a_maximum_is_kept():
    cache = KVCache(1, 1, 2, page_size=2)
    sizes = set()
    for _ in range(200):
        cache.append(*pieces(1, 1, 1, 2, 2))
        sizes.add(cache.capacity)
    assert len(sizes) < 14 and max(sizes) < 400
    limited = KVCache(1, 1, 2, page_size=4, max_length=6)
    assert limited.capacity == 8
    limited.append(*pieces(6, 1, 1, 2, 2))
    with pytest.raises(ValueError, match="6 and 1 more"):
        limited.append(*pieces(1, 1, 1, 2, 2))
    assert limited.length == 6


@pytest.mark.parametrize("given", [np.float32, np.float64, np.float16])
def test_int8(given):
    cache = KVCache(2, 3, 64, dtype=st.int8, page_size=8)
    key, value = pieces(8, width=64, values=64, dtype=given)
    value[0, 0, 3] = 0
    found = cache.append(key, value)
    for array, exact in zip(found, (key, value), strict=True):
        assert array.dtype == np.float32
        exact = exact.astype(np.float64)
        largest = np.abs(exact).max(-1, keepdims=True)
        assert (np.abs(array - exact) <= largest / 254 * (1 + 1e-5)).all()
    assert cache.nbytes == 2 * 2 * 3 * 8 * (64 + 4)
    with pytest.raises(ValueError, match="finite"):
        cache.append(np.full((2, 3, 1, 64), np.nan), np.zeros((2, 3, 1, 64)))


def test_bfloat16():
    cache = KVCache(2, 3, 4, 5, dtype=st.bfloat16, page_size=8)
    key, value = pieces(3)
    keys, _ = cache.append(key, value)
    assert keys.dtype == np.float32
    assert (np.abs(keys - key) <= np.abs(key) * 2.0**-8 * (1 + 1e-6)).all()
    assert cache.nbytes == 2 * 3 * 8 * 9 * 2
    assert "bfloat16, 3 of 8 positions" in repr(cache)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda c, k, v: c.append(k[:1], v), ValueError, "expected key of shape"),
        (lambda c, k, v: c.append(k, v[..., :4]), ValueError, "expected value of shape"),
        (lambda c, k, v: c.append(k, v[:, :, :1]), ValueError, "key has 2 positions, but value has 1"),
        (lambda c, k, v: c.append(k.astype(np.float64), v), TypeError, "does not take"),
        (lambda c, k, v: c.append(k.tolist(), v), TypeError, "list"),
        (lambda c, k, v: c.append(st.tensor(k, requires_grad=True), v), RuntimeError, "no_grad"),
        (lambda c, k, v: KVCache(0, 1, 1), ValueError, "above 0"),
        (lambda c, k, v: KVCache(1, 1, 1, dtype=st.int64), TypeError, "expected one of"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call(KVCache(2, 3, 4, 5), *pieces(2))


def test_decoding_with_it_equals_attention_at_once():
    attend = st.nn.functional.scaled_dot_product_attention
    q = RNG.standard_normal((2, 6, 7, 4)).astype(np.float32)
    key, value = pieces(7)
    whole = attend(q, key, value, is_causal=True, enable_gqa=True)
    cache = KVCache(2, 3, 4, 5)
    steps = []
    for i in range(7):
        keys, values = cache.append(key[:, :, i : i + 1], value[:, :, i : i + 1])
        steps.append(attend(q[:, :, i : i + 1], keys, values, enable_gqa=True))
    np.testing.assert_allclose(np.concatenate(steps, 2), whole, atol=1e-6)
