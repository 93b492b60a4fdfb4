"""Gradual pruning: the sparsity rises along a cubic while training goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...nn import Module
from .masks import finalize

__all__ = ["Schedule"]


class Schedule:
    """Prune a model step by step: call `step()` after each optimizer step.

    Equation: s(t) = s_f + (s_0 − s_f)·(1 − (t − t_0)/(n·Δ))³ for t in t_0, t_0 + Δ, …, t_0 + n·Δ, with s_f the
    final `sparsity`, s_0 `initial`, t_0 `start`, n·Δ `steps`, Δ `every`. The last update is exactly at `sparsity`, and
    after it the masks stay as they are while training goes on.

    `method` is called as `method(model, sparsity=s, **options)` and is `magnitude` by default; options are its own,
    such as scope, block, include and exclude.
    Raises: ValueError unless 0 ≤ initial ≤ sparsity < 1, steps and every are at least 1, and start is at least 0.
    Source: Zhu and Gupta, To prune, or not to prune (2017), arXiv:1710.01878.

    >>> import spinetail as st
    >>> model = st.nn.Linear(10, 10)
    >>> schedule = st.compress.prune.Schedule(model, sparsity=0.8, steps=2)
    >>> [round(schedule.step(), 3) for _ in range(4)]
    [0.0, 0.7, 0.8, 0.8]
    """

    def __init__(
        self,
        model: Module,
        sparsity: float = 0.9,
        *,
        steps: int,
        start: int = 0,
        every: int = 1,
        initial: float = 0.0,
        method: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        if not 0 <= initial <= sparsity < 1:
            raise ValueError(f"[Schedule] expected 0 <= initial <= sparsity < 1, but got {initial} and {sparsity}")
        if steps < 1 or every < 1 or start < 0:
            raise ValueError(
                f"[Schedule] steps and every must be at least 1, start at least 0: {steps}, {every}, {start}"
            )
        from . import magnitude

        self.method: Callable[..., Any] = magnitude if method is None else method
        self.model, self.options = model, options
        self.sparsity, self.initial = sparsity, initial
        self.start, self.steps, self.every = start, steps, every
        self.time = 0
        self.current = 0.0

    def at(self, time: int) -> float:
        """The sparsity that is due at a step."""
        if time < self.start:
            return 0.0
        left = 1 - min(1.0, (time - self.start) / self.steps)
        return self.sparsity + (self.initial - self.sparsity) * left**3

    def step(self) -> float:
        """Prune if it is time to; returns the sparsity that holds now."""
        passed = self.time - self.start
        due = 0 <= passed <= self.steps and (passed % self.every == 0 or passed == self.steps)
        self.time += 1
        if due:
            self.current = self.at(self.time - 1)
            if self.current > 0:
                self.method(self.model, sparsity=self.current, **self.options)
        return self.current

    def finalize(self) -> Module:
        """Drop the masks and return the model."""
        return finalize(self.model)
