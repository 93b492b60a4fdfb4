"""Convolution layers. The formulas and references are in `spinetail.nn.functional`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any

import numpy as np

from ..autograd import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter, unset

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

Size = int | Sequence[int]


def _tuple(owner: Module, name: str, value: Size, count: int, least: int) -> tuple[int, ...]:
    sizes = (int(value),) * count if isinstance(value, (int, np.integer)) else tuple(int(n) for n in value)
    if len(sizes) != count or min(sizes) < least:
        what = "positive" if least else "non-negative"
        raise ValueError(f"[{type(owner).__name__}] {name} should be {count} {what} integers or one, but got {value}")
    return sizes


class _Convolution(Module):
    """What all convolution layers share; `rank` is the number of spatial axes."""

    rank: int
    transposed = False
    weight: Parameter
    bias: Parameter | None

    def _make(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size | str,
        output_padding: Size,
        dilation: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        name, rank = type(self).__name__, self.rank
        if groups <= 0:
            raise ValueError(f"[{name}] groups must be a positive integer, but got {groups}")
        for what, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups or channels < 0:
                raise ValueError(f"[{name}] {what}={channels} must be divisible by groups={groups}")
        modes = ("zeros",) if self.transposed else ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            raise ValueError(f"[{name}] padding_mode must be one of {', '.join(modes)}, but got {padding_mode!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _tuple(self, "kernel_size", kernel_size, rank, 1)
        self.stride = _tuple(self, "stride", stride, rank, 1)
        self.dilation = _tuple(self, "dilation", dilation, rank, 1)
        self.output_padding = _tuple(self, "output_padding", output_padding, rank, 0)
        self.groups = groups
        self.padding_mode = padding_mode
        self.padding: str | tuple[int, ...]
        if isinstance(padding, str):
            if self.transposed or padding not in ("same", "valid"):
                raise ValueError(f"[{name}] padding must be integers, 'same' or 'valid', but got {padding!r}")
            if padding == "same" and self.stride != (1,) * rank:
                raise ValueError(f"[{name}] padding='same' is not supported for strided convolutions")
            self.padding = padding
        else:
            self.padding = _tuple(self, "padding", padding, rank, 0)
        self._border = self._borders()
        per_group = (out_channels if self.transposed else in_channels) // groups
        first = in_channels if self.transposed else out_channels
        self.weight = unset((first, per_group, *self.kernel_size), device, dtype)
        if bias:
            self.bias = unset((out_channels,), device, dtype)
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _borders(self) -> list[int]:
        """What `F.pad` takes to add the padding: pairs (before, after), last axis first."""
        if self.padding == "valid":
            return [0] * (2 * self.rank)
        pairs = []
        for axis in reversed(range(self.rank)):
            if self.padding == "same":
                total = self.dilation[axis] * (self.kernel_size[axis] - 1)
                pairs += [total // 2, total - total // 2]
            else:
                pairs += [int(self.padding[axis])] * 2
        return pairs

    def reset_parameters(self) -> None:
        """Draw new starting values."""
        init.kaiming_uniform_(self.weight, a=sqrt(5))
        fan_in = prod(self.weight.shape[1:])
        if self.bias is not None:
            bound = 1 / sqrt(fan_in) if fan_in else 0
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        zero, one = (0,) * self.rank, (1,) * self.rank
        if self.padding != zero:
            text += f", padding={self.padding}"
        if self.dilation != one:
            text += f", dilation={self.dilation}"
        if self.output_padding != zero:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        return text + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


class _Conv(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._make(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            0,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _padded(self, input: Tensor) -> Tensor:
        """The input with a border, for the modes that the kernels do not add themselves."""
        return F.pad(input, self._border, mode=self.padding_mode)


class Conv1d(_Conv):
    """A convolution over sequences: y = x ⋆ W + b, with the cross-correlation ⋆ along the last axis.

    Shapes: input (N, in_channels, L) or without N, output (N, out_channels, Lₒ) with
    Lₒ = ⌊(L + 2·padding - dilation·(kernel_size - 1) - 1) / stride⌋ + 1, `weight`
    (out_channels, in_channels / groups, kernel_size), `bias` (out_channels,). `padding` may be "valid" or, for
    stride 1, "same"; `padding_mode` is "zeros", "reflect", "replicate" or "circular". Weight and bias start from
    U(-b, b) with b = 1 / √(in_channels / groups · kernel_size). Raises: ValueError for sizes that do not fit.

    >>> import spinetail as st
    >>> st.nn.Conv1d(2, 4, 3, padding=1)(st.ones(1, 2, 8)).shape == (1, 4, 8)
    True
    """

    rank = 1

    def forward(self, input: Tensor) -> Tensor:
        if self.padding_mode != "zeros":
            return F.conv1d(self._padded(input), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return F.conv1d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Conv2d(_Conv):
    """A convolution over images: as `Conv1d`, with (N, C, H, W) and pairs for the sizes.

    >>> import spinetail as st
    >>> st.nn.Conv2d(3, 8, kernel_size=3, stride=2)(st.ones(1, 3, 9, 9)).shape == (1, 8, 4, 4)
    True
    """

    rank = 2

    def forward(self, input: Tensor) -> Tensor:
        if self.padding_mode != "zeros":
            return F.conv2d(self._padded(input), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Conv3d(_Conv):
    """A convolution over volumes: as `Conv1d`, with (N, C, D, H, W) and triples for the sizes."""

    rank = 3

    def forward(self, input: Tensor) -> Tensor:
        if self.padding_mode != "zeros":
            return F.conv3d(self._padded(input), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return F.conv3d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class _ConvTranspose(_Convolution):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._make(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _output_padding(self, input: Tensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """The extra size at the end of each axis with which the output has `output_size`."""
        if output_size is None:
            return self.output_padding
        name, rank = type(self).__name__, self.rank
        wanted = tuple(output_size)[-rank:]
        if len(output_size) not in (rank, input.ndim):
            raise ValueError(f"[{name}] output_size must have {rank} or {input.ndim} elements, but got {output_size}")
        extra = []
        for axis in range(rank):
            smallest = (
                (input.shape[axis - rank] - 1) * self.stride[axis]
                - 2 * int(self.padding[axis])
                + self.dilation[axis] * (self.kernel_size[axis] - 1)
                + 1
            )
            if not smallest <= wanted[axis] < smallest + self.stride[axis]:
                raise ValueError(
                    f"[{name}] output_size {tuple(output_size)} asks for {wanted[axis]} along an axis, but valid sizes "
                    f"are {smallest} to {smallest + self.stride[axis] - 1}"
                )
            extra.append(wanted[axis] - smallest)
        return tuple(extra)


class ConvTranspose1d(_ConvTranspose):
    """The gradient of `Conv1d` as a layer: it spreads each input over kernel_size outputs.

    Shapes: input (N, in_channels, L) or without N, output (N, out_channels, Lₒ) with
    Lₒ = (L - 1)·stride - 2·padding + dilation·(kernel_size - 1) + output_padding + 1, `weight`
    (in_channels, out_channels / groups, kernel_size). `forward(input, output_size)` chooses the output padding.

    >>> import spinetail as st
    >>> st.nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1)(st.ones(1, 1, 4)).shape == (1, 1, 8)
    True
    """

    rank = 1

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        extra = self._output_padding(input, output_size)
        return F.conv_transpose1d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose2d(_ConvTranspose):
    """The gradient of `Conv2d` as a layer, with (N, C, H, W) and pairs for the sizes."""

    rank = 2

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        extra = self._output_padding(input, output_size)
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose3d(_ConvTranspose):
    """The gradient of `Conv3d` as a layer, with (N, C, D, H, W) and triples for the sizes."""

    rank = 3

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        extra = self._output_padding(input, output_size)
        return F.conv_transpose3d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )
