"""Other models that compute the same: batch norms folded into the layers in front of them."""

from __future__ import annotations

from .fuse import fuse

__all__ = ["fuse"]
