"""Convolution over one, two or three spatial axes on ndarrays: forward, gradients, and the transposed convolution.

A `Plan` holds what shapes and parameters decide: the kernel's parameter struct and the shapes of all arrays. Plans are
made once for each combination and remembered, so that a call in a loop only allocates its output.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from operator import index
from typing import NamedTuple

import numpy as np

from .._native import kernels
from .arrays import channels_behind, channels_second
from .arrays import empty as fresh
from .reduction import sum as sum_of

FLOATS = ("f", "d")
NAMES = {1: "conv1d", 2: "conv2d", 3: "conv3d"}
Size = int | tuple[int, ...] | list[int]
ALGORITHMS = ("automatic", "direct", "winograd", "winograd2")
_algorithm = 0  # of plans made from now on


@contextmanager
def algorithm(name: str) -> Iterator[None]:
    """Within it, convolutions and their gradients to the input are computed this way where they can be."""
    global _algorithm
    if name not in ALGORITHMS:
        raise ValueError(f"[convolution] algorithm must be one of {', '.join(ALGORITHMS)}, got {name!r}")
    before, _algorithm = _algorithm, ALGORITHMS.index(name)
    try:
        yield
    finally:
        _algorithm = before


def planned() -> int:
    """The number of the algorithm that is asked for."""
    return _algorithm


class Plan(NamedTuple):
    """One convolution: `input` -> `output` shapes (batched), `weight`'s shape, and the kernel's parameters."""

    name: str
    parameters: tuple[int, ...]
    input: tuple[int, ...]
    output: tuple[int, ...]
    weight: tuple[int, ...]
    unbatched: bool


def convolution(
    input: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
    relu: bool = False,
) -> np.ndarray:
    """input ([N,] C, *spatial) with weight (F, C / groups, *kernel) plus bias (F,); max(0, ·) of it when `relu`."""
    plan = plan_convolution(input.shape, weight.shape, key(stride), key(padding), key(dilation), groups, _algorithm)
    y = forward(plan, input[None] if plan.unbatched else input, weight, bias, relu)
    return y[0] if plan.unbatched else y


def convolution_backward(
    grad_output: np.ndarray,
    input: np.ndarray,
    weight: np.ndarray,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Gradients of `convolution` to input, weight and bias; those not needed are None."""
    plan = plan_convolution(input.shape, weight.shape, key(stride), key(padding), key(dilation), groups, _algorithm)
    if plan.unbatched:
        grad_output, input = grad_output[None], input[None]
    check_grad(plan.name, grad_output, plan.output)
    dinput = backward_input(plan, grad_output, weight) if needs[0] else None
    dweight = backward_weight(plan, grad_output, input) if needs[1] else None
    dbias = backward_bias(grad_output) if needs[2] else None
    return (dinput[0] if plan.unbatched and dinput is not None else dinput), dweight, dbias


def conv_transpose(
    input: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    relu: bool = False,
) -> np.ndarray:
    """The transposed convolution: input (N, C, *spatial), weight (C, F / groups, *kernel), bias (F,)."""
    plan = plan_transpose(
        input.shape, weight.shape, key(stride), key(padding), key(output_padding), groups, key(dilation), _algorithm
    )
    y = backward_input(plan, input[None] if plan.unbatched else input, weight, bias, relu)
    return y[0] if plan.unbatched else y


def conv_transpose_backward(
    grad_output: np.ndarray,
    input: np.ndarray,
    weight: np.ndarray,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Gradients of `conv_transpose` to input, weight and bias; those not needed are None."""
    plan = plan_transpose(
        input.shape, weight.shape, key(stride), key(padding), key(output_padding), groups, key(dilation), _algorithm
    )
    if plan.unbatched:
        grad_output, input = grad_output[None], input[None]
    check_grad(plan.name, grad_output, plan.input)
    dinput = forward(plan, grad_output, weight) if needs[0] else None
    dweight = backward_weight(plan, input, grad_output) if needs[1] else None
    dbias = backward_bias(grad_output) if needs[2] else None
    return (dinput[0] if plan.unbatched and dinput is not None else dinput), dweight, dbias


# ---- the three products of a plan, each linear in both operands, and the sum for the bias


def forward(plan: Plan, x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None, relu: bool = False) -> np.ndarray:
    """Convolves x with w; the derivative of `backward_input` in its first operand too."""
    if x.flags.c_contiguous:
        try:
            return kernels.convolution_forward(plan.output, x, w, b, plan.parameters, relu)
        except (TypeError, ValueError):
            pass
    dtype = x.dtype
    if dtype.char in FLOATS:
        out = empty(plan.output, x)
        try:
            kernels.convolution_forward(out, x, w, b, plan.parameters, relu)
            return out
        except (TypeError, ValueError):
            explain(plan.name, x, w, b, plan.output[1])
            x, w, b = dense(x), solid(w), solid(b)
            out = empty(plan.output, x)
            kernels.convolution_forward(out, x, w, b, plan.parameters, relu)
            return out
    explain(plan.name, x, w, b, plan.output[1])
    return forward(plan, *wide(x, w, b), relu).astype(dtype)


def backward_input(
    plan: Plan, g: np.ndarray, w: np.ndarray, b: np.ndarray | None = None, relu: bool = False
) -> np.ndarray:
    """The transpose of `forward` in x, applied to g."""
    dtype = g.dtype
    if dtype.char in FLOATS:
        out = empty(plan.input, g)
        try:
            kernels.convolution_backward_input(out, g, w, b, plan.parameters, relu)
            return out
        except (TypeError, ValueError):
            explain(plan.name, g, w, b, plan.input[1])
            g, w, b = dense(g), solid(w), solid(b)
            out = empty(plan.input, g)
            kernels.convolution_backward_input(out, g, w, b, plan.parameters, relu)
            return out
    explain(plan.name, g, w, b, plan.input[1])
    return backward_input(plan, *wide(g, w, b), relu).astype(dtype)


def backward_weight(plan: Plan, g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The transpose of `forward` in w, applied to g."""
    dtype = g.dtype
    if dtype.char in FLOATS:
        out = fresh(plan.weight, np.dtype(dtype.type))
        try:
            kernels.convolution_backward_weight(out, g, x, plan.parameters)
        except (TypeError, ValueError):
            explain(plan.name, g, x, None, 0)
            if is_channels_last(x):  # so must both be
                g = channels_last(g)
            else:
                g, x = solid(g), solid(x)
            kernels.convolution_backward_weight(out, g, x, plan.parameters)
        return out
    explain(plan.name, g, x, None, 0)
    return backward_weight(plan, *wide(g, x)).astype(dtype)


def backward_bias(g: np.ndarray) -> np.ndarray:
    """The sum over all axes but the second."""
    if g.dtype.char in FLOATS:
        if is_channels_last(g):
            return sum_of(channels_behind(g).reshape(-1, g.shape[1]), (0,))
        out = np.empty(g.shape[1], g.dtype.type)
        kernels.convolution_backward_bias(out, solid(g))
        return out
    return backward_bias(g.astype(np.float32)).astype(g.dtype)


# ---- plans


def key(value):
    """A parameter in a form that can be remembered: lists become tuples."""
    return value if type(value) is not list else tuple(value)


@lru_cache(maxsize=4096, typed=True)
def plan_convolution(input: tuple, weight: tuple, stride, padding, dilation, groups, algorithm: int = 0) -> Plan:
    """Checks a convolution's shapes and parameters and works out its output."""
    name, spatial, unbatched, batch, channels = _operands(input, weight, "conv")
    stride = positive(name, "stride", stride, spatial)
    dilation = positive(name, "dilation", dilation, spatial)
    groups = _groups(name, groups)
    per_group, extra = divmod(channels, groups)
    if extra or per_group != weight[1]:
        raise ValueError(
            f"[{name}] weight has {weight[1]} input channels per group, but input has {channels} channels and "
            f"groups={groups} (expected {f'{per_group}' if not extra else 'a multiple of groups channels'})"
        )
    if weight[0] % groups:
        raise ValueError(f"[{name}] weight has {weight[0]} filters, which groups={groups} does not divide")
    before, after = _padding(name, padding, weight[2:], stride, dilation)
    extent = input[-spatial:]
    output = []
    for axis, size in enumerate(extent):
        reach = dilation[axis] * (weight[2 + axis] - 1) + 1
        padded = size + before[axis] + after[axis]
        if padded < reach or size == 0:
            raise ValueError(
                f"[{name}] the kernel is larger than the padded input along spatial axis {axis}: output size = "
                f"floor((input + padding - dilation·(kernel - 1) - 1) / stride) + 1 = floor(({size} + {before[axis]} + "
                f"{after[axis]} - {dilation[axis]}·({weight[2 + axis]} - 1) - 1) / {stride[axis]}) + 1 = "
                f"{(padded - reach) // stride[axis] + 1}" + (", and the input is empty" if size == 0 else "")
            )
        output.append((padded - reach) // stride[axis] + 1)
    parameters = (*_three(stride, 1), *_three(before, 0), *_three(after, 0), *_three(dilation, 1), groups, algorithm)
    return Plan(name, parameters, (batch, channels, *extent), (batch, weight[0], *output), weight, unbatched)


@lru_cache(maxsize=4096, typed=True)
def plan_transpose(
    input: tuple, weight: tuple, stride, padding, output_padding, groups, dilation, algorithm: int = 0
) -> Plan:
    """The plan of the convolution whose transpose is asked for: its `output` is the given input."""
    name, spatial, unbatched, batch, channels = _operands(input, weight, "conv_transpose")
    stride = positive(name, "stride", stride, spatial)
    dilation = positive(name, "dilation", dilation, spatial)
    groups = _groups(name, groups)
    if isinstance(padding, str):
        raise ValueError(f"[{name}] padding must be an int or a tuple of ints, got {padding!r}")
    before = not_negative(name, "padding", padding, spatial)
    extra = not_negative(name, "output_padding", output_padding, spatial)
    if weight[0] != channels:
        raise ValueError(
            f"[{name}] weight has {weight[0]} input channels, but input has {channels} channels (weight is "
            f"(input channels, output channels / groups, *kernel))"
        )
    if channels % groups:
        raise ValueError(f"[{name}] input has {channels} channels, which groups={groups} does not divide")
    output = []
    for axis, size in enumerate(input[-spatial:]):
        if extra[axis] >= max(stride[axis], dilation[axis]):
            raise ValueError(
                f"[{name}] output_padding must be smaller than stride or dilation, got {extra[axis]} with stride "
                f"{stride[axis]} and dilation {dilation[axis]} along spatial axis {axis}"
            )
        kernel = weight[2 + axis]
        made = (size - 1) * stride[axis] - 2 * before[axis] + dilation[axis] * (kernel - 1) + extra[axis] + 1
        if made < 1 or size == 0:
            raise ValueError(
                f"[{name}] the output is empty along spatial axis {axis}: output size = (input - 1)·stride - 2·padding "
                f"+ dilation·(kernel - 1) + output_padding + 1 = ({size} - 1)·{stride[axis]} - 2·{before[axis]} + "
                f"{dilation[axis]}·({kernel} - 1) + {extra[axis]} + 1 = {made}"
            )
        output.append(made)
    # What output padding adds, the convolution that leads back does not reach: less padding behind it.
    after = tuple(p - e for p, e in zip(before, extra, strict=True))
    parameters = (*_three(stride, 1), *_three(before, 0), *_three(after, 0), *_three(dilation, 1), groups, algorithm)
    return Plan(
        name, parameters, (batch, weight[1] * groups, *output), (batch, channels, *input[-spatial:]), weight, unbatched
    )


def _operands(input: tuple, weight: tuple, family: str) -> tuple[str, int, bool, int, int]:
    """Name, number of spatial axes, whether the batch axis is missing, batch, channels."""
    spatial = len(weight) - 2
    if spatial not in NAMES:
        raise ValueError(f"[{family}] weight must have 3, 4 or 5 dimensions, got shape {weight}")
    name = NAMES[spatial].replace("conv", family)
    if len(input) not in (spatial + 1, spatial + 2):
        raise ValueError(
            f"[{name}] input must have {spatial + 2} dimensions (or {spatial + 1} without batch) for a weight of shape "
            f"{weight}, got shape {input}"
        )
    if 0 in weight[2:] or 0 in weight[:1]:
        raise ValueError(f"[{name}] weight has an empty axis: shape {weight}")
    unbatched = len(input) == spatial + 1
    batch = 1 if unbatched else input[0]
    return name, spatial, unbatched, batch, input[-spatial - 1]


def sizes(name: str, what: str, value, spatial: int) -> tuple[int, ...]:
    """One int for each spatial axis, from an int or a sequence of one or `spatial` ints."""
    try:
        if not isinstance(value, (tuple, list)):
            return (index(value),) * spatial
        given = tuple(index(v) for v in value)
    except TypeError:
        raise TypeError(f"[{name}] {what} must be an int or a tuple of {spatial} ints, got {value!r}") from None
    if len(given) == 1:
        given = given * spatial
    if len(given) != spatial:
        raise ValueError(f"[{name}] {what} must be an int or a tuple of {spatial} ints, got {value!r}")
    return given


def positive(name: str, what: str, value, spatial: int) -> tuple[int, ...]:
    """`sizes` that must be at least 1."""
    given = sizes(name, what, value, spatial)
    if min(given) < 1 or max(given) >= 2**31:
        raise ValueError(f"[{name}] {what} must be at least 1, got {value!r}")
    return given


def not_negative(name: str, what: str, value, spatial: int) -> tuple[int, ...]:
    """`sizes` that must be at least 0."""
    given = sizes(name, what, value, spatial)
    if min(given) < 0 or max(given) >= 2**31:
        raise ValueError(f"[{name}] {what} must not be negative, got {value!r}")
    return given


def _groups(name: str, groups) -> int:
    try:
        groups = index(groups)
    except TypeError:
        raise TypeError(f"[{name}] groups must be an int, got {groups!r}") from None
    if groups < 1:
        raise ValueError(f"[{name}] groups must be at least 1, got {groups}")
    return groups


def _padding(name: str, padding, kernel: tuple, stride: tuple, dilation: tuple) -> tuple[tuple, tuple]:
    """Zeros before and behind along each spatial axis."""
    spatial = len(kernel)
    if isinstance(padding, str):
        if padding == "valid":
            return (0,) * spatial, (0,) * spatial
        if padding != "same":
            raise ValueError(f"[{name}] padding must be an int, a tuple of ints, 'same' or 'valid', got {padding!r}")
        if max(stride) > 1:
            raise ValueError(f"[{name}] padding='same' needs stride 1, got stride {stride}")
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    given = not_negative(name, "padding", padding, spatial)
    return given, given


def _three(values: tuple[int, ...], missing: int) -> tuple[int, ...]:
    return (missing,) * (3 - len(values)) + values


# ---- dtypes and layouts


def solid(array: np.ndarray | None) -> np.ndarray | None:
    """The array in C order and native byte order, copied if need be."""
    return None if array is None else np.ascontiguousarray(array, array.dtype.type)


def is_channels_last(array: np.ndarray) -> bool:
    """Whether (N, C, *spatial) lies in memory as (N, *spatial, C), and not also in its own order."""
    return (
        array.ndim > 2
        and not array.flags.c_contiguous
        and array.dtype.isnative
        and array.transpose(0, *range(2, array.ndim), 1).flags.c_contiguous
    )


def channels_last(array: np.ndarray) -> np.ndarray:
    """The array with its channels next to each other in memory, copied if need be."""
    if 1 < array.shape[1] <= 4 and array.size > 1 << 14 and array.flags.c_contiguous:  # plane by plane is faster
        copy = np.empty((array.shape[0], *array.shape[2:], array.shape[1]), array.dtype.type)
        for channel in range(array.shape[1]):
            copy[..., channel] = array[:, channel]
        return channels_second(copy)
    return channels_second(np.ascontiguousarray(channels_behind(array), array.dtype.type))


def dense(array: np.ndarray) -> np.ndarray:
    """The array itself where a kernel takes it, in either order of its channels, else a C-ordered copy."""
    return array if is_channels_last(array) else solid(array)


def empty(shape: tuple[int, ...], like: np.ndarray) -> np.ndarray:
    """An output in the layout of an operand."""
    if like.flags.c_contiguous or not is_channels_last(like):
        return fresh(shape, np.dtype(like.dtype.type))
    return channels_second(fresh((shape[0], *shape[2:], shape[1]), np.dtype(like.dtype.type)))


def wide(*arrays: np.ndarray | None) -> tuple:
    """float16 and bfloat16 as float32, in which they are computed."""
    return tuple(None if a is None else a.astype(np.float32) for a in arrays)


def check_grad(name: str, grad: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuses an output gradient of the wrong shape."""
    if grad.shape != shape:
        raise ValueError(f"[{name}] the output has shape {shape}, but its gradient {grad.shape}")


def explain(name: str, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, channels: int) -> None:
    """Raises what is wrong with the operands' kinds and dtypes, if anything is."""
    for what, array in (("input", x), ("weight", w), ("bias", b)):
        if array is None:
            continue
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"[{name}] {what} must be a numpy.ndarray, got {type(array).__name__}")
        if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
            raise TypeError(f"[{name}] {what} must be floating point, got dtype {array.dtype}")
        if array.dtype.newbyteorder("=") != x.dtype.newbyteorder("="):
            raise TypeError(f"[{name}] expected one dtype, got input {x.dtype} and {what} {array.dtype}")
    if x.dtype.itemsize > 8:
        raise TypeError(f"[{name}] unsupported dtype {x.dtype}")
    if b is not None and b.shape != (channels,):
        raise ValueError(f"[{name}] bias must have shape ({channels},), got {b.shape}")
