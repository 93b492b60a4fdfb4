"""Batch norms folded into layers: the fused layer computes what both do."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
from spinetail import nn


def settled(norm):
    """A norm with statistics, scales and shifts that are not the starting ones, in evaluation mode."""
    rng = np.random.default_rng(1)
    for value, low in ((norm.running_mean, -1.0), (norm.running_var, 0.3), (norm.weight, -1.0), (norm.bias, -1.0)):
        if value is not None:
            value.detach().copy_(st.from_numpy(rng.uniform(low, 2.0, value.shape)))
    return norm.eval()


CASES = [
    (nn.Conv1d(4, 6, 3, padding=1), nn.BatchNorm1d(6), (2, 4, 7), False),
    (nn.Conv2d(4, 6, 3, bias=False, groups=2), nn.BatchNorm2d(6), (2, 4, 7, 5), False),
    (
        nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"),
        nn.BatchNorm2d(3, eps=0.1, affine=False),
        (1, 2, 5, 5),
        False,
    ),
    (nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4, bias=False), (1, 4, 5, 5), False),
    (nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3), (1, 2, 3, 4, 3), False),
    (nn.ConvTranspose1d(4, 6, 3, stride=2), nn.BatchNorm1d(6), (2, 4, 5), True),
    (nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6), (2, 4, 3, 4), True),
    (nn.ConvTranspose3d(2, 4, 2), nn.BatchNorm3d(4), (1, 2, 2, 3, 2), True),
]


@pytest.mark.parametrize(("conv", "norm", "shape", "transpose"), CASES, ids=lambda v: type(v).__name__)
def test_convolution(conv, norm, shape, transpose):
    conv, norm = conv.eval().double(), settled(norm).double()
    fused = nn.utils.fuse_conv_bn_eval(conv, norm, transpose)
    x = st.randn(*shape, dtype=st.float64)
    np.testing.assert_allclose(fused(x).detach().numpy(), norm(conv(x)).detach().numpy(), rtol=1e-12, atol=1e-12)
    assert type(fused) is type(conv) and fused.weight.dtype == st.float64 and isinstance(fused.bias, nn.Parameter)
    assert fused.weight is not conv.weight and fused.weight.requires_grad


@pytest.mark.parametrize("bias", [True, False])
def test_linear(bias):
    linear, norm = nn.Linear(4, 3, bias=bias).eval(), settled(nn.BatchNorm1d(3))
    linear.weight.requires_grad_(False)
    fused = nn.utils.fuse_linear_bn_eval(linear, norm)
    x = st.randn(5, 4)
    np.testing.assert_allclose(fused(x).detach().numpy(), norm(linear(x)).detach().numpy(), rtol=1e-5, atol=1e-6)
    assert not fused.weight.requires_grad and fused.bias.requires_grad is bias
    one = settled(nn.BatchNorm1d(1))
    narrow = nn.utils.fuse_linear_bn_eval(nn.Linear(4, 1).eval(), one)
    assert narrow(x).shape == (5, 1)


def test_weights_from_arrays_and_none():
    w, b = nn.utils.fuse_conv_bn_weights(
        np.ones((2, 1, 1), np.float32),
        None,
        np.array([1.0, 2.0]),
        np.array([3.0, 8.0]),
        1.0,
        None,
        np.array([0.5, 0.0]),
    )
    assert w.dtype == b.dtype == st.float32 and not w.requires_grad
    assert w.flatten().tolist() == pytest.approx([0.5, 1 / 3]) and b.tolist() == pytest.approx([0.0, -2 / 3])


def test_errors():
    conv, norm = nn.Conv2d(2, 3, 3).eval(), nn.BatchNorm2d(3)
    with pytest.raises(AssertionError, match=r"the BatchNorm2d is training: call eval\(\)"):
        nn.utils.fuse_conv_bn_eval(conv, norm)
    with pytest.raises(AssertionError, match="the Linear is training"):
        nn.utils.fuse_linear_bn_eval(nn.Linear(2, 2), norm.eval())
    with pytest.raises(AssertionError, match="no running statistics"):
        nn.utils.fuse_conv_bn_eval(conv, nn.BatchNorm2d(3, track_running_stats=False).eval())
    with pytest.raises(ValueError, match="the norm has 4 channels, but the layer in front has 3 outputs"):
        nn.utils.fuse_conv_bn_eval(conv, nn.BatchNorm2d(4).eval())
    with pytest.raises(ValueError, match="the norm has 4 channels, but each group has 3 outputs"):
        nn.utils.fuse_conv_bn_eval(nn.ConvTranspose2d(2, 3, 3).eval(), nn.BatchNorm2d(4).eval(), transpose=True)
