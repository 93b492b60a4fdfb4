"""Memory formats: what is copied, what keeps its layout, and convolutions that follow their input."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st


def test_formats():
    x = st.arange(120.0).reshape(2, 3, 4, 5)
    y = x.contiguous(memory_format=st.channels_last)
    assert y.stride() == (60, 1, 15, 3) and np.array_equal(y.numpy(), x.numpy())
    assert y.is_contiguous(memory_format=st.channels_last) and not y.is_contiguous()
    assert x.is_contiguous() and not x.is_contiguous(memory_format=st.channels_last)
    assert y.contiguous(memory_format=st.channels_last) is y and y.contiguous().is_contiguous()
    assert x.to(memory_format=st.channels_last).stride() == y.stride()
    assert y.to(st.float64).dtype is st.float64 and x.to(memory_format=st.preserve_format) is x
    assert not x.is_contiguous(memory_format=st.channels_last_3d)
    with pytest.raises(RuntimeError, match="takes 4 dimensions, got 3"):
        x[0].contiguous(memory_format=st.channels_last)


def test_gradients_pass_through():
    x = st.ones(1, 2, 3, 3, requires_grad=True)
    (x.contiguous(memory_format=st.channels_last) * 2).sum().backward()
    assert np.array_equal(x.grad.numpy(), np.full((1, 2, 3, 3), 2.0))


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_convolution_follows_its_input(groups):
    st.manual_seed(0)
    layer = st.nn.Conv2d(6, 12 if groups < 6 else 6, 3, stride=2, padding=1, groups=groups)
    layer = layer.to(memory_format=st.channels_last)
    results = []
    for form in (st.contiguous_format, st.channels_last):
        x = st.randn(2, 6, 9, 7, generator=st.Generator().manual_seed(1)).contiguous(memory_format=form)
        x.requires_grad_()
        y = layer(x)
        assert y.is_contiguous(memory_format=form)
        layer.zero_grad()
        (y * y).sum().backward()
        results.append([a.detach().numpy() for a in (y, x.grad, layer.weight.grad, layer.bias.grad)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [st.float32, st.float64])
@pytest.mark.parametrize("name", ["relu", "relu6", "hardswish", "silu", "sigmoid", "gelu", "tanh", "leaky_relu"])
def test_activations_keep_the_layout(name, dtype):
    function = getattr(st.nn.functional, name)
    x = st.randn(2, 24, 30, 30, dtype=dtype)
    turned = x.contiguous(memory_format=st.channels_last).requires_grad_()
    x.requires_grad_()
    wanted, found = function(x), function(turned)
    assert found.is_contiguous(memory_format=st.channels_last) and st.equal(found, wanted)
    grad = st.randn(2, 24, 30, 30, dtype=dtype)
    wanted.backward(grad)
    found.backward(grad.contiguous(memory_format=st.channels_last))
    assert st.equal(turned.grad, x.grad)
    other = turned.detach().requires_grad_()
    function(other).backward(grad)  # of the other layout
    assert st.equal(other.grad, x.grad)


@pytest.mark.parametrize("size", [4, 40])  # for NumPy and for the kernel
def test_sums_keep_the_layout(size):
    x, y = st.randn(2, 16, size, size), st.randn(2, 16, size, size)
    turned = x.contiguous(memory_format=st.channels_last)
    found = turned + y.contiguous(memory_format=st.channels_last)
    assert found.is_contiguous(memory_format=st.channels_last) and st.equal(found, x + y)
    assert st.equal(turned + y, x + y)
    turned += y
    assert turned.is_contiguous(memory_format=st.channels_last) and st.equal(turned, x + y)


@pytest.mark.parametrize("dtype", [st.float32, st.float64])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: st.nn.functional.batch_norm(x, None, None, training=True),
        lambda x: st.nn.functional.batch_norm(x, st.zeros(6, dtype=x.dtype), st.full((6,), 2.0, dtype=x.dtype)),
        lambda x: st.nn.functional.pad(x, (1, 2, -1, 3), value=3.0),
        lambda x: st.nn.functional.pad(x, (1, 2, 0, 3), mode="reflect"),
        lambda x: st.nn.functional.interpolate(x, scale_factor=2),
        lambda x: st.nn.functional.interpolate(x, (5, 13), mode="bilinear"),
        lambda x: st.nn.functional.interpolate(x, (5, 13), mode="bicubic", align_corners=True),
        lambda x: st.cat([x, 2 * x], 1),
        lambda x: x.clone(),
    ],
)
def test_functions_keep_the_layout(function, dtype):
    x = st.randn(2, 6, 7, 9, dtype=dtype)
    turned = x.contiguous(memory_format=st.channels_last).requires_grad_()
    x.requires_grad_()
    wanted, found = function(x), function(turned)
    assert wanted.is_contiguous() and found.is_contiguous(memory_format=st.channels_last)
    assert st.allclose(found, wanted, rtol=1e-5, atol=1e-5)
    grad = st.randn(*wanted.shape, dtype=dtype)
    wanted.backward(grad)
    found.backward(grad)
    assert st.allclose(turned.grad, x.grad, rtol=1e-4, atol=1e-5)
