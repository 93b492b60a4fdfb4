"""Making models smaller and faster: pruning."""

from __future__ import annotations

from . import prune

__all__ = ["prune"]
