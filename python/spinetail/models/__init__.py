"""Networks that are known to work."""

from __future__ import annotations

from .digits import DigitsNet

__all__ = ["DigitsNet"]
