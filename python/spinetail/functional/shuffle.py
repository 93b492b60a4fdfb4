"""Channels and pixels that trade places: reshapes and permutations, with one copy."""

from __future__ import annotations

from operator import index

from .door import both

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


@both
def pixel_shuffle(input, upscale_factor):
    r"""Groups of r² channels as images that are r times as high and as wide.

    Equation: y[…, c, h·r + i, w·r + j] = x[…, c·r² + i·r + j, h, w].
    Shapes: input (…, C·r², H, W), result (…, C, H·r, W·r), with r = upscale_factor. dtypes: any.

    Raises: ValueError for factors below 1, fewer than 3 dimensions, and channels that r² does not divide.

    Source: Shi et al., Real-time single image and video super-resolution, 2016; torch.nn.functional.pixel_shuffle.

    >>> import numpy as np, spinetail.functional.shuffle as F
    >>> F.pixel_shuffle(np.arange(8).reshape(4, 1, 2), 2)
    array([[[0, 2, 1, 3],
            [4, 6, 5, 7]]])
    """
    r = _factor("pixel_shuffle", "upscale_factor", input, upscale_factor)
    *lead, channels, height, width = input.shape
    if channels % (r * r):
        raise ValueError(
            f"[pixel_shuffle] {channels} channels of input {tuple(input.shape)} are not a multiple of "
            f"upscale_factor² = {r * r}"
        )
    split = input.reshape(*lead, channels // (r * r), r, r, height, width)
    n = len(lead)
    turned = split.permute(*range(n + 1), n + 3, n + 1, n + 4, n + 2)
    return turned.reshape(*lead, channels // (r * r), height * r, width * r)


@both
def pixel_unshuffle(input, downscale_factor):
    r"""The opposite of `pixel_shuffle`: squares of r×r pixels as r² channels.

    Equation: y[…, c·r² + i·r + j, h, w] = x[…, c, h·r + i, w·r + j].
    Shapes: input (…, C, H·r, W·r), result (…, C·r², H, W), with r = downscale_factor. dtypes: any.

    Raises: ValueError for factors below 1, fewer than 3 dimensions, and heights or widths that r does not divide.

    Source: torch.nn.functional.pixel_unshuffle.

    >>> import numpy as np, spinetail.functional.shuffle as F
    >>> F.pixel_unshuffle(np.arange(8).reshape(1, 2, 4), 2).tolist()
    [[[0, 2]], [[1, 3]], [[4, 6]], [[5, 7]]]
    """
    r = _factor("pixel_unshuffle", "downscale_factor", input, downscale_factor)
    *lead, channels, height, width = input.shape
    if height % r or width % r:
        raise ValueError(
            f"[pixel_unshuffle] {height}×{width} pixels of input {tuple(input.shape)} are not multiples of "
            f"downscale_factor = {r}"
        )
    split = input.reshape(*lead, channels, height // r, r, width // r, r)
    n = len(lead)
    turned = split.permute(*range(n + 1), n + 2, n + 4, n + 1, n + 3)
    return turned.reshape(*lead, channels * r * r, height // r, width // r)


@both
def channel_shuffle(input, groups):
    r"""The channels of all groups in turns: the first of each group, then the second of each, and so on.

    Equation: y[n, k·g + i] = x[n, i·C/g + k], with g = groups.
    Shapes: input and result (N, C, …). dtypes: any.

    Raises: ValueError for groups below 1, fewer than 3 dimensions, and channels that groups do not divide.

    Source: Zhang et al., ShuffleNet, 2017; torch.nn.functional.channel_shuffle.

    >>> import numpy as np, spinetail.functional.shuffle as F
    >>> F.channel_shuffle(np.arange(6).reshape(1, 6, 1), 2).ravel()
    array([0, 3, 1, 4, 2, 5])
    """
    groups = _factor("channel_shuffle", "groups", input, groups)
    batch, channels, *rest = input.shape
    if channels % groups:
        raise ValueError(
            f"[channel_shuffle] {channels} channels of input {tuple(input.shape)} are not a multiple of groups={groups}"
        )
    split = input.reshape(batch, groups, channels // groups, *rest)
    return split.transpose(1, 2).reshape(batch, channels, *rest)


def _factor(name: str, what: str, input, value) -> int:
    """The factor as an int, for an input of 3 dimensions at least."""
    try:
        factor = index(value)
    except TypeError:
        raise TypeError(f"[{name}] {what} must be an int, got {value!r}") from None
    if factor < 1:
        raise ValueError(f"[{name}] {what} must be positive, got {factor}")
    if input.ndim < 3:
        raise ValueError(f"[{name}] input must have at least 3 dimensions, got shape {tuple(input.shape)}")
    return factor
