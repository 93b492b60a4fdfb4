"""What importing the package costs and brings along, and which compiled kernels it chooses."""

from __future__ import annotations

import pytest

import spinetail
from spinetail import _native

HEAVY = (
    "torch",
    "matplotlib",
    "sklearn",
    "scipy",
    "pandas",
    "tqdm",
    "safetensors",
    "ml_dtypes",
    "threadpoolctl",
    "mpi4py",
)


def test_nothing_heavy_comes_along(run_python):
    out = run_python("import sys, spinetail; print(*sys.modules)")
    assert not set(HEAVY) & set(out.split())


def test_version_is_one():
    from importlib.metadata import PackageNotFoundError, version

    assert spinetail.__version__.count(".") == 2
    try:
        assert version("spinetail") == spinetail.__version__
    except PackageNotFoundError:
        pass


def test_every_public_name_is_there():
    """Each name that dir() promises can be had, and what is not there is said with the nearest thing."""
    for name in dir(spinetail):
        assert getattr(spinetail, name) is not None or name == "newaxis", name
    with pytest.raises(AttributeError, match="no 'tensr'; the nearest thing is 'tensor'"):
        _ = spinetail.tensr


def test_the_best_level_is_chosen():
    usable = [level for level in _native.supported if level in _native.installed]
    assert _native.supported
    assert _native.level in usable
    assert _native.kernels.level == _native.level


def test_each_installed_level_can_be_asked_for(run_python):
    for level in _native.installed:
        if level in _native.supported:
            out = run_python("import spinetail as st; print(st._native.level)", SPINETAIL_CPU_LEVEL=level)
            assert out.strip() == level


def test_a_level_that_is_not_there(run_python):
    out = run_python("import spinetail", SPINETAIL_CPU_LEVEL="v9", code_wanted=1)
    assert "ImportError: SPINETAIL_CPU_LEVEL='v9' cannot be used: installed are" in out


def test_show_config(capsys):
    spinetail.show_config()
    out = capsys.readouterr().out
    for word in (spinetail.__version__, _native.level, "threads", "NumPy", "SPINETAIL_NUM_THREADS", "cgroup quota"):
        assert word in out
