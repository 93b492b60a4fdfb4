"""`gradcheck`: gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .engine import grad as gradients
from .mode import enable_grad
from .tape import wrap
from .tensor import Tensor


class GradcheckError(RuntimeError):
    """A gradient that does not agree with finite differences."""


def gradcheck(
    func: Callable,
    inputs,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Compare the gradients of `func(*inputs)` with central differences.

    Equation: |analytic - numeric| ≤ atol + rtol · |numeric| for each element of each Jacobian, numeric =
    (f(x + eps) - f(x - eps)) / (2·eps). The inputs that require a gradient should be float64. `fast_mode`,
    `check_undefined_grad` and `masked` are accepted and change nothing: the full check always runs.

    Raises: GradcheckError (a RuntimeError) for a mismatch, unless `raise_exception` is false; ValueError when no
    input requires a gradient.

    >>> import spinetail as st
    >>> x = st.rand(3, dtype=st.float64, requires_grad=True)
    >>> st.autograd.gradcheck(lambda x: (x * x).sum(), (x,))
    True
    """
    arguments = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [i for i, a in enumerate(arguments) if isinstance(a, Tensor) and a._requires_grad]
    if not checked:
        raise ValueError("gradcheck expects at least one input tensor to require gradient, but none of the them have")
    for i in checked:
        if arguments[i]._array.dtype != np.float64:
            import warnings

            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point. This check will likely "
                "fail if all the inputs are not of double precision floating point."
            )
        array = arguments[i]._array
        if array.size and any(
            stride == 0 and extent > 1 for stride, extent in zip(array.strides, array.shape, strict=True)
        ):
            raise RuntimeError(
                f"[gradcheck] input {i} has several elements in one memory location; call contiguous() first"
            )
    try:
        _check(func, arguments, checked, eps, atol, rtol, nondet_tol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _outputs(func: Callable, arguments: tuple) -> list:
    result = func(*arguments)
    outputs = list(result) if isinstance(result, (tuple, list)) else [result]
    return [o for o in outputs if isinstance(o, Tensor) and o._array.dtype.kind == "f"]


def _check(func, arguments, checked, eps, atol, rtol, nondet_tol) -> None:
    with enable_grad():
        outputs = _outputs(func, arguments)
    numeric = [_numeric(func, arguments, arguments[i], eps) for i in checked]
    for number, output in enumerate(outputs):
        if not output._requires_grad:
            for column, i in enumerate(checked):
                _compare(number, i, numeric[column][number], np.zeros_like(numeric[column][number]), atol, rtol)
            continue
        first = _analytic(output, [arguments[i] for i in checked])
        second = _analytic(output, [arguments[i] for i in checked])
        for column, i in enumerate(checked):
            if np.abs(first[column] - second[column]).max(initial=0) > nondet_tol:
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times "
                    f"gives different values (output {number}, input {i})"
                )
            _compare(number, i, numeric[column][number], first[column], atol, rtol)


def _numeric(func, arguments, tensor: Tensor, eps: float) -> list:
    """The Jacobian of each output by central differences: (elements of the input, elements of the output)."""
    array = tensor._array
    rows: list = []
    for place in np.ndindex(array.shape):
        before = array[place]
        sides = []
        for step in (eps, -eps):
            array[place] = before + step
            sides.append([o._array.astype(np.float64).reshape(-1) for o in _outputs(func, arguments)])
        array[place] = before
        rows.append([(up - down) / (2 * eps) for up, down in zip(*sides, strict=True)])
    if not rows:
        return [np.zeros((0, o._array.size)) for o in _outputs(func, arguments)]
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _analytic(output: Tensor, tensors: list) -> list:
    """The Jacobian for each tensor by the tape: (elements of the tensor, elements of the output)."""
    columns = [np.zeros((t._array.size, output._array.size)) for t in tensors]
    for place in range(output._array.size):
        seed = np.zeros(output._array.size, output._array.dtype)
        seed[place] = 1
        found = gradients(
            output, tensors, wrap(seed.reshape(output._array.shape)), retain_graph=True, allow_unused=True
        )
        for column, tensor, grad in zip(columns, tensors, found, strict=True):
            if grad is not None:
                if grad._array.shape != tensor._array.shape or grad._array.dtype != tensor._array.dtype:
                    raise GradcheckError(
                        f"the gradient has shape {list(grad._array.shape)} and dtype {grad.dtype}, but the input has "
                        f"{list(tensor._array.shape)} and {tensor.dtype}"
                    )
                column[:, place] = grad._array.reshape(-1)
    return columns


def _compare(output: int, input: int, numeric: np.ndarray, analytic: np.ndarray, atol: float, rtol: float) -> None:
    close = np.isclose(analytic, numeric, rtol, atol, equal_nan=True)
    if not close.all():
        difference = np.where(close, 0, np.abs(analytic - numeric))
        row, column = np.unravel_index(np.argmax(np.where(np.isnan(difference), np.inf, difference)), close.shape)
        raise GradcheckError(
            f"Jacobian mismatch for output {output} with respect to input {input}, at element {row} of the input and "
            f"{column} of the output: analytical {analytic[row, column]}, numerical {numeric[row, column]} "
            f"({close.size - close.sum()} of {close.size} elements differ)\n"
            f"numerical:{wrap(numeric)}\nanalytical:{wrap(analytic)}"
        )


def gradgradcheck(
    func: Callable, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True
) -> bool:
    """Compare second derivatives with central differences of the first; see `gradcheck`."""
    arguments = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    outputs = _outputs(func, arguments)
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        seeds = [wrap(rng.standard_normal(o._array.shape).astype(o._array.dtype)) for o in outputs]
    else:
        seeds = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    for seed in seeds:
        seed.requires_grad_()
    count = len(arguments)

    def first(*args):
        values, weights = args[:count], args[count:]
        wanted = [v for v in values if isinstance(v, Tensor) and v._requires_grad]
        with enable_grad():
            results = gradients(_outputs(func, values), wanted, weights, create_graph=True, allow_unused=True)
        return tuple(r for r in results if r is not None)

    return gradcheck(first, (*arguments, *seeds), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)
