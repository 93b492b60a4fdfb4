"""Mixed precision under its older name."""

from ..amp import GradScaler, autocast

__all__ = ["GradScaler", "autocast"]
