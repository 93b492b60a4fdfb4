"""The operators of tensors: +, -, *, / and their like, reflected and in place."""

from __future__ import annotations

import numpy as np

from ..autograd.tensor import Tensor
from .arithmetic import (
    _add,
    _div,
    _mul,
    _pow,
    _sub,
    add,
    addcdiv,
    addcmul,
    atan2,
    div,
    floor_divide,
    fmod,
    lerp,
    mul,
    pow,
    remainder,
    sub,
)
from .door import mutable


def _matmul(self, other):
    from .gemm import matmul

    return matmul(self, other) if isinstance(other, (Tensor, np.ndarray)) else NotImplemented


def _rmatmul(self, other):
    from .gemm import matmul

    return matmul(other, self) if isinstance(other, (Tensor, np.ndarray)) else NotImplemented


Tensor.__matmul__, Tensor.__rmatmul__ = _matmul, _rmatmul


def _reflected(function):
    return lambda self, other: function(other, self)


def _arithmetic(function):
    def operator(self, other):
        try:
            return function(self, other)
        except TypeError:
            if isinstance(other, (Tensor, np.ndarray, int, float, np.generic)):
                raise
            return NotImplemented

    operator.__name__ = operator.__qualname__ = function.__name__
    return operator


def _attach() -> None:
    plain = {
        "add": _add,
        "sub": _sub,
        "mul": _mul,
        "truediv": _div,
        "pow": _pow,
        "floordiv": floor_divide.__wrapped__,
        "mod": remainder.__wrapped__,
    }
    for name, function in plain.items():
        operator = getattr(function, "operator", None) or _arithmetic(function)
        setattr(Tensor, f"__{name}__", operator)
        setattr(Tensor, f"__r{name}__", _reflected(operator))
        mutable(operator, f"__i{name}__", keeps=name not in ("add", "sub"))
    for function in (add, sub):
        mutable(function, keeps=False)
    for function in (mul, div, floor_divide, remainder, fmod, pow, lerp, addcmul, addcdiv, atan2):
        mutable(function)
    for name, function in (
        ("subtract", sub),
        ("multiply", mul),
        ("divide", div),
        ("true_divide", div),
        ("arctan2", atan2),
    ):
        setattr(Tensor, name, function.__wrapped__)
        mutable(function, name + "_")


_attach()
