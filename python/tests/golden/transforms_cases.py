"""Transforms with nothing left to chance, as expressions in the names of torchvision.transforms.v2."""

from __future__ import annotations

EXPRESSIONS = [
    "CenterCrop(4)",
    "CenterCrop((3, 6))",
    "CenterCrop((9, 12))",
    "Pad(2)",
    "Pad([1, 2], fill=0.5)",
    "Pad([1, 2, 3, 0], fill=[0.1, 0.2, 0.3])",
    "Pad([1, 2, 3, 0], padding_mode='edge')",
    "Pad([1, 2, 3, 0], padding_mode='reflect')",
    "Pad([1, 2, 3, 0], padding_mode='symmetric')",
    "RandomCrop((7, 10))",
    "RandomCrop((11, 14), padding=2, padding_mode='reflect')",
    "RandomHorizontalFlip(1.0)",
    "RandomVerticalFlip(1.0)",
    "Normalize([0.1, 0.2, 0.3], [0.5, 1.0, 2.0])",
    "Compose([RandomHorizontalFlip(1.0), Pad(1, fill=0.25), Normalize([0.5], [0.25]), Pad(1), CenterCrop(6)])",
    "Resize(5)",
    "Resize(14, max_size=18)",
    "Resize((5, 20))",
    "Resize((5, 20), antialias=False)",
    "Resize((14, 15), interpolation=BICUBIC)",
    "Resize((4, 15), interpolation=NEAREST)",
    "Resize((4, 15), interpolation=NEAREST_EXACT)",
    "RandomAffine((30, 30))",
    "RandomAffine((30, 30), scale=(0.7, 0.7), shear=(10, 10, 5, 5), interpolation=BILINEAR)",
    "RandomAffine((-75, -75), shear=(8, 8), interpolation=BILINEAR, fill=0.5, center=(2, 3))",
    "RandomRotation((40, 40), interpolation=BILINEAR)",
    "RandomRotation((90, 90))",
    "ColorJitter(brightness=(1.3, 1.3))",
    "ColorJitter(contrast=(0.6, 0.6))",
    "ColorJitter(saturation=(1.7, 1.7))",
    "ColorJitter(hue=(0.15, 0.15))",
    "ColorJitter(hue=(-0.4, -0.4))",
]
NAMES = {"NEAREST": "nearest", "NEAREST_EXACT": "nearest-exact", "BILINEAR": "bilinear", "BICUBIC": "bicubic"}
