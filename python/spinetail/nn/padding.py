"""Padding layers. The formulas and references are in `spinetail.nn.functional.pad`."""

from __future__ import annotations

from collections.abc import Sequence

from ..autograd import Tensor
from . import functional as F
from .module import Module

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]

Size = int | Sequence[int]


class _Pad(Module):
    """Adds elements beside the last `rank` axes: (before, after) of the last axis, then of the one before it."""

    rank: int
    mode = "constant"

    def __init__(self, padding: Size) -> None:
        super().__init__()
        count = 2 * self.rank
        sizes = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * count
        if len(sizes) != count:
            raise ValueError(f"[{type(self).__name__}] padding should be {count} integers or one, but got {padding}")
        self.padding = sizes

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Size, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Adds `value` around a sequence (N, C, L); (before, after) for each axis, the last one first, or one size for all.

    Negative sizes cut elements off.

    >>> import spinetail as st
    >>> st.nn.ConstantPad1d((1, 2), 3.5)(st.zeros(1, 1, 2))
    tensor([[[3.5000, 0.0000, 0.0000, 3.5000, 3.5000]]])
    """

    rank = 1


class ConstantPad2d(_ConstantPad):
    """`ConstantPad1d` for an image (N, C, H, W): 4 sizes, those of the last axis first, or one for all."""

    rank = 2


class ConstantPad3d(_ConstantPad):
    """`ConstantPad1d` for a volume (N, C, D, H, W): 6 sizes, those of the last axis first, or one for all."""

    rank = 3


class ZeroPad1d(_Pad):
    """Adds zeros around a sequence (N, C, L); negative sizes cut elements off. Otherwise as `ConstantPad1d`."""

    rank = 1


class ZeroPad2d(_Pad):
    """Adds zeros around an image (N, C, H, W); negative sizes cut elements off. Otherwise as `ConstantPad2d`."""

    rank = 2


class ZeroPad3d(_Pad):
    """Adds zeros around a volume (N, C, D, H, W); negative sizes cut elements off. Otherwise as `ConstantPad3d`."""

    rank = 3


class ReflectionPad1d(_Pad):
    """Adds the reflection in the first and the last element, which are not repeated to a sequence (N, C, L) or (C, L).

    Sizes (before, after), or one for both, each less than its axis is long.
    Raises: ValueError, when called, for others.

    >>> import spinetail as st
    >>> st.nn.ReflectionPad1d((2, 1))(st.arange(3.0).reshape(1, 1, 3))
    tensor([[[2., 1., 0., 1., 2., 1.]]])
    """

    mode = "reflect"
    rank = 1


class ReflectionPad2d(_Pad):
    """`ReflectionPad1d` for an image (N, C, H, W): 4 sizes, those of the last axis first, or one for all."""

    mode = "reflect"
    rank = 2


class ReflectionPad3d(_Pad):
    """`ReflectionPad1d` for a volume (N, C, D, H, W): 6 sizes, those of the last axis first, or one for all."""

    mode = "reflect"
    rank = 3


class ReplicationPad1d(_Pad):
    """Adds copies of the first and the last element to a sequence (N, C, L) or (C, L).

    Sizes (before, after), or one for both, of any size.
    Raises: ValueError, when called, for others.

    >>> import spinetail as st
    >>> st.nn.ReplicationPad1d((2, 1))(st.arange(3.0).reshape(1, 1, 3))
    tensor([[[0., 0., 0., 1., 2., 2.]]])
    """

    mode = "replicate"
    rank = 1


class ReplicationPad2d(_Pad):
    """`ReplicationPad1d` for an image (N, C, H, W): 4 sizes, those of the last axis first, or one for all."""

    mode = "replicate"
    rank = 2


class ReplicationPad3d(_Pad):
    """`ReplicationPad1d` for a volume (N, C, D, H, W): 6 sizes, those of the last axis first, or one for all."""

    mode = "replicate"
    rank = 3


class CircularPad1d(_Pad):
    """Adds what follows when the sequence is a circle to a sequence (N, C, L) or (C, L).

    Sizes (before, after), or one for both, each at most as long as its axis.
    Raises: ValueError, when called, for others.

    >>> import spinetail as st
    >>> st.nn.CircularPad1d((2, 1))(st.arange(3.0).reshape(1, 1, 3))
    tensor([[[1., 2., 0., 1., 2., 0.]]])
    """

    mode = "circular"
    rank = 1


class CircularPad2d(_Pad):
    """`CircularPad1d` for an image (N, C, H, W): 4 sizes, those of the last axis first, or one for all."""

    mode = "circular"
    rank = 2


class CircularPad3d(_Pad):
    """`CircularPad1d` for a volume (N, C, D, H, W): 6 sizes, those of the last axis first, or one for all."""

    mode = "circular"
    rank = 3
