"""Changing the dtype of a module's parameters and buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from .. import dtypes
from ..autograd import Tensor
from ..autograd.tape import wrap
from ..devices import device as Device

T = TypeVar("T", bound="Casting")


class Casting:
    """The part of `Module` that converts what it owns, in place."""

    _parameters: dict[str, Any]
    _buffers: dict[str, Any]

    def _apply(self: T, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> T:
        if recurse:
            for module in self.children():
                module._apply(fn)
        for parameter in self._parameters.values():
            if parameter is None:
                continue
            array = fn(wrap(parameter._array))._array
            if array is not parameter._array:
                parameter._array = array
                parameter._storage = parameter._view = None
                parameter._bump()
            if parameter.grad is not None:
                parameter.grad = fn(parameter.grad.detach())
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self: T, *args: Any, **kwargs: Any) -> T:
        """Convert floating-point parameters and buffers: `to(dtype)`, `to(device, dtype)` or `to(tensor)`.

        The only device is the CPU. A memory_format is accepted and leaves the parameters as they are: a convolution
        follows its input, which may have channels last, and takes its weights row-major.

        Raises: RuntimeError for another device; TypeError for a dtype that is not floating point.
        """
        unknown = kwargs.keys() - {"device", "dtype", "tensor", "non_blocking", "copy", "memory_format"}
        if unknown:
            raise TypeError(f"[to] got unexpected arguments {sorted(unknown)}")
        target = kwargs.get("dtype")
        if kwargs.get("device") is not None:
            Device(kwargs["device"])
        for argument in (*args, kwargs.get("tensor")):
            if isinstance(argument, Tensor):
                target = argument.dtype
            elif isinstance(argument, (str, Device)):
                Device(argument)
            elif argument is not None and not isinstance(argument, bool):
                target = argument
        if target is None:
            return self
        chosen = dtypes.as_dtype(target)
        if not chosen.is_floating_point:
            raise TypeError(f"[to] a module takes floating-point dtypes only, but got {chosen}")
        numpy = chosen.numpy

        def convert(tensor: Tensor) -> Tensor:
            array = tensor._array
            if array.dtype == numpy or array.dtype.kind in "biu":
                return tensor
            with np.errstate(over="ignore"):
                return wrap(array.astype(numpy))

        return self._apply(convert)

    def float(self: T) -> T:
        """Convert to float32."""
        return self.to(dtypes.float32)

    def double(self: T) -> T:
        """Convert to float64."""
        return self.to(dtypes.float64)

    def half(self: T) -> T:
        """Convert to float16."""
        return self.to(dtypes.float16)

    def bfloat16(self: T) -> T:
        """Convert to bfloat16."""
        return self.to(dtypes.bfloat16)

    def type(self: T, dst_type: Any) -> T:
        """Convert to a floating-point dtype."""
        return self.to(dst_type)

    def cpu(self: T) -> T:
        """Return the module: it is on the CPU."""
        return self

    def cuda(self: T, device: Any = None) -> T:
        """Raise a RuntimeError: there is no such device."""
        return self.to("cuda")

    def share_memory(self: T) -> T:
        """Return the module: threads share its memory anyway."""
        return self
