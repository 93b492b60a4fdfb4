"""The element types, and PyTorch's rules for mixing them.

A `dtype` object stands for one NumPy dtype: it prints like PyTorch's, compares equal to NumPy's, and NumPy accepts it
wherever it takes a dtype (`np.zeros(3, st.float32)`).
"""

from __future__ import annotations

import builtins

import numpy as np

__all__ = [
    "bfloat16",
    "bool",
    "can_cast",
    "double",
    "dtype",
    "finfo",
    "float",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "half",
    "iinfo",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "long",
    "promote_types",
    "set_default_dtype",
    "short",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]

NUMPY_2 = builtins.int(np.__version__.split(".")[0]) >= 2


class dtype:
    """The type of a tensor's elements, such as `spinetail.float32`.

    Attributes: `name`, `numpy` (the NumPy dtype), `itemsize` in bytes, `is_floating_point`, `is_complex`, `is_signed`.

    >>> import numpy as np, spinetail as st
    >>> st.float32.itemsize, st.float32 == np.float32, np.zeros(2, st.int64).dtype
    (4, True, dtype('int64'))
    """

    __slots__ = ("_numpy", "category", "is_floating_point", "is_signed", "itemsize", "name")
    is_complex = False

    def __init__(self, name: str, itemsize: builtins.int, category: builtins.int, signed: builtins.bool = True) -> None:
        self.name = name
        self.itemsize = itemsize
        self.category = category  # 0 bool, 1 integer, 2 floating point: the ladder of type promotion
        self.is_floating_point = category == 2
        self.is_signed = signed
        self._numpy = None if name == "bfloat16" else np.dtype(name)

    @property
    def numpy(self) -> np.dtype:
        """The NumPy dtype; for bfloat16 it is the one of the package ml_dtypes."""
        if self._numpy is None:
            try:
                import ml_dtypes
            except ImportError:
                raise RuntimeError("bfloat16 needs the package ml_dtypes: pip install ml_dtypes") from None
            self._numpy = np.dtype(ml_dtypes.bfloat16)
            _by_numpy[self._numpy] = self
        return self._numpy

    dtype = numpy  # NumPy reads this attribute when the object is given as a dtype

    def to_complex(self) -> None:
        raise TypeError(f"spinetail has no complex numbers (asked for the complex type of {self})")

    def __eq__(self, other: object) -> builtins.bool:
        if self is other:
            return True
        if isinstance(other, dtype) or other is None:
            return False
        try:
            return self.numpy == np.dtype(other)
        except (TypeError, RuntimeError):
            return False

    def __ne__(self, other: object) -> builtins.bool:
        return not self == other

    def __hash__(self) -> builtins.int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"spinetail.{self.name}"

    def __reduce__(self) -> tuple:
        return as_dtype, (self.name,)


bool = dtype("bool", 1, 0, signed=False)
uint8 = dtype("uint8", 1, 1, signed=False)
uint16 = dtype("uint16", 2, 1, signed=False)
uint32 = dtype("uint32", 4, 1, signed=False)
uint64 = dtype("uint64", 8, 1, signed=False)
int8 = dtype("int8", 1, 1)
int16 = short = dtype("int16", 2, 1)
int32 = int = dtype("int32", 4, 1)
int64 = long = dtype("int64", 8, 1)
float16 = half = dtype("float16", 2, 2)
bfloat16 = dtype("bfloat16", 2, 2)
float32 = float = dtype("float32", 4, 2)
float64 = double = dtype("float64", 8, 2)

ALL = (bool, uint8, uint16, uint32, uint64, int8, int16, int32, int64, float16, bfloat16, float32, float64)
_by_name = {d.name: d for d in ALL}
_by_name.update(short=short, int=int, long=long, half=half, float=float, double=double)
_by_numpy = {d._numpy: d for d in ALL if d._numpy is not None}
_by_python = {builtins.bool: bool, builtins.int: int64, builtins.float: float64}
_default = float32


def of(numpy_dtype: np.dtype) -> dtype:
    """The dtype object of a NumPy dtype; a TypeError for one that tensors cannot have."""
    found = _by_numpy.get(numpy_dtype)
    if found is not None:
        return found
    if numpy_dtype.name == "bfloat16":
        return bfloat16 if bfloat16.numpy == numpy_dtype else float32
    native = numpy_dtype.newbyteorder("=")
    if native in _by_numpy:
        return _by_numpy[native]
    raise TypeError(f"[tensor] no tensor has NumPy's dtype {numpy_dtype}; there are {', '.join(d.name for d in ALL)}")


def as_dtype(value: object) -> dtype:
    """The dtype object that `value` means: a dtype of ours or NumPy's, a name, or one of Python's bool, int, float."""
    if isinstance(value, dtype):
        return value
    if isinstance(value, str) and value.rpartition(".")[2] in _by_name:
        return _by_name[value.rpartition(".")[2]]
    if isinstance(value, type) and value in _by_python:
        return _by_python[value]
    try:
        return of(np.dtype(value))
    except TypeError:
        raise TypeError(f"[dtype] {value!r} is not a dtype; there are {', '.join(d.name for d in ALL)}") from None


def get_default_dtype() -> dtype:
    """The dtype of tensors made from Python floats: float32 unless `set_default_dtype` said otherwise.

    >>> import spinetail as st
    >>> st.get_default_dtype()
    spinetail.float32
    """
    return _default


def set_default_dtype(d: object) -> None:
    """Choose the dtype of tensors made from Python floats.

    Raises: TypeError unless `d` is a floating-point dtype.

    >>> import spinetail as st
    >>> st.set_default_dtype(st.float64); st.tensor([1.5]).dtype
    spinetail.float64
    >>> st.set_default_dtype(st.float32)
    """
    global _default
    chosen = as_dtype(d)
    if not chosen.is_floating_point:
        raise TypeError(f"[set_default_dtype] only floating-point types can be the default dtype, not {chosen}")
    _default = chosen


def promote_types(type1: object, type2: object) -> dtype:
    """The smallest dtype that both dtypes convert to, by PyTorch's table.

    >>> import spinetail as st
    >>> st.promote_types(st.int64, st.float16), st.promote_types(st.uint8, st.int8)
    (spinetail.float16, spinetail.int16)
    """
    a, b = as_dtype(type1), as_dtype(type2)
    if a is b:
        return a
    if a.category != b.category:
        return a if a.category > b.category else b
    if a.is_floating_point:
        if a.itemsize == b.itemsize:  # float16 with bfloat16
            return float32
        return a if a.itemsize > b.itemsize else b
    wide = a.is_signed != b.is_signed and {a, b} & {uint16, uint32, uint64}
    if wide:
        raise TypeError(f"[promote_types] {a} and {b} have no common dtype")
    return of(np.promote_types(a.numpy, b.numpy))


def can_cast(from_: object, to: object) -> builtins.bool:
    """Whether PyTorch's casting rules let a result of dtype `from_` go into a tensor of dtype `to`.

    >>> import spinetail as st
    >>> st.can_cast(st.float32, st.int64), st.can_cast(st.float64, st.float32)
    (False, True)
    """
    a, b = as_dtype(from_), as_dtype(to)
    return a.category <= b.category


class finfo:
    """The limits of a floating-point dtype: bits, eps, max, min, tiny, smallest_normal, resolution.

    >>> import spinetail as st
    >>> st.finfo(st.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type: object = None) -> None:
        kind = _default if type is None else as_dtype(type)
        if not kind.is_floating_point:
            raise TypeError(f"[finfo] requires a floating-point dtype, not {kind}; use iinfo")
        if kind is bfloat16:
            from ml_dtypes import finfo as limits
        else:
            limits = np.finfo
        found = limits(kind.numpy)
        self.dtype = kind.name
        self.bits = kind.itemsize * 8
        number = builtins.float
        self.eps, self.max, self.min = number(found.eps), number(found.max), number(found.min)
        self.tiny = self.smallest_normal = number(found.tiny)
        self.resolution = number(found.resolution)

    def __repr__(self) -> str:
        limits = f"min={self.min}, max={self.max}, eps={self.eps}, tiny={self.tiny}"
        return f"finfo(resolution={self.resolution}, {limits}, dtype={self.dtype})"


class iinfo:
    """The limits of an integer dtype: bits, max, min.

    >>> import spinetail as st
    >>> st.iinfo(st.int8).max
    127
    """

    def __init__(self, type: object) -> None:
        kind = as_dtype(type)
        if kind.category != 1:
            raise TypeError(f"[iinfo] requires an integer dtype, not {kind}")
        found = np.iinfo(kind.numpy)
        self.dtype = kind.name
        self.bits, self.max, self.min = kind.itemsize * 8, builtins.int(found.max), builtins.int(found.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
