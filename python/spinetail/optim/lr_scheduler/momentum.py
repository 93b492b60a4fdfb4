"""Momenta that change together with the rates, and values that may differ from group to group."""

from __future__ import annotations

from typing import Any

from ..optimizer import Optimizer


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """The value of each group: one for all, or a list with one for each."""
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. "
            f"{name} has {len(value)} values, param_groups has {count}."
        )
    return list(value)


def uses_beta1(optimizer: Optimizer) -> bool:
    """Whether the optimizer's momentum is the first of its betas; ValueError where it has none at all."""
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
    return "betas" in optimizer.defaults


def set_momentum(group: dict[str, Any], value: float, beta1: bool) -> None:
    """Write a group's momentum, or the first of its betas."""
    if beta1:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value


def begin(optimizer: Optimizer, beta1: bool, base: Any, top: Any) -> tuple[list[float], list[float]]:
    """Note the limits in the groups, whose momentum begins at the upper one; returns both for each group."""
    bases, tops = per_group("base_momentum", optimizer, base), per_group("max_momentum", optimizer, top)
    for group, low, high in zip(optimizer.param_groups, bases, tops, strict=True):
        set_momentum(group, high, beta1)
        group["max_momentum"], group["base_momentum"] = high, low
    return bases, tops
