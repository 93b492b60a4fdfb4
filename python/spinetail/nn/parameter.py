"""Tensors that a module owns: `Parameter` is trained, `Buffer` is only kept."""

from __future__ import annotations

import numpy as np

from .. import dtypes
from ..autograd import Tensor
from ..autograd.tensor import make
from ..devices import device as Device
from ..ops.arrays import empty


def _array(data: object, name: str) -> np.ndarray:
    if data is None:
        return np.empty(0, dtypes.get_default_dtype().numpy)
    if isinstance(data, Tensor):
        return data._array
    if isinstance(data, np.ndarray):
        return data
    raise TypeError(f"[{name}] expected a Tensor or an array, but got {type(data).__name__}")


class Parameter(Tensor):
    """A tensor that becomes a parameter of the module it is assigned to, and requires a gradient unless told otherwise.

    It shares the memory of `data`, a Tensor or an array.
    Raises: TypeError for other data; RuntimeError for one of integer or bool dtype that should require a gradient.

    >>> import spinetail as st
    >>> st.nn.Parameter(st.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data: Tensor | np.ndarray | None = None, requires_grad: bool = True) -> Parameter:
        parameter = make(cls, _array(data, "Parameter"))
        if requires_grad:
            parameter.requires_grad = True
        return parameter


class Buffer(Tensor):
    """A tensor that becomes a buffer of the module it is assigned to: part of its state, but not trained.

    With `persistent=False` it stays out of `state_dict`.

    >>> import spinetail as st
    >>> module = st.nn.Module()
    >>> module.scale = st.nn.Buffer(st.ones(1))
    >>> list(module.state_dict())
    ['scale']
    """

    persistent: bool

    def __new__(cls, data: Tensor | np.ndarray | None = None, *, persistent: bool = True) -> Buffer:
        buffer = make(cls, _array(data, "Buffer"))
        buffer.persistent = persistent
        return buffer


def unset(shape: tuple[int, ...], device: object = None, dtype: object = None) -> Parameter:
    """A parameter of the given shape whose values are still to be set."""
    if device is not None:
        Device(device)
    chosen = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    return Parameter(empty(shape, chosen.numpy))
