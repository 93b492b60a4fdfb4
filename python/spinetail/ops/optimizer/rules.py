"""Steps of plain and momentum descent, and of rates that adapt without averages of the gradient."""

from __future__ import annotations

import numpy as np

from ..._native import kernels
from .change import PLAIN, Change
from .run import LIKE, SCALAR, Arrays, run

List = list[np.ndarray]
NESTEROV, FIRST = 4, 8
STEP = ("step", SCALAR)


def sgd(
    parameters: List,
    buffers: List,
    gradients: Arrays,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    first: bool = False,
    change: Change = PLAIN,
) -> None:
    """p -= lr·g; with `buffers`, b = momentum·b + (1 - dampening)·g takes the place of g (`first`: b = g).

    >>> import numpy as np
    >>> w = np.array([1.0, 2.0])
    >>> sgd([w], [], [np.array([1.0, -1.0])], 0.5)
    >>> w
    array([0.5, 2.5])
    """
    lists = (parameters, buffers, gradients)
    flags = (nesterov and NESTEROV) | (first and FIRST)
    run("sgd", kernels.optimizer_sgd, lists, (("momentum buffer", LIKE),), (lr, momentum, dampening, *change, flags))


def rmsprop(
    parameters: List,
    squares: List,
    averages: List,
    buffers: List,
    steps: List,
    gradients: Arrays,
    lr: float,
    alpha: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
    change: Change = PLAIN,
) -> None:
    """v = αv + (1-α)g², d = √v + eps (with `averages`, √(v - mean²) + eps), p -= lr·g/d.

    With `buffers`, b = momentum·b + g/d takes the place of g/d.
    """
    lists = (parameters, squares, averages, buffers, steps, gradients)
    states = (("average of squares", LIKE), ("average", LIKE), ("momentum buffer", LIKE), STEP)
    run("rmsprop", kernels.optimizer_rmsprop, lists, states, (lr, alpha, eps, momentum, *change))


def adagrad(
    parameters: List,
    sums: List,
    steps: List,
    gradients: Arrays,
    lr: float,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    change: Change = PLAIN,
) -> None:
    """s += g², p -= lr/(1 + (t-1)·lr_decay) · g/(√s + eps)."""
    states = (("sum of squares", LIKE), STEP)
    run(
        "adagrad", kernels.optimizer_adagrad, (parameters, sums, steps, gradients), states, (lr, lr_decay, eps, *change)
    )


def adadelta(
    parameters: List,
    squares: List,
    deltas: List,
    steps: List,
    gradients: Arrays,
    lr: float,
    rho: float = 0.9,
    eps: float = 1e-6,
    change: Change = PLAIN,
) -> None:
    """v = ρv + (1-ρ)g², d = √(u + eps)/√(v + eps)·g, u = ρu + (1-ρ)d², p -= lr·d."""
    lists = (parameters, squares, deltas, steps, gradients)
    states = (("average of squares", LIKE), ("average of squared steps", LIKE), STEP)
    run("adadelta", kernels.optimizer_adadelta, lists, states, (lr, rho, eps, *change))


def rprop(
    parameters: List,
    previous: List,
    sizes: List,
    steps: List,
    gradients: Arrays,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50.0),
    change: Change = PLAIN,
) -> None:
    """Sizes grow by etas[1] where a gradient keeps its sign, shrink by etas[0] where it turns; p -= size·sign(g)."""
    lists = (parameters, previous, sizes, steps, gradients)
    states = (("previous gradient", LIKE), ("step size", LIKE), STEP)
    run("rprop", kernels.optimizer_rprop, lists, states, (*etas, *step_sizes, change.scale, change.bound))


def asgd(
    parameters: List,
    averages: List,
    rates: List,
    shares: List,
    steps: List,
    gradients: Arrays,
    lr: float,
    lambd: float = 1e-4,
    alpha: float = 0.75,
    t0: float = 1e6,
    change: Change = PLAIN,
) -> None:
    """p = p·(1 - λη) - ηg, average += μ·(p - average), then η = lr/(1 + λ·lr·t)^α and μ = 1/max(1, t - t0)."""
    lists = (parameters, averages, rates, shares, steps, gradients)
    states = (("average", LIKE), ("rate", SCALAR), ("share", SCALAR), STEP)
    run("asgd", kernels.optimizer_asgd, lists, states, (lr, lambd, alpha, t0, *change))


def lion(
    parameters: List,
    averages: List,
    gradients: Arrays,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.99,
    change: Change = PLAIN,
) -> None:
    """p = p·(1 - lr·weight_decay) - lr·sign(lerp(m, g, 1-β₁)), m = lerp(m, g, 1-β₂)."""
    lists = (parameters, averages, gradients)
    run("lion", kernels.optimizer_lion, lists, (("average", LIKE),), (lr, beta1, beta2, *change))
