"""VGG: plain stacks of 3×3 convolutions and poolings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..autograd import Tensor
from .starting import start

__all__ = ["VGG", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]


class VGG(nn.Module):
    """3×3 convolutions with ReLU, of the channels that `layers` names, "M" for a 2×2 max pooling; then a classifier.

    With `batch_norm`, one behind each convolution. The maps are averaged to `size`×`size` and go through two hidden
    layers of `hidden` neurons with dropout. `vgg11` … `vgg19_bn` make the networks of the paper.

    Shapes: input (N, 3, H, W), 224×224 in the paper, 32×32 at least for five poolings; output (N, num_classes) scores.
    State: features.N, classifier.0, classifier.3, classifier.6, as torchvision's.
    Starting values are torchvision's: convolutions N(0, 2/fan_out), linear layers N(0, 0.01²), biases 0.
    Source: Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, 2014.

    >>> import spinetail as st
    >>> model = st.models.VGG((8, "M", 16, "M"), num_classes=4, hidden=32, size=2)
    >>> model(st.zeros(1, 3, 16, 16)).shape
    spinetail.Size([1, 4])
    """

    def __init__(
        self,
        layers: Sequence[int | str],
        batch_norm: bool = False,
        num_classes: int = 1000,
        dropout: float = 0.5,
        hidden: int = 4096,
        size: int = 7,
    ) -> None:
        super().__init__()
        features: list[nn.Module] = []
        channels = 3
        for layer in layers:
            if layer == "M":
                features.append(nn.MaxPool2d(2))
                continue
            width = int(layer)
            features.append(nn.Conv2d(channels, width, 3, padding=1))
            if batch_norm:
                features.append(nn.BatchNorm2d(width))
            features.append(nn.ReLU())
            channels = width
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d((size, size))
        self.classifier = nn.Sequential(
            nn.Linear(channels * size * size, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )
        start(self, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return scores


def _layers(*counts: int) -> tuple[int | str, ...]:
    """So many convolutions of 64, 128, 256, 512 and 512 channels, and a pooling behind each group."""
    found: list[int | str] = []
    for width, count in zip((64, 128, 256, 512, 512), counts, strict=True):
        found += [width] * count + ["M"]
    return tuple(found)


_LAYERS = {
    11: _layers(1, 1, 2, 2, 2),
    13: _layers(2, 2, 2, 2, 2),
    16: _layers(2, 2, 3, 3, 3),
    19: _layers(2, 2, 4, 4, 4),
}


def vgg11(**options: Any) -> VGG:
    """VGG with 8 convolutions and 3 linear layers; options as for `VGG`."""
    return VGG(_LAYERS[11], **options)


def vgg11_bn(**options: Any) -> VGG:
    """`vgg11` with batch norm."""
    return VGG(_LAYERS[11], batch_norm=True, **options)


def vgg13(**options: Any) -> VGG:
    """VGG with 10 convolutions and 3 linear layers; options as for `VGG`."""
    return VGG(_LAYERS[13], **options)


def vgg13_bn(**options: Any) -> VGG:
    """`vgg13` with batch norm."""
    return VGG(_LAYERS[13], batch_norm=True, **options)


def vgg16(**options: Any) -> VGG:
    """VGG with 13 convolutions and 3 linear layers; options as for `VGG`."""
    return VGG(_LAYERS[16], **options)


def vgg16_bn(**options: Any) -> VGG:
    """`vgg16` with batch norm."""
    return VGG(_LAYERS[16], batch_norm=True, **options)


def vgg19(**options: Any) -> VGG:
    """VGG with 16 convolutions and 3 linear layers; options as for `VGG`."""
    return VGG(_LAYERS[19], **options)


def vgg19_bn(**options: Any) -> VGG:
    """`vgg19` with batch norm."""
    return VGG(_LAYERS[19], batch_norm=True, **options)
