"""Writes transforms.npz: what torchvision's transforms make of two images. Run it where torchvision is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torchvision.transforms.v2 as transforms
from transforms_cases import EXPRESSIONS, NAMES

if __name__ == "__main__":
    images = torch.rand(2, 3, 7, 10, generator=torch.Generator().manual_seed(0))
    names = {**vars(transforms), **{name: transforms.InterpolationMode(value) for name, value in NAMES.items()}}
    stored = {"images": images.numpy()}
    for expression in EXPRESSIONS:
        torch.manual_seed(0)
        stored[expression] = eval(expression, names)(images).numpy()
    np.savez_compressed(Path(__file__).with_name("transforms.npz"), **stored)
