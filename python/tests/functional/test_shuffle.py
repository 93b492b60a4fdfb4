"""Pixels and channels that trade places, against the equations; gradients and errors."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
import spinetail.nn.functional as F


def test_pixel_shuffle_is_its_equation_and_unshuffle_the_opposite():
    x = np.arange(2 * 18 * 2 * 4, dtype=np.int16).reshape(2, 18, 2, 4)
    y = F.pixel_shuffle(x, 3)
    assert type(y) is np.ndarray and y.dtype == np.int16 and y.shape == (2, 2, 6, 12)
    for n, c, h, w, i, j in np.ndindex(2, 2, 2, 4, 3, 3):
        assert y[n, c, 3 * h + i, 3 * w + j] == x[n, 9 * c + 3 * i + j, h, w]
    assert np.array_equal(F.pixel_unshuffle(y, 3), x)
    assert F.pixel_shuffle(x[0], 1).shape == (18, 2, 4) and F.pixel_shuffle(x[:, None], 3).shape == (2, 1, 2, 6, 12)
    assert F.pixel_unshuffle(np.zeros((0, 3, 4, 4)), 2).shape == (0, 12, 2, 2)


def test_channel_shuffle_is_its_equation():
    x = st.arange(2 * 6 * 3).reshape(2, 6, 3)
    y = F.channel_shuffle(x, 3)
    for k, i in np.ndindex(2, 3):
        assert st.equal(y[:, k * 3 + i], x[:, i * 2 + k])
    assert st.equal(F.channel_shuffle(y, 2), x) and st.channel_shuffle is F.channel_shuffle


@pytest.mark.parametrize(("function", "factor"), [(F.pixel_shuffle, 2), (F.pixel_unshuffle, 2), (F.channel_shuffle, 4)])
def test_gradients(function, factor):
    x = st.randn(1, 8, 2, 4, dtype=st.float64, requires_grad=True)
    assert st.autograd.gradcheck(lambda x: function(x, factor), (x,))
    assert st.autograd.gradgradcheck(lambda x: function(x * x, factor), (x,))


@pytest.mark.parametrize(
    ("name", "shape", "factor", "text"),
    [
        ("pixel_shuffle", (1, 6, 2, 2), 2, r"6 channels of input \(1, 6, 2, 2\) are not a multiple of .* = 4"),
        ("pixel_unshuffle", (1, 4, 5), 2, "4×5 pixels .* are not multiples of downscale_factor = 2"),
        ("channel_shuffle", (1, 5, 2), 2, "5 channels .* are not a multiple of groups=2"),
        ("pixel_shuffle", (4, 4), 2, r"at least 3 dimensions, got shape \(4, 4\)"),
        ("pixel_unshuffle", (4, 4, 4), 0, "downscale_factor must be positive, got 0"),
        ("channel_shuffle", (4, 4, 4), -1, "groups must be positive, got -1"),
    ],
)
def test_errors(name, shape, factor, text):
    with pytest.raises(ValueError, match=rf"\[{name}\] .*{text}"):
        getattr(F, name)(np.zeros(shape), factor)


def test_wrong_kinds():
    with pytest.raises(TypeError, match=r"upscale_factor must be an int, got 2\.0"):
        F.pixel_shuffle(np.zeros((4, 1, 1)), 2.0)
    with pytest.raises(ValueError, match=r"\[ZeroPad2d\] padding should be 4 integers or one, but got \(1, 2\)"):
        st.nn.ZeroPad2d((1, 2))
    with pytest.raises(ValueError, match=r"\[LPPool1d\] norm_type must not be 0"):
        st.nn.LPPool1d(0, 2)
    with pytest.raises(ValueError, match=r"\[lp_pool1d\] norm_type must not be 0"):
        F.lp_pool1d(np.ones((1, 1, 4)), 0, 2)
