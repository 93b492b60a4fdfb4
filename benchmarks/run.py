"""Runs every benchmark in this folder, each in an interpreter of its own; tables go to results/.

Peers that are not installed beside us are found by SPINETAIL_PEER_PYTHON=/path/to/python.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main(names: list[str]) -> int:
    failed = []
    names = names or sorted(p.stem for p in FOLDER.glob("*.py") if p.stem not in ("harness", "run"))
    path = os.pathsep.join([str(FOLDER.parent / "python"), os.environ.get("PYTHONPATH", "")])
    for name in names:
        command = [sys.executable, str(FOLDER / f"{name}.py")]
        if subprocess.run(command, env={**os.environ, "PYTHONPATH": path}).returncode:
            failed.append(name)
    if failed:
        print("failed:", *failed)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
