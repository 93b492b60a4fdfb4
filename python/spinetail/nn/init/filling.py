"""Constants, and what is one nearly everywhere."""

from __future__ import annotations

import numpy as np

from .target import A, dimensions, done, target


def constant_(tensor: A, val: float) -> A:
    """Fill with one value."""
    target("constant_", tensor)[...] = val
    return done(tensor)


def ones_(tensor: A) -> A:
    """Fill with ones."""
    return constant_(tensor, 1)


def zeros_(tensor: A) -> A:
    """Fill with zeros."""
    return constant_(tensor, 0)


def eye_(tensor: A) -> A:
    """Make a matrix the identity, as far as its shape allows.

    Raises: ValueError unless there are 2 dimensions.
    """
    array = target("eye_", tensor)
    dimensions("eye_", array, 2, 2)
    array[...] = np.eye(*array.shape, dtype=bool)
    return done(tensor)


def dirac_(tensor: A, groups: int = 1) -> A:
    """Make a convolution's weight pass its input channels on, as many as there are output channels for, in each group.

    Shapes: (out, in / groups, *kernel), 3 to 5 dimensions. Raises: ValueError for other shapes, or where `groups` does
    not divide the output channels.

    >>> import spinetail as st
    >>> st.nn.init.dirac_(st.empty(1, 1, 3)).tolist()
    [[[0.0, 1.0, 0.0]]]
    """
    array = target("dirac_", tensor)
    dimensions("dirac_", array, 3, 5)
    if groups < 1 or array.shape[0] % groups:
        raise ValueError(f"[dirac_] groups={groups} does not divide the {array.shape[0]} output channels")
    array[...] = 0
    per_group = array.shape[0] // groups
    centre = tuple(extent // 2 for extent in array.shape[2:])
    for group in range(groups):
        for channel in range(min(per_group, array.shape[1])):
            array[(group * per_group + channel, channel, *centre)] = 1
    return done(tensor)
