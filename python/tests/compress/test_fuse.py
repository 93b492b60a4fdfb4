"""Models without their batch norms: the same outputs, and nothing folded that must not be."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from cases_fuse import NORMS, Ways, ready, same

import spinetail as st
from spinetail import nn
from spinetail.compress import prune
from spinetail.compress.restructure import fuse


def left(model) -> list[str]:
    return [path for path, module in model.named_modules() if isinstance(module, NORMS)]


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2", "vgg11_bn"])
def test_known_networks(name):
    st.manual_seed(0)
    model = ready(getattr(st.models, name)(num_classes=4, **({"hidden": 8} if name == "vgg11_bn" else {})))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x = st.randn(2, 3, 40, 32)
    fused = fuse(model, x)
    assert not left(fused)
    same(model, fused, x)
    assert all(st.equal(value, before[key]) for key, value in model.state_dict().items())
    inside = [path for path, _ in fused.named_modules()]
    assert inside == [path for path, _ in model.named_modules()]
    with st.inference_mode():
        same(model, fused, x)


def test_by_order_in_sequential():
    model = ready(
        nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(4, 6, 2, groups=2, bias=False), nn.BatchNorm2d(6)),
            nn.Flatten(),
            nn.Linear(6 * 49, 5, bias=False),
            nn.BatchNorm1d(5, affine=False),
            nn.ReLU(),
        )
    )
    x = st.randn(2, 3, 8, 8)
    for fused in (fuse(model), fuse(model, x), fuse(model, x.numpy())):
        assert not left(fused) and isinstance(fused[1], nn.Identity) and not fused[1].training
        same(model, fused, x)
    assert left(model) == ["1", "2.2", "5"]


def test_what_must_stay_stays():
    st.manual_seed(0)
    model = ready(Ways())
    x = st.randn(3, 3, 3, 3)
    fused = fuse(model, x)
    assert left(fused) == [f"norm_{letter}" for letter in "abcdefgijk"]
    for wanted, found in zip(model(x), fused(x), strict=True):
        np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol=1e-4, atol=1e-5)
    # A masked layer keeps its masks, so its norm stays too.
    masked = prune.magnitude(ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))), 0.5)
    assert left(fuse(masked)) == ["1"] and left(fuse(prune.finalize(masked))) == []


def test_ways_of_the_example_and_a_subclass():
    class Own(nn.Conv2d):
        def forward(self, input):
            return super().forward(input) * 2

    model = ready(nn.Sequential(Own(3, 4, 1), nn.BatchNorm2d(4)))
    assert left(fuse(model)) == left(fuse(model, st.zeros(1, 3, 2, 2))) == ["1"]
    frozen = ready(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))).requires_grad_(False)
    fused = fuse(frozen, (st.randn(1, 3, 2, 2),))
    assert not left(fused) and not any(p.requires_grad for p in fused.parameters())
    assert len(list(copy.deepcopy(fused).state_dict())) == 2
    once = nn.BatchNorm2d(4)
    shared = ready(nn.Sequential(nn.Conv2d(3, 4, 1), once, nn.Conv2d(4, 4, 1), once))
    assert left(fuse(shared)) == ["1"]


def test_training_is_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    with pytest.raises(ValueError, match=r"in evaluation mode, but it is training: call model.eval\(\)"):
        fuse(model)
    model.eval()[1].train()
    with pytest.raises(ValueError, match="its module '1' is training"):
        fuse(model, st.zeros(1, 3, 2, 2))
    with pytest.raises(TypeError, match="expected a Module, but got int"):
        fuse(3)
