"""cuDNN is not used: the settings are there for scripts to set."""

from __future__ import annotations

enabled = False
benchmark = False
deterministic = True
allow_tf32 = False


def is_available() -> bool:
    """Whether cuDNN is there: never."""
    return False


def version() -> None:
    """The version of cuDNN: None."""
    return None
