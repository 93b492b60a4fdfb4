"""The probes do the work that they are timed for, on every tail, and refuse what they could not finish."""

from __future__ import annotations

import numpy as np
import pytest

from spinetail._native import kernels
from spinetail.ops import probe

SIZES = [0, 1, 7, 16, 100, 1023]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("pieces", [0, 1, 5])
def test_arithmetic(dtype, pieces):
    sums, operations = np.full(pieces, np.nan, dtype), np.full(pieces, np.nan)
    kernels.probe_arithmetic(sums, operations, 1000)
    assert np.isfinite(sums).all() and (sums == sums[:1].repeat(pieces)).all()
    lanes = operations / (2 * 12 * 1000)
    assert np.isin(lanes, [2, 4, 8, 16]).all()
    # Every chain tends to 0.001 / (1 - 0.999) = 1.
    kernels.probe_arithmetic(sums, operations, 100_000)
    np.testing.assert_allclose(sums, 12 * lanes, rtol=1e-3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pieces", [1, 3])
def test_memory(size, pieces):
    x = np.random.default_rng(0).integers(0, 9, size).astype(np.float32)
    sums, y = np.full(pieces, np.nan, np.float32), np.full(size, np.nan, np.float32)
    kernels.probe_read(sums, x, 3)
    assert sums.sum() == 3 * x.sum()
    kernels.probe_copy(y, x, pieces, 2)
    assert (y == x).all()
    kernels.probe_write(y, pieces, 5)
    assert (y == 4).all()


def test_what_is_refused():
    x, y = np.ones(64, np.float32), np.ones(64, np.float32)
    for call in (
        lambda: kernels.probe_arithmetic(x, np.ones(64), 1_000_001),
        lambda: kernels.probe_arithmetic(x, np.ones(63), 1),
        lambda: kernels.probe_arithmetic(x[::2], np.ones(32), 1),
        lambda: kernels.probe_read(np.empty(1, "f4"), x, 2**26),
        lambda: kernels.probe_read(np.empty(0, "f4"), x, -1) or kernels.probe_read(np.empty(1, "f4"), x, -1),
        lambda: kernels.probe_write(y, 0, 1),
        lambda: kernels.probe_write(y, 1, 2**62),
        lambda: kernels.probe_copy(y, x[:3], 1, 1),
    ):
        with pytest.raises((ValueError, TypeError)):
            call()
    with pytest.raises(TypeError, match="expected dtype"):
        probe.arithmetic("i4")
    with pytest.raises(ValueError, match="'read', 'write' or 'copy'"):
        probe.bandwidth("move", 100)


@pytest.mark.parametrize("kind", ["read", "write", "copy"])
def test_bandwidth(kind):
    assert 1e7 < probe.bandwidth(kind, 8192, seconds=0.01) < 1e13
