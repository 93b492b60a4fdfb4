"""The kernels' own tests once more, at every CPU level that is installed and that this machine runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spinetail import _native

TESTS = Path(__file__).parent
SUITES = [name for name in ("ops", "functional") if (TESTS / name).is_dir()]
OTHERS = [level for level in _native.supported if level in _native.installed and level != _native.level]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("level", OTHERS)
def test_kernels_at(level, suite):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", str(TESTS / suite)],
        capture_output=True,
        text=True,
        cwd=TESTS.parents[1],
        env={**os.environ, "SPINETAIL_CPU_LEVEL": level, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_levels_agree_to_rounding(run_python):
    """The same product at every level: not the same bits (v2 has no fused multiply-add), but the same numbers."""
    code = """
        import numpy as np
        from spinetail.ops import gemm
        a = np.random.default_rng(0).standard_normal((70, 90))
        print(gemm.matmul(a, a.T).sum(axis=1).tolist())
    """
    results = [run_python(code, SPINETAIL_CPU_LEVEL=level) for level in (_native.level, *OTHERS)]
    for other in results[1:]:
        assert eval(other) == pytest.approx(eval(results[0]), rel=1e-12)
