"""Measuring models: metrics, footprint, latency, memory, profile, and comparisons with a report."""

from __future__ import annotations

from . import metrics
from .compare import Comparison, compare
from .footprint import Footprint, footprint
from .latency import Latency, latency
from .memory import memory
from .profile import Profile, profile

__all__ = [
    "Comparison",
    "Footprint",
    "Latency",
    "Profile",
    "compare",
    "footprint",
    "latency",
    "memory",
    "metrics",
    "profile",
]
