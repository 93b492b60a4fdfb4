"""Batches of images cut, turned over and normalised, beside torchvision and NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import errors
from ..case import Case, Family

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


@dataclass(frozen=True)
class Batch:
    """Square images of three channels, with a border to be cut from."""

    images: int
    side: int
    border: int
    bytes: bool = False

    @property
    def name(self) -> str:
        kind = "bytes to float32" if self.bytes else "float32"
        return f"crop, flip and normalise {self.images}×3×{self.side}×{self.side}, {kind}"

    def inputs(self) -> tuple:
        rng = np.random.default_rng(0)
        shape = (self.images, 3, self.side, self.side)
        return (rng.integers(0, 256, shape, np.uint8) if self.bytes else rng.random(shape, dtype=np.float32),)


def steps(transforms, torch, batch: Batch) -> list:
    """The same names in both packages."""
    made = [transforms.RandomCrop(batch.side, padding=batch.border), transforms.RandomHorizontalFlip()]
    if batch.bytes:
        made.append(transforms.ToDtype(torch.float32, scale=True))
    return [*made, transforms.Normalize(MEAN, STD)]


def ours(batch: Batch):
    def program(spinetail, x):
        transforms = spinetail.data.transforms
        apply, given = transforms.Compose(steps(transforms, spinetail, batch)), spinetail.from_numpy(x)
        return lambda: apply(given)

    return program


def torchvision_program(batch: Batch, each: bool):
    """One call for the batch, whose images are then all cut and turned alike, or one for each image."""

    def program(torchvision, x):
        import torch
        from torchvision.transforms import v2

        apply, given = v2.Compose(steps(v2, torch, batch)), torch.from_numpy(x)
        if each:
            return lambda: torch.stack([apply(image) for image in given])
        return lambda: apply(given)

    return program


def numpy_loop(batch: Batch):
    """Cut from a padded copy, image by image, and normalised at once."""

    def program(_, x):
        rng = np.random.default_rng(1)
        mean, std = (np.array(v, np.float32).reshape(3, 1, 1) for v in (MEAN, STD))
        side, border = batch.side, batch.border
        padded = np.zeros((len(x), 3, side + 2 * border, side + 2 * border), x.dtype)

        def run() -> np.ndarray:
            padded[:, :, border : border + side, border : border + side] = x
            out = np.empty(x.shape, np.float32)
            places = rng.integers(0, 2 * border + 1, (len(x), 2)).tolist()
            turned = (rng.random(len(x)) < 0.5).tolist()
            for i, ((top, left), turn) in enumerate(zip(places, turned, strict=True)):
                part = padded[i, :, top : top + side, left : left + side]
                out[i] = part[..., ::-1] if turn else part
            if batch.bytes:
                out *= np.float32(1 / 255)
            out -= mean
            out /= std
            return out

        return run

    return program


def case(batch: Batch, quick: bool = False) -> Case:
    def error(output: np.ndarray, x: np.ndarray) -> float:
        """Of the first image, against that of all crops and flips which comes nearest."""
        border, side = batch.border, batch.side
        image = x[0].astype(np.float64) / (255 if batch.bytes else 1)
        image = np.pad(image, ((0, 0), (border, border), (border, border)))
        image = (image - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
        parts = [
            image[:, top : top + side, left : left + side]
            for top in range(2 * border + 1)
            for left in range(2 * border + 1)
        ]
        return min(errors.relative(output[0], p) for part in parts for p in (part, part[..., ::-1]))

    programs = {
        "spinetail": ours(batch),
        "torchvision batch": torchvision_program(batch, False),
        "torchvision image": torchvision_program(batch, True),
        "numpy": numpy_loop(batch),
    }
    moved = float(batch.images * 3 * batch.side**2 * (5 if batch.bytes else 8))
    return Case(batch.name, batch.inputs, programs, error, bytes=moved, group="transforms", quick=quick)


FAMILY = Family(
    "Transforms of images",
    [
        case(Batch(64, 32, 4), quick=True),
        case(Batch(64, 32, 4, bytes=True)),
        case(Batch(16, 224, 8)),
        case(Batch(16, 224, 8, bytes=True)),
    ],
    error="of the first image, against that of all crops and flips which comes nearest, relative to the largest",
    bound=1e-6,
    note="“torchvision batch” cuts and turns all images of a batch alike; the others each in its own way.",
)
