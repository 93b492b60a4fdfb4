"""CUDA is not used: the settings are there for scripts to set."""

from __future__ import annotations


class _Settings:
    """A place for settings."""


matmul = _Settings()
matmul.allow_tf32 = False


def is_built() -> bool:
    """Whether the package was built for CUDA: never."""
    return False
