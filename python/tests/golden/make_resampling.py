"""Writes resampling.npz: values and gradients of PyTorch's resamplings. Run it where PyTorch is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

CASES = {
    "interpolate size=7": (2, 2, 4),
    "interpolate scale_factor=2": (2, 3, 5, 7),
    "interpolate scale_factor=(0.6,1.7)": (1, 2, 9, 20),
    "interpolate scale_factor=1.7,recompute_scale_factor=True": (1, 2, 9, 20),
    "interpolate size=(3,5,4)": (1, 2, 4, 3, 5),
    "interpolate scale_factor=1.3,mode='nearest-exact'": (2, 2, 9, 6),
    "interpolate size=(3,5,4),mode='nearest-exact'": (1, 2, 4, 3, 5),
    "interpolate size=9,mode='linear'": (2, 2, 4),
    "interpolate size=3,mode='linear',align_corners=True": (2, 2, 7),
    "interpolate scale_factor=2,mode='bilinear'": (2, 3, 5, 19),
    "interpolate scale_factor=(0.7,2.3),mode='bilinear'": (2, 2, 9, 8),
    "interpolate size=(40,3),mode='bilinear',align_corners=True": (1, 2, 7, 37),
    "interpolate size=(1,1),mode='bilinear',align_corners=True": (1, 2, 7, 5),
    "interpolate scale_factor=1.6,mode='bilinear',recompute_scale_factor=True": (1, 2, 7, 5),
    "interpolate scale_factor=2,mode='bicubic'": (1, 2, 5, 21),
    "interpolate size=(4,50),mode='bicubic',align_corners=True": (1, 2, 9, 7),
    "interpolate scale_factor=(0.4,1.7),mode='bicubic'": (1, 2, 9, 7),
    "interpolate size=(3,9,6),mode='trilinear'": (1, 2, 5, 4, 7),
    "interpolate size=(8,3,6),mode='trilinear',align_corners=True": (1, 2, 5, 4, 6),
    "interpolate size=(5,2,9),mode='trilinear'": (1, 2, 5, 4, 6),
    "interpolate size=(3,4),mode='area'": (1, 2, 7, 9),
    "interpolate scale_factor=0.5,mode='area'": (1, 2, 7),
    "interpolate size=(4,13),mode='bilinear',antialias=True": (1, 2, 11, 9),
    "interpolate size=(3,40),mode='bilinear',antialias=True,align_corners=True": (1, 2, 11, 90),
    "interpolate scale_factor=(0.3,1.5),mode='bicubic',antialias=True": (1, 2, 17, 9),
    "unfold kernel_size=2": (2, 3, 5, 6),
    "unfold kernel_size=(3,2),dilation=(1,2),padding=(2,1),stride=(2,3)": (2, 3, 7, 9),
    "unfold kernel_size=3,padding=1,stride=2": (2, 9, 41),
    "fold output_size=(5,6),kernel_size=2": (2, 12, 20),
    "fold output_size=(7,9),kernel_size=(3,2),dilation=(1,2),padding=(2,1),stride=(2,3)": (1, 12, 15),
    "fold output_size=(9,41),kernel_size=3,padding=1,stride=1": (9, 369),
    "affine_grid size=(2,3,4,5)": (2, 2, 3),
    "affine_grid size=(1,3,4,5),align_corners=True": (1, 2, 3),
    "affine_grid size=(1,2,3,1,2)": (1, 3, 4),
}
for mode in ("bilinear", "nearest", "bicubic"):
    for padding in ("zeros", "border", "reflection"):
        for align in (True, False):
            CASES[f"grid_sample mode='{mode}',padding_mode='{padding}',align_corners={align}"] = (2, 3, 5, 7)
for mode, padding, align in (
    ("bilinear", "zeros", False),
    ("bilinear", "reflection", True),
    ("bilinear", "border", False),
    ("nearest", "reflection", False),
):
    CASES[f"grid_sample mode='{mode}',padding_mode='{padding}',align_corners={align},"] = (1, 2, 3, 4, 5)

arrays = {}
for number, (case, shape) in enumerate(CASES.items()):
    function, _, arguments = case.partition(" ")
    rng = np.random.default_rng(number)
    given = torch.from_numpy(rng.integers(-9, 10, shape) / 4).requires_grad_()
    inputs = [given]
    if function == "grid_sample":
        places = (shape[0], *((3, 6) if len(shape) == 4 else (2, 3, 4)), len(shape) - 2)
        inputs.append(torch.from_numpy(rng.uniform(-1.7, 1.7, places)).requires_grad_())
    y = getattr(torch.nn.functional, function)(*inputs, **eval(f"dict({arguments})"))
    g = torch.from_numpy(rng.integers(-9, 10, tuple(y.shape)) / 4)
    y.backward(g)
    parts = {"x": given, "y": y, "g": g, "dx": given.grad}
    if len(inputs) > 1:
        parts.update(grid=inputs[1], dgrid=inputs[1].grad)
    for part, value in parts.items():
        arrays[f"{case}/{part}"] = value.detach().numpy()
np.savez_compressed(Path(__file__).with_name("resampling.npz"), **arrays)
