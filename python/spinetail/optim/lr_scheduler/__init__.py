"""Schedules: learning rates that change from epoch to epoch.

A scheduler writes `param_groups[i]["lr"]` of its optimizer: once when it is made, and at each `step()`. Rates follow
from the group's present rate (PyTorch's chainable form), so schedulers of one optimizer can be combined.
"""

from __future__ import annotations

from .cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts, WarmupCosine
from .cycle import CyclicLR
from .decay import ExponentialLR, MultiStepLR, PolynomialLR, StepLR
from .function import LambdaLR, MultiplicativeLR
from .onecycle import OneCycleLR
from .plateau import ReduceLROnPlateau
from .ramp import ConstantLR, LinearLR
from .scheduler import LRScheduler
from .sequence import ChainedScheduler, SequentialLR

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "WarmupCosine",
]

_LRScheduler = LRScheduler  # the name that older scripts import
