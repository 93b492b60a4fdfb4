"""From samples to one row: medians, minima, the best peer's ratio, the share of what the hardware can do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

__all__ = ["beyond", "geomean", "row", "share", "summary", "worst"]


def geomean(ratios: Iterable[float]) -> float:
    """The geometric mean; NaN of nothing."""
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def row(
    case: Any,
    threads: int,
    samples: Mapping[str, Sequence[float]],
    errors: Mapping[str, float | None],
    rivals: Sequence[str] | None,
    limits: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """One line of a table: every contestant's time and error, and how the best peer compares."""
    contestants = {
        name: {"median": median(all_), "minimum": min(all_), "samples": len(all_), "error": errors.get(name)}
        for name, all_ in samples.items()
    }
    ours = contestants["spinetail"]
    peers = [name for name in contestants if name != "spinetail" and (rivals is None or name in rivals)]
    best = min(peers, key=lambda name: contestants[name]["median"], default=None)
    fastest = min((contestants[name]["minimum"] for name in peers), default=None)
    return {
        "case": case.name,
        "threads": threads,
        "group": case.group,
        "contestants": contestants,
        "best": best,
        "ratio": contestants[best]["median"] / ours["median"] if best else None,
        "ratio of minima": fastest / ours["minimum"] if fastest else None,
        "limit": share(case, ours["median"], limits),
        "bound": case.bound,
    }


def beyond(rows: Sequence[Mapping[str, Any]], bound: float | None) -> list[str]:
    """The cases whose error is above their own bound, or else the family's."""
    found = []
    for row in rows:
        error, own = row["contestants"]["spinetail"]["error"], bound if row["bound"] is None else row["bound"]
        if error is not None and own is not None and not error <= own:
            found.append(f"{row['case']} ({error:.2g} > {own:.2g})")
    return list(dict.fromkeys(found))


def share(case: Any, seconds: float, limits: Mapping[str, Any] | None) -> float | None:
    """The least time that the machine's arithmetic and memory allow, over the time taken."""
    if not limits or not (case.flops or case.bytes):
        return None
    levels = limits["memory"]
    level = levels[-1] if case.cold else next((x for x in levels if case.bytes <= x["size"]), levels[-1])
    floor = max(case.flops / limits[case.dtype], case.bytes / max(level[kind] for kind in ("read", "write", "copy")))
    return floor / seconds


def worst(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return min((row for row in rows if row["ratio"]), key=lambda row: row["ratio"], default=None)


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Geometric mean and worst case of each group and thread count, in the order of the rows."""
    found = []
    for group, threads in dict.fromkeys((row["group"], row["threads"]) for row in rows):
        some = [row for row in rows if (row["group"], row["threads"]) == (group, threads) and row["ratio"]]
        if some:
            last = worst(some)
            found.append(
                {
                    "group": group,
                    "threads": threads,
                    "cases": len(some),
                    "geomean": geomean(r["ratio"] for r in some),
                    "worst": last["ratio"],
                    "worst case": last["case"],
                }
            )
    return found
