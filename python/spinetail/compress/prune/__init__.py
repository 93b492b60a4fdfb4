"""Pruning: masks over single weights, blocks and N of M; and channels that are really removed.

A criterion is a function in `criteria`; `magnitude` and `random` below are two of them with the call around.
"""

from __future__ import annotations

from typing import Any

from ...nn import Module
from . import criteria, select
from .channels import channels
from .masks import Sparsity, apply, finalize, prune, sparsity
from .schedule import Schedule

__all__ = [
    "Schedule",
    "Sparsity",
    "apply",
    "channels",
    "criteria",
    "custom",
    "finalize",
    "magnitude",
    "random",
    "select",
    "sparsity",
]


def magnitude(model: Module, sparsity: float | None = 0.9, scope: str = "global", **options: Any) -> Module:
    """Set the smallest weights to 0, in place, and keep them there while training goes on. Returns the model.

    `sparsity` is the share of zeros in all weights together (scope "global", one ranking of them all) or in each weight
    (scope "layer"), not of what is left: exactly round(sparsity · size) weights are 0, of equal ones those that come
    first. Weights are those of linear layers, convolutions, attention and recurrent layers; biases, norms and
    embeddings are left alone.

    Options: `block=(16, 1)` removes blocks of that many rows and columns (a convolution counts as outputs × the rest)
    by their mean magnitude; `keep=2, of=4` takes the place of sparsity and keeps 2 of every 4 along the input
    dimension; `include` and `exclude` name modules or parameters, as objects or paths with * and ?.

    The masks are applied again after every optimizer step and before every forward; deep copies take them along and
    `state_dict` does not know of them. `finalize` drops them and leaves the zeros.

    Raises: ValueError for a sparsity outside [0, 1), NaN in a weight (named), or when nothing would be left of one.
    Source: Han et al., Learning both weights and connections (2015), arXiv:1506.02626.

    >>> import spinetail as st
    >>> model = st.nn.Sequential(st.nn.Linear(20, 30), st.nn.ReLU(), st.nn.Linear(30, 5))
    >>> st.compress.prune.sparsity(st.compress.prune.magnitude(model, sparsity=0.8)).share
    0.8
    """
    return prune(model, criteria.magnitude, sparsity, scope, **options)


def random(model: Module, sparsity: float | None = 0.9, scope: str = "global", **options: Any) -> Module:
    """Set random weights to 0: the yardstick for every other criterion. Arguments as in `magnitude`.

    >>> import spinetail as st
    >>> model = st.nn.Linear(20, 30)
    >>> st.compress.prune.sparsity(st.compress.prune.random(model, sparsity=0.5)).share
    0.5
    """
    return prune(model, criteria.random, sparsity, scope, **options)


def custom(
    model: Module, criterion: Any, sparsity: float | None = 0.9, scope: str = "global", **options: Any
) -> Module:
    """Prune by a criterion of your own, a function (weight, gradient, activation) -> scores. Arguments: `magnitude`'s.

    >>> import numpy as np
    >>> import spinetail as st
    >>> model = st.nn.Linear(4, 4)
    >>> rows = lambda weight, gradient, activation: np.abs(weight) / np.abs(weight).sum(axis=1, keepdims=True)
    >>> st.compress.prune.sparsity(st.compress.prune.custom(model, rows, sparsity=0.25)).share
    0.25
    """
    return prune(model, criterion, sparsity, scope, **options)
