"""rotary_embedding and RotaryEmbedding: conventions, positions, scalings, gradients, errors."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
from spinetail.functional.rotary import rotary_embedding

RNG = np.random.default_rng(0)


def llama(x, base=10000.0, frequencies=None):
    """The rotation as transformers' modeling_llama writes it: x·cos + rotate_half(x)·sin."""
    length, width = x.shape[-2:]
    if frequencies is None:
        frequencies = 1.0 / base ** (np.arange(0, width, 2) / width)
    angles = np.outer(np.arange(length), frequencies)
    angles = np.concatenate([angles, angles], -1)
    half = np.concatenate([-x[..., width // 2 :], x[..., : width // 2]], -1)
    return x * np.cos(angles) + half * np.sin(angles)


def paper(x, base=10000.0):
    """The same over neighbours, as complex numbers."""
    length, width = x.shape[-2:]
    angles = np.outer(np.arange(length), 1.0 / base ** (np.arange(0, width, 2) / width))
    turned = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)
    return np.stack([turned.real, turned.imag], -1).reshape(x.shape)


@pytest.mark.parametrize("shape", [(7, 6), (3, 7, 6), (2, 3, 7, 6), (2, 2, 3, 7, 6)])
def test_conventions(shape):
    x = RNG.standard_normal(shape)
    np.testing.assert_allclose(rotary_embedding(x), llama(x), atol=1e-14)
    np.testing.assert_allclose(rotary_embedding(x, interleaved=True, base=50.0), paper(x, 50.0), atol=1e-14)
    single = rotary_embedding(x.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, llama(x), atol=1e-6)


def test_products_depend_on_the_distance_alone():
    q, k = RNG.standard_normal((2, 1, 16))
    products = [rotary_embedding(q, offset=p + 5) @ rotary_embedding(k, offset=p).T for p in (0, 3, 1000)]
    np.testing.assert_allclose(products[1:], products[:1] * 2, atol=1e-11)


def test_offsets_and_positions():
    x = RNG.standard_normal((2, 3, 8, 6))
    whole = rotary_embedding(x)
    np.testing.assert_array_equal(rotary_embedding(x[:, :, 5:], offset=5), whole[:, :, 5:])
    places = np.array([7, 0, 3, 3])
    np.testing.assert_array_equal(rotary_embedding(x[:, :, places], places), whole[:, :, places])
    each = np.stack([np.arange(8), np.arange(8)[::-1]])
    turned = rotary_embedding(x, each)
    np.testing.assert_array_equal(turned[0], whole[0])
    np.testing.assert_array_equal(turned[1], rotary_embedding(x[1:, :, ::-1])[0, :, ::-1])
    np.testing.assert_array_equal(rotary_embedding(x[:, 0], each), turned[:, 0])
    np.testing.assert_array_equal(rotary_embedding(st.tensor(x), st.tensor(each)).numpy(), turned)
    np.testing.assert_allclose(rotary_embedding(rotary_embedding(x, each), -each), x, atol=1e-14)


def test_only_the_first_numbers_turn():
    x = RNG.standard_normal((2, 5, 10))
    y = rotary_embedding(x, rotary_dim=4)
    np.testing.assert_allclose(y[..., :4], llama(x[..., :4]), atol=1e-14)
    np.testing.assert_array_equal(y[..., 4:], x[..., 4:])


def test_scalings():
    x = RNG.standard_normal((4, 64, 128))
    plain = 1.0 / 10000 ** (np.arange(0, 128, 2) / 128)
    np.testing.assert_allclose(rotary_embedding(x, scaling=4.0), llama(x, frequencies=plain / 4), atol=1e-13)
    linear = {"rope_type": "linear", "factor": 4.0}
    np.testing.assert_array_equal(rotary_embedding(x, scaling=linear), rotary_embedding(x, scaling=4.0))
    np.testing.assert_array_equal(rotary_embedding(x, scaling={"type": "default"}), rotary_embedding(x))
    ntk = rotary_embedding(x, scaling={"type": "ntk", "factor": 8.0})
    np.testing.assert_allclose(ntk, llama(x, base=10000 * 8 ** (128 / 126)), atol=1e-12)

    wavelengths, smooth = 2 * np.pi / plain, (8192 * plain / 2 / np.pi - 1) / 3  # as transformers has it
    frequencies = np.where(wavelengths > 8192, plain / 8, (1 - smooth) * plain / 8 + smooth * plain)
    frequencies = np.where(wavelengths < 8192 / 4, plain, frequencies)
    options = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    llama3 = rotary_embedding(x, scaling={"rope_type": "llama3", "factor": 8.0, **options})
    np.testing.assert_allclose(llama3, llama(x, frequencies=frequencies), atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [{}, {"interleaved": True}, {"offset": 9, "base": 7.0}, {"rotary_dim": 2}, {"scaling": 2.0}],
)
def test_gradients(options):
    x = st.tensor(RNG.standard_normal((2, 3, 6)), requires_grad=True)
    assert st.autograd.gradcheck(lambda x: rotary_embedding(x, **options), (x,))
    assert st.autograd.gradgradcheck(lambda x: rotary_embedding(x, **options).square(), (x,))
    places = st.tensor([[4, 0, 2], [1, 1, 1]])
    assert st.autograd.gradcheck(lambda x: rotary_embedding(x, places, **options), (x,))
    with st.no_grad():
        assert not rotary_embedding(x, **options).requires_grad


@pytest.mark.parametrize("dtype", [st.float16, st.bfloat16])
def test_half_precision(dtype):
    x = st.randn(2, 5, 8).to(dtype).requires_grad_()
    y = rotary_embedding(x)
    assert y.dtype == dtype
    y.sum().backward()
    assert x.grad.dtype == dtype
    exact = llama(x.detach().to(st.float64).numpy())
    np.testing.assert_allclose(y.detach().to(st.float64).numpy(), exact, atol=0.02 if dtype == st.bfloat16 else 2e-3)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: rotary_embedding(x[0]), ValueError, "length, width"),
        (lambda x: rotary_embedding(x[:, :5]), ValueError, "even width"),
        (lambda x: rotary_embedding(x, rotary_dim=8), ValueError, "heads have 6"),
        (lambda x: rotary_embedding(x, rotary_dim=0), ValueError, "even width"),
        (lambda x: rotary_embedding(x, base=0.0), ValueError, "base"),
        (lambda x: rotary_embedding(x.astype(int)), TypeError, "int64"),
        (lambda x: rotary_embedding(x.tolist()), TypeError, "list"),
        (lambda x: rotary_embedding(x, np.arange(3)), ValueError, "positions of shape"),
        (lambda x: rotary_embedding(x, np.zeros((3, 4), int)), ValueError, "positions of shape"),
        (lambda x: rotary_embedding(x, np.ones(4, bool)), TypeError, "positions"),
        (lambda x: rotary_embedding(x, scaling=0.0), ValueError, "above 0"),
        (lambda x: rotary_embedding(x, scaling={"rope_type": "yarn"}), ValueError, "yarn"),
        (lambda x: rotary_embedding(x, scaling={"rope_type": "llama3", "factor": 8}), ValueError, "low_freq_factor"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call(np.ones((4, 6)))


def test_module():
    rotary = st.nn.RotaryEmbedding(4, base=100.0, interleaved=True, scaling=2.0)
    x = st.randn(2, 3, 5, 6)
    expected = rotary_embedding(x, base=100.0, rotary_dim=4, interleaved=True, scaling=2.0, offset=3)
    assert (rotary(x, offset=3) == expected).all()
    assert (rotary(x, st.arange(3, 8)) == expected).all()
    assert repr(rotary) == "RotaryEmbedding(4, base=100, interleaved=True, scaling=2.0)"
    assert not list(rotary.state_dict())
    with pytest.raises(ValueError, match="even width"):
        st.nn.RotaryEmbedding(5)
