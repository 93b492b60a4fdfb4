"""Saving and loading: the safetensors format, and PyTorch's files without running what is in them."""

from .checkpoint import load, save

__all__ = ["load", "save"]
