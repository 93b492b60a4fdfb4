"""Functions called around the steps of every optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd import RemovableHandle

global_pre_hooks: dict[int, Callable[..., Any]] = {}
global_post_hooks: dict[int, Callable[..., Any]] = {}


def register(hooks: dict[int, Callable[..., Any]], hook: Callable[..., Any]) -> RemovableHandle:
    """Add a hook; the handle takes it out again."""
    key = max(hooks, default=0) + 1
    hooks[key] = hook
    return RemovableHandle(hooks, key)


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` before each step of every optimizer."""
    return register(global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` after each step of every optimizer."""
    return register(global_post_hooks, hook)
