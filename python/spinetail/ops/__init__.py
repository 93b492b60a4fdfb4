"""NumPy in, NumPy out: each family's kernels, checked and allocated for. Forward and backward stand side by side."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def __getattr__(family: str) -> ModuleType:
    """`spinetail.ops.<family>`, imported when it is first asked for."""
    if not family.startswith("_"):
        try:
            return import_module(f".{family}", __name__)
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{family}":
                raise
    raise AttributeError(f"spinetail.ops has no family {family!r}")
