"""LeNet, VGG, ResNet and MobileNetV2: torchvision's states, logits, gradients and statistics; starting values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden.vision_cases import CASES, FUNCTIONS, direction, images, weight

import spinetail as st

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "vision.npz")
STATES = json.loads(str(GOLDEN["states"]))


def made(name: str, dtype: type = np.float64) -> st.nn.Module:
    kind, options, _ = CASES[name]
    model = getattr(st.models, kind)(**options).to(dtype)
    state = {key: weight(key, value.shape) for key, value in model.state_dict().items()}
    assert not any(model.load_state_dict(state, strict=True))
    return model


@pytest.mark.parametrize("name", FUNCTIONS)
def test_state_has_torchvisions_keys_and_shapes_in_order(name):
    state = getattr(st.models, name)(**FUNCTIONS[name]).state_dict()
    assert [(key, list(value.shape)) for key, value in state.items()] == list(map(tuple, STATES[name].items()))


@pytest.mark.parametrize("name", CASES)
def test_logits(name):
    model = made(name, np.float32).eval()
    logits = model(st.from_numpy(images(name).astype(np.float32))).detach().numpy()
    expected = GOLDEN[f"{name}/logits"]
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", CASES)
def test_training(name):
    """In float64: outputs, a number for each gradient, running statistics."""
    model = made(name)
    for module in model.modules():
        if isinstance(module, st.nn.Dropout):
            module.p = 0.0
    output = model(st.from_numpy(images(name)))
    np.testing.assert_allclose(output.detach().numpy(), GOLDEN[f"{name}/trained"], rtol=1e-8, atol=1e-10)
    (output * output).sum().backward()
    found = [(p.grad.numpy() * direction(key, p.shape)).sum() for key, p in model.named_parameters()]
    expected = GOLDEN[f"{name}/gradients"]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())
    buffers = [buffer.double().sum().item() for buffer in model.buffers()]
    np.testing.assert_allclose(buffers, GOLDEN[f"{name}/buffers"], rtol=1e-9)


def test_starting_values():
    st.manual_seed(0)
    model = st.models.resnet18(num_classes=10, small_images=True)
    assert model.layer2[0].conv1.weight.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)
    bound = 512**-0.5
    assert 0.95 * bound < model.fc.weight.abs().max().item() <= bound and model.fc.bias.abs().max().item() > 0
    small = st.models.VGG((16,), num_classes=50, hidden=64, size=4)
    assert small.features[0].bias.abs().max().item() == 0 and small.classifier[6].bias.abs().max().item() == 0
    assert small.classifier[0].weight.std().item() == pytest.approx(0.01, rel=0.02)


def test_zero_init_residual_starts_blocks_as_the_identity():
    for model in (
        st.models.resnet18(zero_init_residual=True, num_classes=2, small_images=True),
        st.models.ResNet(st.models.resnet.Bottleneck, (2, 1, 1, 1), num_classes=2, zero_init_residual=True),
    ):
        block = model.layer1[1].eval()
        x = st.rand(1, block.conv1.in_channels, 4, 4)
        assert st.equal(block(x), x)


def test_a_small_resnet_learns():
    st.manual_seed(0)
    model = st.models.resnet18(num_classes=3, small_images=True)
    x, y = st.randn(6, 3, 8, 8), st.tensor([0, 1, 2, 2, 1, 0])
    optimizer = st.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for _ in range(12):
        optimizer.zero_grad()
        loss = st.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_errors():
    with pytest.raises(ValueError, match="width_per_group=64 and no dilation, but got groups=2"):
        st.models.resnet18(groups=2)
    with pytest.raises(ValueError, match="None or three bools"):
        st.models.resnet50(replace_stride_with_dilation=(True,))
    with pytest.raises(ValueError, match="inverted_residual_setting should have"):
        st.models.MobileNetV2(inverted_residual_setting=((1, 2, 3),))
