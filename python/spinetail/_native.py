"""Loads the compiled kernels: the best CPU level that is installed and that this machine runs."""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

from . import _cpu

#: Levels that this machine runs, best first, and those that are installed.
supported: tuple[str, ...] = _cpu.levels()
installed: tuple[str, ...] = tuple(
    name.split(".")[0].removeprefix("_spinetail_")
    for name in sorted(os.listdir(os.path.dirname(__file__)), reverse=True)
    if name.startswith("_spinetail_") and name.endswith(".so")
)


def _choose() -> str:
    usable = [name for name in supported if name in installed]
    wish = os.environ.get("SPINETAIL_CPU_LEVEL")
    if wish:
        if wish not in usable:
            raise ImportError(
                f"SPINETAIL_CPU_LEVEL={wish!r} cannot be used: installed are {', '.join(installed) or 'none'}, "
                f"this machine runs {', '.join(supported) or 'none'}"
            )
        return wish
    if not usable:
        raise ImportError(
            f"spinetail has no kernels that this machine runs: installed are {', '.join(installed) or 'none'}, "
            f"this machine runs {', '.join(supported) or 'none'}; rebuild with SPINETAIL_CPU_LEVELS=all"
        )
    return usable[0]


level: str = _choose()
kernels: ModuleType = import_module(f"._spinetail_{level}", __package__)
