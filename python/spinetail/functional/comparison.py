"""Comparison and logic: element-wise predicates, and whole-tensor tests of equality."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import ndarray, wrap
from ..autograd.tensor import Tensor
from .door import binary, checked, kinds, lift, mutable, operands, operation, shapes_error

__all__ = [
    "allclose",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "eq",
    "equal",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "is_complex",
    "is_floating_point",
    "is_nonzero",
    "is_same_size",
    "is_signed",
    "is_tensor",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "le",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "ne",
    "not_equal",
    "signbit",
]


def _compare(name: str, compute, doc: str):
    def function(input, other):
        if isinstance(other, kinds) and isinstance(input, Tensor):  # a number compares by its value
            return wrap(compute(input._array, other))
        _, _, x, y = operands(name, input, other)
        try:
            return wrap(compute(x, y))
        except ValueError:
            raise shapes_error(name, x, y) from None

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = __name__
    return operation(function)


eq = _compare(
    "eq",
    np.equal,
    """Whether input = other, element by element with broadcasting.

    >>> import spinetail as st
    >>> st.eq(st.tensor([1, 2]), 2)
    tensor([False,  True])
    """,
)
ne = _compare("ne", np.not_equal, "Whether input ≠ other, element by element with broadcasting.")
lt = _compare("lt", np.less, "Whether input < other, element by element with broadcasting.")
le = _compare("le", np.less_equal, "Whether input ≤ other, element by element with broadcasting.")
gt = _compare("gt", np.greater, "Whether input > other, element by element with broadcasting.")
ge = _compare("ge", np.greater_equal, "Whether input ≥ other, element by element with broadcasting.")
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne


def _operator(function):
    plain = function.__wrapped__

    def operator(self, other):
        return plain(self, other) if isinstance(other, (Tensor, ndarray, *kinds)) else NotImplemented

    return operator


for _function in (eq, ne, lt, le, gt, ge):
    setattr(Tensor, f"__{_function.__name__}__", _operator(_function))
    mutable(_function)


def _predicate(name: str, compute, doc: str):
    def function(input):
        return wrap(compute(input._array))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = __name__
    return operation(function)


isnan = _predicate("isnan", np.isnan, "Whether each element is NaN.")
isinf = _predicate("isinf", np.isinf, "Whether each element is +inf or -inf.")
isfinite = _predicate("isfinite", np.isfinite, "Whether each element is neither NaN nor infinite.")
isposinf = _predicate("isposinf", np.isposinf, "Whether each element is +inf.")
isneginf = _predicate("isneginf", np.isneginf, "Whether each element is -inf.")
logical_not = _predicate("logical_not", np.logical_not, "Whether each element is zero.")
signbit = _predicate("signbit", np.signbit, "Whether the sign bit of each element is set.")


def _logical(name: str, compute, doc: str):
    def function(input, other):
        return wrap(compute(input._array, lift(other)._array))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = __name__
    return operation(function)


logical_and = _logical("logical_and", np.logical_and, "Whether both are nonzero, element by element.")
logical_or = _logical("logical_or", np.logical_or, "Whether one of the two is nonzero, element by element.")
logical_xor = _logical("logical_xor", np.logical_xor, "Whether exactly one of the two is nonzero, element by element.")


def _bitwise(name: str, compute, doc: str, symbol: str):
    core = binary(name, compute)

    def function(input, other):
        for side in (input, other):
            if checked(np.asarray(getattr(side, "_array", side))).dtype.kind not in "biu":
                raise TypeError(f"[{name}] expected integers or bools, but got a floating-point operand")
        return core(input, other)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = __name__
    result = operation(function)
    setattr(Tensor, f"__{symbol}__", function)
    setattr(Tensor, f"__r{symbol}__", lambda self, other: function(other, self))
    mutable(result, f"__i{symbol}__")
    mutable(result)
    return result


bitwise_and = _bitwise("bitwise_and", np.bitwise_and, "input & other of integers or bools, element by element.", "and")
bitwise_or = _bitwise("bitwise_or", np.bitwise_or, "input | other of integers or bools, element by element.", "or")
bitwise_xor = _bitwise("bitwise_xor", np.bitwise_xor, "input ^ other of integers or bools, element by element.", "xor")
bitwise_left_shift = _bitwise(
    "bitwise_left_shift", np.left_shift, "input << other of integers, element by element.", "lshift"
)
bitwise_right_shift = _bitwise(
    "bitwise_right_shift", np.right_shift, "input >> other of integers, element by element.", "rshift"
)


@operation
def bitwise_not(input):
    """The bits of each element inverted; for bools, the opposite.

    >>> import spinetail as st
    >>> ~st.tensor([True, False])
    tensor([False,  True])
    """
    if input._array.dtype.kind not in "biu":
        raise TypeError(f"[bitwise_not] expected integers or bools, but got {input.dtype}")
    return wrap(np.invert(input._array))


Tensor.__invert__ = bitwise_not.__wrapped__
for _alias, _function in (
    ("greater", gt),
    ("greater_equal", ge),
    ("less", lt),
    ("less_equal", le),
    ("not_equal", ne),
):
    setattr(Tensor, _alias, _function.__wrapped__)
for _function in (logical_and, logical_or, logical_xor, logical_not, bitwise_not):
    mutable(_function)


@operation
def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether |input - other| ≤ atol + rtol · |other|, element by element.

    >>> import spinetail as st
    >>> st.isclose(st.tensor([1.0, 2.0]), st.tensor([1.0, 2.1]))
    tensor([ True, False])
    """
    return wrap(np.isclose(input._array, lift(other)._array, rtol, atol, equal_nan))


def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False) -> bool:
    """Whether |input - other| ≤ atol + rtol · |other| holds for all elements.

    >>> import spinetail as st
    >>> st.allclose(st.ones(2), st.ones(2) + 1e-9)
    True
    """
    x, y = lift(input)._array, lift(other)._array
    if x.dtype != y.dtype:
        raise TypeError(f"[allclose] {x.dtype} did not match {y.dtype}")
    return bool(np.isclose(x, y, rtol, atol, equal_nan).all())


def equal(input, other) -> bool:
    """Whether both have the same shape and the same elements.

    >>> import spinetail as st
    >>> st.equal(st.ones(2), st.ones(2)), st.equal(st.ones(2), st.ones(3))
    (True, False)
    """
    return np.array_equal(lift(input)._array, lift(other)._array)


Tensor.allclose, Tensor.equal = allclose, equal


def is_tensor(obj) -> bool:
    """Whether the object is a Tensor."""
    return isinstance(obj, Tensor)


@operation
def is_floating_point(input):
    """Whether the dtype is a floating-point one."""
    return input.dtype.is_floating_point


@operation
def is_nonzero(input):
    """Whether the single element is not zero."""
    return bool(input)


@operation
def is_complex(input):
    """Whether the dtype is complex: never."""
    return False


@operation
def is_signed(input):
    """Whether the dtype has negative values."""
    return input.dtype.is_signed


@operation
def is_same_size(input, other):
    """Whether both have the same shape."""
    return input._array.shape == lift(other)._array.shape
