"""Layers in which channels and pixels trade places. The formulas are in `spinetail.nn.functional`."""

from __future__ import annotations

from ..autograd import Tensor
from . import functional as F
from .module import Module

__all__ = ["ChannelShuffle", "PixelShuffle", "PixelUnshuffle"]


class PixelShuffle(Module):
    """Groups of r² channels as images that are r times as high and as wide, r = upscale_factor.

    Shapes: input (*, C·r², H, W), output (*, C, H·r, W·r).
    Source: Shi et al., Real-time single image and video super-resolution, 2016.

    >>> import spinetail as st
    >>> st.nn.PixelShuffle(3)(st.ones(1, 9, 4, 4)).shape == (1, 1, 12, 12)
    True
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """The opposite of `PixelShuffle`: squares of r×r pixels as r² channels, r = downscale_factor.

    >>> import spinetail as st
    >>> st.nn.PixelUnshuffle(3)(st.ones(1, 1, 12, 12)).shape == (1, 9, 4, 4)
    True
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """The channels of (N, C, *) in turns: the first of each group, then the second of each, and so on.

    Source: Zhang et al., ShuffleNet, 2017.

    >>> import spinetail as st
    >>> st.nn.ChannelShuffle(2)(st.arange(4).reshape(1, 4, 1)).flatten()
    tensor([0, 2, 1, 3])
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
