"""Layer, RMS, batch, group and instance norm on ndarrays, forward and backward.

Arrays are float32 or float64, all of one dtype, in any layout. Backward functions take `needs`, which of the gradients
(input, weight, bias) to compute, and give None for the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._native import kernels
from .arrays import channels_behind, channels_second, empty
from .convolution import is_channels_last

Array = np.ndarray
Needs = tuple[bool, bool, bool]
Gradients = tuple[Array | None, Array | None, Array | None]
ALL: Needs = (True, True, True)
FLOATS = "fd"


def layer_norm(
    input: Array, normalized_shape: int | Sequence[int], weight: Array | None, bias: Array | None, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """(x - mean)·scale·weight + bias over the last axes; returns it with mean and scale, one per row."""
    shape = row_shape(normalized_shape)
    if _fits(input, shape, weight, bias):
        columns = math.prod(shape)
        rows = (input.size // columns,)
        try:
            return kernels.normalization_rows_forward(3, rows, rows, input, weight, bias, columns, eps, 1)
        except (TypeError, ValueError):
            pass  # another layout, or an error that deserves words
    x, shape = _rows("layer_norm", input, shape)
    w = _parameter("layer_norm", "weight", weight, shape, x)
    b = _parameter("layer_norm", "bias", bias, shape, x)
    output = empty(x.shape, x.dtype)
    columns = math.prod(shape)
    mean, scale = (empty(x.size // columns if columns else 0, x.dtype) for _ in range(2))
    if x.size:
        kernels.normalization_rows_forward(output, mean, scale, x, w, b, columns, eps, 1)
    return output, mean, scale


def layer_norm_backward(
    grad_output: Array,
    input: Array,
    normalized_shape: int | Sequence[int],
    mean: Array | None,
    scale: Array,
    weight: Array | None,
    needs: Needs = ALL,
) -> Gradients:
    """The gradients of `layer_norm` (of `rms_norm` where `mean` is None)."""
    x, shape = _rows("layer_norm_backward", input, normalized_shape)
    g = _gradient("layer_norm_backward", grad_output, x)
    dx, dw, db = _outputs(x, shape, needs)
    if x.size:
        w = None if weight is None else _plain(weight)
        kernels.normalization_rows_backward(dx, dw, db, g, x, mean, scale, w, math.prod(shape))
    return dx, dw, db


def rms_norm(
    input: Array, normalized_shape: int | Sequence[int], weight: Array | None, eps: float | None = None
) -> tuple[Array, Array]:
    """x·scale·weight with scale = 1/√(mean of x² + eps); returns it with scale, one per row."""
    shape = row_shape(normalized_shape)
    if _fits(input, shape, weight, None):
        columns = math.prod(shape)
        rows = (input.size // columns,)
        least = float(np.finfo(input.dtype).eps) if eps is None else eps
        try:
            output, _, scale = kernels.normalization_rows_forward(3, None, rows, input, weight, None, columns, least, 0)
            return output, scale
        except (TypeError, ValueError):
            pass
    x, shape = _rows("rms_norm", input, shape)
    w = _parameter("rms_norm", "weight", weight, shape, x)
    if eps is None:
        eps = float(np.finfo(x.dtype).eps)
    output = empty(x.shape, x.dtype)
    columns = math.prod(shape)
    scale = empty(x.size // columns if columns else 0, x.dtype)
    if x.size:
        kernels.normalization_rows_forward(output, None, scale, x, w, None, columns, eps, 0)
    return output, scale


def batch_norm(
    input: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    name: str = "batch_norm",
) -> tuple[Array, Array, Array]:
    """(x - mean)·scale·weight + bias for each channel; returns it with mean and scale, one per channel.

    In training, mean and scale are the batch's, and the running statistics are updated in place.
    """
    if _is_last(input) and input.size > input.shape[1]:
        rows = _as_rows(input)
        output, mean, scale = batch_norm(
            rows, running_mean, running_var, weight, bias, training, momentum, eps, name=name
        )
        return _as_images(output, input), mean, scale
    x = _channels(name, input)
    channels = x.shape[1]
    w = _parameter(name, "weight", weight, (channels,), x)
    b = _parameter(name, "bias", bias, (channels,), x)
    m = _parameter(name, "running_mean", running_mean, (channels,), x)
    v = _parameter(name, "running_var", running_var, (channels,), x)
    output = empty(x.shape, x.dtype)
    if not training:
        if m is None or v is None:
            raise ValueError(f"[{name}] expected running_mean and running_var, which are needed outside training")
        scale = 1 / np.sqrt(v + x.dtype.type(eps))
        if x.size:
            kernels.normalization_batch_inference(output, x, m, v, w, b, eps)
        return output, m.copy(), scale
    if x.size == channels and channels:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(x.shape)}")
    mean, scale = np.zeros(channels, x.dtype), np.ones(channels, x.dtype)
    for label, given in (("running_mean", running_mean), ("running_var", running_var)):
        if given is not None and not given.flags.writeable:
            raise ValueError(f"[{name}] {label} is read-only, but it is updated in training")
    if x.size:
        kernels.normalization_batch_forward(output, mean, scale, m, v, x, w, b, momentum, eps)
        for given, worked in ((running_mean, m), (running_var, v)):
            if given is not None and given is not worked:
                given[...] = worked
    return output, mean, scale


def batch_norm_backward(
    grad_output: Array,
    input: Array,
    mean: Array,
    scale: Array,
    weight: Array | None,
    training: bool = True,
    needs: Needs = ALL,
) -> Gradients:
    """The gradients of `batch_norm`."""
    if _is_last(input) and grad_output.shape == input.shape:
        rows, grads = _as_rows(input), _as_rows(grad_output)
        dx, dw, db = batch_norm_backward(grads, rows, mean, scale, weight, training, needs)
        return None if dx is None else _as_images(dx, input), dw, db
    x, g = _plain(input), _gradient("batch_norm_backward", grad_output, input)
    dx, dw, db = _outputs(x, (x.shape[1],), needs)
    w = None if weight is None else _plain(weight)
    kernels.normalization_batch_backward(dx, dw, db, g, x, mean, scale, w, int(training))
    return dx, dw, db


def group_norm(
    input: Array, num_groups: int, weight: Array | None, bias: Array | None, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """(x - mean)·scale·weight + bias for each group of channels of each sample; returns it with mean and scale."""
    x = _channels("group_norm", input)
    channels = x.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(
            f"[group_norm] expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(x.shape)} and num_groups={num_groups}"
        )
    w = _parameter("group_norm", "weight", weight, (channels,), x)
    b = _parameter("group_norm", "bias", bias, (channels,), x)
    output = empty(x.shape, x.dtype)
    mean, scale = (empty((x.shape[0], num_groups), x.dtype) for _ in range(2))
    if x.size:
        kernels.normalization_group_forward(output, mean, scale, x, w, b, num_groups, eps)
    return output, mean, scale


def group_norm_backward(
    grad_output: Array, input: Array, mean: Array, scale: Array, weight: Array | None, needs: Needs = ALL
) -> Gradients:
    """The gradients of `group_norm`."""
    x, g = _plain(input), _gradient("group_norm_backward", grad_output, input)
    dx, dw, db = _outputs(x, (x.shape[1],), needs)
    w = None if weight is None else _plain(weight)
    kernels.normalization_group_backward(dx, dw, db, g, x, mean, scale, w, mean.shape[1])
    return dx, dw, db


def row_shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    """The last axes as a tuple; one axis may be given by its length."""
    if type(normalized_shape) is tuple:
        return normalized_shape
    if isinstance(normalized_shape, Sequence):
        return tuple(normalized_shape)
    return (int(normalized_shape),)


def _fits(input: Array, shape: tuple[int, ...], weight: Array | None, bias: Array | None) -> bool:
    """Whether a kernel may be asked at once: it checks all but the shapes of rows, weight and bias."""
    return bool(
        shape
        and type(input) is np.ndarray
        and input.size
        and input.dtype.char in FLOATS
        and input.shape[-len(shape) :] == shape
        and (weight is None or (type(weight) is np.ndarray and weight.shape == shape))
        and (bias is None or (type(bias) is np.ndarray and bias.shape == shape))
    )


def _plain(array: Array) -> Array:
    """The array itself where it is C-contiguous, else a copy."""
    return array if array.flags.c_contiguous else np.array(array, order="C")


def _is_last(array: Array) -> bool:
    """Whether the channels lie next to each other in memory, behind all other axes."""
    return type(array) is np.ndarray and array.dtype.char in FLOATS and is_channels_last(array)


def _as_rows(images: Array) -> Array:
    """(N, C, ...) seen as rows of channels, copied where they do not lie so."""
    return _plain(channels_behind(images)).reshape(-1, images.shape[1])


def _as_images(rows: Array, like: Array) -> Array:
    """The way back."""
    return channels_second(rows.reshape(like.shape[0], *like.shape[2:], like.shape[1]))


def _input(name: str, array: Array) -> Array:
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"[{name}] expected a Tensor or ndarray as input, got {type(array).__name__}")
    if array.dtype.char not in FLOATS:
        raise TypeError(f"[{name}] expected input of dtype float32 or float64, got {array.dtype}")
    return _plain(array)


def _rows(name: str, array: Array, normalized_shape: int | Sequence[int]) -> tuple[Array, tuple[int, ...]]:
    shape = row_shape(normalized_shape)
    x = _input(name, array)
    if not shape or x.shape[x.ndim - min(len(shape), x.ndim) :] != shape:
        raise ValueError(f"[{name}] normalized_shape={list(shape)} is not the end of the input's shape {list(x.shape)}")
    return x, shape


def _channels(name: str, array: Array) -> Array:
    x = _input(name, array)
    if x.ndim < 2:
        raise ValueError(f"[{name}] expected input of at least 2 dimensions (batch, channels, ...), got {x.ndim}")
    return x


def _parameter(name: str, label: str, array: Array | None, shape: tuple[int, ...], x: Array) -> Array | None:
    if array is None:
        return None
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"[{name}] expected a Tensor or ndarray as {label}, got {type(array).__name__}")
    if array.dtype != x.dtype:
        raise TypeError(f"[{name}] {label} has dtype {array.dtype}, but input has {x.dtype}")
    if array.shape != shape:
        raise ValueError(
            f"[{name}] {label} has shape {list(array.shape)}, but input has shape {list(x.shape)} "
            f"(expected {list(shape)})"
        )
    return _plain(array)


def _gradient(name: str, array: Array, x: Array) -> Array:
    if array.dtype != x.dtype:
        raise TypeError(f"[{name}] grad_output has dtype {array.dtype}, but input has {x.dtype}")
    if array.shape != x.shape:
        raise ValueError(f"[{name}] grad_output has shape {list(array.shape)}, but input has {list(x.shape)}")
    return _plain(array)


def _outputs(x: Array, shape: tuple[int, ...], needs: Needs) -> tuple[Any, ...]:
    dx = empty(x.shape, x.dtype) if needs[0] else None
    dw = np.zeros(shape, x.dtype) if needs[1] else None
    db = np.zeros(shape, x.dtype) if needs[2] else None
    return dx, dw, db
