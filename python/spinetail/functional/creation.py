"""Creation: tensors from data."""

from __future__ import annotations

import builtins

import numpy as np

from .. import dtypes
from ..autograd.tape import enabled, record, wrap
from ..autograd.tensor import Tensor, method
from ..devices import device as Device
from .door import checked, expect

__all__ = [
    "BFloat16Tensor",
    "BoolTensor",
    "ByteTensor",
    "CharTensor",
    "DoubleTensor",
    "FloatTensor",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
    "as_tensor",
    "asarray",
    "clone",
    "from_dlpack",
    "from_numpy",
    "frombuffer",
    "scalar_tensor",
    "tensor",
]


def _dtype(dtype) -> np.dtype:
    return (dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)).numpy


def _shape(name: str, size: tuple) -> tuple:
    if (
        len(size) == 1
        and not isinstance(size[0], (int, np.integer))
        and not (isinstance(size[0], Tensor) and size[0].ndim == 0)
    ):
        size = size[0]
        if isinstance(size, np.ndarray):
            size = checked(size)
        elif not isinstance(size, (tuple, list, Tensor, range)):
            raise TypeError(f"[{name}] expected extents as integers, but got {type(size).__name__}")
    if any([isinstance(s, np.ma.MaskedArray) for s in size]):
        raise TypeError(f"[{name}] expected extents as integers, but got a masked array")
    shape = tuple([int(s) for s in size])
    for extent in shape:
        if extent < 0:
            raise ValueError(f"[{name}] trying to create a tensor with negative dimension {extent}: {list(shape)}")
    return shape


def _finish(array: np.ndarray, requires_grad: bool, device) -> Tensor:
    if device is not None:
        Device(device)
    result = wrap(array)
    if requires_grad:
        result.requires_grad = True
    return result


def _array(data, dtype) -> np.ndarray:
    """The values as an array of its own dtype by PyTorch's rules; it may share memory with `data`."""
    if isinstance(data, Tensor):
        array = data._array
    elif isinstance(data, (np.ndarray, np.generic)):
        array = checked(np.asarray(data))
    else:
        if isinstance(data, (list, tuple)) and data and isinstance(data[0], (Tensor, list, tuple)):
            data = _plain(data)
        try:
            array = np.array(data)
        except ValueError as error:
            raise ValueError(f"[tensor] the nested sequence is ragged: {error}") from None
        if array.dtype.kind == "O" and hasattr(data, "__array__"):
            array = np.asarray(data.__array__())
        array = checked(array)
        if dtype is None and array.dtype == np.float64 and not _holds_arrays(data):
            array = array.astype(dtypes.get_default_dtype().numpy)  # Python floats
    if dtype is None:
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    target = dtypes.as_dtype(dtype).numpy
    with np.errstate(all="ignore"):
        return array.astype(target, copy=False)


def _plain(data):
    """Tensors inside nested lists as numbers or arrays."""
    return [x._array if isinstance(x, Tensor) else _plain(x) if isinstance(x, (list, tuple)) else x for x in data]


def _holds_arrays(data) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic)) or hasattr(data, "__array__")


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False) -> Tensor:
    """A new tensor with a copy of `data`: numbers, nested lists, an array or a tensor.

    Python floats become the default dtype, Python integers int64; arrays keep their dtype.
    Raises: ValueError for ragged lists; TypeError for values that are not numbers.

    >>> import spinetail as st
    >>> st.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    return _finish(np.array(_array(data, dtype), order="C"), requires_grad, device)


def as_tensor(data, dtype=None, device=None) -> Tensor:
    """A tensor of `data` that shares memory with an array of the right dtype; a tensor comes back as it is.

    >>> import numpy as np, spinetail as st
    >>> a = np.zeros(2, np.float32)
    >>> t = st.as_tensor(a); a[0] = 1; t
    tensor([1., 0.])
    """
    if isinstance(data, Tensor):
        return data if dtype is None and device is None else data.to(dtype=dtype, device=device)
    return _finish(_array(data, dtype), False, device)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False) -> Tensor:
    """A tensor of `obj` that shares its memory unless `copy` or another dtype forbids it."""
    array = _array(obj, dtype)
    return _finish(array.copy() if copy else array, requires_grad, device)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares the array's memory.

    Raises: TypeError for anything but an ndarray of a supported dtype.

    >>> import numpy as np, spinetail as st
    >>> st.from_numpy(np.arange(3))
    tensor([0, 1, 2])
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"[from_numpy] expected np.ndarray (got {builtins.type(ndarray).__name__})")
    array = checked(ndarray)
    dtypes.of(array.dtype)
    if not array.dtype.isnative:
        raise ValueError("[from_numpy] the array's byte order is not this machine's; convert it first")
    return wrap(array)


def from_dlpack(ext_tensor) -> Tensor:
    """A tensor over the memory of any CPU array with `__dlpack__`: PyTorch's, JAX's, MLX's."""
    if isinstance(ext_tensor, Tensor):
        return ext_tensor.detach()
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(f"[from_dlpack] expected an object with __dlpack__, but got {type(ext_tensor).__name__}")
    return wrap(checked(np.from_dlpack(ext_tensor)))


def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False) -> Tensor:
    """A one-dimensional tensor over the memory of a buffer."""
    return _finish(np.frombuffer(buffer, _dtype(dtype), count, offset), requires_grad, None)


def _typed(name: str, dtype: dtypes.dtype):
    def make(*data):
        if len(data) == 1 and not isinstance(data[0], (int, np.integer)):
            return tensor(data[0], dtype=dtype)
        return _finish(np.empty(_shape(name, data or (0,)), _dtype(dtype)), False, None)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = (
        f"A tensor of {dtype.name} from values, or without values of a given shape: an older spelling of `tensor`."
    )
    return make


FloatTensor, DoubleTensor = _typed("FloatTensor", dtypes.float32), _typed("DoubleTensor", dtypes.float64)
HalfTensor, BFloat16Tensor = _typed("HalfTensor", dtypes.float16), _typed("BFloat16Tensor", dtypes.bfloat16)
LongTensor, IntTensor = _typed("LongTensor", dtypes.int64), _typed("IntTensor", dtypes.int32)
ShortTensor, CharTensor = _typed("ShortTensor", dtypes.int16), _typed("CharTensor", dtypes.int8)
ByteTensor, BoolTensor = _typed("ByteTensor", dtypes.uint8), _typed("BoolTensor", dtypes.bool)


def scalar_tensor(s, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A tensor without dimensions; a number becomes the default dtype."""
    return tensor(s, dtype=dtypes.get_default_dtype() if dtype is None else dtype, requires_grad=requires_grad)


def _named(size: tuple, keywords: dict) -> tuple:
    if "size" in keywords:
        size = (keywords.pop("size"),)
    if keywords:
        raise TypeError(f"unexpected arguments {sorted(keywords)}")
    return size


@method
def clone(self, *, memory_format=None) -> Tensor:
    """A copy in memory of its own, recorded.

    >>> import spinetail as st
    >>> x = st.ones(2); y = x.clone(); y[0] = 5; x
    tensor([1., 1.])
    """
    if not isinstance(self, Tensor):
        expect("clone", self)
        return checked(self).copy("K")
    array = self._array.copy("K")
    if self._requires_grad and enabled():
        return record(array, (self,), lambda grad: (grad,), name="clone", twice=True)
    return wrap(array)
