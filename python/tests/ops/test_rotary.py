"""Rotary embedding's kernel against the formula in float64."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail
from spinetail._native import kernels
from spinetail.ops import rotary as ops

ml_dtypes = pytest.importorskip("ml_dtypes")
DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
kernels.register_bfloat16(np.dtype(ml_dtypes.bfloat16))
BOUNDS = {"float32": 2e-7, "float64": 4e-16, "float16": 6e-4, "bfloat16": 5e-3}


def reference(x, cosine, sine, interleaved, inverse=False):
    pairs = cosine.shape[-1]
    x, c, s = (a.astype(np.float64) for a in (x, cosine[:, None], sine[:, None]))
    s = -s if inverse else s
    y = x.copy()
    first, second = (slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2))
    if not interleaved:
        first, second = slice(0, pairs), slice(pairs, 2 * pairs)
    a, b = x[..., first], x[..., second]
    y[..., first], y[..., second] = a * c - b * s, b * c + a * s
    return y


def operands(shape, pairs, dtype, batch=1, seed=0):
    rng = np.random.default_rng(seed)
    exact = np.float64 if dtype == np.float64 else np.float32
    angles = rng.uniform(-9, 9, (batch, shape[2], pairs))
    return rng.standard_normal(shape).astype(dtype), np.cos(angles).astype(exact), np.sin(angles).astype(exact)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize(
    ("shape", "pairs", "batch"),
    [
        *(((1, 2, 3, width), width // 2, 1) for width in (2, 3, 6, 14, 16, 30, 32, 34, 62, 64, 66, 128, 130)),
        ((2, 3, 35, 40), 10, 2),  # some numbers stay
        ((2, 1, 17, 9), 4, 1),
        ((3, 2, 5, 4), 0, 1),
        ((0, 2, 5, 4), 2, 1),
        ((2, 2, 0, 4), 2, 2),
    ],
)
def test_kernel(shape, pairs, batch, dtype, interleaved, inverse):
    x, cosine, sine = operands(shape, pairs, dtype, batch)
    expected = reference(x, cosine, sine, interleaved, inverse)
    y = np.full_like(x, 7)
    kernels.rotary(y, x, cosine, sine, interleaved, inverse)
    limit = BOUNDS[np.dtype(dtype).name] * max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=0, atol=limit)
    kernels.rotary(x, x, cosine, sine, interleaved, inverse)  # in place
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("interleaved", [False, True])
def test_any_strides(interleaved):
    """Heads inside lengths, as a fused projection leaves them, and steps in every axis but the last."""
    fused, cosine, sine = operands((2, 9, 20, 24), 8, np.float32, 2)
    for x in (fused.swapaxes(1, 2)[:, :, :9], fused[::-1, ::2, ::-1], fused[:, :, :, 5:23][:, 1:2]):
        c, s = cosine[:, : x.shape[2]], sine[::-1, -x.shape[2] :]
        y = ops.rotate(x, (c, s), interleaved, False)
        np.testing.assert_allclose(y, reference(x, c, s, interleaved), rtol=0, atol=1e-6)
    x = fused[..., ::2]
    np.testing.assert_allclose(
        ops.rotate(x, (cosine[..., :6], sine[..., :6]), interleaved, False),
        reference(x, cosine[..., :6], sine[..., :6], interleaved),
        rtol=0,
        atol=1e-6,
    )


def test_output_lies_as_the_input():
    x = np.zeros((2, 5, 3, 8), np.float32).swapaxes(1, 2)
    y, _ = ops.rotary_embedding(x, ops.Frequencies(8, 1e4))
    assert y.strides == x.strides


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_threads_do_not_matter(dtype):
    x, cosine, sine = operands((2, 8, 500, 64), 32, dtype)
    results = []
    before = spinetail.get_num_threads()
    try:
        for threads in (1, 2, 5):
            spinetail.set_num_threads(threads)
            results.append(ops.rotate(x, (cosine, sine), True, False))
    finally:
        spinetail.set_num_threads(before)
    assert (results[0] == results[1]).all() and (results[0] == results[2]).all()


def test_nan_and_infinity_stay_in_their_pair():
    x, cosine, sine = operands((1, 1, 2, 8), 4, np.float32)
    x[0, 0, 0, 1] = np.nan
    x[0, 0, 1, 6] = np.inf
    y = ops.rotate(x, (cosine, sine), False, False)
    bad = ~np.isfinite(y)
    assert bad[0, 0, 0].tolist() == [False, True, False, False, False, True, False, False]
    assert bad[0, 0, 1].tolist() == [False, False, True, False, False, False, True, False]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({0: np.zeros((1, 2, 3, 6), np.float32)}, ValueError),
        ({0: np.zeros((1, 2, 3, 8))}, TypeError),
        ({1: np.zeros((2, 3, 8), np.float32)}, ValueError),
        ({2: np.zeros((1, 4, 4), np.float32)}, ValueError),
        ({2: np.zeros((2, 3, 4), np.float32)}, ValueError),
        ({2: np.zeros((1, 3, 5), np.float32), 3: np.zeros((1, 3, 5), np.float32)}, ValueError),
        ({2: np.zeros((3, 4), np.float32)}, ValueError),
        ({2: np.zeros((1, 3, 4)), 3: np.zeros((1, 3, 4))}, TypeError),
        ({3: np.zeros((1, 3, 4))}, TypeError),
        ({3: np.zeros((1, 3, 8), np.float32)[..., ::2]}, ValueError),
        ({0: np.zeros((1, 2, 3, 16), np.float32)[..., ::2]}, ValueError),
    ],
)
def test_what_the_kernel_refuses(change, error):
    x, cosine, sine = operands((1, 2, 3, 8), 4, np.float32)
    arguments = [np.zeros_like(x), x, cosine, sine, 0, 0]
    for place, value in change.items():
        arguments[place] = value
    with pytest.raises(error, match=r"\[rotary\]"):
        kernels.rotary(*arguments)


def test_tables():
    rotation = ops.Frequencies(6, 100.0)
    cosine, sine = ops.table(rotation, 3, 4, None, np.dtype(np.float64))
    angles = np.arange(3, 7)[:, None] * 100.0 ** (-np.arange(3) / 3)
    np.testing.assert_allclose(cosine[0], np.cos(angles), atol=1e-15)
    np.testing.assert_allclose(sine[0], np.sin(angles), atol=1e-15)
    again, _ = ops.table(rotation, 3, 100, None, np.dtype(np.float64))
    assert np.shares_memory(cosine, again), "the kept table"
    for positions in (np.array([[-2, 5]]), np.array([[10**12, 5]]), np.array([[0.5, 5.0]])):
        cosine, _ = ops.table(rotation, 0, 2, positions, np.dtype(np.float64))
        np.testing.assert_allclose(cosine, np.cos(positions[..., None] * 100.0 ** (-np.arange(3) / 3)), atol=1e-15)
    for base in range(2, 30):
        ops.table(ops.Frequencies(4, base), 0, 5, None, np.dtype(np.float32))
    assert len(ops._tables) <= ops._KEPT
