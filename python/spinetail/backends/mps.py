"""Apple's GPU is not used."""

from __future__ import annotations


def is_available() -> bool:
    """Whether the GPU can be used: never.

    >>> import spinetail as st
    >>> st.backends.mps.is_available()
    False
    """
    return False


def is_built() -> bool:
    """Whether the package was built for it: never."""
    return False
