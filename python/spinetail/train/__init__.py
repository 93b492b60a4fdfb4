"""A training loop for the usual case, and what loops are made of: early stopping, bfloat16, guard, history.

The plain loop stays the documented way; `fit` is short enough to be read, and to be copied where it does not fit.
"""

from __future__ import annotations

from .callback import Callback
from .fit import fit
from .guard import check_finite
from .history import History
from .precision import bfloat16
from .run import Run
from .stopping import EarlyStopping
from .validation import evaluate

__all__ = ["Callback", "EarlyStopping", "History", "Run", "bfloat16", "check_finite", "evaluate", "fit"]
