"""Why rows miss their targets: what profiling found, on an Intel Xeon (Emerald Rapids) of 2 cores with AVX-512."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .rows import summary
from .targets import TARGETS, verdict

#: For each family, what was found for a case.
REASONS: Mapping[str, Mapping[str, str]] = {}

UNKNOWN = "not profiled"


def misses(results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The cases of groups that miss a target, where the case itself is below it: ratios by thread count, and why.

    "at the limit" is the ratio at the machine's measured limit: where that is below the target, none can meet it.
    """
    rows = [row for result in results.values() for row in result["rows"]]
    below: dict[tuple[str, int], float] = {}
    for line in summary(rows):
        if verdict(line).startswith("missed"):
            target = TARGETS[line["group"]]
            low = line["geomean"] < target.geomean
            below[line["group"], line["threads"]] = target.geomean if low else target.worst or 0.0
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for family, result in results.items():
        for row in result["rows"]:
            if row["ratio"] and row["ratio"] < below.get((row["group"], row["threads"]), 0.0):
                reason = REASONS.get(family, {}).get(row["case"], UNKNOWN)
                one = found.setdefault(
                    (family, row["case"]), {"family": family, "case": row["case"], "reason": reason, "ratios": {}}
                )
                one["ratios"][row["threads"]] = row["ratio"], row["ratio"] / row["limit"] if row["limit"] else None
    return sorted(found.values(), key=lambda one: list(results).index(one["family"]))


def explained(one: Mapping[str, Any]) -> Sequence[str]:
    """A miss as the cells of a table: case, threads, ratio, ratio at the limit, reason."""
    ratios = one["ratios"]
    tops = [top for _, top in ratios.values()]
    return [
        f"{one['family']}: {one['case']}",
        ", ".join(map(str, ratios)),
        ", ".join(f"{ratio:.2f}" for ratio, _ in ratios.values()),
        ", ".join("–" if top is None else f"{top:.2f}" for top in tops),
        one["reason"],
    ]
