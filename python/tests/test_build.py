"""The build: what it says when Swift is missing, what a source distribution holds, how large the package is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import spinetail

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(spinetail.__file__).parent
pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="not in a source tree")


def program(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def pip_wheel(folder: Path, **environment: str) -> str:
    """What pip prints when it is asked for a wheel, which must fail."""
    pytest.importorskip("setuptools")
    pytest.importorskip("wheel")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(folder / "out"),
            str(ROOT),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode != 0
    assert not list(folder.glob("out/*.whl"))
    return done.stdout + done.stderr


ADVICE = "Install Swift 6.3 or newer from https://www.swift.org/install, or set SWIFT_EXEC to its `swift`."


def test_no_swift(tmp_path):
    (tmp_path / "bin").mkdir()
    out = pip_wheel(tmp_path, PATH=str(tmp_path / "bin"), SWIFT_EXEC="")
    assert f"error: spinetail needs the Swift compiler, and 'swift' was not found. {ADVICE}" in out
    out = pip_wheel(tmp_path, SWIFT_EXEC="/nowhere/swift")
    assert f"error: spinetail needs the Swift compiler, and '/nowhere/swift' was not found. {ADVICE}" in out


def test_old_swift(tmp_path):
    old = program(tmp_path, "swift", "#!/bin/sh\necho 'Swift version 5.9.2 (swift-5.9.2-RELEASE)'\n")
    out = pip_wheel(tmp_path, SWIFT_EXEC=old)
    assert f"error: spinetail needs Swift 6.3 or newer, but {old} says 'Swift version 5.9.2" in out
    assert ADVICE in out


def test_what_is_no_swift(tmp_path):
    other = program(tmp_path, "swift", "#!/bin/sh\nexit 3\n")
    assert f"error: {other} --version failed" in pip_wheel(tmp_path, SWIFT_EXEC=other)


@pytest.mark.parametrize("levels", ["v9", "v2,", "ALL"])
def test_levels_that_do_not_exist(levels):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "setup.py", "build_ext"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "SPINETAIL_CPU_LEVELS": levels},
    )
    assert done.returncode != 0
    assert f"error: SPINETAIL_CPU_LEVELS={levels!r}: no level" in done.stderr


def test_source_distribution(tmp_path):
    """All that a build, the tests and the examples need is in it, and nothing that a build made."""
    command = ["setup.py", "-q", "egg_info", "--egg-base", str(tmp_path), "sdist", "--dist-dir", str(tmp_path)]
    done = subprocess.run([sys.executable, "-W", "ignore", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode == 0 and tracked.stdout:
        left_out = {name for name in tracked.stdout.split("\n") if name} - names
        assert {name for name in left_out if not name.startswith(".")} <= {"MANIFEST.in"}
    assert {"Package.swift", "setup.py", "LICENSE", "Sources/PythonModule/kernels.inc"} <= names
    made = [
        name for name in names if name.endswith((".so", ".o", ".a", ".pyc")) or name.startswith(("build/", ".build"))
    ]
    assert not made


def test_size():
    """An installed package of at most 10 MB, with every CPU level that is built here."""
    size = sum(path.stat().st_size for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert size <= 10_000_000


def test_nothing_built_is_tracked():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    built = (".so", ".a", ".o", ".pyc", ".egg-info", "Package.resolved")
    assert not [
        name for name in tracked.stdout.split() if name.endswith(built) or name.startswith(("build/", ".build"))
    ]
