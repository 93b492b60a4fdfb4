"""Optimizer steps over many arrays in one call, in place, and the gradient clipping that goes with them.

Lists hold one array per parameter, in the same order, in the parameter's shape and dtype (float32 or float64, and the
parameters of one call may differ). `steps` are float32 arrays of one element, which the call increments first. What is
not C-contiguous is worked on in a copy and written back. Nothing is changed when an argument is refused.
"""

from __future__ import annotations

from .adam import adam, adam_packed, adamax, lamb, nadam, radam
from .change import PLAIN, Change
from .clipping import clamp, power_sums, scale
from .rules import adadelta, adagrad, asgd, lion, rmsprop, rprop, sgd

__all__ = [
    "PLAIN",
    "Change",
    "adadelta",
    "adagrad",
    "adam",
    "adam_packed",
    "adamax",
    "asgd",
    "clamp",
    "lamb",
    "lion",
    "nadam",
    "power_sums",
    "radam",
    "rmsprop",
    "rprop",
    "scale",
    "sgd",
]
