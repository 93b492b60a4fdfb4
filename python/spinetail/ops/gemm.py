"""Matrix products and linear layers on ndarrays."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from .._native import kernels
from .activation import relu_backward
from .arrays import empty, is_half

_multiply = kernels.matmul
_linear = kernels.linear_forward
# Shapes that the calls make their outputs by, axis by axis: (argument, its axis), see outputs.h.
_MATRICES, _BATCHES, _LAYER, _BIAS = bytes((1, 0, 2, 1)), bytes((1, 0, 1, 1, 2, 2)), bytes((1, 0, 2, 0)), bytes((6, 0))
_FLOATS = ("f", "d")


def matmul(a: np.ndarray, b: np.ndarray, out_dtype: np.dtype | None = None) -> np.ndarray:
    """a · b with NumPy's rules for vectors and leading axes. float16 and bfloat16 are summed in float32 and rounded
    once; float32 as `out_dtype` gives those sums themselves.
    """
    rank = a.ndim
    if out_dtype is None and rank == b.ndim:
        try:  # the usual case: the kernel itself refuses what is not
            if rank == 2:
                return _multiply(_MATRICES, a, b, None, 0)
            if rank == 3:
                return _multiply(_BATCHES, a, b, None, 0)
        except (TypeError, ValueError):
            pass
    if rank == 2 and b.ndim == 2:
        return _product(a, b, (a.shape[0], b.shape[1]), out_dtype)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"[matmul] operands need at least 1 dimension, got {a.ndim} and {b.ndim}")
    left, right = a, b
    if a.ndim == 1:
        left = a[None, :]
    if b.ndim == 1:
        right = b[:, None]
    try:
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    except ValueError:
        raise ValueError(f"[matmul] leading axes of {a.shape} and {b.shape} do not broadcast") from None
    rank = len(batch) + 2
    left = left.reshape((1,) * (rank - left.ndim) + left.shape)
    right = right.reshape((1,) * (rank - right.ndim) + right.shape)
    same = rank > 3 and left.shape[:-2] == right.shape[:-2] and left.size and right.size
    if same and left.flags.c_contiguous and right.flags.c_contiguous:
        left, right = left.reshape(-1, *left.shape[-2:]), right.reshape(-1, *right.shape[-2:])
    leading = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    out = _product(left, right, (*leading, left.shape[-2], right.shape[-1]), out_dtype)
    shape = (*batch, *(() if a.ndim == 1 else (a.shape[-2],)), *(() if b.ndim == 1 else (b.shape[-1],)))
    return out.reshape(shape)


def shortcut(careful: Callable, matrices: bool = False) -> Callable:
    """`careful(input, other, *, out=None)` without a Python frame for plain arrays that the kernel takes: for matrices
    alone, or for batches of them too.
    """
    words = getattr(careful, "__wrapped__", careful).__code__.co_varnames
    doc = f"{careful.__name__}({words[0]}, {words[1]}, *, out=None)\n--\n\n{careful.__doc__}"
    recipes = (None, None, _MATRICES, None if matrices else _BATCHES)
    return kernels.shortcut(careful, sys.modules[careful.__module__], doc, "matmul", 2, recipes, (None, 0))


def _product(a: np.ndarray, b: np.ndarray, shape: tuple[int, ...], out_dtype: np.dtype | None = None) -> np.ndarray:
    dtype = a.dtype
    if (dtype.char not in _FLOATS or dtype != b.dtype) and not _halves(a, b):
        return _other_dtypes(a, b)
    out = empty(shape, out_dtype or np.dtype(dtype.type))
    try:
        kernels.matmul(out, a, b, None, 0)
    except (TypeError, ValueError):
        if a.shape[-1] != b.shape[-2]:
            raise ValueError(
                f"[matmul] inner dimensions differ: {a.shape} · {b.shape} (expected {a.shape[-1]} == {b.shape[-2]})"
            ) from None
        raise
    return out


def add_product(
    name: str, input: np.ndarray, a: np.ndarray, b: np.ndarray, beta: float, alpha: float
) -> np.ndarray | None:
    """beta · input + alpha · a·b in one sweep, for matrices or equal batches of them; None where no kernel does it."""
    dtype = a.dtype
    if dtype.char not in _FLOATS or b.dtype != dtype:
        return None
    if input.dtype != dtype:
        if input.dtype.kind == "f":
            raise TypeError(f"[{name}] expected one dtype, got input {input.dtype} and matrices of {dtype}")
        return None
    shape = (*a.shape[:-1], b.shape[-1])
    if input.ndim > len(shape) or a.shape[-1] != b.shape[-2]:
        return None
    addend = input.reshape((1,) * (len(shape) - input.ndim) + input.shape)
    out = empty(shape, np.dtype(dtype.type))
    try:
        kernels.gemm(out, a, b, addend, None, None, alpha, beta, 0)
    except ValueError:
        raise ValueError(f"[{name}] input of shape {input.shape} does not broadcast to the product's {shape}") from None
    return out


def _halves(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether both are float16 or both bfloat16, in any byte order; the kernels learn of bfloat16 here."""
    if not is_half(a.dtype) or a.dtype != b.dtype:
        return False
    if a.dtype.kind != "f":
        kernels.register_bfloat16(a.dtype)
    return True


def _other_dtypes(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Integers are NumPy's own; anything mixed is refused."""
    for array in (a, b):
        if isinstance(array, np.ma.MaskedArray) or array.dtype.kind in "OcSUmM":
            raise TypeError(f"[matmul] expected numeric arrays, got {type(array).__name__} of dtype {array.dtype}")
    if a.dtype != b.dtype:
        raise TypeError(f"[matmul] expected operands of one dtype, got {a.dtype} and {b.dtype}")
    if a.dtype.kind in "biu":
        return np.matmul(a, b)
    raise TypeError(f"[matmul] unsupported dtype {a.dtype}")


def linear(input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None, activation: int = 0) -> np.ndarray:
    """f(input[..., i] · weight[o, i]ᵀ + bias[o]), f by its code: see `activation.h`; 0 is nothing, 1 is relu.
    float16 and bfloat16 are summed in float32 and rounded once; their bias may be float32.
    """
    try:
        if input.ndim == 2:
            return _linear(_LAYER, input, weight, bias, activation)
    except (AttributeError, IndexError, TypeError, ValueError):
        pass  # the careful way finds out what is wrong, or makes it right
    rows = input if input.ndim == 2 else _rows("linear", input)
    dtype = input.dtype
    if dtype.char not in _FLOATS:
        _explain_linear(input, weight, bias)
        _halves(input, weight)
    try:
        out = empty((rows.shape[0], weight.shape[0]), np.dtype(dtype.type))
        _linear(out, rows, weight, bias, activation)
    except (TypeError, ValueError, IndexError, AttributeError):
        _explain_linear(input, weight, bias)
        if not dtype.isnative:
            return linear(input.astype(dtype.newbyteorder("=")), weight, bias, activation)
        raise
    return out if rows is input else out.reshape(*input.shape[:-1], weight.shape[0])


def linear_backward(
    grad_output: np.ndarray,
    input: np.ndarray,
    weight: np.ndarray,
    needs: tuple[bool, bool, bool] = (True, True, True),
    bias_dtype: np.dtype | None = None,
    output: np.ndarray | None = None,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Gradients of `linear` to input, weight and bias; those not needed are None. float32 as `bias_dtype` is for the
    float32 bias of float16 or bfloat16 products. With `output` they are those of relu(linear(…)), whose output it is.
    """
    try:
        if input.ndim == 2 and True in needs:
            first, second, third = 5 if needs[0] else None, 6 if needs[1] else None, _BIAS if needs[2] else None
            return kernels.linear_backward(first, second, third, grad_output, output, input, weight)
    except (TypeError, ValueError):
        pass
    if output is not None:
        grad_output = relu_backward(grad_output, output)
    dtype = input.dtype
    flat = input.ndim == 2
    rows = input if flat else _rows("linear_backward", input)
    grads = grad_output if flat else _rows("linear_backward", grad_output)
    if dtype.char not in _FLOATS:
        return (
            matmul(grads, weight).reshape(input.shape) if needs[0] else None,
            matmul(grads.T, rows) if needs[1] else None,
            matmul(np.ones(len(grads), dtype), grads, bias_dtype) if needs[2] else None,
        )
    native = np.dtype(dtype.type)
    dinput = empty(input.shape, native) if needs[0] else None
    first = dinput if flat or dinput is None else dinput.reshape(rows.shape)
    dweight = empty(weight.shape, native) if needs[1] else None
    dbias = empty(weight.shape[:1], native) if needs[2] else None
    kernels.linear_backward(first, dweight, dbias, grads, None, rows, weight)
    return dinput, dweight, dbias


def _rows(name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim == 0:
        raise ValueError(f"[{name}] input needs at least 1 dimension, got a scalar")
    return (
        array.reshape(-1, array.shape[-1])
        if array.size
        else array.reshape(int(np.prod(array.shape[:-1])), array.shape[-1])
    )


def _explain_linear(input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> None:
    """Raises what is wrong with the arguments of `linear`, if anything is."""
    for name, array in (("input", input), ("weight", weight), ("bias", bias)):
        if array is None and name == "bias":
            continue
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"[linear] {name} must be a numpy.ndarray, got {type(array).__name__}")
        if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
            raise TypeError(f"[linear] {name} must be floating point, got dtype {array.dtype}")
        if array.dtype != input.dtype and not (name == "bias" and is_half(input.dtype) and array.dtype == np.float32):
            raise TypeError(f"[linear] expected one dtype, got input {input.dtype} and {name} {array.dtype}")
    if weight.ndim != 2:
        raise ValueError(f"[linear] weight must have shape (out_features, in_features), got {weight.shape}")
    if input.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"[linear] input has {input.shape[-1]} features, but weight {weight.shape} expects {weight.shape[1]}"
        )
    if bias is not None and bias.shape != (weight.shape[0],):
        raise ValueError(f"[linear] bias must have shape ({weight.shape[0]},), got {bias.shape}")
