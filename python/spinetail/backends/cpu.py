"""The CPU that the kernels were chosen for."""

from __future__ import annotations


def get_cpu_capability() -> str:
    """The CPU level of the loaded kernels, such as 'v4'."""
    from .._native import level

    return level
