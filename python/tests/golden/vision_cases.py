"""Networks for images, their weights and inputs, the same for PyTorch and for us: for make_vision.py and its test."""

from __future__ import annotations

from zlib import crc32

import numpy as np

#: name -> (function or class of `models`, options, shape of the images)
CASES: dict[str, tuple[str, dict, tuple[int, ...]]] = {
    "lenet": ("LeNet", {}, (2, 1, 28, 28)),
    "lenet 32": ("LeNet", {"num_classes": 4, "in_channels": 3, "padding": 0}, (2, 3, 32, 32)),
    "vgg": ("VGG", {"layers": (8, "M", 16, "M"), "num_classes": 4, "hidden": 24, "size": 2}, (2, 3, 16, 20)),
    "vgg11 bn": ("vgg11_bn", {"num_classes": 4, "hidden": 16}, (2, 3, 32, 32)),
    "resnet18": ("resnet18", {"num_classes": 5}, (2, 3, 64, 64)),
    "resnet18 small images": ("resnet18", {"num_classes": 5, "small_images": True}, (2, 3, 16, 16)),
    "resnet34": ("resnet34", {"num_classes": 5}, (2, 3, 32, 48)),
    "resnet50": ("resnet50", {"num_classes": 5}, (2, 3, 48, 48)),
    "resnext dilated": (
        "resnet50",
        {
            "num_classes": 5,
            "groups": 8,
            "width_per_group": 4,
            "replace_stride_with_dilation": (False, True, True),
        },
        (1, 3, 48, 48),
    ),
    "mobilenet": ("mobilenet_v2", {"num_classes": 5, "width_mult": 0.35}, (2, 3, 48, 48)),
    "mobilenet setting": (
        "MobileNetV2",
        {"num_classes": 3, "inverted_residual_setting": ((1, 8, 1, 1), (4, 12, 2, 2)), "round_nearest": 4},
        (2, 3, 20, 24),
    ),
}

#: All functions, with the options that keep the linear layers of VGG small.
FUNCTIONS = {
    **{f"vgg{depth}{norm}": {"hidden": 16} for depth in (11, 13, 16, 19) for norm in ("", "_bn")},
    **{name: {} for name in ("resnet18", "resnet34", "resnet50", "mobilenet_v2")},
}


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The value of a parameter or buffer, drawn from its name."""
    random = np.random.default_rng(crc32(name.encode()))
    if not shape:
        return np.array(3)  # num_batches_tracked
    if len(shape) > 1:
        return random.normal(size=shape) * (2 / np.prod(shape[1:])) ** 0.5
    if name.endswith("bias") or name.endswith("mean"):
        return random.normal(size=shape) * 0.1
    return random.uniform(0.5, 1.0, shape)


def direction(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """What a gradient is multiplied with, so that one number stands for it."""
    return np.random.default_rng(crc32(name.encode()) + 1).normal(size=shape)


def images(name: str) -> np.ndarray:
    return np.random.default_rng(crc32(name.encode())).normal(size=CASES[name][2])
