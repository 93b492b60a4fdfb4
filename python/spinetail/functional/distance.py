"""Distances and similarities, and the losses that are distances, for Tensors and ndarrays."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import wrap
from ..ops.loss import reduction_code
from .door import expect
from .indexing import where
from .loss import floats, reduced, refuse_legacy, same_size, two_doors
from .pointwise import clamp

__all__ = ["cosine_similarity", "huber_loss", "l1_loss", "normalize", "pairwise_distance", "smooth_l1_loss"]


@two_doors
def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    r"""The absolute error: l = |x - t|, each, their mean or their sum.

    Shapes: input and target of one shape (others broadcast, with a warning); weight broadcasts against them, and the
    mean then divides by Σ weight. Result () or, for reduction "none", the broadcast shape.
    dtypes: floating point. The gradient at x = t is 0. The mean of nothing is NaN.

    Raises: TypeError for an input that is not floating point, ValueError for shapes that do not broadcast.

    Source: torch.nn.functional.l1_loss.

    >>> import spinetail as st
    >>> st.nn.functional.l1_loss(st.tensor([1.0, 2.0]), st.tensor([0.0, 4.0]))
    tensor(1.5000)
    """
    refuse_legacy("l1_loss", size_average, reduce)
    floats("l1_loss", input=input, weight=weight)
    same_size(input, target)
    return _weighed("l1_loss", (input - target).abs(), weight, reduction)


def _weighed(name, loss, weight, reduction):
    if weight is None:
        return reduced(name, loss, reduction)
    code = reduction_code(name, reduction)
    loss = loss * weight
    return loss if code == 0 else loss.sum() if code == 2 else loss.sum() / weight.expand(loss.shape).sum()


@two_doors
def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    r"""A parabola near 0, straight beyond: l = d²/(2·beta) where |d| < beta, else |d| - beta/2, with d = x - t.

    Shapes: input and target of one shape (others broadcast, with a warning). Result () or, for reduction "none", the
    broadcast shape. dtypes: floating point. beta = 0 is `l1_loss`.

    Raises: TypeError for an input that is not floating point, RuntimeError for a negative beta, ValueError for shapes
    that do not broadcast.

    Source: Girshick 2015; torch.nn.functional.smooth_l1_loss.

    >>> import spinetail as st
    >>> st.nn.functional.smooth_l1_loss(st.tensor([0.5, 3.0]), st.tensor([0.0, 0.0]), reduction="none")
    tensor([0.1250, 2.5000])
    """
    refuse_legacy("smooth_l1_loss", size_average, reduce)
    expect("smooth_l1_loss", target)
    floats("smooth_l1_loss", input=input)
    if beta < 0:
        raise RuntimeError(f"[smooth_l1_loss] beta must not be negative, got {beta}")
    same_size(input, target)
    distance = (input - target).abs()
    if beta > 0:
        # Two factors of which only one is beyond the knee: no branch computes what the other would overflow on.
        inner = clamp(distance, max=beta)
        distance = inner * (distance - 0.5 * inner) / beta
    return reduced("smooth_l1_loss", distance, reduction)


@two_doors
def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    r"""A parabola near 0, straight beyond: l = d²/2 where |d| ≤ delta, else delta · (|d| - delta/2), with d = x - t.

    Shapes: input and target of one shape (others broadcast, with a warning); weight broadcasts against them, and the
    mean then divides by Σ weight. Result () or, for reduction "none", the broadcast shape. dtypes: floating point.
    It is delta · smooth_l1_loss(beta=delta).

    Raises: TypeError for an input that is not floating point, ValueError for delta not above 0 and for shapes that do
    not broadcast.

    Source: Huber 1964; torch.nn.functional.huber_loss.

    >>> import spinetail as st
    >>> st.nn.functional.huber_loss(st.tensor([0.5, 3.0]), st.tensor([0.0, 0.0]), delta=2.0, reduction="none")
    tensor([0.1250, 4.0000])
    """
    expect("huber_loss", target)
    floats("huber_loss", input=input, weight=weight)
    if not delta > 0:
        raise ValueError(f"[huber_loss] delta must be above 0, got {delta}")
    same_size(input, target)
    distance = (input - target).abs()
    inner = clamp(distance, max=delta)
    return _weighed("huber_loss", inner * (distance - 0.5 * inner), weight, reduction)


@two_doors
def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    r"""The cosine of the angle between vectors: x1·x2 / (max(‖x1‖, eps) · max(‖x2‖, eps)) along an axis.

    Shapes: x1 and x2 broadcast; the result lacks the axis `dim` of the broadcast shape. dtypes: floating point.

    Raises: TypeError for other dtypes, IndexError for an axis that is not there, ValueError for shapes that do not
    broadcast.

    Source: torch.nn.functional.cosine_similarity.

    >>> import spinetail as st
    >>> st.nn.functional.cosine_similarity(st.tensor([[1.0, 0.0]]), st.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """
    floats("cosine_similarity", x1=x1, x2=x2)
    if x1.shape != x2.shape:
        try:
            shape = np.broadcast_shapes(tuple(x1.shape), tuple(x2.shape))
        except ValueError:
            raise ValueError(
                f"[cosine_similarity] shapes {tuple(x1.shape)} and {tuple(x2.shape)} cannot be broadcast together"
            ) from None
        x1, x2 = x1.expand(shape), x2.expand(shape)
    return ((x1 / _length(x1, dim, eps)) * (x2 / _length(x2, dim, eps))).sum(dim)


def _length(x, dim, eps):
    """The norm along an axis, at least eps; the gradient is the norm's, as if it were not clamped, and 0 at 0."""
    squares = (x * x).sum(dim, keepdim=True)
    norm = where(squares > 0, squares, 1.0).sqrt()
    values = np.sqrt(squares._array)
    return norm + wrap(np.maximum(values, values.dtype.type(eps)) - norm._array)


@two_doors
def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    r"""The p-norm of x1 - x2 + eps along the last axis.

    Shapes: x1 and x2 broadcast, (*, D); result (*,), or (*, 1) with keepdim. dtypes: floating point.

    Raises: TypeError for other dtypes, ValueError for shapes that do not broadcast.

    Source: torch.nn.functional.pairwise_distance.

    >>> import spinetail as st
    >>> st.nn.functional.pairwise_distance(st.tensor([[3.0, 4.0]]), st.tensor([[0.0, 0.0]]))
    tensor([5.0000])
    """
    floats("pairwise_distance", x1=x1, x2=x2)
    distance = (x1 - x2 + eps).abs()
    if p == 2:
        return (distance * distance).sum(-1, keepdim=keepdim).sqrt()
    if p == 1:
        return distance.sum(-1, keepdim=keepdim)
    if p == float("inf"):
        return distance.amax(-1, keepdim=keepdim)
    return (distance**p).sum(-1, keepdim=keepdim) ** (1 / p)


@two_doors
def normalize(input, p=2.0, dim=1, eps=1e-12):
    r"""Vectors of p-norm 1: x / max(‖x‖, eps) along an axis.

    Shapes: any; the result has the input's. dtypes: floating point.

    Raises: TypeError for other dtypes, IndexError for an axis that is not there.

    Source: torch.nn.functional.normalize.

    >>> import spinetail as st
    >>> st.nn.functional.normalize(st.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    floats("normalize", input=input)
    if p == 2:
        squares = (input * input).sum(dim, keepdim=True)
        norm = where(squares > 0, squares, 1.0).sqrt() * (squares > 0)
    elif p == float("inf"):
        norm = input.abs().amax(dim, keepdim=True)
    else:
        norm = (input.abs() ** p).sum(dim, keepdim=True) ** (1 / p)
    return input / clamp(norm, min=eps)
