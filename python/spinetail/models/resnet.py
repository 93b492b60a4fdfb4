"""ResNet: blocks of convolutions whose input is added to their output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..autograd import Tensor
from .starting import start

__all__ = ["ResNet", "resnet18", "resnet34", "resnet50"]


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size, up to the stride."""
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)


class _Block(nn.Module):
    """relu(branch(x) + shortcut(x)); `downsample` is the shortcut where it is no identity."""

    expansion: int
    downsample: nn.Module | None

    def branch(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(self.branch(x) + shortcut)
        return result

    def to_fused(self) -> nn.Module:
        """What `compress.restructure.fuse` puts in the block's place once its layers are prepared."""
        names = [name for name in ("conv1", "conv2", "conv3") if name in self._modules]
        layers = [getattr(self, name) for name in names]
        norms = [getattr(self, name.replace("conv", "bn")) for name in names]
        own = type(self) in (BasicBlock, Bottleneck) and nn.fused.activation_of(self.relu) == "relu"
        if not (own and all(map(nn.fused.ready, layers, norms))):
            return self
        for layer in layers:
            layer.activation = "relu"
        return _Joined(dict(zip(names, layers, strict=True)), self.downsample).eval()


class _Joined(nn.Module):
    """A block whose convolutions rectify what they put out; the last one adds the shortcut first."""

    def __init__(self, layers: dict[str, nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.add_module("downsample", downsample)
        self.names = tuple(layers)
        self.makes = isinstance(downsample, nn.Sequential) and nn.fused.ready(*downsample)  # a shortcut of its own

    def forward(self, x: Tensor, own: bool = False) -> Tensor:
        """`own` says that nobody else has x, whose memory the output may take then."""
        shortcut = x
        if self.downsample is not None:
            shortcut = self.downsample(x)
            own = self.makes and self.unwatched()
        *first, last = [getattr(self, name) for name in self.names]
        for layer in first:
            x = layer(x)
        result: Tensor = last(x, shortcut, own)
        return result

    def unwatched(self) -> bool:
        """Whether there are no hooks, which may keep what they see."""
        parts: list[Any] = [self, *(getattr(self, name) for name in self.names)]
        if self.downsample is not None:
            parts += [self.downsample, *self.downsample.children()]
        return not any(part._hooked for part in parts)


class _Group(nn.Sequential):
    """Blocks in a row. What one puts out only the next one reads, so that the next may write over it."""

    def forward(self, x: Tensor) -> Tensor:
        own = False  # whether x is a block's output that no hook has seen
        for block in self:
            unwatched = type(block) is _Joined and block.unwatched()
            x = block(x, own) if unwatched else block(x)
            own = unwatched
        return x


class BasicBlock(_Block):
    """Two 3×3 convolutions, each with batch norm."""

    expansion = 1

    def __init__(
        self, inputs: int, planes: int, stride: int, groups: int, base_width: int, dilation: int, downsample: Any
    ) -> None:
        super().__init__()
        if groups != 1 or base_width != 64 or dilation != 1:
            raise ValueError(
                "[BasicBlock] expected groups=1, width_per_group=64 and no dilation, but got "
                f"groups={groups}, width_per_group={base_width}, dilation={dilation}"
            )
        self.conv1 = _conv(inputs, planes, 3, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU()
        self.conv2 = _conv(planes, planes, 3)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def branch(self, x: Tensor) -> Tensor:
        result: Tensor = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return result


class Bottleneck(_Block):
    """1×1, 3×3 and 1×1 convolutions, each with batch norm; the stride is the 3×3's."""

    expansion = 4

    def __init__(
        self, inputs: int, planes: int, stride: int, groups: int, base_width: int, dilation: int, downsample: Any
    ) -> None:
        super().__init__()
        width = int(planes * (base_width / 64)) * groups
        self.conv1 = _conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride, groups, dilation)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, planes * self.expansion, 1)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.relu = nn.ReLU()
        self.downsample = downsample

    def branch(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        result: Tensor = self.bn3(self.conv3(x))
        return result


class ResNet(nn.Module):
    """A first convolution, four groups of residual blocks (`layers` of them, 64 … 512 wide), the mean, a linear layer.

    `groups` and `width_per_group` make the 3×3 convolutions of bottlenecks grouped and wider (ResNeXt, Wide ResNet);
    `replace_stride_with_dilation`, three bools, lets the last three groups keep their size and dilate;
    `zero_init_residual` starts each block as the identity. `small_images` is for 32×32: the first convolution is 3×3
    with stride 1, and no pooling follows it. `resnet18`, `resnet34` and `resnet50` make the networks of the paper.

    Shapes: input (N, 3, H, W), 224×224 in the paper; output (N, num_classes) scores.
    State: conv1, bn1, layer1 … layer4, fc, as torchvision's.
    Starting values are torchvision's: convolutions N(0, 2/fan_out), norms 1 and 0, fc as `Linear`.
    Raises: ValueError for groups, widths or dilation with the basic blocks of `resnet18` and `resnet34`.
    Source: He et al., Deep residual learning for image recognition, 2015; the stride of a bottleneck is its 3×3's.

    >>> import spinetail as st
    >>> model = st.models.resnet18(num_classes=10, small_images=True)
    >>> model(st.zeros(2, 3, 32, 32)).shape
    spinetail.Size([2, 10])
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        small_images: bool = False,
    ) -> None:
        super().__init__()
        dilates = (False, *(replace_stride_with_dilation or (False, False, False)))
        if len(dilates) != 4:
            raise ValueError(
                "[ResNet] replace_stride_with_dilation should be None or three bools, "
                f"but got {replace_stride_with_dilation}"
            )
        self.conv1 = _conv(3, 64, 3) if small_images else _conv(3, 64, 7, 2)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.Identity() if small_images else nn.MaxPool2d(3, 2, 1)
        channels, dilation = 64, 1
        for i, count in enumerate(layers):
            planes, stride, first = 64 << i, 1 if i == 0 else 2, dilation
            if dilates[i]:
                dilation, stride = dilation * stride, 1
            wide, downsample = planes * block.expansion, None
            if stride != 1 or channels != wide:
                downsample = nn.Sequential(_conv(channels, wide, 1, stride), nn.BatchNorm2d(wide))
            blocks = [block(channels, planes, stride, groups, width_per_group, first, downsample)]
            for _ in range(1, count):
                blocks.append(block(wide, planes, 1, groups, width_per_group, dilation, None))
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
            channels = wide
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)
        start(self, linear=False)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, Bottleneck):
                    nn.init.zeros_(module.bn3.weight)
                elif isinstance(module, BasicBlock):
                    nn.init.zeros_(module.bn2.weight)

    def to_fused(self) -> nn.Module:
        """What `compress.restructure.fuse` makes of the network once its blocks are fused."""
        for name in ("layer1", "layer2", "layer3", "layer4"):
            group = getattr(self, name)
            if type(group) is nn.Sequential and not group._hooked:
                setattr(self, name, _Group(*group).eval())
        return self

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        scores: Tensor = self.fc(self.avgpool(x).flatten(1))
        return scores


def resnet18(**options: Any) -> ResNet:
    """ResNet with two basic blocks in each group; options as for `ResNet`."""
    return ResNet(BasicBlock, (2, 2, 2, 2), **options)


def resnet34(**options: Any) -> ResNet:
    """ResNet with 3, 4, 6 and 3 basic blocks; options as for `ResNet`."""
    return ResNet(BasicBlock, (3, 4, 6, 3), **options)


def resnet50(**options: Any) -> ResNet:
    """ResNet with 3, 4, 6 and 3 bottlenecks; options as for `ResNet`."""
    return ResNet(Bottleneck, (3, 4, 6, 3), **options)
