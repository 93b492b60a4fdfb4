"""Intel's GPU under PyTorch's names: it is not used."""

from __future__ import annotations

from .accelerator import device_count, is_available

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed"]


def manual_seed(seed: int) -> None:
    """Seed the GPU's generator: there is none, so nothing happens."""


def empty_cache() -> None:
    """Free cached GPU memory: there is none, so nothing happens."""
