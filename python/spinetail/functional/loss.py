"""Losses for classification and regression, for Tensors and ndarrays."""

from __future__ import annotations

import warnings
from functools import wraps

import numpy as np

from ..autograd.tape import enabled, ndarray, record, unbroadcast, wrap
from ..autograd.tensor import Tensor
from ..ops import activation
from ..ops import loss as ops
from .door import lift, lower, quiet

__all__ = ["cross_entropy", "mse_loss", "nll_loss"]


def refuse_legacy(name: str, size_average, reduce) -> None:
    """PyTorch's oldest spelling of `reduction` is an error, and says what to write."""
    if size_average is not None or reduce is not None:
        raise TypeError(f"[{name}] size_average and reduce are not supported: use reduction='mean', 'sum' or 'none'")


def two_doors(function):
    """The version of a function on Tensors that takes arrays as well, and returns arrays where it got no Tensor."""
    name = function.__name__

    @wraps(function)
    def door(*args, **kwargs):
        values = (*args, *kwargs.values())
        tensors = any(isinstance(v, Tensor) for v in values)
        if not values or not isinstance(args[0] if args else values[0], (Tensor, ndarray)):
            got = type(args[0]).__name__ if args else "nothing"
            raise TypeError(f"[{name}] the first argument must be a Tensor or a numpy.ndarray, got {got}")
        args = [lift(v) if isinstance(v, ndarray) else v for v in args]
        kwargs = {k: lift(v) if isinstance(v, ndarray) else v for k, v in kwargs.items()}
        result = function(*args, **kwargs)
        return result if tensors else lower(result)

    return door


def floats(name: str, **tensors) -> None:
    """Refuses what is not a tensor of floating point numbers; None stands for an argument left out."""
    for argument, tensor in tensors.items():
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor):
            raise TypeError(f"[{name}] {argument} must be a Tensor or a numpy.ndarray, got {type(tensor).__name__}")
        if not tensor.dtype.is_floating_point:
            raise TypeError(f"[{name}] {argument} must be floating point, got {tensor.dtype}")


def reduced(name: str, loss: Tensor, reduction: str) -> Tensor:
    """The losses themselves, their mean or their sum."""
    code = ops.reduction_code(name, reduction)
    return loss if code == 0 else loss.mean() if code == 1 else loss.sum()


def _array(name: str, argument: str, value) -> ndarray | None:
    if isinstance(value, Tensor):
        return value._array
    if value is None or isinstance(value, ndarray):
        return value
    raise TypeError(f"[{name}] {argument} must be a Tensor or a numpy.ndarray, got {type(value).__name__}")


def _scaled(gradient: ndarray, grad: ndarray, input: ndarray) -> ndarray:
    """A fresh gradient of the result, times the gradient that arrived: a number, or one for each sample."""
    if grad.ndim == 0 and grad.item() == 1:
        return gradient
    with np.errstate(all="ignore"):
        if grad.ndim == 0:
            np.multiply(gradient, grad, out=gradient)
        elif input.ndim > 1:
            np.multiply(gradient, np.expand_dims(grad, 1), out=gradient)
    return gradient


def _recorded(name: str, input: Tensor, loss: ndarray, gradient: ndarray, again, others=(), saved=(), extra=None):
    """Records a loss whose gradient the forward sweep has made.

    The first backward hands that array on; a later one (retain_graph) computes it `again`.
    """
    kept = [gradient]

    def backward(grad):
        if not input._requires_grad:
            fresh = None
        else:
            fresh = kept.pop() if kept else again()
            fresh = _scaled(fresh, grad, fresh)
        return (fresh, *(extra(grad) if extra else (None,) * len(others)))

    return record(loss, (input, *others), backward, (input, *saved), name)


def cross_entropy(
    input,
    target,
    weight=None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
    reduction="mean",
    label_smoothing=0.0,
):
    r"""Cross-entropy between logits and class indices or probabilities.

    Equation: l = -Σ_c w[c] · t[c] · log softmax(x)[c]; a class index y stands for t[y] = 1. Label smoothing ε replaces
    t by (1 - ε) · t + ε / C. "mean" divides the sum by Σ w[y] over the samples that count (by N for probabilities).
    Shapes: input (C,), (N, C) or (N, C, d1, …), C classes and N samples; target without the axis of classes (indices)
    or with the input's shape (probabilities); weight (C,); result () or, for reduction "none", the shape of indices.
    dtypes: input float16, bfloat16, float32 or float64; indices int64 or uint8. Samples whose index is `ignore_index`
    count for nothing; where all are ignored the mean is NaN. NaN propagates. The sum over samples is made in float64.

    Raises: IndexError for an index outside the classes, RuntimeError for indices of another integer dtype, ValueError
    for shapes that do not fit, TypeError for other dtypes.

    Source: torch.nn.functional.cross_entropy; label smoothing: Szegedy et al. 2016.

    >>> import spinetail as st
    >>> st.nn.functional.cross_entropy(st.tensor([[2.0, 0.0], [0.0, 2.0]]), st.tensor([0, 1]))
    tensor(0.1269)
    """
    if size_average is not None or reduce is not None:
        refuse_legacy("cross_entropy", size_average, reduce)
    if not isinstance(input, Tensor):
        if not isinstance(target, Tensor):
            w = _array("cross_entropy", "weight", weight)
            return ops.cross_entropy(input, target, w, ignore_index, reduction, label_smoothing)
        input = wrap(input)
    x = input._array
    t = target._array if isinstance(target, Tensor) else _array("cross_entropy", "target", target)
    w = weight if weight is None else _array("cross_entropy", "weight", weight)
    soft = isinstance(target, Tensor) and target._requires_grad
    if not ((input._requires_grad or soft) and enabled()):
        return wrap(ops.cross_entropy(x, t, w, ignore_index, reduction, label_smoothing))
    loss, gradient = ops.cross_entropy_backward(x, t, w, ignore_index, reduction, label_smoothing)

    def again():
        return ops.cross_entropy_backward(x, t, w, ignore_index, reduction, label_smoothing)[1]

    if not soft:
        return _recorded("cross_entropy", input, loss, gradient, again)

    @quiet
    def target_gradient(grad):
        axis = 0 if x.ndim == 1 else 1
        factor = activation.log_softmax(x, axis) * (label_smoothing - 1.0)
        if w is not None:
            factor *= w if x.ndim == 1 else w.reshape(-1, *(1,) * (x.ndim - 2))
        if reduction == "mean":
            factor /= 1 if x.ndim == 1 else x.size // x.shape[1]
        return (_scaled(factor.astype(t.dtype, copy=False), grad, factor),)

    return _recorded("cross_entropy", input, loss, gradient, again, (target,), (target,), target_gradient)


def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    r"""The negative log-likelihood of class indices, given log-probabilities.

    Equation: l = -w[y] · x[y]; "mean" divides the sum by Σ w[y] over the samples that count.
    Shapes: input (C,), (N, C) or (N, C, d1, …), C classes and N samples; target without the axis of classes;
    weight (C,); result () or, for reduction "none", the shape of the target.
    dtypes: input float16, bfloat16, float32 or float64; target int64 or uint8. Samples whose index is `ignore_index`
    count for nothing.

    Raises: IndexError for an index outside the classes, RuntimeError for a target of another integer dtype, ValueError
    for shapes that do not fit, TypeError for other dtypes.

    Source: torch.nn.functional.nll_loss.

    >>> import spinetail as st
    >>> st.nn.functional.nll_loss(st.tensor([[-0.1, -2.4]]), st.tensor([0]))
    tensor(0.1000)
    """
    refuse_legacy("nll_loss", size_average, reduce)
    if not isinstance(input, Tensor):
        if not isinstance(target, Tensor):
            return ops.nll_loss(input, target, _array("nll_loss", "weight", weight), ignore_index, reduction)
        input = wrap(input)
    x, t, w = input._array, _array("nll_loss", "target", target), _array("nll_loss", "weight", weight)
    if not (input._requires_grad and enabled()):
        return wrap(ops.nll_loss(x, t, w, ignore_index, reduction))
    loss, gradient = ops.nll_loss_backward(x, t, w, ignore_index, reduction)
    return _recorded(
        "nll_loss", input, loss, gradient, lambda: ops.nll_loss_backward(x, t, w, ignore_index, reduction)[1]
    )


def same_size(input, target) -> None:
    """PyTorch's warning about losses that broadcast."""
    if input.shape != target.shape:
        warnings.warn(
            f"Using a target size ({tuple(target.shape)}) that is different to the input size ({tuple(input.shape)}). "
            "This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    r"""The squared error: l = (x - t)², each, their mean or their sum.

    Shapes: input and target of one shape (others broadcast, with a warning); weight broadcasts against them, and the
    mean then divides by Σ weight. Result () or, for reduction "none", the broadcast shape.
    dtypes: float16, bfloat16, float32, float64, all the same. The mean of nothing is NaN. Blocks of 16384 elements are
    summed in the input's dtype, the blocks in float64.

    Raises: TypeError for other or mixed dtypes, ValueError for shapes that do not broadcast.

    Source: torch.nn.functional.mse_loss.

    >>> import spinetail as st
    >>> st.nn.functional.mse_loss(st.tensor([1.0, 2.0]), st.tensor([0.0, 4.0]))
    tensor(2.5000)
    """
    refuse_legacy("mse_loss", size_average, reduce)
    x, t = _array("mse_loss", "input", input), _array("mse_loss", "target", target)
    if x is None or t is None:
        raise TypeError("[mse_loss] input and target must be Tensors or ndarrays, got None")
    if weight is not None:
        return _weighted_mse(input, target, weight, reduction)
    if x.dtype is not t.dtype and x.dtype.newbyteorder("=") != t.dtype.newbyteorder("="):
        same_size(x, t)
        return _mixed_mse(input, target, reduction)
    if x.shape != t.shape:
        same_size(x, t)
        try:
            x, t = np.broadcast_arrays(x, t)
        except ValueError:
            raise ValueError(f"[mse_loss] shapes {x.shape} and {t.shape} cannot be broadcast together") from None
    if not isinstance(input, Tensor) and not isinstance(target, Tensor):
        return ops.mse_loss(x, t, reduction)
    a = input if isinstance(input, Tensor) else None
    b = target if isinstance(target, Tensor) else None
    need_a, need_b = a is not None and a._requires_grad, b is not None and b._requires_grad
    if not ((need_a or need_b) and enabled()):
        return wrap(ops.mse_loss(x, t, reduction))
    loss, gradient = ops.mse_loss_backward(x, t, reduction)
    kept = [gradient]

    def backward(grad):
        fresh = kept.pop() if kept else ops.mse_loss_backward(x, t, reduction)[1]
        if grad.ndim or grad != 1:
            np.multiply(fresh, grad, out=fresh)
        return (
            unbroadcast(fresh, input.shape) if need_a else None,
            unbroadcast(np.negative(fresh), target.shape) if need_b else None,
        )

    return record(loss, (a, b), backward, tuple(s for s in (a, b) if s is not None), "mse_loss")


@two_doors
def _mixed_mse(input, target, reduction):
    """Of two dtypes, in the wider one."""
    floats("mse_loss", input=input)
    difference = input - target
    return reduced("mse_loss", difference * difference, reduction)


@two_doors
def _weighted_mse(input, target, weight, reduction):
    floats("mse_loss", input=input, weight=weight)
    code = ops.reduction_code("mse_loss", reduction)
    difference = input - target
    loss = weight * difference * difference
    if code == 0:
        return loss
    return loss.sum() if code == 2 else loss.sum() / weight.expand(loss.shape).sum()
