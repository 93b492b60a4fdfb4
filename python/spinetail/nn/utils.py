"""Gradient clipping, parameters as one vector, and batch norms folded into the layers in front of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..autograd import Tensor, wrap
from ..autograd.tape import bump
from ..functional.joining import cat
from ..ops import optimizer as ops
from .fusion import fuse_conv_bn_eval, fuse_conv_bn_weights, fuse_linear_bn_eval, fuse_linear_bn_weights

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
    "get_total_norm",
    "parameters_to_vector",
    "vector_to_parameters",
]

Parameters = Tensor | np.ndarray | Iterable[Any]


def get_total_norm(
    tensors: Parameters, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """The norm of all tensors together, as if they were one vector.

    (Σ|x|^norm_type)^(1/norm_type), or max|x| for `norm_type` = inf; sums are made in float64.

    Raises: RuntimeError where the norm is not finite and `error_if_nonfinite` is set; ValueError for norm_type ≤ 0.

    >>> import spinetail as st
    >>> st.nn.utils.get_total_norm([st.tensor([3.0]), st.tensor([4.0])])
    tensor(5.)
    """
    arrays = _arrays(tensors)
    norm = _norm("get_total_norm", arrays, norm_type, error_if_nonfinite)
    return wrap(np.asarray(norm, np.result_type(*[a.dtype for a in arrays]) if arrays else np.float32))


def clip_grad_norm_(
    parameters: Parameters,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients of all parameters so that their total norm is at most `max_norm`; returns the norm before.

    g ← g · min(1, max_norm/(norm + 1e-6)). Parameters without gradient are passed over. Bare arrays are taken as the
    gradients themselves.

    Raises: RuntimeError where the norm is not finite and `error_if_nonfinite` is set; ValueError for norm_type ≤ 0.

    >>> import numpy as np
    >>> import spinetail as st
    >>> g = np.array([3.0, 4.0, 0.0])
    >>> st.nn.utils.clip_grad_norm_(g, 1.0).item()
    5.0
    >>> g.round(3)
    array([0.6, 0.8, 0. ])
    """
    gradients = _gradients(parameters)
    arrays = _arrays(gradients)
    norm = _norm("clip_grad_norm_", arrays, norm_type, error_if_nonfinite)
    factor = float(max_norm) / (norm + 1e-6)
    if not factor >= 1.0:  # NaN included
        ops.scale(arrays, factor)
        _changed(gradients)
    return wrap(np.asarray(norm, np.result_type(*[a.dtype for a in arrays]) if arrays else np.float32))


def clip_grads_with_norm_(
    parameters: Parameters, max_norm: float, total_norm: Any, foreach: bool | None = None
) -> None:
    """Scale the gradients of all parameters by min(1, max_norm/(total_norm + 1e-6)).

    >>> import numpy as np
    >>> import spinetail as st
    >>> g = np.array([3.0, 4.0])
    >>> st.nn.utils.clip_grads_with_norm_(g, 1.0, 10.0)
    >>> g.round(3)
    array([0.3, 0.4])
    """
    gradients = _gradients(parameters)
    factor = float(max_norm) / (float(total_norm) + 1e-6)
    if not factor >= 1.0:
        ops.scale(_arrays(gradients), factor)
        _changed(gradients)


def clip_grad_value_(parameters: Parameters, clip_value: float, foreach: bool | None = None) -> None:
    """Clamp every element of the gradients to [-clip_value, clip_value], in place; NaN stays.

    >>> import numpy as np
    >>> import spinetail as st
    >>> g = np.array([3.0, -0.5])
    >>> st.nn.utils.clip_grad_value_(g, 1.0)
    >>> g
    array([ 1. , -0.5])
    """
    gradients = _gradients(parameters)
    ops.clamp(_arrays(gradients), -float(clip_value), float(clip_value))
    _changed(gradients)


def parameters_to_vector(parameters: Iterable[Any]) -> Tensor:
    """All parameters flattened into one vector, in order.

    >>> import spinetail as st
    >>> st.nn.utils.parameters_to_vector([st.ones(2), st.zeros(1, 1)])
    tensor([1., 1., 0.])
    """
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Any]) -> None:
    """Copy consecutive pieces of the vector into the parameters; the opposite of `parameters_to_vector`.

    Raises: TypeError where `vec` is no Tensor; ValueError where its length is not that of all parameters.

    >>> import spinetail as st
    >>> w = st.zeros(2)
    >>> st.nn.utils.vector_to_parameters(st.tensor([1.0, 2.0]), [w])
    >>> w
    tensor([1., 2.])
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"[vector_to_parameters] expected vec to be a Tensor, but got {type(vec).__name__}")
    parameters = list(parameters)
    total = sum(parameter._array.size for parameter in parameters)
    if vec._array.shape != (total,):
        raise ValueError(f"[vector_to_parameters] expected a vector of shape ({total},), but got {vec._array.shape}")
    start = 0
    for parameter in parameters:
        array = parameter._array
        array[...] = vec._array[start : start + array.size].reshape(array.shape)
        start += array.size
        bump(parameter)


def _gradients(parameters: Parameters) -> list[Any]:
    """The gradients that there are, tensors or arrays."""
    if isinstance(parameters, (Tensor, np.ndarray)):
        parameters = [parameters]
    found = [p if isinstance(p, np.ndarray) else p.grad for p in parameters]
    return [gradient for gradient in found if gradient is not None]


def _arrays(tensors: Parameters) -> list[np.ndarray]:
    if isinstance(tensors, (Tensor, np.ndarray)):
        tensors = [tensors]
    return [tensor._array if isinstance(tensor, Tensor) else tensor for tensor in tensors]


def _changed(gradients: list[Any]) -> None:
    for gradient in gradients:
        if isinstance(gradient, Tensor):
            bump(gradient)


def _norm(name: str, arrays: list[np.ndarray], norm_type: float, error_if_nonfinite: bool) -> float:
    order = float(norm_type)
    if not order > 0:
        raise ValueError(f"[{name}] expected norm_type > 0 (or inf), but got {norm_type}")
    sums = ops.power_sums(arrays, order)
    if order == math.inf:
        norm = float(sums.max(initial=0.0))
    else:
        norm = float(sums.sum()) ** (1.0 / order) if order != 2.0 else math.sqrt(sums.sum())
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return norm
