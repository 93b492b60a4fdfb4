"""Writes pooling.npz: values and gradients of PyTorch's poolings and paddings. Run it where PyTorch is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

CASES = {
    "max_pool1d kernel_size=3,stride=2,padding=1,ceil_mode=True": (2, 3, 10),
    "max_pool2d kernel_size=2": (2, 2, 5, 7),
    "max_pool2d kernel_size=(3,2),stride=(2,1),padding=1,dilation=(1,2)": (3, 9, 8),
    "max_pool3d kernel_size=2,stride=1": (1, 2, 3, 4, 3),
    "avg_pool1d kernel_size=4,stride=3,padding=2,count_include_pad=False": (2, 2, 11),
    "avg_pool2d kernel_size=3,stride=2,padding=1,ceil_mode=True": (2, 2, 8, 7),
    "avg_pool2d kernel_size=(2,3),divisor_override=5": (2, 6, 7),
    "avg_pool3d kernel_size=2,ceil_mode=True": (1, 2, 3, 4, 5),
    "adaptive_avg_pool1d output_size=3": (2, 2, 7),
    "adaptive_avg_pool2d output_size=(None,3)": (2, 2, 5, 8),
    "adaptive_avg_pool3d output_size=2": (2, 3, 5, 4),
    "adaptive_max_pool1d output_size=4": (2, 2, 7),
    "adaptive_max_pool2d output_size=(2,3)": (1, 2, 5, 8),
    "adaptive_max_pool3d output_size=(1,2,2)": (1, 2, 3, 4, 5),
    "lp_pool1d norm_type=3,kernel_size=2": (1, 2, 8),
    "lp_pool2d norm_type=2,kernel_size=(2,3),stride=2,ceil_mode=True": (1, 2, 6, 7),
    "pad pad=(1,2,0,3),value=1.5": (2, 3, 4),
    "pad pad=(-1,2,1,-2)": (2, 3, 4),
    "pad pad=(2,1),mode='reflect'": (2, 4),
    "pad pad=(2,1,1,3),mode='reflect'": (1, 2, 4, 5),
    "pad pad=(3,1,0,2),mode='replicate'": (2, 3, 4),
    "pad pad=(2,4,3,1),mode='circular'": (1, 2, 3, 4),
    "pad pad=(1,2,1,0,2,1),mode='replicate'": (1, 2, 2, 3, 2),
}

arrays = {}
for number, (case, shape) in enumerate(CASES.items()):
    function, _, arguments = case.partition(" ")
    rng = np.random.default_rng(number)
    x = rng.integers(-9, 10, shape) / 4
    if function.startswith("lp"):
        x = np.abs(x) + 0.25
    given = torch.from_numpy(x).requires_grad_()
    y = getattr(torch.nn.functional, function)(given, **eval(f"dict({arguments})"))
    g = torch.from_numpy(rng.integers(-9, 10, tuple(y.shape)) / 4)
    y.backward(g)
    for part, value in {"x": x, "y": y.detach().numpy(), "g": g.numpy(), "dx": given.grad.numpy()}.items():
        arrays[f"{case}/{part}"] = value
np.savez_compressed(Path(__file__).with_name("pooling.npz"), **arrays)
