"""What becomes of a gradient before an optimizer's rule takes it."""

from __future__ import annotations

from math import inf
from typing import NamedTuple


class Change(NamedTuple):
    """g ← clamp(scale·g, -bound, bound) + l1_decay·sign(p) + weight_decay·p, in the pass of the step itself."""

    scale: float = 1.0
    bound: float = inf
    l1_decay: float = 0.0
    weight_decay: float = 0.0


PLAIN = Change()
