"""Normalization by layer, root mean square, batch, group and instance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tape import bump, enabled, record, wrap
from ..autograd.tensor import Tensor
from ..ops import normalization as ops
from .door import expect, lift

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]

Value = Any  # a Tensor or an ndarray; the result is of the same kind


def layer_norm(
    input: Value,
    normalized_shape: int | Sequence[int],
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
) -> Value:
    r"""Normalize over the last axes: y = (x - mean)/√(variance + eps) · weight + bias.

    Shapes: input (*, normalized_shape), weight and bias normalized_shape; result as the input. Mean and (biased)
    variance are taken over `normalized_shape`, for each of the leading positions.
    dtypes: float32 or float64, all the same; statistics are merged in float64.

    Raises: TypeError for mixed or other dtypes; ValueError for shapes that do not fit.

    Source: Ba, Kiros and Hinton, Layer Normalization (2016); torch.nn.functional.layer_norm.

    >>> import numpy as np, spinetail.functional.normalization as F
    >>> F.layer_norm(np.array([[1.0, 3.0], [5.0, 5.0]]), (2,), eps=0.0001).round(2)
    array([[-1.,  1.],
           [ 0.,  0.]])
    """
    if _bare(input, weight, bias):
        return ops.layer_norm(input, normalized_shape, weight, bias, eps)[0]
    x, w, b = _lifted(input, weight, bias)
    wa = None if w is None else w._array
    output, mean, scale = ops.layer_norm(x._array, normalized_shape, wa, None if b is None else b._array, eps)
    needs = _needs(x, w, b)
    if needs is None:
        return wrap(output)
    shape = ops.row_shape(normalized_shape)

    def backward(grad: np.ndarray) -> tuple[Any, ...]:
        return ops.layer_norm_backward(grad, x._array, shape, mean, scale, wa, needs)

    return record(output, (x, w, b), backward, _saved(x, w), "layer_norm")


def rms_norm(
    input: Value, normalized_shape: int | Sequence[int], weight: Value | None = None, eps: float | None = None
) -> Value:
    r"""Divide by the root mean square of the last axes: y = x/√(mean(x²) + eps) · weight.

    Shapes: input (*, normalized_shape), weight normalized_shape; result as the input. `eps` None is the dtype's
    epsilon. dtypes: float32 or float64, all the same; sums are merged in float64.

    Raises: TypeError for mixed or other dtypes; ValueError for shapes that do not fit.

    Source: Zhang and Sennrich, Root Mean Square Layer Normalization (2019); torch.nn.functional.rms_norm.

    >>> import numpy as np, spinetail.functional.normalization as F
    >>> F.rms_norm(np.array([3.0, -4.0]), (2,)).round(4)
    array([ 0.8485, -1.1314])
    """
    if _bare(input, weight, None):
        return ops.rms_norm(input, normalized_shape, weight, eps)[0]
    x, w, _ = _lifted(input, weight, None)
    wa = None if w is None else w._array
    output, scale = ops.rms_norm(x._array, normalized_shape, wa, eps)
    needs = _needs(x, w, None)
    if needs is None:
        return wrap(output)
    shape = ops.row_shape(normalized_shape)

    def backward(grad: np.ndarray) -> tuple[Any, ...]:
        return ops.layer_norm_backward(grad, x._array, shape, None, scale, wa, needs)[:2]

    return record(output, (x, w), backward, _saved(x, w), "rms_norm")


def batch_norm(
    input: Value,
    running_mean: Value | None,
    running_var: Value | None,
    weight: Value | None = None,
    bias: Value | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    r"""Normalize each channel over the batch: y = (x - mean)/√(variance + eps) · weight + bias.

    Shapes: input (n, c, ...) with any number of spatial axes; running_mean, running_var, weight, bias (c,); result as
    the input. In training, mean and (biased) variance are the batch's, and the running statistics, where given, are
    updated in place: r ← (1 - momentum)·r + momentum·(batch mean, unbiased variance). Otherwise the running statistics
    are used. dtypes: float32 or float64, all the same; statistics are merged in float64.

    Raises: TypeError for mixed or other dtypes; ValueError for shapes that do not fit, for one value per channel in
    training, and for missing running statistics outside training.

    Source: Ioffe and Szegedy, Batch Normalization (2015); torch.nn.functional.batch_norm.

    >>> import numpy as np, spinetail.functional.normalization as F
    >>> F.batch_norm(np.array([[1.0], [3.0]]), None, None, training=True, eps=0.0001).round(2)
    array([[-1.],
           [ 1.]])
    """
    if _bare(input, weight, bias) and not isinstance(running_mean, Tensor) and not isinstance(running_var, Tensor):
        return ops.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)[0]
    x, w, b = _lifted(input, weight, bias)
    wa = None if w is None else w._array
    output, mean, scale = ops.batch_norm(
        x._array,
        _array(running_mean),
        _array(running_var),
        wa,
        None if b is None else b._array,
        training,
        momentum,
        eps,
    )
    if training:
        _changed(running_mean, running_var)
    needs = _needs(x, w, b)
    if needs is None:
        return wrap(output)

    def backward(grad: np.ndarray) -> tuple[Any, ...]:
        return ops.batch_norm_backward(grad, x._array, mean, scale, wa, training, needs)

    return record(output, (x, w, b), backward, _saved(x, w), "batch_norm")


def group_norm(
    input: Value, num_groups: int, weight: Value | None = None, bias: Value | None = None, eps: float = 1e-5
) -> Value:
    r"""Normalize each group of channels of each sample: y = (x - mean)/√(variance + eps) · weight + bias.

    Shapes: input (n, c, ...) with any number of spatial axes, weight and bias (c,); result as the input. Mean and
    (biased) variance are taken over c/num_groups neighbouring channels and all spatial axes.
    dtypes: float32 or float64, all the same; statistics are merged in float64.

    Raises: TypeError for mixed or other dtypes; ValueError where num_groups does not divide c, for shapes that do not
    fit, and for one value per group.

    Source: Wu and He, Group Normalization (2018); torch.nn.functional.group_norm.

    >>> import numpy as np, spinetail.functional.normalization as F
    >>> F.group_norm(np.array([[1.0, 3.0, 0.0, 10.0]]), 2, eps=0.0001).round(2)
    array([[-1.,  1., -1.,  1.]])
    """
    expect("group_norm", input)
    shape = input.shape
    if len(shape) >= 2 and num_groups > 0 and np.prod(shape[2:], dtype=int) * shape[0] * shape[1] == num_groups:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(shape)}")
    if _bare(input, weight, bias):
        return ops.group_norm(input, num_groups, weight, bias, eps)[0]
    x, w, b = _lifted(input, weight, bias)
    wa = None if w is None else w._array
    output, mean, scale = ops.group_norm(x._array, num_groups, wa, None if b is None else b._array, eps)
    needs = _needs(x, w, b)
    if needs is None:
        return wrap(output)

    def backward(grad: np.ndarray) -> tuple[Any, ...]:
        return ops.group_norm_backward(grad, x._array, mean, scale, wa, needs)

    return record(output, (x, w, b), backward, _saved(x, w), "group_norm")


def instance_norm(
    input: Value,
    running_mean: Value | None = None,
    running_var: Value | None = None,
    weight: Value | None = None,
    bias: Value | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    r"""Normalize each channel of each sample over its spatial axes: y = (x - mean)/√(variance + eps) · weight + bias.

    Shapes: input (n, c, ...) with at least one spatial axis; the others (c,); result as the input. With
    `use_input_stats`, running statistics, where given, move by `momentum` towards the mean over the batch of the
    samples' means and unbiased variances; without, they take the place of the samples' statistics.
    dtypes: float32 or float64, all the same; statistics are merged in float64.

    Raises: TypeError for mixed or other dtypes; ValueError for shapes that do not fit and for one spatial element.

    Source: Ulyanov, Vedaldi and Lempitsky, Instance Normalization (2016); torch.nn.functional.instance_norm.

    >>> import numpy as np, spinetail.functional.normalization as F
    >>> F.instance_norm(np.array([[[1.0, 3.0], [0.0, 10.0]]]), eps=0.0001).round(2)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    expect("instance_norm", input)
    shape = input.shape
    if len(shape) < 3:
        raise ValueError(f"[instance_norm] expected input of shape (batch, channels, ...), got {list(shape)}")
    spatial = int(np.prod(shape[2:]))
    if spatial == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {list(shape)}")
    if running_mean is not None and running_var is not None and spatial and shape[0]:
        array = _array(input)
        axes = tuple(range(2, array.ndim))
        for running, values in (
            (_array(running_mean), array.mean(axes, dtype=np.float64)),
            (_array(running_var), array.var(axes, dtype=np.float64, ddof=1)),
        ):
            running[...] = running + momentum * (values.mean(0) - running)
        _changed(running_mean, running_var)
    return group_norm(input, shape[1], weight, bias, eps)


def _bare(*values: Value | None) -> bool:
    """Whether none of the values is a Tensor."""
    for value in values:
        if isinstance(value, Tensor):
            return False
    return True


def _lifted(*values: Value | None) -> list[Any]:
    return [None if value is None else lift(value) for value in values]


def _array(value: Value | None) -> Any:
    return value._array if isinstance(value, Tensor) else value


def _changed(*values: Value | None) -> None:
    for value in values:
        if isinstance(value, Tensor):
            bump(value)


def _needs(*tensors: Tensor | None) -> tuple[bool, bool, bool] | None:
    """Which of them need a gradient; None where nothing is to be recorded."""
    if not enabled():
        return None
    x, w, b = (tensor is not None and tensor._requires_grad for tensor in tensors)
    return (x, w, b) if x or w or b else None


def _saved(x: Tensor, weight: Tensor | None) -> tuple[Any, ...]:
    return (x,) if weight is None else (x, weight)
