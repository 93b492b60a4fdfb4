"""Transforms of batches of images: arrays or Tensors (N, C, H, W), each image in a random way of its own.

PyTorch's names (torchvision.transforms.v2) and parameters. One image (C, H, W) is a batch of one. Random numbers come
from `generator`, without one from the default generator, which `manual_seed` sets. Nothing is recorded on the tape.
"""

from .colour import ColorJitter
from .compose import Compose, Lambda
from .erase import Cutout, RandomErasing
from .mix import CutMix, MixUp
from .place import (
    CenterCrop,
    Normalize,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomVerticalFlip,
    ToDtype,
)
from .warp import RandomAffine, RandomResizedCrop, RandomRotation, Resize

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "CutMix",
    "Cutout",
    "Lambda",
    "MixUp",
    "Normalize",
    "Pad",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "ToDtype",
]
