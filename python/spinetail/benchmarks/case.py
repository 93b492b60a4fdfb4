"""What a family of measurements declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

#: Given a library's module and the inputs, a function of no arguments that does the work once and returns its output.
#: Its attribute `context`, if there is one, makes a context manager to do it in.
Program = Callable[..., Callable[[], Any]]


@dataclass(frozen=True)
class Case:
    """One measurement: work of one shape, as each contestant does it.

    A contestant's first word is its library ("torch fused" is PyTorch); "on 1 thread" at its end fixes its threads.
    """

    name: str
    inputs: Callable[[], tuple]  #: seeded NumPy arrays, and whatever else the programs take
    programs: Mapping[str, Program]
    error: Callable[..., float] | None = None  #: of (output, *inputs), against float64
    bound: float | None = None  #: what our error may be at most, if not the family's
    flops: float = 0.0
    bytes: float = 0.0  #: that have to move at least
    dtype: str = "float32"  #: whose multiply-adds are the limit
    cold: bool = False  #: whether the inputs rotate through more memory than the caches hold
    group: str = ""  #: the target that it counts for
    threads: tuple[int, ...] | None = None  #: the thread counts that make sense, if not all
    quick: bool = False  #: whether a quick run takes it too


@dataclass(frozen=True)
class Family:
    """Cases that stand in one table."""

    title: str
    cases: Sequence[Case]
    error: str = ""  #: what the error columns are
    bound: float | None = None  #: what our errors may be at most
    rivals: tuple[str, ...] | None = None  #: the contestants that the ratio is against, if not all
    note: str = ""

    def __post_init__(self) -> None:
        names = [case.name for case in self.cases]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.title}: two cases have one name")


def also_cold(case: Case) -> list[Case]:
    """The case with hot data, and the same with data that the caches cannot hold."""
    return [case, replace(case, name=f"{case.name} cold", cold=True, quick=False)]
