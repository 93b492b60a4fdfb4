"""Padding of arrays by a constant, by reflection, by the edge or around the circle."""

from __future__ import annotations

from operator import index

import numpy as np

from ..autograd.tape import enabled, ndarray, record, wrap
from ..autograd.tensor import Tensor
from ..ops.arrays import channels_behind, channels_second
from ..ops.convolution import is_channels_last

__all__ = ["pad"]


def pad(input, pad, mode="constant", value=None):
    r"""The input with elements added before and behind along its last axes.

    Equation: y[i] = x[source(i - before)] along each padded axis of extent n, with source(j) outside 0 ..< n:
    constant: no element, `value` instead; reflect: -j, or 2(n - 1) - j; replicate: 0, or n - 1; circular: j mod n.
    Shapes: input of any rank; pad (before, after) of the last axis, then of the one before it, and so on; result with
    each extent n + before + after. Negative numbers cut elements off (constant mode).
    Parameters: the modes other than 'constant' pad the last 1, 2 or 3 axes of an input with 1 or 2 axes more; reflect
    needs less padding than n, circular at most n.
    dtypes: any; the values are copied.

    Raises: ValueError for paddings that do not fit, NotImplementedError for unknown modes.

    Source: torch.nn.functional.pad.

    >>> import numpy as np, spinetail.functional.padding as F
    >>> F.pad(np.array([1.0, 2.0, 3.0]), (1, 2), value=9.0)
    array([9., 1., 2., 3., 9., 9.])
    >>> F.pad(np.array([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
    array([[3., 2., 1., 2., 3., 2.]])
    """
    given = input if isinstance(input, Tensor) else None
    x = input if given is None else given._array
    if not isinstance(x, ndarray):
        raise TypeError(f"[pad] input must be a Tensor or an ndarray, got {type(input).__name__}")
    widths = _widths(x, pad, mode)
    if mode == "constant":
        out = _constant(x, widths, 0 if value is None else value)
    else:
        if value is not None and value != 0:
            raise ValueError(f"[pad] mode {mode!r} takes no value, got {value!r}")
        last = x.ndim - len(pad) // 2 == 2 and is_channels_last(x)
        out = channels_behind(x) if last else x
        for axis, before, after in widths:
            out = out.take(_source(mode, x.shape[axis], before, after), axis - 1 if last else axis)
        out = channels_second(out) if last else out
    if given is None:
        return out
    if not given._requires_grad or not enabled():
        return wrap(out)
    return record(out, (given,), lambda grad: (_gradient(grad, x.shape, widths, mode),), (), "pad", twice=True)


def _widths(x: np.ndarray, pad, mode: str) -> list[tuple[int, int, int]]:
    """(axis, before, after) for each padded axis."""
    try:
        numbers = [index(n) for n in pad]
    except TypeError:
        raise TypeError(f"[pad] pad must be a sequence of ints, got {pad!r}") from None
    if len(numbers) % 2 or len(numbers) > 2 * x.ndim:
        raise ValueError(
            f"[pad] pad must hold a pair for each of at most {x.ndim} axes of an input of shape {x.shape}, got {pad!r}"
        )
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise NotImplementedError(f"[pad] unknown mode {mode!r} (expected constant, reflect, replicate or circular)")
    axes = len(numbers) // 2
    if mode != "constant" and (axes == 0 or axes > 3 or x.ndim - axes not in (1, 2)):
        raise NotImplementedError(
            f"[pad] mode {mode!r} pads the last 1, 2 or 3 axes of an input with 1 or 2 axes more, got pad {pad!r} for "
            f"shape {x.shape}"
        )
    widths = []
    for i in range(axes):
        axis, before, after = x.ndim - 1 - i, numbers[2 * i], numbers[2 * i + 1]
        extent = x.shape[axis]
        if extent + before + after < 0:
            raise ValueError(
                f"[pad] axis {axis} of extent {extent} cannot take padding ({before}, {after}): the result would have "
                f"extent {extent} + {before} + {after} = {extent + before + after}"
            )
        most = {"reflect": extent - 1, "circular": extent, "replicate": None if extent else 0}.get(mode)
        if mode != "constant" and (min(before, after) < 0 or (most is not None and max(before, after) > max(most, 0))):
            raise ValueError(
                f"[pad] mode {mode!r} takes 0 ... {'any' if most is None else max(most, 0)} elements beside an axis of "
                f"extent {extent}, got ({before}, {after})"
            )
        if before or after:
            widths.append((axis, before, after))
    return widths


def _constant(x: np.ndarray, widths: list, value) -> np.ndarray:
    shape = list(x.shape)
    for axis, before, after in widths:
        shape[axis] += before + after
    if is_channels_last(x):
        out = channels_second(np.full((shape[0], *shape[2:], shape[1]), value, x.dtype))
    else:
        out = np.full(shape, value, x.dtype)
    target, source = _overlap(x.ndim, widths)
    out[target] = x[source]
    return out


def _overlap(rank: int, widths: list) -> tuple[tuple, tuple]:
    """Where the input's kept part lies in the result, and where in the input."""
    target, source = [slice(None)] * rank, [slice(None)] * rank
    for axis, before, after in widths:
        target[axis] = slice(max(before, 0), None if after <= 0 else -after)
        source[axis] = slice(max(-before, 0), None if after >= 0 else after)
    return tuple(target), tuple(source)


def _source(mode: str, extent: int, before: int, after: int) -> np.ndarray:
    """For each position of the padded axis the position in the input that it copies."""
    j = np.arange(-before, extent + after)
    if mode == "replicate":
        return np.clip(j, 0, extent - 1)
    if mode == "circular":
        return j % extent
    j = np.abs(j)
    return np.where(j >= extent, 2 * (extent - 1) - j, j)


def _gradient(grad, shape: tuple, widths: list, mode: str):
    """The transpose of the padding."""
    if type(grad) is not ndarray:
        out = _gradient(grad._array, shape, widths, mode)
        return record(out, (grad,), lambda twice: (_again(twice, widths, mode),), (), "pad_backward")
    if mode == "constant":
        target, source = _overlap(grad.ndim, widths)
        out = np.zeros(shape, grad.dtype)
        out[source] = grad[target]
        return out
    for axis, before, after in reversed(widths):
        extent = grad.shape[axis] - before - after
        padded = np.moveaxis(grad, axis, 0)
        total = padded[before : before + extent].copy()
        source = _source(mode, extent, before, after)
        for i in (*range(before), *range(before + extent, len(source))):
            total[source[i]] += padded[i]
        grad = np.moveaxis(total, 0, axis)
    return np.ascontiguousarray(grad)


def _again(x: np.ndarray, widths: list, mode: str) -> np.ndarray:
    if mode == "constant":
        return _constant(x, widths, 0)
    for axis, before, after in widths:
        x = x.take(_source(mode, x.shape[axis], before, after), axis)
    return x
