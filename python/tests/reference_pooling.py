"""Pooling in float64 NumPy, one window at a time."""

from __future__ import annotations

from itertools import product

import numpy as np


def windows(extent, output, kernel, stride, padding, dilation):
    """For each output position the positions along one axis that its window sees."""
    for i in range(output):
        first = i * stride - padding
        yield [first + k * dilation for k in range(kernel) if 0 <= first + k * dilation < extent]


def adaptive_windows(extent, output):
    for i in range(output):
        yield list(range(i * extent // output, -(-(i + 1) * extent // output)))


def pool(x, axes, function):
    """function(values of the window, their places in the plane, window's position) for every window of every plane."""
    spatial = len(axes)
    extent = x.shape[-spatial:]
    lists = [list(a) for a in axes]
    places = np.arange(int(np.prod(extent))).reshape(extent)
    planes = x.reshape(-1, *extent)
    result = [
        [function(plane[np.ix_(*seen)].ravel(), places[np.ix_(*seen)].ravel(), at) for at, seen in _all(lists)]
        for plane in planes
    ]
    shape = (*x.shape[:-spatial], *(len(a) for a in lists))
    return result, shape


def _all(lists):
    for at in product(*(range(len(a)) for a in lists)):
        yield at, [a[i] for a, i in zip(lists, at, strict=True)]


def maximum(x, axes):
    """Maxima and their places: the last NaN if there is one, else the first of equals."""

    def largest(values, places, _):
        nans = np.flatnonzero(np.isnan(values))
        best = nans[-1] if len(nans) else np.argmax(values)
        return values[best], places[best]

    result, shape = pool(x, axes, largest)
    pairs = np.array(result, dtype=object).reshape(*shape, 2)
    return pairs[..., 0].astype(x.dtype), pairs[..., 1].astype(np.int64)


def average(x, axes, divisor):
    """Sums of windows divided by divisor(position, number of elements seen)."""
    result, shape = pool(x.astype(np.float64), axes, lambda v, _, at: v.sum() / divisor(at, len(v)))
    return np.array(result).reshape(shape)
