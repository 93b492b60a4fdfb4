"""Placing pixels: against NumPy's indexing, on every kind of table, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
from spinetail._native import kernels
from spinetail.ops import augmentation

RNG = np.random.default_rng(0)


def reference(x, rows, columns, mean, factor, fill):
    x = (x.astype(np.float64) - mean[:, None, None]) * factor[:, None, None]
    out = np.empty((*x.shape[:2], rows.shape[1], columns.shape[1]))
    for n in range(len(x)):
        part = x[n][:, np.maximum(rows[n], 0)][:, :, np.maximum(columns[n], 0)]
        nothing = (rows[n] < 0)[:, None] | (columns[n] < 0)
        out[n] = np.where(nothing, fill[:, None, None], part)
    return out


def tables(kind, images, n, out):
    run = np.arange(out) + RNG.integers(-out, n, (images, 1))
    run = np.where((run < 0) | (run >= n), -1, run)
    return {
        "run": run,
        "turned": run[:, ::-1],
        "any": RNG.integers(-1, n, (images, out)),
        "nothing": np.full((images, out), -7),
        "repeated": np.repeat(RNG.integers(0, n, (images, 1)), out, 1),
        "holes": np.where(np.arange(out) % 3 == 1, -1, np.arange(out) % n) + np.zeros((images, 1), int),
        "two runs": np.arange(out) % n + np.zeros((images, 1), int),
    }[kind]


KINDS = ["run", "turned", "any", "nothing", "repeated", "holes", "two runs"]


@pytest.mark.parametrize("columns", KINDS)
@pytest.mark.parametrize("dtype, wanted", [("f", "f"), ("d", "d"), ("B", "f"), ("B", "d")])
def test_against_numpy(columns, dtype, wanted):
    for rows in ("run", "turned", "any", "nothing"):
        for images, channels, (h, w), (oh, ow) in (
            (3, 2, (5, 7), (4, 9)),
            (1, 1, (1, 1), (1, 1)),
            (2, 3, (40, 33), (33, 67)),
            (65, 3, (8, 8), (8, 8)),
        ):
            x = RNG.integers(0, 256, (images, channels, h, w)).astype(dtype)
            r, c = tables(rows, images, h, oh), tables(columns, images, w, ow)
            numbers = [RNG.random(channels) + 0.5 for _ in range(3)]
            out = augmentation.place(x, r, c, *numbers, np.dtype(wanted))
            assert out.dtype == wanted
            np.testing.assert_allclose(
                out, reference(x, r, c, *numbers), rtol=1e-5 if wanted == "f" else 1e-13, atol=1e-4 * (wanted == "f")
            )


def test_the_same_bits_on_any_number_of_threads_and_layout():
    x = RNG.random((64, 3, 40, 40), dtype=np.float32)
    r, c = tables("run", 64, 40, 32), tables("turned", 64, 40, 32)
    numbers = [np.array([0.1, 0.2, 0.3]), np.array([2.0, 3.0, 4.0]), np.zeros(3)]
    before, found = st.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            st.set_num_threads(count)
            found += [augmentation.place(v, r, c, *numbers) for v in (x, np.asfortranarray(x))]
    finally:
        st.set_num_threads(before)
    assert all(np.array_equal(v, found[0]) for v in found)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4), (2, 3, 0, 4), (2, 3, 4, 0)])
def test_empty(shape):
    n, c = shape[:2]
    r, k = np.full((n, 3), -1), np.full((n, 2), -1)
    out = augmentation.place(np.empty(shape), r, k, np.zeros(c), np.ones(c), np.full(c, 5.0))
    assert out.shape == (n, c, 3, 2) and (out == 5).all()


def call(**changes):
    given = {
        "output": np.empty((2, 3, 4, 5), np.float32),
        "input": np.ones((2, 3, 6, 7), np.float32),
        "rows": np.zeros((2, 4), np.int32),
        "columns": np.zeros((2, 5), np.int32),
        "mean": np.zeros(3, np.float32),
        "factor": np.ones(3, np.float32),
        "fill": np.zeros(3, np.float32),
    }
    kernels.augment_place(*{**given, **changes}.values())


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": np.full((2, 4), 6, np.int32)},
        {"columns": np.full((2, 5), 7, np.int32)},
        {"rows": np.full((2, 4), 2**31 - 1, np.int32)},
        {"rows": np.zeros((2, 3), np.int32)},
        {"rows": np.zeros((1, 4), np.int32)},
        {"columns": np.zeros((2, 4), np.int32)},
        {"rows": np.zeros((2, 4))},
        {"columns": np.zeros((2, 5), np.int64)},
        {"input": np.ones((2, 3, 6, 7))},
        {"input": np.ones((2, 3, 6, 7), np.int32)},
        {"input": np.ones((1, 3, 6, 7), np.float32)},
        {"input": np.ones((3, 6, 7), np.float32)},
        {"output": np.empty((2, 3, 4, 5), np.int32)},
        {"output": np.empty((2, 2, 4, 5), np.float32)},
        {"output": np.empty((2, 3, 4, 10), np.float32)[..., ::2]},
        {"mean": np.zeros(2, np.float32)},
        {"factor": np.ones(3)},
        {"fill": np.zeros((3, 1), np.float32)},
    ],
)
def test_the_kernel_refuses(changes):
    call()
    with pytest.raises((ValueError, TypeError, IndexError)):
        call(**changes)
