"""Optimizer steps beside PyTorch's default, foreach and fused ones: time of `step()`, ratio, error after one step.

python benchmarks/optimizer.py [--peer PYTHON] [--threads 1 2] [--rounds 5] [--only NAME ...]
"""

from __future__ import annotations

from turns import best, main

MLP = [(50, 100), (50,), (10, 50), (10,)]
CASES = {  # optimizer, options, shapes
    "Adam 24 x 1M": ("Adam", {}, [(1_000_000,)] * 24),
    "AdamW amsgrad 4 x 1M": ("AdamW", {"amsgrad": True}, [(1_000_000,)] * 4),
    "SGD momentum 24 x 1M": ("SGD", {"momentum": 0.9}, [(1_000_000,)] * 24),
    "Adam MLP 100-50-10": ("Adam", {}, MLP),
    "SGD MLP 100-50-10": ("SGD", {}, MLP),
    "Adam 10 small": ("Adam", {}, [(64, 16), (64,)] * 5),
    "RMSprop 10 small": ("RMSprop", {}, [(64, 16), (64,)] * 5),
}


def measure(library: str, case: tuple, threads: int, seconds: float) -> tuple[float, float]:
    import numpy as np

    name, options, shapes = case
    if library == "spinetail":
        import spinetail as torch
    else:
        import torch

        mode = library.removeprefix("torch ")
        if mode == "fused" and name == "RMSprop":
            mode = "default"
        options = {**options, **({} if mode == "default" else {mode: True})}
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
    parameters = [torch.nn.Parameter(torch.from_numpy(value.copy())) for value in values]
    for parameter in parameters:
        parameter.grad = torch.from_numpy(rng.standard_normal(tuple(parameter.shape), dtype=np.float32))
    optimizer = getattr(torch.optim, name)(parameters, lr=1e-3, **options)
    optimizer.step()
    g = parameters[0].grad.numpy().astype(np.float64)
    change = {
        "Adam": 1e-3 * g / (np.abs(g) + 1e-8),
        "SGD": 1e-3 * g,
        "RMSprop": 1e-3 * g / (np.sqrt(0.01 * g * g) + 1e-8),
    }.get(name)
    error = 0.0 if change is None else np.abs(parameters[0].detach().numpy() - (values[0] - change)).max()
    return best(optimizer.step, seconds), float(error)


if __name__ == "__main__":
    main(__file__, __doc__, CASES, ["torch default", "torch foreach", "torch fused"], measure)
