"""Accelerators: there are none; what scripts ask before they choose the CPU."""

from __future__ import annotations


def is_available() -> bool:
    """Whether there is an accelerator: never.

    >>> import spinetail as st
    >>> st.accelerator.is_available(), st.accelerator.device_count()
    (False, 0)
    """
    return False


def device_count() -> int:
    """The number of accelerators: 0."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """The accelerator: None."""
    return None


def __getattr__(name: str):
    if name.startswith("_"):
        raise AttributeError(name)
    raise AttributeError(f"spinetail.accelerator has no {name!r}: spinetail computes on the CPU")
