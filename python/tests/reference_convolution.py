"""Convolution in float64 NumPy, one kernel position at a time."""

from __future__ import annotations

import numpy as np


def _windows(shape, weight, groups, stride, before, after, dilation):
    """For each kernel position the part of the padded input that it sees; and the output's extent."""
    extent = [n + b + a for n, b, a in zip(shape[2:], before, after, strict=True)]
    output = [(n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(extent, dilation, weight[2:], stride, strict=True)]
    for position in np.ndindex(*weight[2:]):
        yield (
            position,
            tuple(
                slice(p * d, p * d + (o - 1) * s + 1, s)
                for p, d, o, s in zip(position, dilation, output, stride, strict=True)
            ),
            output,
        )


def _grouped(array, groups):
    return array.reshape(array.shape[0], groups, -1, *array.shape[2:])


def _padded(x, before, after):
    return np.pad(x.astype(np.float64), [(0, 0), (0, 0), *zip(before, after, strict=True)])


def convolve(x, w, b, stride, before, after, dilation, groups):
    """The output of the convolution."""
    source = _grouped(_padded(x, before, after), groups)
    filters = w.astype(np.float64).reshape(groups, -1, *w.shape[1:])
    y = 0.0
    for position, window, output in _windows(x.shape, w.shape, groups, stride, before, after, dilation):
        seen, extent = source[(..., *window)], output
        y = y + np.einsum("ngc...,gfc->ngf...", seen, filters[(..., *position)])
    y = y.reshape(x.shape[0], w.shape[0], *extent)
    return y if b is None else y + b.astype(np.float64).reshape(1, -1, *[1] * len(stride))


def gradient_to_input(g, x, w, stride, before, after, dilation, groups):
    """The transpose of `convolve` in x, applied to g."""
    padded = np.zeros_like(_padded(x, before, after))
    source = _grouped(padded, groups)
    filters = w.astype(np.float64).reshape(groups, -1, *w.shape[1:])
    for position, window, _ in _windows(x.shape, w.shape, groups, stride, before, after, dilation):
        source[(..., *window)] += np.einsum("ngf...,gfc->ngc...", _grouped(g, groups), filters[(..., *position)])
    inner = tuple(slice(b, b + n) for b, n in zip(before, x.shape[2:], strict=True))
    return padded[(slice(None), slice(None), *inner)]


def gradient_to_weight(g, x, w, stride, before, after, dilation, groups):
    """The transpose of `convolve` in w, applied to g."""
    source = _grouped(_padded(x, before, after), groups)
    grads = _grouped(g.astype(np.float64), groups)
    result = np.zeros((groups, w.shape[0] // groups, *w.shape[1:]))
    for position, window, _ in _windows(x.shape, w.shape, groups, stride, before, after, dilation):
        seen = source[(..., *window)].reshape(*source.shape[:3], -1)
        result[(..., *position)] = np.einsum("ngfp,ngcp->gfc", grads.reshape(*grads.shape[:3], -1), seen)
    return result.reshape(w.shape)
