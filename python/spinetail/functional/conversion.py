"""Conversions: dtype and device, to Python and NumPy, and from them."""

from __future__ import annotations

import numpy as np

from .. import dtypes
from ..autograd.tape import enabled, record, wrap
from ..autograd.tensor import Tensor, method
from ..devices import CPU, preserve_format
from ..devices import device as Device


def cast(input: Tensor, dtype: np.dtype) -> Tensor:
    """The tensor in another NumPy dtype, recorded."""
    array = input._array
    source = array.dtype
    if source.kind == "f" and dtype.kind in "iu":
        with np.errstate(invalid="ignore"):
            out = array.astype(dtype)
    else:
        out = array.astype(dtype)
    if input._requires_grad and dtype.kind not in "biu" and enabled():
        return record(
            out,
            (input,),
            lambda grad: (grad.to(source) if isinstance(grad, Tensor) else grad.astype(source),),
            name="to",
            twice=True,
        )
    return wrap(out)


@method
def to(self, *args, dtype=None, device=None, non_blocking=False, copy=False, memory_format=None) -> Tensor:
    """The tensor in another dtype (or in that of another tensor) or memory format; the only device is the CPU.

    Raises: RuntimeError for a device that is not there.

    >>> import spinetail as st
    >>> st.tensor([1.7, -1.7]).to(st.int64)
    tensor([ 1, -1])
    """
    for arg in args:
        if isinstance(arg, Tensor):
            dtype = arg._array.dtype
        elif isinstance(arg, Device) or (isinstance(arg, str) and arg.partition(":")[0] in Device.kinds):
            device = arg
        elif arg is not None and not isinstance(arg, bool):  # a bool in this place is non_blocking or copy
            dtype = arg
    if device is not None:
        Device(device)
    target = self._array.dtype if dtype is None else dtype if type(dtype) is np.dtype else dtypes.as_dtype(dtype).numpy
    if target != self._array.dtype:
        out = cast(self, target)
    else:
        out = self.clone() if copy else self
    return out if memory_format is None or memory_format is preserve_format else out.contiguous(memory_format)


@method
def type_as(self, other: Tensor) -> Tensor:
    """The tensor in the dtype of `other`."""
    return self.to(other._array.dtype)


def type_(self, dtype=None, non_blocking=False):
    """The name of the tensor's type, such as 'torch.FloatTensor', or the tensor in another dtype."""
    if dtype is None:
        names = {
            "float32": "Float",
            "float64": "Double",
            "int64": "Long",
            "int32": "Int",
            "int16": "Short",
            "int8": "Char",
            "uint8": "Byte",
            "bool": "Bool",
            "float16": "Half",
            "bfloat16": "BFloat16",
        }
        return f"torch.{names.get(self.dtype.name, self.dtype.name)}Tensor"
    return self.to(dtype)


Tensor.type = type_


def _shorthand(name: str, dtype: dtypes.dtype) -> None:
    def convert(self, memory_format=None):
        return self if self._array.dtype == dtype.numpy else cast(self, dtype.numpy)

    convert.__name__ = convert.__qualname__ = name
    convert.__doc__ = f"The tensor as {dtype.name}."
    setattr(Tensor, name, convert)


for _name, _dtype in (
    ("half", dtypes.float16),
    ("bfloat16", dtypes.bfloat16),
    ("float", dtypes.float32),
    ("double", dtypes.float64),
    ("byte", dtypes.uint8),
    ("char", dtypes.int8),
    ("short", dtypes.int16),
    ("int", dtypes.int32),
    ("long", dtypes.int64),
    ("bool", dtypes.bool),
):
    _shorthand(_name, _dtype)


@method
def cpu(self, memory_format=None) -> Tensor:
    """The tensor itself: it is on the CPU."""
    return self


@method
def cuda(self, device=None, non_blocking=False, memory_format=None) -> Tensor:
    """Raises: RuntimeError; spinetail computes on the CPU."""
    Device("cuda")
    return self


Tensor.device = property(lambda self: CPU, doc="Where the tensor is: always the CPU.")
Tensor.is_cuda = property(lambda self: False, doc="Always false.")
Tensor.is_cpu = property(lambda self: True, doc="Always true.")
Tensor.is_sparse = property(lambda self: False, doc="Always false.")
Tensor.is_quantized = property(lambda self: False, doc="Always false.")
Tensor.layout = property(lambda self: "strided", doc="Always 'strided'.")


@method
def numpy(self, *, force: bool = False) -> np.ndarray:
    """The tensor's own ndarray: it shares memory.

    Raises: RuntimeError for a tensor that requires a gradient (use `detach()`), unless `force`.

    >>> import spinetail as st
    >>> st.tensor([1, 2]).numpy()
    array([1, 2])
    """
    if self._requires_grad and not force:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    return self._array


@method
def __array__(self, dtype=None, copy=None) -> np.ndarray:
    array = self.numpy()
    if dtype is not None and array.dtype != dtype:
        return array.astype(dtype)
    return array.copy() if copy else array


@method
def item(self):
    """The value of a tensor with one element, as a Python number.

    Raises: RuntimeError for any other number of elements.
    """
    if self._array.size != 1:
        raise RuntimeError(f"a Tensor with {self._array.size} elements cannot be converted to Scalar")
    return self._array.item()


@method
def tolist(self) -> list:
    """The values as nested Python lists."""
    return self._array.tolist()


@method
def __bool__(self) -> bool:
    if self._array.size != 1:
        if self._array.size == 0:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
        raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
    return bool(self._array.item())


@method
def __float__(self) -> float:
    return float(item(self))


@method
def __int__(self) -> int:
    return int(item(self))


@method
def __index__(self) -> int:
    if self._array.size != 1 or self._array.dtype.kind not in "iub":
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return int(self._array.item())


@method
def __complex__(self) -> complex:
    return complex(item(self))


@method
def __format__(self, spec: str) -> str:
    if self._array.ndim == 0:
        return self._array.item().__format__(spec)
    return object.__format__(self, spec)


@method
def __len__(self) -> int:
    if self._array.ndim == 0:
        raise TypeError("len() of a 0-d tensor")
    return len(self._array)


@method
def __iter__(self):
    if self._array.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


@method
def __contains__(self, element) -> bool:
    if isinstance(element, Tensor):
        element = element._array
    return bool((self._array == element).any())


@method
def __dlpack__(self, *args, **kwargs):
    if self._requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    return self._array.__dlpack__(*args, **kwargs)


@method
def __dlpack_device__(self) -> tuple:
    return self._array.__dlpack_device__()
