"""CUDA under PyTorch's names: it is not there, and says so."""

from __future__ import annotations

from ..accelerator import device_count, is_available

__all__ = [
    "device_count",
    "empty_cache",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "memory_allocated",
    "memory_reserved",
    "reset_peak_memory_stats",
]


def is_initialized() -> bool:
    """Whether CUDA is in use: never."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether a GPU computes in bfloat16: never."""
    return False


def manual_seed(seed: int) -> None:
    """Seed the GPU's generator: there is none, so nothing happens, as in PyTorch."""


manual_seed_all = manual_seed


def empty_cache() -> None:
    """Free cached GPU memory: there is none, so nothing happens, as in PyTorch."""


def memory_allocated(device: object = None) -> int:
    """Bytes of GPU memory in use: 0."""
    return 0


memory_reserved = max_memory_allocated = max_memory_reserved = memory_allocated


def reset_peak_memory_stats(device: object = None) -> None:
    """Forget the peak of GPU memory: nothing happens."""


def __getattr__(name: str):
    if name == "amp":
        from importlib import import_module

        return import_module(".amp", __name__)
    if name.startswith("_"):
        raise AttributeError(name)

    def missing(*args, **kwargs):
        raise RuntimeError(f"[cuda.{name}] spinetail computes on the CPU; there is no CUDA device")

    return missing
