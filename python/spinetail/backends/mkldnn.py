"""oneDNN is not used."""

from __future__ import annotations

enabled = False


def is_available() -> bool:
    """Whether oneDNN is there: never."""
    return False
