"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from .. import _native, version
from .limits import caches


def machine(versions: Mapping[str, str], command: str) -> dict[str, Any]:
    """The processor, the versions of everything, the command and the day."""
    package = Path(version.__file__).parent
    files = [path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {
        "cpu": processor(),
        "processors": len(os.sched_getaffinity(0)),
        "caches": caches(),
        "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 1),
        "spinetail": version.__version__,
        "level": _native.level,
        "installed bytes": sum(path.stat().st_size for path in files),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "peers": dict(versions),
        "command": command,
        "day": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def processor() -> str:
    """Its name; where a virtual machine hides that, family and model too."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = facts.get("model name", platform.machine())
    return f"{name}, family {facts.get('cpu family', '?')} model {facts.get('model', '?')}"
