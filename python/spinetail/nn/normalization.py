"""Normalisation layers. The formulas and references are in `spinetail.nn.functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import Tensor, wrap
from ..functional.shape import squeeze, unsqueeze
from . import functional as F
from .module import Module
from .parameter import Parameter, unset

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "RMSNorm",
]


class _Affine(Module):
    """What normalisation layers share: a weight that starts at 1 and a bias that starts at 0, if any."""

    weight: Parameter | None
    bias: Parameter | None

    def _make_affine(self, shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        for name, wanted in (("weight", weight), ("bias", bias)):
            self.register_parameter(name, unset(shape, device, dtype) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the starting values."""
        for parameter, value in ((self.weight, 1), (self._parameters.get("bias"), 0)):
            if parameter is not None:
                parameter._array[...] = value
                parameter._bump()


class LayerNorm(_Affine):
    """Gives each sample mean 0 and variance 1 over the last axes, then scales and shifts: y = x̂ · weight + bias.

    Shapes: input and output (*, *normalized_shape), `weight` and `bias` of `normalized_shape`, an int or a sequence.
    Source: Ba et al., Layer normalization, 2016.

    >>> import spinetail as st
    >>> st.nn.LayerNorm(4)(st.arange(4.0)).mean().abs().item() < 1e-6
    True
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make_affine(self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(_Affine):
    """Divides each sample by its root mean square over the last axes, then scales.

    Shapes: as for `LayerNorm`; there is no bias. `eps` None is the machine epsilon of the dtype.
    Source: Zhang and Sennrich, Root mean square layer normalization, 2019.

    >>> import spinetail as st
    >>> st.nn.RMSNorm(2, elementwise_affine=False)(st.tensor([3.0, -3.0])).round()
    tensor([ 1., -1.])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.register_parameter("weight", unset(self.normalized_shape, device, dtype) if elementwise_affine else None)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_Affine):
    """Gives each group of channels of each sample mean 0 and variance 1, then scales and shifts each channel.

    Shapes: input and output (N, num_channels, *), `weight` and `bias` (num_channels,).
    Raises: ValueError unless num_groups divides num_channels. Source: Wu and He, Group normalization, 2018.

    >>> import spinetail as st
    >>> st.nn.GroupNorm(2, 4)(st.randn(1, 4, 3)).shape == (1, 4, 3)
    True
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"[GroupNorm] num_channels={num_channels} must be divisible by num_groups={num_groups}")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make_affine((num_channels,), affine, affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class _Running(_Affine):
    """What batch and instance normalisation share: running statistics of each channel."""

    ranks: tuple[int, ...]
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        kind = (dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)).numpy
        if track_running_stats:
            self.register_buffer("running_mean", wrap(np.zeros(num_features, kind)))
            self.register_buffer("running_var", wrap(np.ones(num_features, kind)))
            self.register_buffer("num_batches_tracked", wrap(np.zeros((), np.int64)))
        else:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                self.register_buffer(name, None)
        self._make_affine((num_features,), affine, affine and bias, device, dtype)

    def reset_running_stats(self) -> None:
        """Forget the running statistics."""
        if self.track_running_stats:
            for buffer, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
                buffer._array[...] = value  # type: ignore[union-attr]
                buffer._bump()  # type: ignore[union-attr]

    def reset_parameters(self) -> None:
        """Set the starting values, and forget the running statistics."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in self.ranks:
            wanted = " or ".join(f"{rank}D" for rank in self.ranks)
            raise ValueError(f"[{type(self).__name__}] expected {wanted} input (got {input.ndim}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        key = prefix + "num_batches_tracked"
        if self.num_batches_tracked is not None and key not in state_dict:
            state_dict[key] = self.num_batches_tracked  # files from before it existed lack it
        super()._load_from_state_dict(state_dict, prefix, *rest)


class _BatchNorm(_Running):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked._array += 1
            if momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked._array)
        by_batch = self.training or self.running_mean is None
        keep = not self.training or self.track_running_stats
        return F.batch_norm(
            input,
            self.running_mean if keep else None,
            self.running_var if keep else None,
            self.weight,
            self.bias,
            by_batch,
            0.0 if momentum is None else momentum,
            self.eps,
        )


class BatchNorm1d(_BatchNorm):
    """Gives each channel mean 0 and variance 1 over the batch, then scales and shifts it.

    Shapes: input and output (N, num_features) or (N, num_features, L). In training the batch's statistics are used
    (biased variance) and running ones are kept: running = (1 - momentum) · running + momentum · batch, with the
    unbiased variance; `momentum` None averages all batches. In evaluation the running ones are used.
    Raises: ValueError for other shapes, or in training for one value per channel.
    Source: Ioffe and Szegedy, Batch normalization, 2015.

    >>> import spinetail as st
    >>> st.nn.BatchNorm1d(3)(st.randn(5, 3)).shape == (5, 3)
    True
    """

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images (N, num_features, H, W).

    >>> import spinetail as st
    >>> st.nn.BatchNorm2d(3)(st.randn(2, 3, 4, 4)).shape == (2, 3, 4, 4)
    True
    """

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for volumes (N, num_features, D, H, W)."""

    ranks = (5,)


class _InstanceNorm(_Running):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        channels = input.shape[len(input.shape) - self.ranks[-1] + 1]
        if channels != self.num_features and (self.affine or self.track_running_stats):
            raise ValueError(f"[{type(self).__name__}] expected {self.num_features} channels, but got {channels}")
        unbatched = input.ndim == self.ranks[0]
        result = F.instance_norm(
            unsqueeze(input, 0) if unbatched else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return squeeze(result, 0) if unbatched else result


class InstanceNorm1d(_InstanceNorm):
    """Gives each channel of each sample mean 0 and variance 1, then with `affine` scales and shifts it.

    Shapes: input and output (N, num_features, L) or (num_features, L).
    Source: Ulyanov et al., Instance normalization, 2016.

    >>> import spinetail as st
    >>> st.nn.InstanceNorm1d(3)(st.randn(2, 3, 8)).shape == (2, 3, 8)
    True
    """

    ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for images (N, num_features, H, W) or (num_features, H, W)."""

    ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for volumes (N, num_features, D, H, W) or (num_features, D, H, W)."""

    ranks = (4, 5)


def _shape(value: int | Sequence[int]) -> tuple[int, ...]:
    shape = (int(value),) if isinstance(value, (int, np.integer)) else tuple(int(n) for n in value)
    if not shape or min(shape) < 0:
        raise ValueError(f"[normalization] expected a shape of at least one axis, but got {value}")
    return shape
