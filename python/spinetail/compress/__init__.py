"""Making models smaller and faster: pruning, and restructuring that keeps what they compute."""

from __future__ import annotations

from . import prune, restructure

__all__ = ["prune", "restructure"]
