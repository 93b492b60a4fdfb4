"""The three parts of a fused projection, and their gradients in one array."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tape import enabled, record_many, wrap
from ..autograd.tensor import Tensor
from ..ops.arrays import empty
from .joining import stack


def thirds(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The three parts of the last axis, whose gradients are written into one array."""
    array = x._array
    width = array.shape[-1] // 3
    parts = [array[..., i * width : (i + 1) * width] for i in range(3)]
    if not (x._requires_grad and enabled()):
        return tuple(map(wrap, parts))  # type: ignore[return-value]

    def backward(*grads: Any) -> tuple[Any, ...]:
        if any(isinstance(grad, Tensor) for grad in grads):
            zero = wrap(np.zeros_like(parts[0]))
            joined = stack([zero if grad is None else grad for grad in grads], -2)
            return (joined.reshape(array.shape),)
        whole = _whole(grads, array.shape)
        if whole is None:
            whole = empty(array.shape, array.dtype)
            for i, grad in enumerate(grads):
                whole[..., i * width : (i + 1) * width] = 0 if grad is None else grad
        return (whole,)

    return record_many(parts, (x,), backward, name="thirds", twice=True)


def _whole(grads: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """The array whose thirds the gradients are already, as attention makes them for operands that are thirds."""
    if any(grad is None for grad in grads):
        return None
    base, width = grads[0].base, shape[-1] // 3
    if base is None or any(grad.base is not base for grad in grads) or base.size != 3 * grads[0].size:
        return None
    if not isinstance(base, np.ndarray) or not base.flags.c_contiguous or base.dtype != grads[0].dtype:
        return None
    whole = base.reshape(shape)
    for i, grad in enumerate(grads):
        part = whole[..., i * width : (i + 1) * width]
        if grad.strides != part.strides or _address(grad) != _address(part):
            return None
    return whole


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]
