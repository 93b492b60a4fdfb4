"""MobileNetV2: depthwise convolutions between thin layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..autograd import Tensor
from .starting import start

__all__ = ["MobileNetV2", "mobilenet_v2"]

#: Expansion, channels, blocks, stride of the first: table 2 of the paper.
_SETTING = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _divisible(width: float, by: int) -> int:
    """The multiple of `by` next to the width, at least 9/10 of it."""
    nearest = max(by, int(width + by / 2) // by * by)
    return nearest if nearest >= 0.9 * width else nearest + by


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """A 1×1 convolution that widens, a depthwise 3×3, a 1×1 that narrows without activation; plus the input."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand_ratio: int) -> None:
        super().__init__()
        hidden = round(inputs * expand_ratio)
        layers: list[nn.Module] = [] if expand_ratio == 1 else [_conv(inputs, hidden, 1)]
        layers += [
            _conv(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.conv(x)
        return x + output if self.residual else output

    def to_fused(self) -> nn.Module:
        """What `compress.restructure.fuse` puts in the block's place once its layers are prepared."""
        *first, last, norm = self.conv
        if type(self) is InvertedResidual and self.residual and nn.fused.ready(last, norm):
            return _Joined(nn.Sequential(*first, last)).eval()
        return self


class _Joined(nn.Module):
    """A block whose last convolution adds the input."""

    def __init__(self, conv: nn.Sequential) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        *first, last = self.conv
        output = x
        for layer in first:
            output = layer(output)
        result: Tensor = last(output, x)
        return result


class MobileNetV2(nn.Module):
    """MobileNetV2: 17 inverted residual blocks between two convolutions, the mean, dropout and a linear layer.

    `width_mult` scales all channels, which are rounded to multiples of `round_nearest`;
    `inverted_residual_setting` has (expansion, channels, blocks, stride) for each group of blocks.

    Shapes: input (N, 3, H, W), 224×224 in the paper; output (N, num_classes) scores.
    State: features.N, classifier.1, as torchvision's.
    Starting values are torchvision's: convolutions N(0, 2/fan_out), linear layers N(0, 0.01²), biases 0.
    Raises: ValueError for a setting without groups of four.
    Source: Sandler et al., MobileNetV2: Inverted residuals and linear bottlenecks, 2018.

    >>> import spinetail as st
    >>> st.models.mobilenet_v2(num_classes=10, width_mult=0.25)(st.zeros(2, 3, 32, 32)).shape
    spinetail.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        setting = _SETTING if inverted_residual_setting is None else inverted_residual_setting
        if not setting or any(len(group) != 4 for group in setting):
            raise ValueError(
                "[MobileNetV2] inverted_residual_setting should have (expansion, channels, blocks, stride) for each "
                f"group, but got {inverted_residual_setting}"
            )
        channels = _divisible(32 * width_mult, round_nearest)
        self.last_channel = _divisible(1280 * max(1.0, width_mult), round_nearest)
        features: list[nn.Module] = [_conv(3, channels, 3, 2)]
        for expansion, wide, blocks, stride in setting:
            outputs = _divisible(wide * width_mult, round_nearest)
            for i in range(blocks):
                features.append(InvertedResidual(channels, outputs, stride if i == 0 else 1, expansion))
                channels = outputs
        features.append(_conv(channels, self.last_channel, 1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.last_channel, num_classes))
        start(self, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return scores


def mobilenet_v2(**options: Any) -> MobileNetV2:
    """MobileNetV2; options as for `MobileNetV2`."""
    return MobileNetV2(**options)
