"""Matrix products and linear layers."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import enabled, like, ndarray, record, unbroadcast, wrap
from ..autograd.tensor import Tensor
from ..ops import gemm as ops
from .door import expect, into

__all__ = ["bilinear", "linear", "matmul"]


def linear(input, weight, bias=None):
    r"""A linear layer: y = x · Wᵀ + b.

    Shapes: input (*, i) with any number of leading axes, or (i,); weight (o, i); bias (o,); result (*, o).
    i is the number of input features, o of output features.
    dtypes: all the same; float32 and float64 are summed in that dtype, float16 and bfloat16 in float32 and rounded once
    (their bias may be float32, too).
    Error: at most i·eps·Σ|x·w| for each element, eps being that of the sums, and the one rounding.

    Raises: TypeError for mixed or other dtypes, ValueError for shapes that do not fit.

    Source: torch.nn.functional.linear.

    >>> import numpy as np, spinetail.functional.gemm as F
    >>> F.linear(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([0.5, 0.0]))
    array([[11.5, 17. ]])
    """
    if type(input) is ndarray and type(weight) is ndarray and (bias is None or type(bias) is ndarray):
        return ops.linear(input, weight, bias)  # the usual case of arrays
    if not isinstance(input, Tensor):
        expect("linear", input, weight)
        if not isinstance(weight, Tensor) and not isinstance(bias, Tensor):
            return ops.linear(input, weight, bias)
        input = _lift(input)
    if not isinstance(weight, Tensor):
        weight = _lift(weight)
    if bias is None:
        b = None
        needs_bias = False
    else:
        if not isinstance(bias, Tensor):
            bias = _lift(bias)
        b = bias._array
        needs_bias = bias._requires_grad
    y = ops.linear(input._array, weight._array, b)
    return _recorded(y, input, weight, bias, (input._requires_grad, weight._requires_grad, needs_bias), False)


def linear_activation(input: Tensor, weight: Tensor, bias: Tensor | None, activation: int) -> Tensor | None:
    """f(linear(input, weight, bias)) as one operation, f by its code; None where a gradient has to be recorded."""
    needs = input._requires_grad or weight._requires_grad or (bias is not None and bias._requires_grad)
    if (needs and enabled()) or input._array.dtype.itemsize < 4:
        return None
    return wrap(ops.linear(input._array, weight._array, None if bias is None else bias._array, activation))


def linear_relu(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """relu(linear(input, weight, bias)) as one operation, for layers that follow each other."""
    y = ops.linear(input._array, weight._array, None if bias is None else bias._array, 1)
    needs = (input._requires_grad, weight._requires_grad, bias is not None and bias._requires_grad)
    return _recorded(y, input, weight, bias, needs, True)


def _recorded(y, input, weight, bias, needs, relu: bool) -> Tensor:
    """The layer's output `y` on the tape; with `relu`, gradients count only where y > 0."""
    if needs == (False, False, False) or not enabled():
        return wrap(y)
    x = input._array
    w = weight._array
    bias_type = None if bias is None or bias._array.dtype is y.dtype else bias._array.dtype

    def backward(grad):
        if type(grad) is ndarray:
            return ops.linear_backward(grad, x, w, needs, bias_type, y if relu else None)
        if relu:
            grad = grad * wrap((y > 0).astype(y.dtype))
        rows = grad.reshape(-1, grad.shape[-1])
        return (
            matmul(grad, weight) if needs[0] else None,
            matmul(rows.t(), input.reshape(-1, x.shape[-1])) if needs[1] else None,
            rows.sum(0).to(bias.dtype) if needs[2] else None,
        )

    return record(y, (input, weight, bias), backward, (input, weight), "linear", relu, True)


def bilinear(input1, input2, weight, bias=None):
    r"""A bilinear layer: y_k = x₁ᵀ · W_k · x₂ + b_k.

    Shapes: input1 (*, i), input2 (*, j) with the same leading axes, weight (o, i, j), bias (o,), result (*, o).
    dtypes: float32 or float64, all the same; sums are made in that dtype.

    Raises: TypeError for mixed or other dtypes, ValueError for shapes that do not fit.

    Source: torch.nn.functional.bilinear.

    >>> import numpy as np, spinetail.functional.gemm as F
    >>> F.bilinear(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.ones((1, 2, 2)))
    array([[21.]])
    """
    expect("bilinear", input1, input2, weight)
    x, y, w = input1.shape, input2.shape, weight.shape
    if len(w) != 3 or tuple(x[:-1]) != tuple(y[:-1]) or (x[-1], y[-1]) != tuple(w[1:]):
        raise ValueError(f"[bilinear] shapes {list(x)} and {list(y)} do not fit the weight's {list(w)}")
    count = int(np.prod(x[:-1], dtype=np.int64))
    by_first = matmul(input1.reshape(count, w[1]), weight.swapaxes(0, 1).reshape(w[1], w[0] * w[2]))
    products = matmul(by_first.reshape(count, w[0], w[2]), input2.reshape(count, w[2], 1))
    result = products.reshape(*x[:-1], w[0])
    return result if bias is None else result + bias


def matmul(input, other, *, out=None):
    r"""The matrix product of two tensors.

    Equation: c[..., m, n] = Σ_k a[..., m, k] · b[..., k, n]. Leading axes broadcast; a vector on the left is a row, on
    the right a column, and its axis is dropped from the result; two vectors give their inner product.
    Shapes: input (*, m, k) or (k,); other (*, k, n) or (k,); result (*, m, n) less the dropped axes.
    dtypes: both the same; float32 and float64 are summed in that dtype, float16 and bfloat16 in float32, rounded once.
    Error: at most k·eps·Σ|a·b| for each element, eps being that of the sums, and the one rounding.

    `out` takes the result: of its very shape and dtype, and it may overlap the operands.

    Raises: TypeError for mixed or unsupported dtypes, ValueError for scalars and shapes that do not fit.

    Source: torch.matmul.

    >>> import numpy as np, spinetail.functional.gemm as F
    >>> F.matmul(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    array([3., 7.])
    """
    if out is not None:
        return into(matmul, out, input, other)
    if type(input) is ndarray and type(other) is ndarray:  # the usual case of arrays
        return ops.matmul(input, other)
    if not isinstance(input, Tensor):
        expect("matmul", input, other)
        if not isinstance(other, Tensor):
            return ops.matmul(input, other)
        input = _lift(input)
    if not isinstance(other, Tensor):
        other = _lift(other)
    x, y = input._array, other._array
    out = ops.matmul(x, y)
    if not (input._requires_grad or other._requires_grad) or not enabled():
        return wrap(out)

    def backward(grad):
        left, right = matmul_gradients(grad, like(grad, input), like(grad, other))
        return (
            unbroadcast(left(), x.shape) if input._requires_grad else None,
            unbroadcast(right(), y.shape) if other._requires_grad else None,
        )

    return record(out, (input, other), backward, (input, other), "matmul", twice=True)


def matmul_gradients(grad, a, b):
    """Functions that give the gradients to a and b before their leading axes are summed; arrays or tensors."""
    product = ops.matmul if type(grad) is ndarray else matmul
    if a.ndim == 1 and b.ndim == 1:
        return lambda: grad * b, lambda: grad * a
    if b.ndim == 1:
        return lambda: grad[..., None] * b, lambda: product(a.swapaxes(-1, -2), grad[..., None])[..., 0]
    if a.ndim == 1:
        return lambda: product(b, grad[..., None])[..., 0], lambda: a[:, None] * grad[..., None, :]
    return lambda: product(grad, b.swapaxes(-1, -2)), lambda: product(a.swapaxes(-1, -2), grad)


matmul = ops.shortcut(matmul)


def _lift(value) -> Tensor:
    """An array beside a tensor, as a tensor."""
    if isinstance(value, ndarray) and not isinstance(value, np.ma.MaskedArray):
        return wrap(value)
    raise TypeError(f"[linear] expected a Tensor or an ndarray, got {type(value).__name__}")
