"""How an activation computes, records its gradient, and writes in place."""

from __future__ import annotations

from collections.abc import Callable

from ...autograd.inplace import check, rebase, write
from ...autograd.tape import enabled, like_output, ndarray, record, wrap
from ...autograd.tensor import Tensor


def from_input(name: str, input, forward: Callable, backward: Callable, slope: Callable, inplace: bool, *parameters):
    """Runs a function whose gradient needs its input; `slope(x)` is its derivative written with Tensors."""
    if type(input) is ndarray or not isinstance(input, Tensor):
        y = forward(input, *parameters)
        return _overwrite(input, y) if inplace else y
    x = input._array
    if inplace:
        check(input)
    y = forward(x, *parameters) if parameters else forward(x)
    if not (input._requires_grad and enabled()):
        result = wrap(y)
    else:
        kept = x.copy() if inplace else x

        def gradient(grad):
            if type(grad) is ndarray:
                return (backward(grad, kept, *parameters),)
            return (grad * slope(wrap(kept) if inplace else input),)

        result = record(y, (input,), gradient, () if inplace else (input,), name, twice=not inplace)
    return _replace(name, input, result) if inplace else result


def from_output(name: str, input, forward: Callable, backward: Callable, slope: Callable, inplace: bool, *parameters):
    """Runs a function whose gradient needs its output alone; `slope(y)` is its derivative written with Tensors."""
    if type(input) is ndarray or not isinstance(input, Tensor):
        y = forward(input, *parameters)
        return _overwrite(input, y) if inplace else y
    if inplace:
        check(input)
    y = forward(input._array, *parameters) if parameters else forward(input._array)
    if not (input._requires_grad and enabled()):
        result = wrap(y)
    else:

        def gradient(grad):
            if type(grad) is ndarray:
                return (backward(grad, y, *parameters),)
            return (grad * slope(like_output(grad, y)),)

        result = record(y, (input,), gradient, (), name, True, True)
    return _replace(name, input, result) if inplace else result


def in_place(function: Callable) -> Callable:
    """The function under PyTorch's name for its in-place version."""

    def run(input, *args, **options):
        return function(input, *args, inplace=True, **options)

    run.__name__ = run.__qualname__ = function.__name__ + "_"
    run.__doc__ = f"In-place version of `{function.__name__}`: the result replaces the input's values."
    run.__module__ = function.__module__
    return run


def _overwrite(array: ndarray, values: ndarray) -> ndarray:
    array[...] = values
    return array


def _replace(name: str, input: Tensor, result: Tensor) -> Tensor:
    """The result's values and history put into the input."""
    write(input, result._array, name + "_")
    if result._requires_grad:
        rebase(input, result._node)
    return input
