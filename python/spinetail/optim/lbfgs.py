"""L-BFGS."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..autograd import Tensor, enable_grad
from ..autograd.tape import bump
from .line_search import strong_wolfe
from .optimizer import Optimizer, array_of, parameter_gradient


class LBFGS(Optimizer):
    r"""Quasi-Newton steps from the last `history_size` changes of parameters and gradients.

    d = -H·g by the two-loop recursion over pairs s = Δp, y = Δg, with H₀ = (yᵀs)/(yᵀy);  p ← p + t·d, t = lr, or found
    by a line search for the strong Wolfe conditions (`line_search_fn="strong_wolfe"`). A step makes up to `max_iter`
    iterations and `max_eval` calls of its closure.

    `params` are float32 or float64 tensors, in one group; `step(closure)` needs a function that clears the gradients,
    computes the loss, calls backward and returns the loss.

    Raises: ValueError for more than one group, arrays without `.grad`, a negative rate, an unknown line search;
    TypeError for a step without a closure.

    Source: Nocedal and Wright, Numerical Optimization (2006), algorithms 7.4, 3.5 and 3.6.

    >>> import spinetail as st
    >>> x = st.tensor([-1.2, 1.0], dtype=st.float64, requires_grad=True)
    >>> optimizer = st.optim.LBFGS([x], max_iter=60, line_search_fn="strong_wolfe")
    >>> def rosenbrock():
    ...     optimizer.zero_grad()
    ...     loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> _ = optimizer.step(rosenbrock)
    >>> x.detach().numpy().round(3)
    array([1., 1.])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if not float(lr) >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(f"Invalid line_search_fn: {line_search_fn!r} (expected None or 'strong_wolfe')")
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]
        if not all(isinstance(p, Tensor) for p in self._params):
            raise ValueError("[LBFGS] expected tensors, whose gradients a closure can compute, but got arrays")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Up to `max_iter` iterations; `closure` computes the loss and its gradients. Returns the first loss."""
        if not callable(closure):
            raise TypeError("[LBFGS] step() needs a closure that computes the loss again and returns it")
        self._opt_called = True
        with enable_grad():
            return _Run(self, closure).go()

    def _loaded(self, group: dict[str, Any], name: str, value: Any, parameter: Any, number: int) -> Any:
        if isinstance(value, (list, tuple)):
            return [np.array(array_of(item)) for item in value]
        return np.array(array_of(value)) if isinstance(value, (np.ndarray, Tensor)) else value


class _Run:
    """One call of `step`."""

    def __init__(self, optimizer: LBFGS, closure: Callable[[], Any]) -> None:
        self.params = optimizer._params
        self.options = optimizer.param_groups[0]
        self.state = optimizer.state[self.params[0]]
        self.closure = closure
        self.evaluations = 0

    def evaluate(self) -> tuple[float, np.ndarray]:
        """The loss and the gradient where the parameters are now."""
        self.loss = self.closure()
        self.evaluations += 1
        return float(self.loss), self.gradient()

    def gradient(self) -> np.ndarray:
        parts = [parameter_gradient(p, 0, None) for p in self.params]
        shaped = zip(parts, self.params, strict=True)
        return np.concatenate([np.zeros(p._array.size, p._array.dtype) if g is None else g.ravel() for g, p in shaped])

    def move(self, start: list[np.ndarray], step: float, direction: np.ndarray) -> None:
        """Parameters = start + step · direction."""
        offset = 0
        for p, origin in zip(self.params, start, strict=True):
            array = p._array
            np.add(origin, step * direction[offset : offset + array.size].reshape(array.shape), out=array)
            bump(p)
            offset += array.size

    def go(self) -> Any:
        state, options = self.state, self.options
        loss, g = self.evaluate()
        first = self.loss
        state["func_evals"] = state.get("func_evals", 0) + 1
        if np.abs(g).max(initial=0.0) <= options["tolerance_grad"]:
            return first
        iterations = 0
        while iterations < options["max_iter"]:
            iterations += 1
            state["n_iter"] = state.get("n_iter", 0) + 1
            d = self.direction(g)
            state["prev_flat_grad"], state["prev_loss"] = g.copy(), loss
            t = options["lr"] if state["n_iter"] > 1 else min(1.0, 1.0 / float(np.abs(g).sum())) * options["lr"]
            slope = float(g @ d)
            if slope > -options["tolerance_change"]:
                break
            start = [p._array.copy() for p in self.params]
            before = self.evaluations
            if options["line_search_fn"] is not None:

                def at(step: float, start: list[np.ndarray] = start, d: np.ndarray = d) -> tuple[float, np.ndarray]:
                    self.move(start, step, d)
                    return self.evaluate()

                loss, g, t = strong_wolfe(at, t, d, loss, g, slope)
                self.move(start, t, d)
            else:
                self.move(start, t, d)
                if iterations != options["max_iter"]:
                    loss, g = self.evaluate()
            state["d"], state["t"] = d, t
            state["func_evals"] += self.evaluations - before
            if self.ends(g, d * t, loss):
                break
        return first

    def ends(self, g: np.ndarray, change: np.ndarray, loss: float) -> bool:
        """Whether there is nothing left to gain, or no call left."""
        options = self.options
        little = options["tolerance_change"]
        return (
            self.evaluations >= options["max_eval"]
            or np.abs(g).max() <= options["tolerance_grad"]
            or np.abs(change).max() <= little
            or abs(loss - self.state["prev_loss"]) < little
            or not math.isfinite(loss)
        )

    def direction(self, g: np.ndarray) -> np.ndarray:
        """-H·g, after the pair of the last step has joined the history."""
        state = self.state
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -g
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        ys = float(y @ s)
        ys_history, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        if ys > 1e-10:
            if len(ys_history) == self.options["history_size"]:
                for history in (ys_history, steps, ro):
                    history.pop(0)
            ys_history.append(y)
            steps.append(s)
            ro.append(1.0 / ys)
            state["H_diag"] = ys / float(y @ y)
        q, shares = -g, []
        for old_y, old_s, factor in zip(reversed(ys_history), reversed(steps), reversed(ro), strict=True):
            shares.append(float(old_s @ q) * float(factor))
            q = q - shares[-1] * old_y
        d = q * state["H_diag"]
        for old_y, old_s, factor, share in zip(ys_history, steps, ro, reversed(shares), strict=True):
            d = d + old_s * (share - float(old_y @ d) * float(factor))
        return d
