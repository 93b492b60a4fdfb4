"""The trap gate: a Swift trap would kill the interpreter, so none may be reachable from our functions.

Disassembles the linked extensions and fails when a function of ours holds a trap instruction, when anything beyond
libc, libm and Python is undefined, or when a symbol is exported that should not be.

    python tools/check_traps.py [extension.so ...]        (default: those beside python/spinetail)
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

# Functions of the Embedded Swift runtime that may stay in the link. The pool keeps a kernel's body as a function value
# without a context, so retain and release only ever see a null pointer and return at once; their trap guards against
# over-release. The exception personality is named by unwind tables alone: nothing here throws.
JUSTIFIED = {"swift_release", "swift_retain", "_swift_exceptionPersonality"}
EXPORTED = re.compile(r"PyInit__\w+|spinetail_[gs]et_num_threads")
LIBRARY = re.compile(r"@(GLIBC|GCC)_|^(Py|_Py)|^_ITM_|^__gmon_start__|^__cxa_finalize")


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def problems(path: str) -> list[str]:
    """What is wrong with one extension, a line each."""
    found = []
    function = "?"
    traps: dict[str, int] = {}
    for line in output("objdump", "-d", "--no-show-raw-insn", path).splitlines():
        if line.endswith(">:"):
            function = line.split("<")[1][:-2]
        elif re.search(r"\t(ud2|ud1|brk)\b", line):
            traps[function] = traps.get(function, 0) + 1
    found += [f"{n} trap(s) in {name}" for name, n in sorted(traps.items()) if name not in JUSTIFIED]
    for line in output("nm", "-D", path).splitlines():
        *_, kind, name = line.split()
        if kind in "Uw" and not LIBRARY.search(name):
            found.append(f"undefined symbol {name}")
        if kind in "TDBVW" and not EXPORTED.fullmatch(name):
            found.append(f"exported symbol {name}")
    allocations = re.findall(r"<(swift_allocObject|swift_slowAlloc)>:", output("objdump", "-d", path))
    found += [f"{name} is linked: something allocates" for name in allocations]
    return found


def main(paths: list[str]) -> int:
    home = Path(__file__).resolve().parents[1] / "python" / "spinetail"
    paths = paths or [str(p) for p in sorted(home.glob("_*.so"))]
    if not paths:
        print("check_traps: no extension found; build first")
        return 1
    bad = 0
    for path in paths:
        found = problems(path)
        bad += len(found)
        print(f"{Path(path).name}: {'ok' if not found else ''}")
        print("".join(f"    {line}\n" for line in found), end="")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
