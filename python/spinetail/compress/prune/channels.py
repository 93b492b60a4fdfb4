"""Structured pruning: channels and neurons that are really removed, with everything that depends on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import numpy as np

from ...autograd import no_grad, wrap
from ...autograd.graph import tensors, trace
from ...evaluate.running import arguments, evaluating, probing
from ...nn import Module, Parameter
from .criteria import CHANNELS
from .dependencies import Slice, follow

__all__ = ["channels", "plan", "remove", "zero"]


def channels(
    model: Module,
    ratio: float = 0.5,
    criterion: str | Callable[..., np.ndarray] = "l2",
    example: Any = None,
    exclude: Iterable[str | Module] | str | Module = (),
) -> Module:
    """A new model without the least important channels and neurons: its arrays are smaller, `model` is left as it was.

    The model is run once on `example` (an input, or a tuple of them), and what depends on a channel is read from the
    recorded graph: through activations, pooling, batch norm, flattening and other shape work, concatenation, sums and
    depthwise convolution, down to the layers that use it. Output channels of convolutions and outputs of linear layers
    can go; those that reach the model's output, that enter an operation mixing channels (layer norm, attention,
    softmax) or that belong to `nn.MultiheadAttention` stay. Channels that are added together go together.

    In every group of channels round(ratio · channels) go, at least one stays. `criterion` is "l2" or "l1", the norm of
    the channel's weights, or a function (weight, gradient, activation) -> scores with the weight as (channels, the
    rest). `exclude` names layers (paths with * and ?, or modules) whose outputs stay.

    The result is checked on `example`: it computes what the original computes with the removed channels set to 0.

    Raises: ValueError for a ratio outside [0, 1), NaN in a weight (named), no example, or nothing that could be
    removed; RuntimeError for a model whose dependencies cannot be followed, with the name of the operation.
    Source: Fang et al., DepGraph (2023), arXiv:2301.12900, for the problem; the way through the tape is our own.

    >>> import spinetail as st
    >>> model = st.nn.Sequential(st.nn.Conv2d(1, 8, 3), st.nn.ReLU(), st.nn.Flatten(), st.nn.Linear(8 * 36, 10))
    >>> small = st.compress.prune.channels(model, ratio=0.5, example=st.zeros(1, 1, 8, 8))
    >>> small[0].weight.shape[0], small[3].weight.shape[1], small(st.zeros(2, 1, 8, 8)).shape[1]
    (4, 144, 10)
    """
    inputs = _inputs(model, example)
    removed = plan(model, ratio, criterion, example, exclude)
    small = remove(model, removed)
    _verify(model, small, removed, inputs)
    return small


def plan(
    model: Module,
    ratio: float = 0.5,
    criterion: str | Callable[..., np.ndarray] = "l2",
    example: Any = None,
    exclude: Iterable[str | Module] | str | Module = (),
) -> list[Slice]:
    """What `channels` would remove: slices of parameters and buffers, by name, axis and index. Arguments as there."""
    if not 0 <= ratio < 1:
        raise ValueError(f"[channels] ratio must be in [0, 1), but it is {ratio}")
    score = CHANNELS.get(criterion) if isinstance(criterion, str) else criterion
    if score is None:
        raise ValueError(
            f"[channels] criterion must be {' or '.join(map(repr, CHANNELS))} or a function, not {criterion!r}"
        )
    inputs = _inputs(model, example)
    for name, parameter in model.named_parameters():
        if np.isnan(parameter._array).any():
            raise ValueError(f"[channels] the parameter {name!r} has NaN values, which cannot be ranked")
    with probing(model, inputs) as watched:
        units = follow(model, trace(model, watched))
    found = units.slices()
    lost = units.lost()
    kept = _excluded(model, exclude)
    groups: dict[tuple[Any, ...], list[list[Slice]]] = {}
    for root, slices in found.items():
        if any(s.role == "made" and s.name.rpartition(".")[0] in kept for s in slices):
            continue
        if root in lost:
            layer = next(s.name.rpartition(".")[0] for s in slices if s.role == "made")
            raise RuntimeError(
                f"[channels] the outputs of {layer!r} enter the operation {lost[root]!r}, through which channels "
                f"cannot be followed: keep them with exclude=[{layer!r}]"
            )
        groups.setdefault(tuple(sorted({(s.name, s.axis, s.role) for s in slices})), []).append(slices)
    if not groups:
        reasons = sorted(set(units.kept.values()))
        raise ValueError(
            f"[channels] there is no channel that could be removed: {'; '.join(reasons) or 'no layer found'}"
        )
    removed: list[Slice] = []
    named = dict(model.named_parameters())
    for members in groups.values():
        scores = _scores(named, members, score)
        count = min(round(ratio * len(members)), len(members) - 1)
        for which in np.argsort(scores, kind="stable")[:count]:
            removed += members[which]
    return removed


def _inputs(model: Module, example: Any) -> tuple[Any, ...]:
    if not isinstance(model, Module):
        raise TypeError(f"[channels] expected a Module, but got {type(model).__name__}")
    if example is None:
        raise ValueError("[channels] an example input is needed to follow the channels: example=x")
    return arguments("channels", example)


def _excluded(model: Module, exclude: Any) -> set[str]:
    """The paths of the excluded modules and of all below them."""
    from fnmatch import fnmatchcase

    items = [exclude] if isinstance(exclude, str | Module) else list(exclude)
    paths: set[str] = set()
    for item in items:
        hits = {
            path
            for path, module in model.named_modules()
            if module is item or (isinstance(item, str) and fnmatchcase(path, item))
        }
        if not hits:
            raise ValueError(
                f"[channels] exclude={item if isinstance(item, str) else type(item).__name__!r} matches no module"
            )
        paths |= hits
    return paths | {path for path, _ in model.named_modules() for top in paths if path.startswith(top + ".")}


def _scores(named: dict[str, Any], members: list[list[Slice]], score: Callable[..., np.ndarray]) -> np.ndarray:
    """The importance of each unit of a group: the sum of the scores of the weight rows that make it."""
    totals = np.zeros(len(members))
    for name in sorted({s.name for slices in members for s in slices if s.role == "made"}):
        parameter = named[name]
        if parameter._array.ndim < 2:
            continue
        gradient = None if parameter.grad is None else parameter.grad._array.reshape(len(parameter._array), -1)
        rows = np.asarray(score(parameter._array.reshape(len(parameter._array), -1), gradient, None))
        if rows.shape != (len(parameter._array),):
            raise ValueError(
                f"[channels] the criterion gave scores of shape {rows.shape} for {len(parameter._array)} channels"
            )
        for number, slices in enumerate(members):
            totals[number] += sum(rows[s.index] for s in slices if s.name == name and s.role == "made")
    return totals


def _by_array(removed: Iterable[Slice]) -> dict[tuple[str, int], list[int]]:
    gone: dict[tuple[str, int], list[int]] = {}
    for s in removed:
        gone.setdefault((s.name, s.axis), []).append(s.index)
    return gone


def remove(model: Module, removed: Iterable[Slice]) -> Module:
    """A copy of the model whose arrays lack the given slices."""
    small = deepcopy(model)
    touched = set()
    for (name, axis), indices in _by_array(removed).items():
        path, _, own = name.rpartition(".")
        module = small.get_submodule(path)
        value = getattr(module, own)
        array = np.ascontiguousarray(np.delete(value._array, indices, axis))
        if isinstance(value, Parameter):
            replaced: Any = Parameter(wrap(array), requires_grad=value.requires_grad)
            if getattr(value, "_mask", None) is not None:
                replaced._mask = np.ascontiguousarray(np.delete(value._mask, indices, axis))
                replaced._masked_version = -1
            module._parameters[own] = replaced
        else:
            module._buffers[own] = wrap(array)
        touched.add(path)
    for path in touched:
        _sizes(small.get_submodule(path))
    return small


def _sizes(module: Any) -> None:
    """Let a layer's attributes say how large it is now."""
    weight: Any = getattr(module, "weight", None)
    if hasattr(module, "out_channels"):
        if module.groups > 1:  # depthwise
            module.groups = module.in_channels = module.out_channels = weight.shape[0]
        else:
            module.out_channels, module.in_channels = weight.shape[0], weight.shape[1]
    elif hasattr(module, "out_features"):
        module.out_features, module.in_features = weight.shape[0], weight.shape[1]
    elif hasattr(module, "num_features"):
        known = weight if weight is not None else getattr(module, "running_mean", None)
        if known is not None:
            module.num_features = known.shape[0]


def zero(model: Module, removed: Iterable[Slice]) -> Module:
    """A copy of the model with the given channels set to 0 where they are made: what the smaller one must equal."""
    copy = deepcopy(model)
    values = {**dict(copy.named_parameters()), **dict(copy.named_buffers())}
    with no_grad():
        for s in removed:
            if s.role != "used" and not s.name.endswith("running_var"):
                np.moveaxis(values[s.name]._array, s.axis, 0)[s.index] = 0
    return copy


def _verify(model: Module, small: Module, removed: list[Slice], inputs: tuple[Any, ...]) -> None:
    """Compare the smaller model with the original whose channels are set to 0."""
    whole = zero(model, removed)
    hint = (
        "Does its forward have sizes written into it, such as x.view(-1, 1568)? x.flatten(1) or x.view(len(x), -1) "
        "follow the model; exclude= keeps layers as they are."
    )
    with evaluating(whole, small), no_grad():
        wanted = [t._array for t in tensors(whole(*inputs))]
        try:
            found = [t._array for t in tensors(small(*inputs))]
        except Exception as problem:
            raise RuntimeError(
                f"[channels] the model without its channels does not run ({problem}). {hint}"
            ) from problem
    for a, b in zip(wanted, found, strict=True):
        scale = float(np.max(np.abs(a), initial=0.0, where=np.isfinite(a)))
        if a.shape != b.shape or not np.allclose(a, b, rtol=1e-3, atol=1e-4 * (scale + 1e-6), equal_nan=True):
            raise RuntimeError(
                "[channels] the model without its channels does not compute what the original does with them at 0. "
                + hint
            )
