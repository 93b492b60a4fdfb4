"""Pooling over one, two or three spatial axes on ndarrays: maximum, average and their adaptive forms, with gradients.

A `Plan` holds what shapes and parameters decide; plans are made once for each combination and remembered.
"""

from __future__ import annotations

from functools import lru_cache
from operator import index
from typing import NamedTuple

import numpy as np

from .._native import kernels
from .arrays import channels_second, empty, floating
from .convolution import is_channels_last, key, not_negative, positive, sizes

FLOATS = ("f", "d")
Size = int | tuple[int, ...] | list[int]


class Plan(NamedTuple):
    """One pooling: batched shapes and the kernel's parameters."""

    name: str
    parameters: tuple[int, ...]
    input: tuple[int, ...]
    output: tuple[int, ...]
    unbatched: bool


def max_pool(
    input: np.ndarray,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    spatial: int = 2,
) -> tuple[np.ndarray, np.ndarray]:
    """The maxima and their places in their planes (int32), which `max_pool_backward` takes."""
    plan = plan_max(spatial, input.shape, key(kernel_size), key(stride), key(padding), key(dilation), ceil_mode)
    return _unbatch(plan, *maximum(plan, input))


def max_pool_backward(
    grad_output: np.ndarray, indices: np.ndarray, shape: tuple[int, ...], spatial: int = 2
) -> np.ndarray:
    """The gradient of `max_pool` and `adaptive_max_pool` to an input of the given shape."""
    if len(shape) == spatial + 1:
        return spread(f"max_pool{spatial}d", grad_output[None], indices[None], (1, *shape))[0]
    return spread(f"max_pool{spatial}d", grad_output, indices, tuple(shape))


def avg_pool(
    input: np.ndarray,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    spatial: int = 2,
) -> np.ndarray:
    """The averages of windows."""
    plan = plan_average(
        spatial,
        input.shape,
        key(kernel_size),
        key(stride),
        key(padding),
        ceil_mode,
        count_include_pad,
        divisor_override,
    )
    return _unbatch(plan, average(plan, input))


def avg_pool_backward(
    grad_output: np.ndarray,
    shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    spatial: int = 2,
) -> np.ndarray:
    """The gradient of `avg_pool` to an input of the given shape."""
    plan = plan_average(
        spatial,
        tuple(shape),
        key(kernel_size),
        key(stride),
        key(padding),
        ceil_mode,
        count_include_pad,
        divisor_override,
    )
    return _unbatch(plan, average_backward(plan, grad_output))


def adaptive_avg_pool(input: np.ndarray, output_size: Size, spatial: int = 2) -> np.ndarray:
    """Averages over as many windows as the output has elements."""
    plan = plan_adaptive("adaptive_avg_pool", spatial, input.shape, key(output_size))
    return _unbatch(plan, average(plan, input))


def adaptive_avg_pool_backward(
    grad_output: np.ndarray, shape: tuple[int, ...], output_size: Size, spatial: int = 2
) -> np.ndarray:
    """The gradient of `adaptive_avg_pool` to an input of the given shape."""
    plan = plan_adaptive("adaptive_avg_pool", spatial, tuple(shape), key(output_size))
    return _unbatch(plan, average_backward(plan, grad_output))


def adaptive_max_pool(input: np.ndarray, output_size: Size, spatial: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Maxima over as many windows as the output has elements, and their places in their planes (int32)."""
    plan = plan_adaptive("adaptive_max_pool", spatial, input.shape, key(output_size))
    return _unbatch(plan, *maximum(plan, input))


def max_unpool(input: np.ndarray, indices: np.ndarray, extent: tuple[int, ...]) -> np.ndarray:
    """Zeros of the spatial extent with input's values at `indices`, which count through each plane."""
    name = f"max_unpool{len(extent)}d"
    planes = input.shape[: input.ndim - len(extent)]
    if indices.shape != input.shape:
        raise ValueError(f"[{name}] indices must have the input's shape {input.shape}, got {indices.shape}")
    if indices.dtype.kind not in "iu":
        raise TypeError(f"[{name}] indices must be integers, got dtype {indices.dtype}")
    room = int(np.prod(extent))
    flat = indices.reshape(*planes, int(np.prod(input.shape[len(planes) :])))
    if flat.size and (flat.min() < 0 or flat.max() >= room):
        raise IndexError(
            f"[{name}] indices must lie in 0 ... {room - 1} for an output of {extent}, found {flat.min()} ... "
            f"{flat.max()}"
        )
    out = np.zeros((*planes, room), input.dtype)
    np.put_along_axis(out, flat.astype(np.intp), input.reshape(flat.shape), -1)
    return out.reshape(*planes, *extent)


# ---- what a plan does


def maximum(plan: Plan, x: np.ndarray, places: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
    """Maxima of the plan's windows, and their places in their planes as int32 unless not wanted."""
    dtype = x.dtype
    out = _blank(plan.output, x, dtype.type) if dtype.char in FLOATS else None
    indices = _blank(plan.output, x, np.int32) if places else None
    try:
        kernels.max_pool_forward(out, indices, x, plan.parameters)
        return out, indices
    except (TypeError, ValueError):
        solid = floating(plan.name, x).reshape(plan.input)
        _check_room(plan)
        out = np.empty(plan.output, solid.dtype)
        indices = np.empty(plan.output, np.int32) if places else None
        kernels.max_pool_forward(out, indices, solid, plan.parameters)
        return out.astype(dtype.newbyteorder("="), copy=False), indices


def spread(name: str, grad: np.ndarray, indices: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Zeros of the given shape, with every element of grad added at the place in its plane that `indices` names."""
    dtype = grad.dtype
    out = _blank(shape, grad, dtype.type) if dtype.char in FLOATS else None
    try:
        kernels.max_pool_backward(out, grad, indices)
        return out
    except (TypeError, ValueError):
        solid = floating(name, grad, "grad_output")
        if solid.shape != indices.shape:
            raise ValueError(f"[{name}] the output has shape {indices.shape}, but its gradient {grad.shape}") from None
        out = np.empty(shape, solid.dtype)
        kernels.max_pool_backward(out, solid, np.ascontiguousarray(indices, np.int32))
        return out.astype(dtype.newbyteorder("="), copy=False)


def average(plan: Plan, x: np.ndarray) -> np.ndarray:
    """Averages of the plan's windows."""
    return _linear(plan, kernels.average_pool_forward, x, plan.input, plan.output, "input")


def average_backward(plan: Plan, grad: np.ndarray) -> np.ndarray:
    """The transpose of `average`, applied to grad."""
    return _linear(plan, kernels.average_pool_backward, grad, plan.output, plan.input, "grad_output")


def _linear(plan: Plan, kernel, x: np.ndarray, given: tuple, wanted: tuple, argument: str) -> np.ndarray:
    dtype = x.dtype
    out = _blank(wanted, x, dtype.type) if dtype.char in FLOATS else None
    try:
        kernel(out, x, plan.parameters)
        return out
    except (TypeError, ValueError):
        solid = floating(plan.name, x, argument)
        if solid.shape not in (given, given[1:]):
            raise ValueError(f"[{plan.name}] {argument} must have shape {given}, got {x.shape}") from None
        out = np.empty(wanted, solid.dtype)
        kernel(out, solid.reshape(given), plan.parameters)
        return out.astype(dtype.newbyteorder("="), copy=False)


def _blank(shape: tuple[int, ...], like: np.ndarray, dtype) -> np.ndarray:
    """An output whose channels lie next to each other in memory where those of `like` do."""
    if like.flags.c_contiguous or like.ndim != len(shape) or not is_channels_last(like):
        return empty(shape, np.dtype(dtype))
    return channels_second(empty((shape[0], *shape[2:], shape[1]), np.dtype(dtype)))


def _unbatch(plan: Plan, *arrays):
    arrays = tuple(a[0] if plan.unbatched and a is not None else a for a in arrays)
    return arrays if len(arrays) > 1 else arrays[0]


def _check_room(plan: Plan) -> None:
    if np.prod(plan.input[2:], dtype=float) >= 2**31:
        raise ValueError(f"[{plan.name}] planes must have less than 2³¹ elements, got {plan.input[2:]}")


# ---- plans


@lru_cache(maxsize=4096, typed=True)
def plan_max(spatial: int, input: tuple, kernel, stride, padding, dilation, ceil_mode) -> Plan:
    """Checks a max pooling's parameters and works out its output."""
    name = f"max_pool{spatial}d"
    kernel, stride, padding = _windows(name, spatial, kernel, stride, padding)
    dilation = positive(name, "dilation", dilation, spatial)
    parameters = (*_three(kernel, 1), *_three(stride, 1), *_three(padding, 0), *_three(dilation, 1), 0, 0, 0)
    return _plan(
        name, spatial, input, parameters, _extents(name, spatial, input, kernel, stride, padding, dilation, ceil_mode)
    )


@lru_cache(maxsize=4096, typed=True)
def plan_average(spatial: int, input: tuple, kernel, stride, padding, ceil_mode, include, divisor) -> Plan:
    """Checks an average pooling's parameters and works out its output."""
    name = f"avg_pool{spatial}d"
    kernel, stride, padding = _windows(name, spatial, kernel, stride, padding)
    if divisor is not None and index(divisor) == 0:
        raise ValueError(f"[{name}] divisor_override must not be zero")
    ones = (1,) * spatial
    parameters = (
        *_three(kernel, 1),
        *_three(stride, 1),
        *_three(padding, 0),
        1,
        1,
        1,
        0,
        int(bool(include)),
        divisor or 0,
    )
    return _plan(
        name, spatial, input, parameters, _extents(name, spatial, input, kernel, stride, padding, ones, ceil_mode)
    )


@lru_cache(maxsize=4096, typed=True)
def plan_adaptive(name: str, spatial: int, input: tuple, output_size) -> Plan:
    """Checks an adaptive pooling's parameters; None in `output_size` keeps the input's extent."""
    name = f"{name}{spatial}d"
    extent = _spatial(name, spatial, input)
    if isinstance(output_size, tuple) and len(output_size) == spatial:
        output_size = tuple(n if o is None else o for o, n in zip(output_size, extent, strict=True))
    output = sizes(name, "output_size", extent if output_size is None else output_size, spatial)
    if min(output) < 0:
        raise ValueError(f"[{name}] output_size must not be negative, got {output_size!r}")
    if 0 in extent and 0 not in output:
        raise ValueError(f"[{name}] input has an empty spatial axis: shape {input}")
    return _plan(name, spatial, input, (1,) * 6 + (0,) * 3 + (1,) * 4 + (0, 0), output)


def _plan(name: str, spatial: int, input: tuple, parameters: tuple, output: tuple) -> Plan:
    batch = (1,) if len(input) == spatial + 1 else ()
    return Plan(name, parameters, batch + input, (*batch, *input[:-spatial], *output), bool(batch))


def _spatial(name: str, spatial: int, input: tuple) -> tuple:
    if len(input) not in (spatial + 1, spatial + 2):
        raise ValueError(
            f"[{name}] input must have {spatial + 2} dimensions (or {spatial + 1} without batch), got shape {input}"
        )
    return input[-spatial:]


def _windows(name: str, spatial: int, kernel, stride, padding) -> tuple[tuple, tuple, tuple]:
    kernel = positive(name, "kernel_size", kernel, spatial)
    stride = kernel if stride is None or stride == () else positive(name, "stride", stride, spatial)
    return kernel, stride, not_negative(name, "padding", padding, spatial)


def _extents(
    name: str,
    spatial: int,
    input: tuple,
    kernel: tuple,
    stride: tuple,
    padding: tuple,
    dilation: tuple,
    ceil_mode: bool,
) -> tuple:
    """PyTorch's output extents: in ceil mode the last window must start inside the input or its left padding."""
    output = []
    for n, k, s, p, d in zip(_spatial(name, spatial, input), kernel, stride, padding, dilation, strict=True):
        if p > (d * (k - 1) + 1) // 2:
            raise ValueError(
                f"[{name}] padding must be at most half of the kernel, got padding {p} with kernel_size {k} and "
                f"dilation {d}"
            )
        room = n + 2 * p - d * (k - 1) - 1
        size = (room + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (size - 1) * s >= n + p:
            size -= 1
        if size < 1 or n == 0:
            raise ValueError(
                f"[{name}] the kernel is larger than the padded input: output size = {'ceil' if ceil_mode else 'floor'}"
                f"((input + 2·padding - dilation·(kernel - 1) - 1) / stride) + 1 = "
                f"(({n} + 2·{p} - {d}·({k} - 1) - 1) / {s}) + 1 = {size}"
                + (", and the input is empty" if n == 0 else "")
            )
        output.append(size)
    return tuple(output)


def _three(values: tuple[int, ...], missing: int) -> tuple[int, ...]:
    return (missing,) * (3 - len(values)) + values
