"""What this machine can do at most, by Spinetail's own probes: the denominator of "share of the limit"."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

LARGE = 512 << 20  # bytes that no cache should hold


def caches() -> dict[str, int]:
    """Bytes of the first processor's data caches; usual sizes where the system does not say."""
    sizes = {"L1": 32 << 10, "L2": 1 << 20, "L3": 32 << 20}
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            level, kind = (folder / "level").read_text().strip(), (folder / "type").read_text().strip()
            size = (folder / "size").read_text().strip()
        except OSError:
            continue
        if kind != "Instruction" and f"L{level}" in sizes:
            sizes[f"L{level}"] = int(size.rstrip("KM")) << (20 if size.endswith("M") else 10)
    return sizes


def busy(limits: Mapping[int, Mapping[str, Any]]) -> str:
    """A warning if more threads did not bring more arithmetic: then others compute here too, and figures mislead."""
    for threads, each in limits.items():
        if 1 in limits and each["float32"] < 0.75 * threads * limits[1]["float32"]:
            times = each["float32"] / limits[1]["float32"]
            return (
                f"{threads} threads did only {times:.1f} times the arithmetic of one: the machine was busy or shares "
                "its cores, so what follows on more than one thread says little"
            )
    return ""


def measure(threads: int) -> dict[str, Any]:
    """Operations and bytes per second on so many threads, which are set."""
    from ..ops import probe

    sizes = caches()
    levels = [
        ("L1", sizes["L1"] * threads, sizes["L1"] * 3 // 4),
        ("L2", sizes["L2"] * threads, sizes["L2"] // 2),
        # Half of it: where others share it, reads of more than that come at the memory's speed.
        ("L3", sizes["L3"] // 2, min(sizes["L3"] // 4, 32 << 20) // threads),
        ("memory", 1 << 62, LARGE // threads),
    ]
    return {
        "float32": probe.arithmetic("f4"),
        "float64": probe.arithmetic("f8"),
        "memory": [
            {
                "level": level,
                "size": size,
                **{kind: probe.bandwidth(kind, probed, threads) for kind in ("read", "write", "copy")},
            }
            for level, size, probed in levels
        ],
    }
