"""Images at another size, and windows as columns, on ndarrays: `interpolate`, `unfold`, `fold`, with their transposes.

A `Plan` holds what shapes and parameters decide; plans are made once for each combination and remembered.
"""

from __future__ import annotations

from functools import lru_cache
from math import floor, isfinite, prod
from typing import NamedTuple

import numpy as np

from .._native import kernels
from .arrays import channels_behind, channels_second, empty, floating
from .convolution import is_channels_last, not_negative, positive, sizes
from .resampling_tables import TAPS, axis

RANKS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
MODES = (*TAPS, "area")


class Plan(NamedTuple):
    """One interpolation: how each spatial axis is resampled, and the arrays' shapes."""

    mode: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    scales: tuple[float | None, ...]
    align: bool
    antialias: bool


@lru_cache(maxsize=4096, typed=True)
def plan_interpolate(input: tuple, size, scale_factor, mode, align_corners, recompute, antialias) -> Plan:
    """Checks an interpolation's parameters and works out its output."""
    name, spatial = "interpolate", len(input) - 2
    if mode not in MODES:
        raise NotImplementedError(f"[{name}] unknown mode {mode!r}; there are {', '.join(MODES)}")
    if align_corners is not None and mode not in RANKS:
        raise ValueError(f"[{name}] align_corners is for the modes {', '.join(RANKS)}, not for {mode}")
    if not 1 <= spatial <= 3:
        raise NotImplementedError(f"[{name}] input must have 3, 4 or 5 dimensions, got shape {input}")
    if RANKS.get(mode, spatial) != spatial:
        raise NotImplementedError(f"[{name}] mode {mode} needs {RANKS[mode] + 2} dimensions, got shape {input}")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"[{name}] antialias is for the modes bilinear and bicubic, not for {mode}")
    if size is not None and scale_factor is not None:
        raise ValueError(f"[{name}] only one of size and scale_factor may be given")
    if size is None and scale_factor is None:
        raise ValueError(f"[{name}] either size or scale_factor must be given")
    extent = input[2:]
    scales: tuple = (None,) * spatial
    if size is not None:
        if recompute:
            raise ValueError(f"[{name}] recompute_scale_factor is for scale_factor, not for size")
        output = sizes(name, "size", size, spatial)
    else:
        given = _scales(scale_factor, spatial)
        output = tuple(floor(n * s) for n, s in zip(extent, given, strict=True))
        if not recompute and mode != "area":
            scales = given
    if min(extent) < 1 or min(output) < 1 or max(output) >= 2**31 or max(extent) >= 2**31:
        raise ValueError(
            f"[{name}] input and output must have 1 ... 2³¹ - 1 elements along each axis, got {extent} and {output}"
        )
    return Plan(mode, input, (*input[:2], *output), scales, bool(align_corners), bool(antialias))


def _scales(value, spatial: int) -> tuple[float, ...]:
    try:
        given = tuple(map(float, value)) if isinstance(value, (tuple, list)) else (float(value),) * spatial
    except (TypeError, ValueError):
        raise TypeError(f"[interpolate] scale_factor must be a number or a tuple of them, got {value!r}") from None
    if len(given) != spatial:
        raise ValueError(f"[interpolate] scale_factor must be a number or a tuple of {spatial} numbers, got {value!r}")
    if not all(isfinite(s) and s > 0 for s in given):
        raise ValueError(f"[interpolate] scale_factor must be positive and finite, got {value!r}")
    return given


def resample(plan: Plan, x: np.ndarray) -> np.ndarray:
    """The plan's interpolation of x."""
    return _resample(plan, x, "input", plan.input, plan.output, 0)


def resample_backward(plan: Plan, grad: np.ndarray) -> np.ndarray:
    """The transpose of `resample`, applied to grad."""
    return _resample(plan, grad, "grad_output", plan.output, plan.input, 1)


def _resample(plan: Plan, x: np.ndarray, argument: str, given: tuple, wanted: tuple, way: int) -> np.ndarray:
    dtype = x.dtype
    last = type(x) is np.ndarray and is_channels_last(x)
    solid = floating("interpolate", channels_behind(x) if last else x, argument)
    if x.shape != given:
        raise ValueError(f"[interpolate] {argument} must have shape {given}, got {x.shape}")
    if not prod(wanted):
        return np.zeros(wanted, dtype.newbyteorder("="))
    tables = [
        axis(plan.mode, n, o, s, plan.align, plan.antialias, solid.dtype.char)[way]
        for n, o, s in zip(plan.input[2:], plan.output[2:], plan.scales, strict=True)
    ]
    if last:
        return channels_second(_last(tables, solid, wanted)).astype(dtype.newbyteorder("="), copy=False)
    planes, (before, after) = prod(given[:2]), (given[2:], wanted[2:])
    if len(tables) == 1:
        out = _planes((1, planes, *before), (1, planes, *after), solid, (None, None), tables[0])
    elif len(tables) == 2:
        out = _planes((planes, *before), (planes, *after), solid, *tables)
    else:  # through the depth on its own, where the volumes are smaller
        (d, h, w), (od, oh, ow) = before, after
        if od < d:
            solid = _planes((planes, d, h * w), (planes, od, h * w), solid, tables[0], (None, None))
            d = od
        out = _planes((planes * d, h, w), (planes * d, oh, ow), solid, *tables[1:])
        if od != d:
            out = _planes((planes, d, oh * ow), (planes, od, oh * ow), out, tables[0], (None, None))
        elif od == before[0] and tables[0].places is not None:
            out = _planes((planes, d, oh * ow), (planes, d, oh * ow), out, tables[0], (None, None))
    return out.reshape(wanted).astype(dtype.newbyteorder("="), copy=False)


def _last(tables: list, x: np.ndarray, wanted: tuple) -> np.ndarray:
    """Axis by axis, with the channels and the axes behind as one run."""
    planes, run = x.shape[0], prod(x.shape[1:])
    for n, o, table in zip(x.shape[1:-1], wanted[2:], tables, strict=True):
        run //= n
        x = _planes((planes, n, run), (planes, o, run), x, table, (None, None))
        planes *= o
    return x.reshape(wanted[0], *wanted[2:], wanted[1])


def _planes(given: tuple, wanted: tuple, x: np.ndarray, vertical, horizontal) -> np.ndarray:
    out = empty(wanted, x.dtype)
    kernels.resample(out, x.reshape(given), *vertical, *horizontal)
    return out


# ---- windows as columns


class Windows(NamedTuple):
    """Windows over images: the batched images' shape, that of the columns, and the kernel's parameters."""

    name: str
    image: tuple[int, ...]
    columns: tuple[int, ...]
    parameters: tuple[int, ...]
    unbatched: bool


@lru_cache(maxsize=4096, typed=True)
def plan_unfold(input: tuple, kernel, dilation, padding, stride) -> Windows:
    """Checks the parameters of windows over images of the given shape."""
    if len(input) not in (3, 4):
        raise ValueError(f"[unfold] input must have 4 dimensions (or 3 without batch), got shape {input}")
    kernel, parameters, counts = _windows("unfold", input[-2:], kernel, dilation, padding, stride)
    batch = (1,) if len(input) == 3 else ()
    image = batch + input
    return Windows("unfold", image, (image[0], image[1] * prod(kernel), prod(counts)), parameters, bool(batch))


@lru_cache(maxsize=4096, typed=True)
def plan_fold(input: tuple, output_size, kernel, dilation, padding, stride) -> Windows:
    """Checks the parameters of columns that become images of `output_size`."""
    if len(input) not in (2, 3):
        raise ValueError(f"[fold] input must have 3 dimensions (or 2 without batch), got shape {input}")
    output = positive("fold", "output_size", output_size, 2)
    kernel, parameters, counts = _windows("fold", output, kernel, dilation, padding, stride)
    if input[-2] % prod(kernel):
        raise ValueError(
            f"[fold] input has {input[-2]} rows of columns, which the kernel's {prod(kernel)} elements do not divide"
        )
    if input[-1] != prod(counts):
        raise ValueError(
            f"[fold] input has {input[-1]} columns, but an output of {output} has {counts[0]}·{counts[1]} = "
            f"{prod(counts)} windows"
        )
    batch = (1,) if len(input) == 2 else ()
    columns = batch + input
    return Windows("fold", (columns[0], columns[1] // prod(kernel), *output), columns, parameters, bool(batch))


def _windows(name: str, extent: tuple, kernel, dilation, padding, stride) -> tuple[tuple, tuple, tuple]:
    kernel = positive(name, "kernel_size", kernel, 2)
    dilation = positive(name, "dilation", dilation, 2)
    padding = not_negative(name, "padding", padding, 2)
    stride = positive(name, "stride", stride, 2)
    counts = []
    for n, k, d, p, s in zip(extent, kernel, dilation, padding, stride, strict=True):
        if max(n, k, d, p, s) > 2**30:
            raise ValueError(f"[{name}] sizes and parameters must be at most 2³⁰, got {max(n, k, d, p, s)}")
        count = (n + 2 * p - d * (k - 1) - 1) // s + 1
        if count < 1:
            raise ValueError(
                f"[{name}] the kernel is larger than the padded image: windows = floor((extent + 2·padding - "
                f"dilation·(kernel - 1) - 1) / stride) + 1 = (({n} + 2·{p} - {d}·({k} - 1) - 1) / {s}) + 1 = {count}"
            )
        counts.append(count)
    return kernel, (*kernel, *stride, *padding, *dilation), tuple(counts)


def unfold(plan: Windows, x: np.ndarray) -> np.ndarray:
    """The plan's windows over images as columns."""
    return _move(plan, kernels.unfold, x, plan.image, plan.columns)


def fold(plan: Windows, x: np.ndarray) -> np.ndarray:
    """The transpose of `unfold`: images with the columns' elements added where they stand."""
    return _move(plan, kernels.fold, x, plan.columns, plan.image)


def _move(plan: Windows, kernel, x: np.ndarray, given: tuple, wanted: tuple) -> np.ndarray:
    dtype = x.dtype
    solid = floating(plan.name, x)
    if solid.shape != (given[1:] if plan.unbatched else given):
        raise ValueError(f"[{plan.name}] expected shape {given}, got {x.shape}")
    if prod(wanted) >= 2**62:
        raise MemoryError(f"[{plan.name}] a result of shape {wanted} is beyond all memory")
    out = empty(wanted, solid.dtype)
    kernel(out, solid.reshape(given), plan.parameters)
    out = out.astype(dtype.newbyteorder("="), copy=False)
    return out[0] if plan.unbatched else out
