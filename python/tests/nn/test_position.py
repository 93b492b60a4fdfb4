"""Positional encodings."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
import spinetail.nn as nn


def formula(positions, width, base=10000.0):
    found = np.empty((len(positions), width))
    for i in range(width):
        angle = np.asarray(positions) / base ** (2 * (i // 2) / width)
        found[:, i] = np.cos(angle) if i % 2 else np.sin(angle)
    return found


@pytest.mark.parametrize("width", [1, 6, 7])
@pytest.mark.parametrize("dtype", [st.float32, st.float64])
def test_sinusoids(width, dtype):
    encoding = nn.SinusoidalPositionalEncoding(width, base=100.0)
    x = st.randn(9, 2, width, dtype=dtype)
    y = encoding(x)
    assert y.dtype == dtype
    eps = 1e-14 if dtype == st.float64 else 1e-6
    np.testing.assert_allclose(
        (y - x).numpy(), np.broadcast_to(formula(range(9), width, 100.0)[:, None], y.shape), atol=eps
    )
    first = nn.SinusoidalPositionalEncoding(width, base=100.0, batch_first=True)
    np.testing.assert_array_equal(first(x.transpose(0, 1)).numpy(), y.transpose(0, 1).numpy())
    np.testing.assert_array_equal(encoding(x[:, 0]).numpy(), y[:, 0].numpy())
    np.testing.assert_array_equal(encoding(x[5:], offset=5).numpy(), y[5:].numpy())
    far = encoding(st.zeros(1, 1, width, dtype=st.float64), offset=5000)
    np.testing.assert_allclose(far[:, 0].numpy(), formula([5000], width, 100.0), atol=1e-12)
    assert not encoding.state_dict()


def test_learned():
    encoding = nn.LearnedPositionalEncoding(4, max_len=10)
    assert list(encoding.state_dict()) == ["weight"] and encoding.weight.shape == (10, 4)
    assert 0.005 < float(encoding.weight.std()) < 0.05
    x = st.randn(6, 3, 4)
    y = encoding(x, offset=2)
    np.testing.assert_array_equal(y.detach().numpy(), x.numpy() + encoding.weight.detach().numpy()[2:8, None])
    y.sum().backward()
    expected = np.zeros((10, 4))
    expected[2:8] = 3
    np.testing.assert_array_equal(encoding.weight.grad.numpy(), expected)
    encoding.double()
    assert st.autograd.gradcheck(lambda x, w: encoding(x), (st.randn(5, 4, dtype=st.float64), encoding.weight))


@pytest.mark.parametrize("make", [nn.SinusoidalPositionalEncoding, nn.LearnedPositionalEncoding])
def test_dropout_and_errors(make):
    encoding = make(4, dropout=0.5, max_len=8, batch_first=True)
    x = st.full((2, 8, 4), 100.0)
    assert (encoding(x) == 0).any() and not (encoding.eval()(x) == 0).any()
    with pytest.raises(ValueError, match="3 positions from 6 on do not fit into max_len = 8"):
        encoding(st.zeros(1, 3, 4), offset=6)
    with pytest.raises(ValueError, match=r"\(N, L, d\)"):
        encoding(st.zeros(1, 3, 5))
    with pytest.raises(ValueError, match="offset"):
        encoding(st.zeros(1, 3, 4), offset=-1)
    with pytest.raises(ValueError, match="above 0"):
        make(0, max_len=3)
