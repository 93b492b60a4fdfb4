"""Convolutions for inference: what nn's do, with residual and activation, and never with weights of before."""

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest

import spinetail as st
from spinetail import nn

FORMS = {1: None, 2: st.channels_last, 3: st.channels_last_3d}


def pair(rank: int, activation: str = "none", dtype: st.dtype = st.float32, **options):
    """A plain convolution, the fused one with its weights, an input and a residual."""
    conv = getattr(nn, f"Conv{rank}d")(6, 8, 3, **{"padding": 1, **options}).to(dtype).eval()
    fused = getattr(nn.fused, f"Conv{rank}d").from_conv(conv, activation)
    x = st.randn(2, 6, *(7, 9, 5)[:rank], dtype=dtype)
    with st.no_grad():
        residual = st.randn(*conv(x).shape, dtype=dtype)
    return conv, fused, x, residual


def near(found: st.Tensor, wanted: st.Tensor) -> None:
    """Equal up to the dtype's rounding."""
    tolerance = {st.float16: 4e-3, st.bfloat16: 3e-2, st.float32: 1e-5, st.float64: 1e-13}[wanted.dtype]
    assert found.dtype is wanted.dtype and found.shape == wanted.shape
    a, b = (t.detach().double().numpy() for t in (found, wanted))
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("activation", nn.fused.ACTIVATIONS)
def test_every_activation_with_and_without_residual(rank, activation):
    st.manual_seed(rank)
    conv, fused, x, residual = pair(rank, activation)
    function = nn.fused.ACTIVATIONS[activation] or (lambda x: x)
    near(fused(x), function(conv(x)))
    y = fused(x, residual)
    near(y, function(conv(x) + residual))
    if FORMS[rank] is not None:
        assert y.is_contiguous(memory_format=FORMS[rank])
        turned = x.contiguous(memory_format=FORMS[rank]), residual.contiguous(memory_format=FORMS[rank])
        assert st.equal(fused(*turned), y)
    near(fused(x.numpy(), residual.numpy()), y)
    near(fused(x[0], residual[0]), y[0])


@pytest.mark.parametrize("dtype", [st.float16, st.bfloat16, st.float32, st.float64])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 2, "dilation": 2, "bias": False},
        {"groups": 2},
        {"padding": "same"},
        {"padding": "valid"},
        {"padding_mode": "reflect"},
        {"padding_mode": "circular", "stride": (2, 1), "padding": (1, 2)},
    ],
    ids=str,
)
def test_options(options, dtype):
    st.manual_seed(0)
    conv, fused, x, residual = pair(2, "relu", dtype, **options)
    assert list(fused.state_dict()) == list(conv.state_dict())
    near(fused(x, residual), st.relu(conv(x) + residual))


@pytest.mark.parametrize("dtype", [st.float16, st.float32, st.float64])
@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("channels, kernel, groups", [(64, 1, 1), (1200, 1, 1), (64, 3, 1), (64, 3, 64), (300, 5, 4)])
def test_the_residual_may_be_written_over(channels, kernel, groups, activation, dtype):
    st.manual_seed(0)
    conv = nn.Conv2d(channels, 64, kernel, padding=kernel // 2, groups=groups).to(dtype).eval()
    fused, x = nn.fused.Conv2d.from_conv(conv, activation), st.randn(1, channels, 20, 20, dtype=dtype)
    residual = st.randn(1, 64, 20, 20, dtype=dtype)
    for kept in (residual, residual.contiguous(memory_format=st.channels_last)):
        wanted, given = fused(x, kept), kept.numpy().copy(order="K")
        found = fused(x, kept, True)
        assert st.equal(found, wanted)
        laid = kept.is_contiguous(memory_format=st.channels_last) and dtype is not st.float16
        assert np.array_equal(kept.numpy(), found.numpy() if laid else given)
    given = residual.contiguous(memory_format=st.channels_last).numpy()
    given.flags.writeable = False
    assert st.equal(fused(x, st.from_numpy(given), True), wanted) and np.array_equal(given, residual.numpy())


def test_depthwise():
    st.manual_seed(0)
    conv, x = nn.Conv2d(6, 6, 3, 2, 1, groups=6).eval(), st.randn(2, 6, 9, 8)
    near(nn.fused.Conv2d.from_conv(conv, "relu6")(x), nn.functional.relu6(conv(x)))


def assign(layer):
    layer.weight = nn.Parameter(layer.weight.detach() * 2, requires_grad=False)


CHANGES = {
    "load": lambda layer: layer.load_state_dict({k: v * 2 for k, v in layer.state_dict().items()}),
    "assign": lambda layer: layer.load_state_dict({k: v * 2 for k, v in layer.state_dict().items()}, assign=True),
    "in place": lambda layer: layer.weight.detach().mul_(2),
    "bias in place": lambda layer: layer.bias.detach().add_(1),
    "attribute": assign,
    "data": lambda layer: setattr(layer.weight, "data", layer.weight.data * 2),
    "no bias": lambda layer: setattr(layer, "bias", None),
    "activation": lambda layer: setattr(layer, "activation", "tanh"),
    "stride": lambda layer: setattr(layer, "stride", (2, 2)),
    "many times": lambda layer: [layer.weight.detach().mul_(1.001) for _ in range(300)],
}


@pytest.mark.parametrize("name", CHANGES)
def test_weights_that_have_changed_are_prepared_again(name):
    _, fused, x, _ = pair(2, "relu")
    before = fused(x)
    assert fused._prepared is not None and st.equal(fused(x), before)
    prepared = fused._prepared
    CHANGES[name](fused)
    conv = nn.Conv2d(6, 8, 3, fused.stride, 1, bias=fused.bias is not None).eval()
    conv.load_state_dict(fused.state_dict())
    y = fused(x)
    near(y, nn.fused.ACTIVATIONS[fused.activation](conv(x)))
    assert not st.equal(y, before[:, :, : y.shape[2], : y.shape[3]]) and fused._prepared is not prepared
    prepared = fused._prepared
    assert st.equal(fused(x), y) and fused._prepared is prepared


def test_dtype_changes_and_back():
    conv, fused, x, _ = pair(2)
    first = fused(x)
    near(fused.double()(x.double()), conv(x.double()))
    assert st.equal(fused.float()(x), first)
    with pytest.raises(TypeError, match="dtype"):
        fused(x.double())


def test_copies_files_and_what_they_hold():
    _, fused, x, residual = pair(2, "silu")
    y = fused(x, residual)
    file = io.BytesIO()
    st.save(fused.state_dict(), file)
    file.seek(0)
    other = nn.fused.Conv2d(6, 8, 3, padding=1, activation="silu").eval()
    other.load_state_dict(st.load(file))
    for one in (copy.deepcopy(fused), pickle.loads(pickle.dumps(fused)), other):
        assert one._prepared is None and one.activation == "silu" and not one.weight.requires_grad
        assert st.equal(one(x, residual), y)
    one.weight.detach().zero_()
    assert st.equal(fused(x, residual), y)


def test_gradients_to_the_input_go_the_usual_way():
    conv, fused, x, residual = pair(2, "tanh", st.float64)
    x.requires_grad_(), residual.requires_grad_()
    fused(x, residual).sum().backward()
    found = x.grad.clone(), residual.grad.clone()
    x.grad = residual.grad = None
    st.tanh(conv(x) + residual).sum().backward()
    near(found[0], x.grad), near(found[1], residual.grad)
    with st.no_grad():
        assert not fused(x, residual).requires_grad
    assert not any(p.requires_grad for p in fused.parameters()) and not conv.weight.requires_grad


def test_errors():
    conv, fused, x, residual = pair(2)
    with pytest.raises(RuntimeError, match=r"\[FusedConv2d\] .* call eval\(\).* without prepare=True"):
        fused.train()(x)
    fused.eval()
    with pytest.raises(ValueError, match=r"activation must be one of none, relu, .*, but got 'elu'"):
        nn.fused.Conv2d(1, 1, 1, activation="elu")
    with pytest.raises(ValueError, match="activation must be one of"):
        fused.activation = None
    with pytest.raises(TypeError, match=r"\[FusedConv1d\] expected a Conv1d, but got Conv2d"):
        nn.fused.Conv1d.from_conv(conv)
    with pytest.raises(TypeError, match="expected a Conv2d, but got Linear"):
        nn.fused.Conv2d.from_conv(nn.Linear(1, 1))
    with pytest.raises(TypeError, match="expected a Tensor or an ndarray, got list"):
        fused([1.0])
    with pytest.raises(ValueError, match="5 channels"):
        fused(st.zeros(1, 5, 4, 4))
    with pytest.raises(ValueError, match="residual"):
        fused(x, residual[:, :, 1:])
    with pytest.raises((TypeError, ValueError), match="input must"):
        fused(x[0, 0])
