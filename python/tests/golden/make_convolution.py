"""Writes convolution.npz: values and gradients of PyTorch's convolutions. Run it where PyTorch is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

CASES = {
    "conv1d stride=2,padding=3": ((2, 3, 9), (4, 3, 4), 4),
    "conv2d": ((2, 3, 6, 7), (4, 3, 3, 3), 4),
    "conv2d padding='same',dilation=(1,2)": ((1, 2, 5, 6), (3, 2, 2, 3), 3),
    "conv2d stride=(2,3),padding=(2,1),dilation=2,groups=2": ((2, 4, 9, 11), (6, 2, 3, 2), 6),
    "conv2d padding=1,groups=4": ((2, 4, 5, 5), (8, 1, 3, 3), 8),
    "conv2d padding='valid',stride=2": ((3, 7, 7), (2, 3, 3, 3), 2),
    "conv3d stride=(1,2,1),padding=1": ((1, 2, 3, 4, 5), (3, 2, 2, 3, 3), 3),
    "conv_transpose1d stride=2,padding=1,output_padding=1": ((2, 3, 4), (3, 2, 3), 2),
    "conv_transpose2d stride=(2,3),padding=(0,1),groups=2,dilation=(1,2)": ((1, 4, 3, 4), (4, 3, 3, 2), 6),
    "conv_transpose3d stride=2": ((1, 2, 2, 2, 3), (2, 3, 2, 1, 2), 3),
}

arrays = {}
for number, (case, (x_shape, w_shape, filters)) in enumerate(CASES.items()):
    function, _, arguments = case.partition(" ")
    rng = np.random.default_rng(number)
    x, w, b = (rng.standard_normal(s).round(2) for s in (x_shape, w_shape, filters))
    given = [torch.from_numpy(a).requires_grad_() for a in (x, w, b)]
    y = getattr(torch.nn.functional, function)(*given, **eval(f"dict({arguments})"))
    g = torch.from_numpy(rng.standard_normal(tuple(y.shape)).round(2))
    y.backward(g)
    parts = {"x": x, "w": w, "b": b, "y": y, "g": g, "dx": given[0].grad, "dw": given[1].grad, "db": given[2].grad}
    for part, value in parts.items():
        arrays[f"{case}/{part}"] = value if isinstance(value, np.ndarray) else value.detach().numpy()
np.savez_compressed(Path(__file__).with_name("convolution.npz"), **arrays)
