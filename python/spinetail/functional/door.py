"""The two doors: what lets every function take tensors or bare arrays, and operands of mixed kinds."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import numpy as np

from .. import dtypes
from ..autograd.inplace import inplace
from ..autograd.tape import bump, enabled, ndarray, record, unbroadcast, wrap
from ..autograd.tensor import Tensor

F = TypeVar("F", bound=Callable)
kinds = (float, int, bool, np.bool_, np.integer, np.floating)
known = (Tensor, ndarray, *kinds)


def lift(value: object) -> Tensor:
    """A tensor as it is; anything array-like as a tensor that shares memory where it can."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, ndarray):
        return wrap(checked(value))
    array = np.asarray(value)
    if array.dtype == np.float64 and not isinstance(value, np.generic):
        array = array.astype(dtypes.get_default_dtype().numpy)
    return wrap(checked(array))


def checked(array: ndarray) -> ndarray:
    """The array, unless no tensor can hold it: masked, object and complex arrays are refused."""
    if type(array) is not ndarray:
        if isinstance(array, np.ma.MaskedArray):
            raise TypeError("[tensor] masked arrays are not supported: fill the mask first (array.filled(value))")
        array = np.asarray(array)
    if array.dtype.kind in "OcSUMm":
        raise TypeError(f"[tensor] no tensor has NumPy's dtype {array.dtype}")
    return array


def lower(result):
    """Tensors as arrays, inside tuples and lists too."""
    if isinstance(result, Tensor):
        return result._array
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*map(lower, result))
    return type(result)(map(lower, result)) if isinstance(result, (tuple, list)) else result


def operation(function: F) -> F:
    """Attach `function(input: Tensor, ...)` to Tensor, and return its two-door version.

    The version for both doors takes an array as `input` as well, and then returns arrays, unless another operand is a
    Tensor. It takes the keyword `out` (see `into`) if PyTorch's function does.
    """
    names = function.__code__.co_varnames[: function.__code__.co_argcount + function.__code__.co_kwonlyargcount]
    setattr(Tensor, function.__name__, writes(function) if "out" in names else function)
    return both(function)


#: Functions made by `both` whose keyword `out` names where the result goes, as in PyTorch.
WRITERS = frozenset(
    "abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr all amax amin any arccos arccosh arcsin "
    "arcsinh arctan arctan2 arctanh argmax argmin argsort asin asinh atan atan2 atanh baddbmm bitwise_and "
    "bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor bmm ceil clamp clamp_max clamp_min "
    "clip copysign cos cosh cross cumprod cumsum deg2rad diff div divide dot eq erf exp exp2 expm1 fix float_power "
    "floor floor_divide fmax fmin fmod frac gather ge ger greater greater_equal gt heaviside histc hypot "
    "index_select inner isin kthvalue le lerp less less_equal log log10 log1p log2 logaddexp logcumsumexp "
    "logical_and logical_not logical_or logical_xor logsumexp lt masked_select max maximum mean min minimum mm "
    "msort mul multiply mv nan_to_num nanmean nansum ne neg negative norm not_equal outer pow prod quantile rad2deg "
    "reciprocal remainder round rsqrt scatter scatter_add sgn sigmoid sign sin sinh sort sqrt square std sub "
    "subtract sum take take_along_dim tan tanh topk tril triu true_divide trunc var vdot xlogy".split()
)


def writes(function: F) -> F:
    """`function` with the keyword `out` (see `into`)."""
    creates = function.__kwdefaults__ is not None and {"dtype", "device"} <= function.__kwdefaults__.keys()

    @wraps(function)
    def run(*args, out=None, **kwargs):
        if out is None:
            return function(*args, **kwargs)
        if creates and kwargs.get("dtype") is None:
            kwargs["dtype"] = getattr(out, "dtype", None)
        return into(function, out, *args, **kwargs)

    return run  # type: ignore[return-value]


def into(function: Callable, out, *args, **kwargs):
    """The result of `function` in memory that there is: the keyword `out` of PyTorch's functions.

    `out` is a Tensor or an ndarray, or one for each of several results, with the result's shape and dtype; PyTorch
    would resize or convert, this raises before anything is written. It may overlap the operands, which are read first.
    As in PyTorch no gradient flows through `out`.
    Raises: RuntimeError when a gradient would be needed; TypeError for another dtype; ValueError for another shape, and
    for memory that cannot be written.
    """
    name = function.__name__
    several = isinstance(out, (tuple, list))
    targets = list(out) if several else [out]
    for target in targets:
        if not isinstance(target, (Tensor, ndarray)) or isinstance(target, np.ma.MaskedArray):
            raise TypeError(f"[{name}] expected a Tensor or an ndarray as out, but got {type(target).__name__}")
    result = function(*args, **kwargs)
    results = list(result) if isinstance(result, (tuple, list)) else [result]
    if len(results) != len(targets):
        raise TypeError(f"[{name}] expected {len(results)} arrays as out, one for each result, but got {len(targets)}")
    if any(isinstance(each, Tensor) and each._requires_grad for each in (*results, *targets)) and enabled():
        raise RuntimeError(
            f"[{name}] functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad"
        )
    arrays = [np.asarray(getattr(each, "_array", each)) for each in results]
    places = [getattr(target, "_array", target) for target in targets]
    for array, place in zip(arrays, places, strict=True):
        if place.shape != array.shape:
            raise ValueError(f"[{name}] expected out of shape {list(array.shape)}, but got {list(place.shape)}")
        if place.dtype != array.dtype:
            raise TypeError(f"[{name}] expected out of dtype {array.dtype}, but got {place.dtype}")
        if not place.flags.writeable:
            raise ValueError(f"[{name}] expected out that can be written, but it is read-only")
        if any(step == 0 and extent > 1 for step, extent in zip(place.strides, place.shape, strict=True)):
            raise ValueError(f"[{name}] several elements of out are one place in memory; clone() it first")
    for array, place, target in zip(arrays, places, targets, strict=True):
        np.copyto(place, array)
        if isinstance(target, Tensor):
            bump(target)
    return out


def both(function: F) -> F:
    """The two-door version of `function(input: Tensor, ...)`."""

    code = function.__code__
    writer = function.__name__ in WRITERS or "out" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

    @wraps(function)
    def door(*args, **kwargs):
        if writer and kwargs and "out" in kwargs:
            out = kwargs.pop("out")
            return door(*args, **kwargs) if out is None else into(door, out, *args, **kwargs)
        if args and isinstance(args[0], Tensor):
            return function(*args, **kwargs)
        if not args and "input" in kwargs:
            args = (kwargs.pop("input"),)
        if not args:
            raise TypeError(f"[{function.__name__}] the argument 'input' is missing")
        result = function(lift(args[0]), *args[1:], **kwargs)
        if isinstance(args[0], Tensor) or any(isinstance(a, Tensor) for a in (*args[1:], *kwargs.values())):
            return result
        return lower(result)

    return door  # type: ignore[return-value]


def mutable(function: Callable, name: str | None = None, keeps: bool = True) -> None:
    """Attach the in-place method, `name` or the function's own name with an underscore (`keeps`: see `inplace`)."""
    plain = getattr(function, "__wrapped__", function)
    inplace(plain, name or plain.__name__ + "_", keeps)


def scalar(array: ndarray, value: object):
    """A Python number as an operand beside `array`: (the value to use, the dtype that `array` has to take or None)."""
    kind = array.dtype.kind
    if isinstance(value, np.generic):
        value = value.item()
    if kind not in "biu":  # floating point
        return (value if dtypes.NUMPY_2 and kind == "f" else array.dtype.type(value)), None
    if isinstance(value, float):
        target = dtypes.get_default_dtype().numpy
        return target.type(value), target
    if kind == "b" and not isinstance(value, bool):
        return np.int64(value), np.dtype(np.int64)
    if array.dtype.itemsize < 8 or not dtypes.NUMPY_2:
        return np.asarray(value).astype(array.dtype), None
    return value, None


def operands(name: str, input: object, other: object) -> tuple:
    """Two operands in their common dtype: (a, b, x, y), tensors and arrays; for a number the tensor is None."""
    if isinstance(input, Tensor):
        if isinstance(other, Tensor):
            x, y = input._array, other._array
            if x.dtype is y.dtype:
                return input, other, x, y
            target = result_dtype(x, y)
            a, b = input.to(target), other.to(target)
            return a, b, a._array, b._array
        if isinstance(other, kinds):
            if dtypes.NUMPY_2 and type(other) is float and input._array.dtype.kind == "f":
                return input, None, input._array, other
            value, target = scalar(input._array, other)
            a = input if target is None else input.to(target)
            return a, None, a._array, value
        return operands(name, input, operand(name, other))
    if isinstance(other, Tensor):
        if isinstance(input, kinds):
            b, _, y, value = operands(name, other, input)
            return None, b, value, y
        return operands(name, operand(name, input), other)
    raise TypeError(f"[{name}] expected a Tensor, but got {type(input).__name__} and {type(other).__name__}")


def expect(name: str, *values: object) -> None:
    """Refuses what is neither a Tensor nor an ndarray."""
    for value in values:
        if not isinstance(value, (Tensor, ndarray)):
            raise TypeError(f"[{name}] expected a Tensor or an ndarray, but got {type(value).__name__}")


def operand(name: str, value: object) -> Tensor:
    """An array beside a tensor, as a tensor."""
    if isinstance(value, ndarray):
        return wrap(checked(value))
    raise TypeError(f"[{name}] expected a Tensor, an array or a number, but got {type(value).__name__}")


def result_dtype(x: ndarray, y: ndarray) -> np.dtype:
    """The dtype of an operation between two arrays: one without dimensions gives way unless its category is higher."""
    a, b = dtypes.of(x.dtype), dtypes.of(y.dtype)
    if (x.ndim == 0) != (y.ndim == 0):
        solid, loose = (a, b) if y.ndim == 0 else (b, a)
        return (solid if solid.category >= loose.category else loose).numpy
    return dtypes.promote_types(a, b).numpy


def shapes_error(name: str, x, y) -> ValueError:
    """The error for two shapes that do not broadcast."""
    return ValueError(f"[{name}] shapes {list(np.shape(x))} and {list(np.shape(y))} cannot be broadcast together")


def binary(
    name: str, compute: Callable, left=None, right=None, reads: str = "", floats: bool = False, operator: bool = False
) -> Callable:
    """An element-wise function of two operands with broadcasting.

    `left(grad, x, y)` and `right(grad, x, y)` are its gradients, written so that they take arrays or tensors. `reads`
    has two parts, "left/right": which of x and y each of the two needs. `floats`: integers are converted first.
    The result's attribute `operator` is a second version, in which an operand that no tensor goes with gives
    NotImplemented and not a TypeError.
    """
    by_left, _, by_right = reads.partition("/")
    left_x, left_y, right_x, right_y = "x" in by_left, "y" in by_left, "x" in by_right, "y" in by_right
    left, right = kept(left), kept(right)

    def function(input, other):
        if isinstance(input, Tensor) and isinstance(other, Tensor) and input._array.dtype is other._array.dtype:
            a, b, x, y = input, other, input._array, other._array
        elif operator and not (isinstance(other, known) and isinstance(input, known)):
            return NotImplemented
        else:
            a, b, x, y = operands(name, input, other)
        if floats:
            a, b, x, y = floating(a, b, x, y)
        try:
            out = compute(x, y)
        except ValueError:
            raise shapes_error(name, x, y) from None
        except TypeError as error:
            raise TypeError(f"[{name}] {error}") from None
        need_a = a is not None and a._requires_grad
        need_b = b is not None and b._requires_grad
        if not (need_a or need_b) or left is None or not enabled():
            return wrap(out)
        x_shape = x.shape if need_a else None
        y_shape = y.shape if need_b else None
        keep_x = (need_a and left_x) or (need_b and right_x)
        keep_y = (need_a and left_y) or (need_b and right_y)
        if not (keep_x or keep_y):

            def backward(grad):
                return (
                    unbroadcast(left(grad, None, None), x_shape) if need_a else None,
                    unbroadcast(right(grad, None, None), y_shape) if need_b else None,
                )

            return record(out, (a, b), backward, (), name, False, True)
        u = v = None  # what is kept, as tensors or numbers; x and y are the same as arrays or numbers
        saved = ()
        if keep_x:
            u = x if a is None else a
            saved = () if a is None else (a,)
        else:
            x = None
        if keep_y:
            v = y if b is None else b
            saved = saved if b is None else (*saved, b)
        else:
            y = None

        def backward(grad):
            p, q = (x, y) if type(grad) is ndarray else (u, v)
            return (
                unbroadcast(left(grad, p, q), x_shape) if need_a else None,
                unbroadcast(right(grad, p, q), y_shape) if need_b else None,
            )

        return record(out, (a, b), backward, saved, name, False, True)

    function.__name__ = function.__qualname__ = name
    if not operator:
        function.operator = binary(name, compute, left, right, reads, floats, operator=True)
    return function


def floating(a, b, x, y) -> tuple:
    """Operands of integer or bool dtype in the default dtype."""
    dtype = (x if a is not None else y).dtype
    if dtype.kind not in "biu":
        return a, b, x, y
    target = dtypes.get_default_dtype().numpy
    a = a if a is None else a.to(target)
    b = b if b is None else b.to(target)
    return a, b, target.type(x) if a is None else a._array, target.type(y) if b is None else b._array


def kept(rule: Callable | None) -> Callable | None:
    """A gradient's rule whose result has the gradient's dtype.

    NumPy 2 sees to that itself; before it, an array without dimensions became float64 beside a Python number.
    """
    if dtypes.NUMPY_2 or rule is None:
        return rule

    def run(grad, *values):
        result = rule(grad, *values)
        return result if isinstance(result, Tensor) or result.dtype == grad.dtype else np.asarray(result, grad.dtype)

    return run


def quiet(compute: Callable) -> Callable:
    """The function without NumPy's warnings about infinities and NaNs."""

    def run(*args):
        with np.errstate(all="ignore"):
            return compute(*args)

    return run
