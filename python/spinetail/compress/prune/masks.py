"""Masks: made by a criterion and a selection, kept beside the model, and applied again after every optimizer step.

A mask is an attribute of its parameter, so it is copied with the model, and neither parameter names nor `state_dict`
know of it: a masked model's checkpoint has ordinary keys and the size of the dense one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from ...evaluate import table
from ...nn import Module, Parameter
from ...ops import pruning
from ...optim.hooks import register_optimizer_step_post_hook
from . import select
from .dependencies import is_kind

__all__ = ["Sparsity", "apply", "finalize", "masked", "prune", "sparsity", "targets"]

Names = Iterable[str | Module | Parameter] | str | Module | Parameter | None


def targets(model: Module, include: Names = None, exclude: Names = None) -> dict[str, Any]:
    """The parameters that pruning is about, by name: weights of two dimensions and more, embeddings left out.

    `include` names others instead (modules or parameters, as objects or as paths with the wildcards * and ?), `exclude`
    takes some away. Raises: TypeError for what is not a Module; ValueError for names that match nothing.
    """
    if not isinstance(model, Module):
        raise TypeError(f"[prune] expected a Module, but got {type(model).__name__}")
    chosen: dict[str, Any] = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            full = f"{path}.{name}" if path else name
            usual = "weight" in name and parameter._array.ndim >= 2 and not is_kind(module, ("Embedding",))
            if usual or include is not None:
                chosen[full] = (module, parameter)
    if include is not None:
        chosen = _matching(model, chosen, include, "include")
    for name in _matching(model, chosen, exclude, "exclude") if exclude is not None else ():
        del chosen[name]
    found = {id(parameter): (name, parameter) for name, (_, parameter) in reversed(chosen.items())}
    ordered = {name: parameter for name, parameter in reversed(found.values())}
    if not ordered:
        raise ValueError(f"[prune] {type(model).__name__} has no weights to prune")
    return ordered


def _matching(model: Module, chosen: dict[str, Any], wanted: Any, what: str) -> dict[str, Any]:
    """The part of `chosen` that names, modules or parameters point at."""
    single = isinstance(wanted, str | Module | Parameter)
    found: dict[str, Any] = {}
    for item in [wanted] if single else list(wanted):
        if isinstance(item, str):
            hits = [
                n
                for n in chosen
                if fnmatchcase(n, item) or fnmatchcase(n.rpartition(".")[0], item) or n.startswith(item + ".")
            ]
        elif isinstance(item, Parameter):
            hits = [n for n, (_, parameter) in chosen.items() if parameter is item]
        elif isinstance(item, Module):
            inside = {id(parameter) for parameter in item.parameters()}
            hits = [n for n, (_, parameter) in chosen.items() if id(parameter) in inside]
        else:
            raise TypeError(f"[prune] {what} must name modules or parameters, but has a {type(item).__name__}")
        if not hits:
            raise ValueError(
                f"[prune] {what}={item if isinstance(item, str) else type(item).__name__!r} matches no weight"
            )
        found.update((name, chosen[name]) for name in hits)
    return found


def prune(
    model: Module,
    criterion: Callable[..., np.ndarray],
    sparsity: float | None = 0.9,
    scope: str = "global",
    *,
    block: tuple[int, int] | None = None,
    keep: int | None = None,
    of: int | None = None,
    include: Names = None,
    exclude: Names = None,
) -> Module:
    """Mask the weights that a criterion `(weight, gradient, activation) -> scores` finds least important."""
    _check(sparsity, scope, block, keep, of)
    found = targets(model, include, exclude)
    for name, parameter in found.items():
        if np.isnan(parameter._array).any():
            raise ValueError(f"[prune] the parameter {name!r} has NaN values, which cannot be ranked")
    scores = []
    for name, parameter in found.items():
        gradient = None if parameter.grad is None else parameter.grad._array
        score = criterion(parameter._array, gradient, None)
        if np.shape(score) != parameter._array.shape:
            shapes = f"{np.shape(score)} for the weight of shape {parameter._array.shape}"
            raise ValueError(f"[prune] the criterion gave scores of shape {shapes} ({name!r})")
        scores.append(_ranked(name, np.asarray(score)))
    if keep is not None:
        masks = [select.keep_of(score, keep, of or 0) for score in scores]
    else:
        masks = _by_share(scores, sparsity or 0.0, scope, block)
    for (name, parameter), mask in zip(found.items(), masks, strict=True):
        if parameter._array.size and not mask.any():
            raise ValueError(
                f"[prune] nothing would be left of {name!r}: choose a lower sparsity, scope='layer', or "
                f"exclude={[name]}"
            )
    for parameter, mask in zip(found.values(), masks, strict=True):
        parameter._mask = mask
    apply(model)
    return model


def _check(sparsity: float | None, scope: str, block: Any, keep: int | None, of: int | None) -> None:
    if scope not in ("global", "layer"):
        raise ValueError(f"[prune] scope must be 'global' or 'layer', but it is {scope!r}")
    if (keep is None) != (of is None):
        raise ValueError("[prune] keep and of go together: keep=2, of=4 keeps 2 of every 4 weights")
    if keep is not None and of is not None:
        if block is not None:
            raise ValueError("[prune] block cannot be combined with keep and of")
        if not 1 <= keep < of:
            raise ValueError(f"[prune] keep must be at least 1 and less than of, but they are {keep} and {of}")
    elif sparsity is None or not 0 <= sparsity < 1:
        raise ValueError(f"[prune] sparsity must be in [0, 1), but it is {sparsity}")
    if block is not None and (len(block) != 2 or min(block) < 1):
        raise ValueError(f"[prune] block must be two sizes of at least 1, such as (16, 1), but it is {block}")


def _ranked(name: str, score: np.ndarray) -> np.ndarray:
    """Scores as the selection takes them: float32 or float64, none below 0."""
    if score.dtype not in (np.float32, np.float64):
        score = score.astype(np.float64 if score.dtype.kind in "iu" else np.float32)
    if score.size and not score.min() >= 0:
        raise ValueError(f"[prune] the criterion gave scores for {name!r} that are below 0 or NaN")
    return score


def _by_share(
    scores: Sequence[np.ndarray], sparsity: float, scope: str, block: tuple[int, int] | None
) -> list[np.ndarray]:
    ranked = list(scores) if block is None else [select.blocks(score, block) for score in scores]
    if scope == "global":
        chosen = select.smallest(ranked, select.count_of(sparsity, sum(score.size for score in ranked)))
    else:
        chosen = [select.smallest([score], select.count_of(sparsity, score.size))[0] for score in ranked]
    if block is None:
        return chosen
    return [select.block_mask(mask, score.shape, block) for mask, score in zip(chosen, scores, strict=True)]


# Keeping masks

_hook: list[Any] = []


def apply(model: Module) -> None:
    """Set the masked weights to 0, which happens by itself after each optimizer step and before each forward."""
    for module in model.modules():
        own = [p for p in module._parameters.values() if p is not None and masked(p)]
        _zero(own)
        if own and not _guards(module):
            module.register_forward_pre_hook(_before_forward)
    if not _hook:
        _hook.append(register_optimizer_step_post_hook(_after_step))


def masked(parameter: Parameter) -> bool:
    """Whether a parameter has a mask."""
    return getattr(parameter, "_mask", None) is not None


def _zero(parameters: list[Any]) -> None:
    if parameters:
        pruning.apply_masks([p._array for p in parameters], [p._mask for p in parameters])
    for parameter in parameters:
        parameter._bump()
        parameter._masked_version = parameter._version


def _before_forward(module: Module, arguments: tuple[Any, ...]) -> None:
    own: Any = (p for p in module._parameters.values() if p is not None and masked(p))
    changed = [p for p in own if p._version != p._masked_version]
    if changed:
        _zero(changed)


def _guards(module: Module) -> list[Any]:
    """The keys of the forward pre-hooks that keep the masks of a module."""
    hooks = module.__dict__.get("_forward_pre_hooks", {})
    return [key for key, hook in hooks.items() if (hook[0] if isinstance(hook, tuple) else hook) is _before_forward]


def _after_step(optimizer: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    params = (p for group in optimizer.param_groups for p in group["params"])
    _zero([p for p in params if type(p) is not np.ndarray and masked(p)])


def finalize(model: Module) -> Module:
    """Drop the masks: the weights keep their zeros, and become ordinary weights again. Returns the model.

    >>> import spinetail as st
    >>> model = st.nn.Linear(10, 10)
    >>> model = st.compress.prune.finalize(st.compress.prune.magnitude(model, sparsity=0.5))
    >>> int((model.weight == 0).sum())
    50
    """
    apply(model)
    for module in model.modules():
        for parameter in module._parameters.values():
            if parameter is not None and masked(parameter):
                del parameter._mask, parameter._masked_version
        for key in _guards(module):
            del module.__dict__["_forward_pre_hooks"][key]
        if not any(
            module.__dict__.get(kind)
            for kind in ("_forward_pre_hooks", "_forward_hooks", "_backward_hooks", "_backward_pre_hooks")
        ):
            module.__dict__.pop("_hooked", None)
    return model


class Sparsity(dict[str, tuple[int, int]]):
    """Zeros and sizes by parameter name: {name: (zeros, size)}; `share` is that of all together."""

    @property
    def share(self) -> float:
        """The share of zeros in all listed weights together."""
        total = sum(size for _, size in self.values())
        return sum(zeros for zeros, _ in self.values()) / total if total else 0.0

    def _table(self) -> table.Table:
        rows = [[n, table.count(s), table.count(z), f"{z / s * 100:.2f} %" if s else ""] for n, (z, s) in self.items()]
        zeros, size = sum(z for z, _ in self.values()), sum(s for _, s in self.values())
        total = ["total", table.count(size), table.count(zeros), f"{self.share * 100:.2f} %"]
        return table.Table(["weight", "size", "zeros", "sparsity"], rows, total)

    def __repr__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()


def sparsity(model: Module, include: Names = None, exclude: Names = None) -> Sparsity:
    """How many weights are 0, for each weight that pruning is about.

    >>> import spinetail as st
    >>> model = st.compress.prune.magnitude(st.nn.Linear(10, 10), sparsity=0.75)
    >>> st.compress.prune.sparsity(model).share
    0.75
    """
    found = targets(model, include, exclude)
    return Sparsity((n, (int(p._array.size - np.count_nonzero(p._array)), p._array.size)) for n, p in found.items())
