"""Layer and batch norm beside PyTorch's: time of forward, and of forward with backward; ratio; largest error.

python benchmarks/normalization.py [--peer PYTHON] [--threads 1 2] [--rounds 5] [--only NAME ...]
"""

from __future__ import annotations

from turns import best, main

CASES = {  # function, shape, backward
    "layer_norm 4096x768": ("layer_norm", (4096, 768), False),
    "layer_norm 4096x768 train": ("layer_norm", (4096, 768), True),
    "layer_norm 64x64 train": ("layer_norm", (64, 64), True),
    "batch_norm 32x64x56x56": ("batch_norm", (32, 64, 56, 56), False),
    "batch_norm 32x64x56x56 train": ("batch_norm", (32, 64, 56, 56), True),
    "batch_norm 64x512 train": ("batch_norm", (64, 512), True),
    "group_norm 32x64x56x56 train": ("group_norm", (32, 64, 56, 56), True),
}


def measure(library: str, case: tuple, threads: int, seconds: float) -> tuple[float, float]:
    import numpy as np

    name, shape, backward = case
    if library == "spinetail":
        import spinetail as torch
    else:
        import torch
    torch.set_num_threads(threads)
    F = torch.nn.functional
    rng = np.random.default_rng(0)
    array = rng.standard_normal(shape, dtype=np.float32)
    size = shape[-1] if name == "layer_norm" else shape[1]
    x = torch.from_numpy(array)
    w, b = torch.ones(size), torch.zeros(size)
    grad = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    if backward:
        for tensor in (x, w, b):
            tensor.requires_grad_()
    mean, variance = torch.zeros(size), torch.ones(size)

    def forward():
        if name == "layer_norm":
            return F.layer_norm(x, (size,), w, b)
        if name == "group_norm":
            return F.group_norm(x, 8, w, b)
        return F.batch_norm(x, mean, variance, w, b, True)

    def train():
        x.grad = w.grad = b.grad = None
        forward().backward(grad)

    folded = array.astype(np.float64)
    if name == "group_norm":
        folded = folded.reshape(shape[0], 8, -1)
    axes = {"layer_norm": -1, "group_norm": 2}.get(name, (0, *range(2, len(shape))))
    exact = (folded - folded.mean(axes, keepdims=True)) / np.sqrt(folded.var(axes, keepdims=True) + 1e-5)
    error = np.abs(forward().detach().numpy().reshape(exact.shape) - exact).max()
    return best(train if backward else forward, seconds), float(error)


if __name__ == "__main__":
    main(__file__, __doc__, CASES, ["torch"], measure)
