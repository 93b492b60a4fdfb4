import numpy as np
import pytest

from spinetail._native import kernels
from spinetail.ops import random as ops

MASK = 0xFFFFFFFF


def philox(counter, key):
    """One block of Philox 4x32-10, in plain integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(b >> 32) ^ c[1] ^ k[0], b & MASK, (a >> 32) ^ c[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def reference(count, seed, offset):
    key = (seed & MASK, seed >> 32)
    result = np.empty((count + 31) // 32 * 32, np.uint32)
    for block in range(result.size // 32):
        for lane in range(8):
            n = 8 * block + lane
            words = philox((n & MASK, n >> 32, offset & MASK, offset >> 32), key)
            for word in range(4):
                result[32 * block + 8 * word + lane] = words[word]
    return result[:count]


def test_reference_against_published_numbers():
    """The known answers of the generator's authors (Random123, kat_vectors)."""
    assert philox((0,) * 4, (0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox((MASK,) * 4, (MASK, MASK)) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    assert philox(pi, (0xA4093822, 0x299F31D0)) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 100, 1000])
@pytest.mark.parametrize("seed, offset", [(0, 0), (12345, 7), (2**64 - 1, 2**63), (2**63, 2**40 + 3)])
def test_bits(count, seed, offset):
    np.testing.assert_array_equal(ops.bits(count, seed, offset).view(np.uint32), reference(count, seed, offset))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (1,), (7, 5), (33,), (3, 4, 50)])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.999])
def test_dropout(shape, dtype, p):
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    kept = reference(x.size, 5, 9).reshape(shape).astype(np.int64) >= round(p * 2**32)
    y = ops.dropout(x, p, 5, 9)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, np.where(kept, x * dtype(1 / (1 - p)), 0))
    y = ops.dropout(x, p, 5, 9, 2.0, 1.0, -3.0)
    np.testing.assert_allclose(y, np.where(kept, x * 2 + 1, -3), rtol=1e-6, atol=1e-6)


def test_shares():
    y = ops.dropout(np.ones(1_000_000, np.float32), 0.3, 1, 1)
    assert abs((y == 0).mean() - 0.3) < 0.002
    other = ops.dropout(np.ones(1_000_000, np.float32), 0.3, 1, 2)
    assert abs(((y == 0) & (other == 0)).mean() - 0.09) < 0.002
    neighbours = (y[1:] == 0) & (y[:-1] == 0)
    assert abs(neighbours.mean() - 0.09) < 0.002


def test_everything_dropped():
    np.testing.assert_array_equal(ops.dropout(np.full(5, np.nan), 1.0, 0, 0), np.zeros(5))
    np.testing.assert_array_equal(ops.dropout(np.array([np.nan, np.inf]), 1 - 1e-12, 0, 0), np.zeros(2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_and_layouts_do_not_matter(dtype):
    x = np.random.default_rng(0).standard_normal((300, 501)).astype(dtype)
    before = kernels.get_num_threads()
    try:
        kernels.set_num_threads(1)
        one = ops.dropout(x, 0.4, 3, 4)
        kernels.set_num_threads(2)
        two = ops.dropout(x, 0.4, 3, 4)
    finally:
        kernels.set_num_threads(before)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, ops.dropout(np.asfortranarray(x), 0.4, 3, 4))
    target = np.asfortranarray(x)
    ops.dropout(x, 0.4, 3, 4, out=target)
    np.testing.assert_array_equal(one, target)
    ops.dropout(x, 0.4, 3, 4, out=x)
    np.testing.assert_array_equal(one, x)


def test_bad_input():
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 1.5"):
        ops.dropout(np.ones(3), 1.5, 0, 0)
    with pytest.raises(ValueError, match="between 0 and 1, but got nan"):
        ops.dropout(np.ones(3), float("nan"), 0, 0)
    with pytest.raises(TypeError, match="float32 or float64, got int64"):
        ops.dropout(np.ones(3, int), 0.5, 0, 0)
    with pytest.raises(TypeError, match="MaskedArray"):
        ops.dropout(np.ma.masked_array(np.ones(3)), 0.5, 0, 0)
    frozen = np.ones(3)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        ops.dropout(frozen, 0.5, 0, 0, out=frozen)
