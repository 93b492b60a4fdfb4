"""Losses that are negative log-likelihoods, and divergences, for Tensors and ndarrays."""

from __future__ import annotations

import math
import warnings

import numpy as np

from ..autograd.tape import enabled, record, wrap
from ..ops.loss import reduction_code
from .activation import logsigmoid
from .indexing import where
from .loss import floats, reduced, refuse_legacy, two_doors
from .pointwise import clamp, exp, log

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "gaussian_nll_loss",
    "kl_div",
    "poisson_nll_loss",
]


@two_doors
def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    r"""Cross-entropy of probabilities: l = -w · (t · log x + (1 - t) · log(1 - x)), logarithms clamped at -100.

    Shapes: input and target of one shape; weight broadcasts against it. Result () or, for reduction "none", the
    input's shape. dtypes: floating point, all the same.

    Raises: ValueError for shapes that differ, RuntimeError for values outside 0 ... 1 (NaN too), TypeError for other
    or mixed dtypes.

    Source: torch.nn.functional.binary_cross_entropy.

    >>> import spinetail as st
    >>> st.nn.functional.binary_cross_entropy(st.tensor([0.0, 0.5]), st.tensor([1.0, 1.0]), reduction="none")
    tensor([100.0000,   0.6931])
    """
    name = "binary_cross_entropy"
    refuse_legacy(name, size_average, reduce)
    floats(name, input=input, target=target, weight=weight)
    if input.shape != target.shape:
        raise ValueError(
            f"[{name}] target has size {tuple(target.shape)}, but input has {tuple(input.shape)} (expected the same)"
        )
    if input.dtype != target.dtype:
        raise TypeError(f"[{name}] expected one dtype, got input {input.dtype} and target {target.dtype}")
    x, t = input._array, target._array
    for argument, values in (("input", x), ("target", t)):
        if not ((values >= 0) & (values <= 1)).all():
            raise RuntimeError(f"[{name}] all elements of {argument} must be between 0 and 1")
    with np.errstate(divide="ignore"):
        left, right = np.maximum(np.log(x), -100), np.maximum(np.log1p(-x), -100)
    value = np.asarray((t - 1) * right - t * left, x.dtype)
    if (input._requires_grad or target._requires_grad) and enabled():
        least = x.dtype.type(np.float32(1e-12))

        def backward(grad):
            return (
                grad * (x - t) / np.maximum((1 - x) * x, least) if input._requires_grad else None,
                grad * (right - left) if target._requires_grad else None,
            )

        loss = record(value, (input, target), backward, (input, target), name)
    else:
        loss = wrap(value)
    return reduced(name, loss if weight is None else loss * weight, reduction)


@two_doors
def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    r"""Cross-entropy of logits: l = -w · (p · t · log σ(x) + (1 - t) · log(1 - σ(x))), σ the sigmoid, without overflow.

    Shapes: input and target of one shape; weight w and pos_weight p broadcast against it. Result () or, for reduction
    "none", the input's shape. dtypes: floating point.

    Raises: ValueError for shapes that differ, TypeError for other dtypes.

    Source: torch.nn.functional.binary_cross_entropy_with_logits.

    >>> import spinetail as st
    >>> st.nn.functional.binary_cross_entropy_with_logits(st.tensor([0.0]), st.tensor([1.0]))
    tensor(0.6931)
    """
    name = "binary_cross_entropy_with_logits"
    refuse_legacy(name, size_average, reduce)
    floats(name, input=input, target=target, weight=weight, pos_weight=pos_weight)
    if input.shape != target.shape:
        raise ValueError(
            f"[{name}] target has size {tuple(target.shape)}, but input has {tuple(input.shape)} (expected the same)"
        )
    positive = logsigmoid(input)
    if pos_weight is None:
        loss = (1 - target) * input - positive
    else:
        loss = (1 - target) * input - ((pos_weight - 1) * target + 1) * positive
    return reduced(name, loss if weight is None else loss * weight, reduction)


@two_doors
def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    r"""The Kullback-Leibler divergence of log-probabilities x from probabilities t: l = t · (log t - x), 0 where t = 0.

    With `log_target` the target holds log-probabilities: l = exp(t) · (t - x). "batchmean" divides the sum by the
    size of the first axis, which is the mathematical definition; "mean" divides by all elements, and warns.
    Shapes: input and target broadcast. Result () or, for reduction "none", the broadcast shape. dtypes: floating point.

    Raises: TypeError for other dtypes, ValueError for shapes that do not broadcast.

    Source: Kullback and Leibler 1951; torch.nn.functional.kl_div.

    >>> import spinetail as st
    >>> st.nn.functional.kl_div(st.tensor([[0.5, 0.5]]).log(), st.tensor([[1.0, 0.0]]), reduction="batchmean")
    tensor(0.6931)
    """
    refuse_legacy("kl_div", size_average, reduce)
    floats("kl_div", input=input, target=target)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
            "'mean' will be changed to behave the same as 'batchmean' in the next major release.",
            stacklevel=3,
        )
    if log_target:
        loss = exp(target) * (target - input)
    else:
        # t log t, with 0 · log 0 = 0 and its gradient left out
        safe = where(target == 0, 1.0, target)
        loss = target * log(safe) - target * input
    if reduction == "batchmean":
        return loss.sum() / (input.shape[0] if input.ndim else 1)
    return reduced("kl_div", loss, reduction)


@two_doors
def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
):
    r"""The negative log-likelihood of counts: l = exp(x) - t · x, or x - t · log(x + eps) without `log_input`.

    `full` adds Stirling's approximation of log t!, t · log t - t + log(2πt)/2, where t > 1.
    Shapes: input and target broadcast. Result () or, for reduction "none", the broadcast shape. dtypes: floating point.

    Raises: TypeError for an input that is not floating point, ValueError for shapes that do not broadcast.

    Source: torch.nn.functional.poisson_nll_loss.

    >>> import spinetail as st
    >>> st.nn.functional.poisson_nll_loss(st.tensor([0.0]), st.tensor([2.0]))
    tensor(1.)
    """
    refuse_legacy("poisson_nll_loss", size_average, reduce)
    floats("poisson_nll_loss", input=input)
    loss = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        safe = where(target > 1, target, 1.0)
        loss = loss + where(target > 1, safe * log(safe) - safe + 0.5 * log(2 * math.pi * safe), 0.0)
    return reduced("poisson_nll_loss", loss, reduction)


@two_doors
def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    r"""The negative log-likelihood of normal numbers: l = (log v + (x - t)² / v) / 2 with v = max(var, eps).

    `full` adds log(2π)/2. The clamp at eps passes the gradient as if it were not there.
    Shapes: input and target broadcast; var the input's shape, or without its last axis, or with 1 there; or a number.
    Result () or, for reduction "none", the input's shape. dtypes: floating point.

    Raises: ValueError for a negative variance and for shapes that do not fit, TypeError for other dtypes.

    Source: Nix and Weigend 1994; torch.nn.functional.gaussian_nll_loss.

    >>> import spinetail as st
    >>> st.nn.functional.gaussian_nll_loss(st.tensor([1.0]), st.tensor([0.0]), st.tensor([1.0]))
    tensor(0.5000)
    """
    name = "gaussian_nll_loss"
    floats(name, input=input, target=target)
    if isinstance(var, (int, float)):
        if var < 0:
            raise ValueError(f"[{name}] var must not be negative, got {var}")
        var = input * 0 + float(var)
    floats(name, var=var)
    if var.shape != input.shape:
        if tuple(input.shape[:-1]) == tuple(var.shape):
            var = var.unsqueeze(-1)
        elif tuple(input.shape[:-1]) != tuple(var.shape[:-1]) or var.shape[-1] != 1:
            raise ValueError(f"[{name}] var has shape {tuple(var.shape)}, but input has {tuple(input.shape)}")
    if (var._array < 0).any():
        raise ValueError(f"[{name}] var has a negative entry")
    reduction_code(name, reduction)
    raised = var + wrap(clamp(var.detach(), min=eps)._array - var._array)
    difference = input - target
    loss = 0.5 * (log(raised) + difference * difference / raised)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(name, loss, reduction)
