"""Saving and loading: the safetensors format, with no pickle anywhere."""

from .checkpoint import load, save

__all__ = ["load", "save"]
