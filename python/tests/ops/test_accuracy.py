"""The elementary functions over the whole range of float32, as tools/sweep_errors.py measures them, in large steps."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

PATH = Path(__file__).parents[3] / "tools" / "sweep_errors.py"
if not PATH.exists():
    pytest.skip("not in a checkout", allow_module_level=True)
_spec = importlib.util.spec_from_file_location("sweep_errors", PATH)
sweep = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sweep)


pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # limits are among the numbers


@pytest.mark.parametrize("name", list(sweep.FUNCTIONS))
def test_float32(name):
    count, worst, place = sweep.worst32(name, 20_011)
    assert count > 200_000
    assert worst <= 2.0, place


def test_a_wrong_result_is_seen():
    """The measure itself: a value one unit off, a lost NaN and a finite result for an infinite one."""
    x = np.array([1.0, 1.0, np.inf, np.nan], np.float32)
    expected = np.array([1.0, np.nan, 1e39, np.nan])
    assert sweep.ulps(x, expected).tolist() == [0, np.inf, 0, 0]
    assert sweep.ulps(np.nextafter(x, np.float32(0)), expected)[0] == 0.5
