"""A batch norm in evaluation folded into the convolution or the linear layer in front of it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from ..autograd import Tensor
from .parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def fuse_conv_bn_weights(
    conv_w: Any,
    conv_b: Any,
    bn_rm: Any,
    bn_rv: Any,
    bn_eps: float,
    bn_w: Any,
    bn_b: Any,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """The weight and the bias of a convolution that does what the one given and the batch norm behind it do.

    With s = bn_w / √(bn_rv + bn_eps): weight s · conv_w, bias (conv_b - bn_rm) · s + bn_b, made in float64 and rounded
    once to conv_w's dtype. conv_b, bn_w and bn_b may be None (0, 1 and 0).
    Shapes: conv_w (F, C / groups, …), or (C, F / groups, …) with `transpose`; the others (F,).

    Raises: ValueError where the channels of the norm are not those of the convolution.

    >>> import spinetail as st
    >>> w, b = st.nn.utils.fuse_conv_bn_weights(st.ones(1, 1, 1), None, st.ones(1), st.ones(1) * 4, 0.0, None, None)
    >>> w.item(), b.item()
    (0.5, -0.5)
    """
    weight, channels = _array(conv_w), len(bn_rm)
    if transpose:
        groups, rest = divmod(channels, weight.shape[1])
        if rest:
            raise ValueError(
                f"[fuse_conv_bn_weights] the norm has {channels} channels, but each group has {weight.shape[1]} outputs"
            )
    else:
        _expect("fuse_conv_bn_weights", channels, weight.shape[0])
    scale, shift = _affine(conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
    if transpose:
        split = weight.reshape(groups, -1, *weight.shape[1:])  # (group, input, output of the group, …)
        factors = scale.reshape(groups, 1, weight.shape[1], *(1,) * (weight.ndim - 2))
    else:
        split, factors = weight, scale.reshape(-1, *(1,) * (weight.ndim - 1))
    return _parameters(conv_w, conv_b, (split * factors).reshape(weight.shape), shift)


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """A copy of the convolution that does what it and the batch norm behind it do, both in evaluation mode.

    `transpose` is for transposed convolutions. Raises: AssertionError for modules in training mode and for a norm
    without running statistics; ValueError where the channels do not fit.

    >>> import spinetail as st
    >>> conv, bn = st.nn.Conv2d(2, 3, 3).eval(), st.nn.BatchNorm2d(3).eval()
    >>> x = st.randn(1, 2, 5, 5)
    >>> st.allclose(st.nn.utils.fuse_conv_bn_eval(conv, bn)(x), bn(conv(x)), atol=1e-6)
    True
    """
    return _fuse("fuse_conv_bn_eval", conv, bn, transpose)


def fuse_linear_bn_weights(
    linear_w: Any, linear_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any
) -> tuple[Parameter, Parameter]:
    """The weight and the bias of a linear layer that does what the one given and the batch norm behind it do.

    As `fuse_conv_bn_weights`, for a weight (o, i) and a norm of o features or of 1.

    >>> import spinetail as st
    >>> one = st.ones(1)
    >>> w, b = st.nn.utils.fuse_linear_bn_weights(st.ones(1, 2), None, one, one, 0.0, one * 3, None)
    >>> w.tolist(), b.tolist()
    ([[3.0, 3.0]], [-3.0])
    """
    weight = _array(linear_w)
    if len(bn_rm) != 1:
        _expect("fuse_linear_bn_weights", len(bn_rm), weight.shape[0])
    scale, shift = _affine(linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
    return _parameters(linear_w, linear_b, weight * scale[:, None], np.broadcast_to(shift, weight.shape[:1]))


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """A copy of the linear layer that does what it and the batch norm behind it do, both in evaluation mode.

    The layer's output is (N, o): the norm's channels are its outputs. Raises: as `fuse_conv_bn_eval`.

    >>> import spinetail as st
    >>> linear, bn = st.nn.Linear(2, 3).eval(), st.nn.BatchNorm1d(3).eval()
    >>> x = st.randn(4, 2)
    >>> st.allclose(st.nn.utils.fuse_linear_bn_eval(linear, bn)(x), bn(linear(x)), atol=1e-6)
    True
    """
    return _fuse("fuse_linear_bn_eval", linear, bn, None)


def _fuse(name: str, layer: Any, bn: Any, transpose: bool | None) -> Any:
    if layer.training or bn.training:
        which = type(layer if layer.training else bn).__name__
        raise AssertionError(f"[{name}] expected modules in evaluation mode, but the {which} is training: call eval()")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError(f"[{name}] the {type(bn).__name__} has no running statistics to fold")
    fused = deepcopy(layer)
    values = (layer.weight, layer.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias)
    if transpose is None:
        fused.weight, fused.bias = fuse_linear_bn_weights(*values)
    else:
        fused.weight, fused.bias = fuse_conv_bn_weights(*values, transpose)
    return fused


def _array(value: Any) -> np.ndarray:
    """In float64."""
    return np.asarray(value._array if isinstance(value, Tensor) else value, np.float64)


def _affine(bias: Any, mean: Any, variance: Any, eps: float, weight: Any, shift: Any) -> tuple[np.ndarray, np.ndarray]:
    """The factor that a channel of the layer gets, and the bias that the layer has then."""
    scale = 1 / np.sqrt(_array(variance) + eps)
    if weight is not None:
        scale = scale * _array(weight)
    start = -_array(mean) if bias is None else _array(bias) - _array(mean)
    return scale, start * scale + (0.0 if shift is None else _array(shift))


def _parameters(weight: Any, bias: Any, scaled: np.ndarray, shift: np.ndarray) -> tuple[Parameter, Parameter]:
    """Both in the dtypes of the layer's own, requiring gradients as those do."""
    dtype, trained = (weight._array if isinstance(weight, Tensor) else weight).dtype, _trained(weight)
    kept = dtype if bias is None else (bias._array if isinstance(bias, Tensor) else bias).dtype
    return (
        Parameter(scaled.astype(dtype), trained),
        Parameter(shift.astype(kept), trained if bias is None else _trained(bias)),
    )


def _trained(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _expect(name: str, channels: int, outputs: int) -> None:
    if channels != outputs:
        raise ValueError(f"[{name}] the norm has {channels} channels, but the layer in front has {outputs} outputs")
