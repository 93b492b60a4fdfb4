"""Layers that change images' sizes, or take windows as columns. The formulas are in `spinetail.nn.functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd import Tensor
from . import functional as F
from .module import Module

__all__ = ["Fold", "Unfold", "Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]

Size = int | Sequence[int]


class Upsample(Module):
    """Sequences, images or volumes at another size: `interpolate`.

    >>> import spinetail as st
    >>> st.nn.Upsample(scale_factor=2, mode="linear")(st.arange(2.0).reshape(1, 1, 2))
    tensor([[[0.0000, 0.2500, 0.7500, 1.0000]]])
    """

    def __init__(
        self,
        size: Size | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        self.scale_factor: Any = scale_factor
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self) -> str:
        size = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Images at another size, each pixel the nearest one.

    >>> import spinetail as st
    >>> st.nn.UpsamplingNearest2d(scale_factor=2)(st.ones(1, 1, 2, 2)).shape == (1, 1, 4, 4)
    True
    """

    def __init__(self, size: Size | None = None, scale_factor: float | Sequence[float] | None = None) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Images at another size, bilinear, the corners' pixels on each other.

    >>> import spinetail as st
    >>> st.nn.UpsamplingBilinear2d(size=3)(st.tensor([[[[0.0, 1.0]]]]))[0, 0, 0]
    tensor([0.0000, 0.5000, 1.0000])
    """

    def __init__(self, size: Size | None = None, scale_factor: float | Sequence[float] | None = None) -> None:
        super().__init__(size, scale_factor, "bilinear", True)


class Unfold(Module):
    """Windows over images (N, C, H, W) as columns (N, C·kernel, windows).

    >>> import spinetail as st
    >>> st.nn.Unfold(3, padding=1)(st.ones(1, 2, 4, 4)).shape == (1, 18, 16)
    True
    """

    def __init__(self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """Images (N, C, *output_size) from columns (N, C·kernel, windows); what windows share is added.

    >>> import spinetail as st
    >>> st.nn.Fold((4, 4), 2, stride=2)(st.ones(1, 8, 4)).shape == (1, 2, 4, 4)
    True
    """

    def __init__(
        self, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )
