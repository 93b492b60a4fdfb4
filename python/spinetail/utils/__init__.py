"""Utilities under the names that PyTorch has for them."""

from . import data

__all__ = ["data"]
