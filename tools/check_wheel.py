"""Checks a wheel before anybody gets it: its tag, what it holds, how large it is packed and installed.

python tools/check_wheel.py spinetail-….whl
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

PACKED = 3_000_000
INSTALLED = 10_000_000
NEEDED = (
    "spinetail/py.typed",
    "spinetail/_native.py",
    "spinetail/benchmarks/worker.py",
    "spinetail/benchmarks/families/gemm.py",
    "/LICENSE",
    "entry_points.txt",
)
LEVELS = {"x86_64": ("v2", "v3", "v4"), "aarch64": ("neon",)}


def problems(path: Path) -> list[str]:
    """What is wrong with one wheel, a line each."""
    found = []
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        installed = sum(entry.file_size for entry in wheel.infolist())
    packed = path.stat().st_size
    print(f"{path.name}: {packed / 1e6:.2f} MB, installed {installed / 1e6:.2f} MB, {len(names)} files")
    if "-cp311-abi3-" not in path.name:
        found.append("its tag is not cp311-abi3")
    if packed > PACKED:
        found.append(f"{packed} bytes packed, at most {PACKED} wanted")
    if installed > INSTALLED:
        found.append(f"{installed} bytes installed, at most {INSTALLED} wanted")
    machine = path.stem.partition("linux_")[2]
    extensions = ("_cpu", "_tape", *(f"_spinetail_{level}" for level in LEVELS.get(machine, ())))
    needed = [*NEEDED, *(f"spinetail/{name}.abi3.so" for name in extensions)]
    found += [f"{name} is missing" for name in needed if not any(have.endswith(name) for have in names)]
    found += [f"{name} does not belong in it" for name in names if not name.startswith("spinetail")]
    return found


def stable_abi_problems(path: Path) -> list[str]:
    """What abi3audit says, where it is installed."""
    try:
        import abi3audit  # noqa: F401
    except ModuleNotFoundError:
        print("abi3audit is not installed: the stable ABI is not checked")
        return []
    done = subprocess.run(
        [sys.executable, "-m", "abi3audit", "--strict", "--assume-minimum-abi3", "3.11", str(path)],
        capture_output=True,
        text=True,
    )
    print((done.stdout + done.stderr).strip())
    return ["abi3audit found symbols outside the stable ABI"] if done.returncode else []


def main(paths: list[str]) -> int:
    found = [line for path in map(Path, paths) for line in (*problems(path), *stable_abi_problems(path))]
    print("".join(f"    {line}\n" for line in found), end="")
    return 1 if found or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
