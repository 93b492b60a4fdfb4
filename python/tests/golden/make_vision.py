"""Writes vision.npz with torchvision: states, logits, gradients and statistics of its networks for images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn
from torchvision.models import vgg
from vision_cases import CASES, FUNCTIONS, direction, images, weight


class LeNet(nn.Module):
    def __init__(self, num_classes=10, in_channels=1, padding=2):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(in_channels, 6, 5, padding=padding), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, num_classes)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.conv1(x).relu(), 2)
        x = nn.functional.max_pool2d(self.conv2(x).relu(), 2).flatten(1)
        return self.fc3(self.fc2(self.fc1(x).relu()).relu())


def make(kind: str, options: dict) -> nn.Module:
    options = dict(options)
    if kind == "LeNet":
        return LeNet(**options)
    if kind.lower().startswith("vgg"):
        hidden, size = options.pop("hidden"), options.pop("size", 7)
        if kind == "VGG":
            layers = options.pop("layers")
            model = vgg.VGG(vgg.make_layers(layers), init_weights=False, **options)
            model.avgpool = nn.AdaptiveAvgPool2d((size, size))
            last = [width for width in layers if width != "M"][-1]
        else:
            model, last = getattr(vgg, kind)(**options), 512
        model.classifier[0] = nn.Linear(last * size * size, hidden)
        model.classifier[3] = nn.Linear(hidden, hidden)
        model.classifier[6] = nn.Linear(hidden, options.get("num_classes", 1000))
        return model
    small = options.pop("small_images", False)
    model = getattr(torchvision.models, kind)(**options)
    if small:
        model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    return model


def without_dropout(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def run(name: str) -> dict[str, np.ndarray]:
    kind, options, _ = CASES[name]
    model = without_dropout(make(kind, options)).double()
    model.load_state_dict({key: torch.tensor(weight(key, tuple(v.shape))) for key, v in model.state_dict().items()})
    x = torch.from_numpy(images(name))
    with torch.no_grad():
        logits = model.eval()(x)
    trained = model.train()(x)
    trained.square().sum().backward()
    pairs = model.named_parameters()
    gradients = [(p.grad.numpy() * direction(key, tuple(p.shape))).sum() for key, p in pairs]
    buffers = [buffer.double().sum().item() for _, buffer in model.named_buffers()]
    return {
        f"{name}/logits": logits.numpy(),
        f"{name}/trained": trained.detach().numpy(),
        f"{name}/gradients": np.array(gradients),
        f"{name}/buffers": np.array(buffers),
    }


if __name__ == "__main__":
    states = {}
    for function, options in FUNCTIONS.items():
        states[function] = {key: list(v.shape) for key, v in make(function, options).state_dict().items()}
    arrays = {"states": np.array(json.dumps(states))}
    for name in CASES:
        arrays |= run(name)
    np.savez_compressed(Path(__file__).with_name("vision.npz"), **arrays)
