"""More threads against one, by ourselves; and what waking them costs a small call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import programs
from ..case import Case, Family
from .gemm import product


def against_one(case: Case, group: str) -> Case:
    program = case.programs["spinetail"]
    return replace(case, programs={"spinetail": program, "spinetail on 1 thread": program}, group=group)


def relu(size: int) -> Case:
    def inputs() -> tuple:
        return (np.random.default_rng(0).standard_normal(size, dtype=np.float32),)

    program = programs.forward(lambda torch, x: torch.relu(x))
    return Case(f"relu {size:,}", inputs, {"spinetail": program}, bytes=8.0 * size)


FAMILY = Family(
    "More threads against one",
    [
        *(against_one(product(s, s, s, "", quick=s == 512), "threads") for s in (512, 768, 1024, 2048)),
        *(against_one(product(s, s, s, ""), "small work") for s in (16, 32, 64, 128, 256)),
        *(against_one(relu(size), "small work") for size in (64, 4096, 65_536, 1_048_576)),
    ],
    note=("The ratio is one thread's time over that of all; small work must not be slower on more threads."),
)
