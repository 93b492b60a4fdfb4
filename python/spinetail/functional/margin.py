"""Losses that ask for a margin between scores or distances, for Tensors and ndarrays."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import wrap
from ..ops.loss import class_indices
from .activation import logsigmoid, softplus
from .arithmetic import minimum
from .distance import cosine_similarity, pairwise_distance
from .indexing import where
from .loss import floats, reduced, refuse_legacy, two_doors
from .pointwise import clamp

__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


@two_doors
def cosine_embedding_loss(input1, input2, target, margin=0.0, size_average=None, reduce=None, reduction="mean"):
    r"""1 - cos(x1, x2) for pairs that belong together (target 1), max(0, cos(x1, x2) - margin) for others (target -1).

    Shapes: input1 and input2 (N, D) with target (N,), or (D,) with target (). Result () or, for reduction "none", the
    target's shape. dtypes: floating point; target any.

    Raises: ValueError for shapes that do not fit, TypeError for other dtypes.

    Source: torch.nn.functional.cosine_embedding_loss.

    >>> import spinetail as st
    >>> x = st.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> st.nn.functional.cosine_embedding_loss(x, x, st.tensor([1, -1]), reduction="none")
    tensor([0., 1.])
    """
    name = "cosine_embedding_loss"
    refuse_legacy(name, size_average, reduce)
    floats(name, input1=input1, input2=input2)
    if input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1 or target.ndim > 1:
        raise ValueError(
            f"[{name}] expected inputs (N, D) with target (N,) or inputs (D,) with target (), got "
            f"{tuple(input1.shape)}, {tuple(input2.shape)} and {tuple(target.shape)}"
        )
    cosine = cosine_similarity(input1, input2, dim=-1)
    apart = clamp(cosine - margin, min=0)
    loss = where(target == 1, 1 - cosine, where(target == -1, apart, cosine * 0))
    return reduced(name, loss, reduction)


@two_doors
def margin_ranking_loss(input1, input2, target, margin=0.0, size_average=None, reduce=None, reduction="mean"):
    r"""max(0, -t · (x1 - x2) + margin): x1 should be larger where t is 1, x2 where t is -1.

    Shapes: three tensors of one number of dimensions that broadcast. Result () or, for reduction "none", the broadcast
    shape. dtypes: floating point; target any.

    Raises: RuntimeError where the numbers of dimensions differ, TypeError for other dtypes.

    Source: torch.nn.functional.margin_ranking_loss.

    >>> import spinetail as st
    >>> st.nn.functional.margin_ranking_loss(st.tensor([1.0]), st.tensor([3.0]), st.tensor([1.0]))
    tensor(2.)
    """
    name = "margin_ranking_loss"
    refuse_legacy(name, size_average, reduce)
    floats(name, input1=input1, input2=input2)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            f"[{name}] all inputs must have the same number of dimensions, got {tuple(input1.shape)}, "
            f"{tuple(input2.shape)} and {tuple(target.shape)}"
        )
    return reduced(name, clamp(margin - target * (input1 - input2), min=0), reduction)


@two_doors
def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    r"""x where the target is 1, max(0, margin - x) where it is -1: x is a distance.

    Shapes: input and target broadcast. Result () or, for reduction "none", the broadcast shape. dtypes: floating point;
    target any.

    Raises: TypeError for other dtypes, ValueError for shapes that do not broadcast.

    Source: torch.nn.functional.hinge_embedding_loss.

    >>> import spinetail as st
    >>> st.nn.functional.hinge_embedding_loss(st.tensor([0.25, 0.25]), st.tensor([1, -1]), reduction="none")
    tensor([0.2500, 0.7500])
    """
    refuse_legacy("hinge_embedding_loss", size_average, reduce)
    floats("hinge_embedding_loss", input=input)
    apart = where(target != 1, clamp(margin - input, min=0), 0.0)
    together = where(target != -1, input, 0.0)
    return reduced("hinge_embedding_loss", apart + together, reduction)


@two_doors
def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    r"""log(1 + exp(-t · x)) for targets 1 and -1.

    Shapes: input and target of one shape. Result () or, for reduction "none", that shape. dtypes: floating point;
    target any.

    Raises: TypeError for other dtypes, ValueError for shapes that do not broadcast.

    Source: torch.nn.functional.soft_margin_loss.

    >>> import spinetail as st
    >>> st.nn.functional.soft_margin_loss(st.tensor([0.0]), st.tensor([1.0]))
    tensor(0.6931)
    """
    refuse_legacy("soft_margin_loss", size_average, reduce)
    floats("soft_margin_loss", input=input)
    return reduced("soft_margin_loss", softplus(-(target * input), threshold=float("inf")), reduction)


@two_doors
def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
    r"""Σ_{c ≠ y} w[y] · max(0, margin - x[y] + x[c])^p / C for class indices y.

    Shapes: input (N, C) or (C,), target (N,) or (), weight (C,). Result () or, for reduction "none", the target's
    shape. dtypes: floating point; target int64 or uint8. p is 1 or 2.

    Raises: IndexError for an index outside the classes, ValueError for another p and shapes that do not fit, TypeError
    for other dtypes, RuntimeError for a target of another dtype.

    Source: torch.nn.functional.multi_margin_loss.

    >>> import spinetail as st
    >>> st.nn.functional.multi_margin_loss(st.tensor([[0.5, 0.0]]), st.tensor([0]))
    tensor(0.2500)
    """
    name = "multi_margin_loss"
    refuse_legacy(name, size_average, reduce)
    floats(name, input=input, weight=weight)
    if p not in (1, 2):
        raise ValueError(f"[{name}] p must be 1 or 2, got {p}")
    if input.ndim not in (1, 2):
        raise ValueError(f"[{name}] input must have shape (N, C) or (C,), got {tuple(input.shape)}")
    rows = input if input.ndim == 2 else input.unsqueeze(0)
    classes = rows.shape[1]
    labels = class_indices(name, input._array, target._array, classes, ignore=-1).astype(np.int64)
    if (labels < 0).any():
        raise IndexError(f"[{name}] target -1 is out of bounds for {classes} classes")
    picked = wrap(labels[:, None])
    own = rows.gather(1, picked)
    others = np.ones(rows.shape, rows._array.dtype)
    np.put_along_axis(others, labels[:, None], 0, 1)
    each = clamp(margin - own + rows, min=0) ** p * wrap(others)
    if weight is not None:
        if tuple(weight.shape) != (classes,):
            raise ValueError(f"[{name}] weight must have shape ({classes},), got {tuple(weight.shape)}")
        each = each * weight[wrap(labels)].unsqueeze(1)
    loss = each.sum(1) / classes
    return reduced(name, loss if input.ndim == 2 else loss[0], reduction)


@two_doors
def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    r"""-Σ_c w[c] · (t · log σ(x) + (1 - t) · log σ(-x)) / C, σ the sigmoid.

    Shapes: input and target (*, C), weight broadcasts against them. Result () or, for reduction "none", (*,).
    dtypes: floating point; target any.

    Raises: TypeError for other dtypes, ValueError for shapes that do not broadcast.

    Source: torch.nn.functional.multilabel_soft_margin_loss.

    >>> import spinetail as st
    >>> st.nn.functional.multilabel_soft_margin_loss(st.tensor([[0.0, 0.0]]), st.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """
    name = "multilabel_soft_margin_loss"
    refuse_legacy(name, size_average, reduce)
    floats(name, input=input, weight=weight)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    loss = loss if weight is None else loss * weight
    return reduced(name, loss.sum(-1) / input.shape[-1], reduction)


@two_doors
def triplet_margin_loss(
    anchor,
    positive,
    negative,
    margin=1.0,
    p=2,
    eps=1e-6,
    swap=False,
    size_average=None,
    reduce=None,
    reduction="mean",
):
    r"""max(0, d(a, p) - d(a, n) + margin) with d the p-norm of the difference (plus eps).

    `swap` takes the smaller of d(a, n) and d(p, n).
    Shapes: (N, D) or (D,), all the same. Result () or, for reduction "none", (N,). dtypes: floating point.

    Raises: TypeError for other dtypes, RuntimeError where the numbers of dimensions differ, ValueError for shapes that
    do not broadcast and for a margin not above 0.

    Source: Balntas et al. 2016; torch.nn.functional.triplet_margin_loss.

    >>> import spinetail as st
    >>> a = st.tensor([[0.0, 0.0]])
    >>> st.nn.functional.triplet_margin_loss(a, st.tensor([[3.0, 4.0]]), st.tensor([[0.0, 1.0]]))
    tensor(5.0000)
    """
    refuse_legacy("triplet_margin_loss", size_average, reduce)
    return _triplet(
        "triplet_margin_loss",
        anchor,
        positive,
        negative,
        lambda a, b: pairwise_distance(a, b, p, eps),
        margin,
        swap,
        reduction,
    )


@two_doors
def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    r"""max(0, d(a, p) - d(a, n) + margin) with a distance function of two tensors; without one, `pairwise_distance`.

    Shapes: whatever the distance function takes. Result () or, for reduction "none", what it returns.
    dtypes: floating point.

    Raises: TypeError for other dtypes, RuntimeError where the numbers of dimensions differ, ValueError for a margin not
    above 0.

    Source: torch.nn.functional.triplet_margin_with_distance_loss.

    >>> import spinetail as st
    >>> a, b, c = st.tensor([[0.0]]), st.tensor([[2.0]]), st.tensor([[1.0]])
    >>> f = st.nn.functional.triplet_margin_with_distance_loss
    >>> f(a, b, c, distance_function=lambda x, y: (x - y).abs().sum(-1))
    tensor(2.)
    """
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet("triplet_margin_with_distance_loss", anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(name, anchor, positive, negative, distance, margin, swap, reduction):
    floats(name, anchor=anchor, positive=positive, negative=negative)
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            f"[{name}] all inputs must have the same number of dimensions, got {anchor.ndim}, {positive.ndim} and "
            f"{negative.ndim}"
        )
    if not margin > 0:
        raise ValueError(f"[{name}] margin must be above 0, got {margin}")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(name, clamp(near - far + margin, min=0), reduction)
