"""`fuse` with `prepare`: the same outputs from convolutions that are ready for inference, and nothing fused wrongly."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from cases_fuse import Ways, ready, same
from golden.vision_cases import CASES, images, weight

import spinetail as st
from spinetail import nn
from spinetail.compress import prune
from spinetail.compress.restructure import fuse

F = nn.functional
GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "vision.npz")
FUSED = (nn.fused.Conv1d, nn.fused.Conv2d, nn.fused.Conv3d)


def fused_layers(model) -> dict[str, str]:
    return {path: module.activation for path, module in model.named_modules() if isinstance(module, FUSED)}


@pytest.mark.parametrize("name", CASES)
def test_logits_of_known_networks(name):
    kind, options, _ = CASES[name]
    model = getattr(st.models, kind)(**options)
    model.load_state_dict({key: weight(key, value.shape) for key, value in model.state_dict().items()})
    x = st.from_numpy(images(name).astype(np.float32))
    folded, fused = fuse(model.eval(), x), fuse(model, x, prepare=True)
    assert list(fused.state_dict()) == list(folded.state_dict())
    assert not [m for m in fused.modules() if type(m) in (nn.Conv2d, nn.BatchNorm2d, nn.ReLU6)]
    expected = GOLDEN[f"{name}/logits"]
    close = dict(rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(fused(x).detach().numpy(), expected, **close)
    with st.inference_mode():
        np.testing.assert_allclose(fused(x).numpy(), expected, **close)
    np.testing.assert_allclose(fused(x.clone().requires_grad_()).detach().numpy(), expected, **close)
    twice = fuse(fused, x, prepare=True)
    assert st.equal(twice(x), fused(x)) and fused_layers(twice) == fused_layers(fused)
    if name.startswith("resnet") and "small" not in name:
        found = fused_layers(fused)
        ends = [path for path, end in found.items() if end == "none"]
        assert all("downsample" in path for path in ends) and len(ends) == 3 + (name == "resnet50")
        assert not [m for m in fused.modules() if isinstance(m, nn.ReLU)]


def test_by_order_in_sequential():
    model = ready(
        nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.Sequential(nn.Identity(), nn.SiLU()),
            nn.Conv2d(4, 4, 1),
            nn.Identity(),
            nn.Hardswish(),
            nn.Conv2d(4, 4, 1),
            nn.GELU("tanh"),
            nn.Conv2d(4, 4, 1),
            nn.Softmax(1),
            nn.ConvTranspose2d(4, 2, 2),
            nn.ReLU(),
            nn.Conv2d(2, 2, 1, padding_mode="reflect", padding=1),
            nn.ReLU(inplace=True),
        )
    )
    x = st.randn(2, 3, 8, 8)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    by_order = {"0": "none", "3": "hardswish", "6": "gelu_tanh", "8": "none", "12": "relu"}
    for fused, found in ((fuse(model, prepare=True), by_order), (fuse(model, x, True), {**by_order, "0": "silu"})):
        assert fused_layers(fused) == found
        assert isinstance(fused[5], nn.Identity) and not fused[5].training and isinstance(fused[9], nn.Softmax)
        same(model, fused, x)
    assert all(st.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model[0].weight.requires_grad and not fused[0].weight.requires_grad and fused[10].weight.requires_grad
    assert type(fuse(nn.Conv2d(1, 1, 1).eval(), prepare=True)) is nn.fused.Conv2d


class Readers(nn.Module):
    """Activations that must stay, each for its reason, and two that need not."""

    def __init__(self):
        super().__init__()
        self.a, self.read_twice = nn.Conv2d(3, 3, 1), nn.ReLU()
        self.b, self.c, self.run_twice = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.ReLU()
        self.d, self.hooked = nn.Conv2d(3, 3, 1), nn.ReLU()
        self.hooked.register_forward_hook(lambda module, inputs, output: output * 2)
        self.e, self.after_sum = nn.Conv2d(3, 3, 1), nn.ReLU()
        self.f, self.good = nn.Conv2d(3, 3, 1), nn.Tanh()
        self.g, self.good_too = nn.Conv2d(3, 3, 1), nn.ReLU(inplace=True)
        self.h = nn.Conv2d(3, 3, 1)
        self.h.register_forward_hook(lambda module, inputs, output: output * 2)
        self.called_twice, self.i = nn.Conv2d(3, 3, 1), nn.ReLU()

    def forward(self, x):
        y = self.a(x)
        x = self.read_twice(y) + y
        x = self.run_twice(self.b(x)) + self.run_twice(self.c(x))
        x = self.hooked(self.d(x))
        x = self.after_sum(self.e(x) + x)
        x = self.good(self.f(x))
        x = self.good_too(self.g(x))
        x = F.relu(self.h(x))
        return self.i(self.called_twice(self.called_twice(x)))


def test_what_must_stay_stays():
    st.manual_seed(0)
    model, x = Readers().eval(), st.randn(2, 3, 5, 5)
    fused = fuse(model, x, prepare=True)
    ends = {path: end for path, end in fused_layers(fused).items() if end != "none"}
    assert ends == {"f": "tanh", "g": "relu"}
    assert type(fused.h) is nn.Conv2d and type(fused.called_twice) is nn.fused.Conv2d
    same(model, fused, x)
    model, x = ready(Ways()), st.randn(3, 3, 3, 3)
    fused = fuse(model, x, prepare=True)
    assert {"tied", "other", "hooked"}.isdisjoint(fused_layers(fused))
    for wanted, found in zip(model(x), fused(x), strict=True):
        np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol=1e-4, atol=1e-5)
    masked = prune.magnitude(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), 0.5)
    assert not fused_layers(fuse(masked, prepare=True)) and fused_layers(fuse(prune.finalize(masked), prepare=True))


@pytest.mark.parametrize("form", [st.contiguous_format, st.channels_last])
def test_outputs_that_hooks_keep_are_not_written_over(form):
    st.manual_seed(0)
    model = ready(st.models.resnet50(num_classes=4))
    x = st.randn(1, 3, 64, 64)
    fused = fuse(model, x, prepare=True)
    group = fused.layer1
    y = st.randn(1, 64, 16, 16).contiguous(memory_format=form)
    given = y.clone()
    with st.inference_mode():
        wanted = group(y).clone()
        assert st.equal(y, given) and st.equal(group(y), wanted)
        outputs = [y]
        for block in group:
            outputs.append(block(outputs[-1]))
        assert st.equal(outputs[-1], wanted)
        seen = {}
        for path in ("0", "0.conv3", "1.conv1", "1.conv3", "2.conv1", "0.downsample.0", "0.downsample"):
            module = group.get_submodule(path)
            handle = module.register_forward_hook(lambda m, i, o, path=path: seen.update({path: (i[0], o)}))
            assert st.equal(group(y), wanted)
            handle.remove()
            module.__dict__.pop("_hooked")
            for tensor, expected in zip(seen[path], kept(group, path, y), strict=True):
                assert st.equal(tensor, expected), path
        assert st.equal(y, given) and st.equal(outputs[0], given)


def kept(group, path, y):
    """Copies of the input and the output of a part."""
    found = []
    module = group.get_submodule(path)
    handle = module.register_forward_hook(lambda m, i, o: found.extend((i[0].clone(), o.clone())))
    group(y)
    handle.remove()
    module.__dict__.pop("_hooked")
    return found


class Block(nn.Module):
    """A block of a user's own that says how it is fused."""

    def __init__(self, answer=None):
        super().__init__()
        self.conv, self.act, self.answer = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), answer
        self.summed = False

    def forward(self, x):
        return self.conv(x, x) if self.summed else self.act(self.conv(x) + x)

    def to_fused(self):
        if self.answer is not None:
            return self.answer
        if nn.fused.ready(self.conv):
            self.conv.activation, self.summed = "relu", True
        return self


def test_modules_say_how_they_are_fused():
    model, x = nn.Sequential(Block(), Block()).eval(), st.randn(1, 3, 6, 6)
    hooked = copy.deepcopy(model)
    hooked[1].register_forward_hook(lambda module, inputs, output: output * 2)
    fused = fuse(model, prepare=True)
    assert fused[0].summed and fused[1].summed and not model[0].summed
    same(model, fused, x)
    assert not fuse(model)[0].summed
    fused = fuse(hooked, prepare=True)
    assert fused[0].summed and not fused[1].summed
    same(hooked, fused, x)
    flat = nn.Flatten().eval()
    assert type(fuse(Block(flat).eval(), prepare=True)) is nn.Flatten
    with pytest.raises(TypeError, match=r"Block.to_fused\(\) should give a Module, but gave int"):
        fuse(Block(3).eval(), prepare=True)


def test_blocks_with_hooks_or_changes_of_their_own_are_left():
    st.manual_seed(0)
    model = ready(st.models.resnet18(num_classes=4))
    x = st.randn(1, 3, 32, 32)
    model.layer1[0].bn2.register_forward_hook(lambda module, inputs, output: output * 2)
    model.layer2[0].relu.register_forward_hook(lambda module, inputs, output: output * 2)
    model.layer3[1].relu = nn.SiLU().eval()

    class Own(type(model.layer4[1])):
        def forward(self, x):
            return super().forward(x) * 2

    model.layer4[1].__class__ = Own
    fused = fuse(model, x, prepare=True)
    for path in ("layer1.0", "layer2.0", "layer3.1", "layer4.1"):
        assert type(fused.get_submodule(path)) is type(model.get_submodule(path))
    assert type(fused.layer1[1]).__name__ == "_Joined"
    same(model, fused, x)


def test_a_prepared_model_is_for_inference():
    model = ready(st.models.mobilenet_v2(num_classes=4, width_mult=0.35))
    x = st.randn(1, 3, 32, 32)
    fused = fuse(model, x, prepare=True)
    same(model, fused, x)
    with pytest.raises(RuntimeError, match=r"is for inference, but is in training mode"):
        fused.train()(x)
    fused.eval()
    same(model, copy.deepcopy(fused), x)
    other = fuse(ready(st.models.mobilenet_v2(num_classes=4, width_mult=0.35)), x, prepare=True)
    other(x)
    other.load_state_dict(fused.state_dict())
    same(model, other, x)
    with pytest.raises(ValueError, match="expected a model in evaluation mode"):
        fuse(model.train(), x, prepare=True)


def test_a_prepared_model_can_be_pruned():
    x = st.randn(1, 3, 8, 8)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3)).eval()
    fused = fuse(model, prepare=True)
    fused(x)
    prune.magnitude(fused, 0.5)
    model.load_state_dict(fused.state_dict())
    same(model, fused, x)
    same(model, prune.finalize(fused), x)
    small = prune.channels(fused, ratio=0.5, example=x)
    assert small[0].out_channels == 4 and small(x).shape == (1, 8, 4, 4)


def test_reports_know_prepared_models():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()))
    x = st.randn(2, 3, 8, 8)
    fused = fuse(model, x, prepare=True)
    assert st.evaluate.footprint(fused, x).macs == st.evaluate.footprint(fuse(model, x), x).macs > 0
    assert set(st.evaluate.latency({"before": model, "after": fused}, x, repeats=5)) == {"before", "after"}
    st.evaluate.compare({"before": model, "after": fused}, (x, fused(x)), batch_size=1, repeats=5)
