"""Hostile arguments: whatever a public function is given, it computes or raises, at every CPU level.

Functions enrol by being public. The calls run in a process of their own, which a crash would end.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_calls import functions

from spinetail import _native

PROGRAM = Path(__file__).with_name("hostile_calls.py")
NAMES = sorted(functions())
LEVELS = [level for level in _native.supported if level in _native.installed]
#: Calls of each function; set SPINETAIL_HOSTILE_CALLS for a longer search, SPINETAIL_HOSTILE_SEED for another.
CALLS = os.environ.get("SPINETAIL_HOSTILE_CALLS", "16")
SEED = os.environ.get("SPINETAIL_HOSTILE_SEED", "1")
PARTS = 8


def test_every_public_function_is_called():
    assert {"add", "sum", "cumsum", "einsum", "zeros", "topk", "nn.functional.linear", "nn.functional.conv2d"} <= set(
        NAMES
    )
    assert len(NAMES) > 350


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("level", LEVELS)
def test_functions_compute_or_raise(level, part, tmp_path):
    log = tmp_path / "last"
    log.write_bytes(bytes(4096))
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(log), SEED, CALLS, *NAMES[part::PARTS]],
        capture_output=True,
        text=True,
        timeout=550,
        env={**os.environ, "SPINETAIL_CPU_LEVEL": level, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    last = log.read_bytes().rstrip(b"\0 ").decode()
    assert done.returncode == 0, f"exit code {done.returncode}; the last call was {last}\n{done.stderr[-3000:]}"
