"""Steps by averages of the gradient and of its square: Adam and what came of it."""

from __future__ import annotations

from math import inf

from ..._native import kernels
from .change import PLAIN, Change
from .rules import STEP, List
from .run import LIKE, SCALAR, SCALES, Arrays, run

DECOUPLED = 2
MOMENTS = (("average", LIKE), ("average of squares", LIKE))


def adam(
    parameters: List,
    averages: List,
    squares: List,
    largest: List,
    steps: List,
    gradients: Arrays,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    decoupled: bool = False,
    change: Change = PLAIN,
) -> None:
    """m = lerp(m, g, 1-β₁), v = β₂v + (1-β₂)g², p -= lr/(1-β₁ᵗ) · m/(√v/√(1-β₂ᵗ) + eps).

    `largest` holds AMSGrad's maxima of v, or nothing. `decoupled` decays the parameter itself (AdamW), otherwise weight
    decay is added to the gradient.
    """
    lists = (parameters, averages, squares, largest, steps, gradients)
    states = (*MOMENTS, ("largest average of squares", LIKE), STEP)
    run("adam", kernels.optimizer_adam, lists, states, (lr, beta1, beta2, eps, *change, decoupled and DECOUPLED))


def adam_packed(
    parameters: List,
    averages: List,
    squares: List,
    average_scales: List,
    square_scales: List,
    steps: List,
    gradients: Arrays,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    decoupled: bool = False,
    change: Change = PLAIN,
) -> None:
    """Adam of float32 parameters with moments in bfloat16, or, with scales, in bytes: int8 averages, uint8 squares.

    Each scale belongs to 256 elements: an average is ±scale·(c/127)², a square scale·(c/255)⁴. Moments are rounded up
    or down at random, right in the mean, and by the number of the element and of the step alone.
    """
    lists = (parameters, averages, squares, average_scales, square_scales, steps, gradients)
    codes = ("int8", "uint8") if len(average_scales) else ("bfloat16", "bfloat16")
    if averages and averages[0].dtype.name == "bfloat16":
        kernels.register_bfloat16(averages[0].dtype)
    states = (
        ("average", codes[0]),
        ("average of squares", codes[1]),
        ("scale of averages", SCALES),
        ("scale of squares", SCALES),
        STEP,
    )
    numbers = (lr, beta1, beta2, eps, *change, decoupled and DECOUPLED)
    run("adam_packed", kernels.optimizer_adam_packed, lists, states, numbers)


def adamax(
    parameters: List,
    averages: List,
    largest: List,
    steps: List,
    gradients: Arrays,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    change: Change = PLAIN,
) -> None:
    """m = lerp(m, g, 1-β₁), u = max(β₂u, |g| + eps), p -= lr/(1-β₁ᵗ) · m/u."""
    states = (("average", LIKE), ("largest gradient", LIKE), STEP)
    lists = (parameters, averages, largest, steps, gradients)
    run("adamax", kernels.optimizer_adamax, lists, states, (lr, beta1, beta2, eps, *change))


def nadam(
    parameters: List,
    averages: List,
    squares: List,
    products: List,
    steps: List,
    gradients: Arrays,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    momentum_decay: float = 4e-3,
    decoupled: bool = False,
    change: Change = PLAIN,
) -> None:
    """Adam with Nesterov's momentum μ = β₁(1 - 0.96^(t·momentum_decay)/2); `products` are those of all μ so far."""
    lists = (parameters, averages, squares, products, steps, gradients)
    states = (*MOMENTS, ("product", SCALAR), STEP)
    numbers = (lr, beta1, beta2, eps, momentum_decay, *change, decoupled and DECOUPLED)
    run("nadam", kernels.optimizer_nadam, lists, states, numbers)


def radam(
    parameters: List,
    averages: List,
    squares: List,
    steps: List,
    gradients: Arrays,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    decoupled: bool = False,
    change: Change = PLAIN,
) -> None:
    """Adam whose step is that of momentum until there are enough gradients to correct its variance."""
    numbers = (lr, beta1, beta2, eps, *change, decoupled and DECOUPLED)
    lists = (parameters, averages, squares, steps, gradients)
    run("radam", kernels.optimizer_radam, lists, (*MOMENTS, STEP), numbers)


def lamb(
    parameters: List,
    averages: List,
    squares: List,
    steps: List,
    gradients: Arrays,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-6,
    most_trust: float = inf,
    change: Change = PLAIN,
) -> None:
    """r = Adam's direction + weight_decay·p, p -= lr · min(‖p‖/‖r‖, most_trust) · r, by the norms of each array."""
    lists = (parameters, averages, squares, steps, gradients)
    run("lamb", kernels.optimizer_lamb, lists, (*MOMENTS, STEP), (lr, beta1, beta2, eps, most_trust, *change))
