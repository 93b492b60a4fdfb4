"""The trap gate: no instruction of ours kills the interpreter, and nothing is undefined but libc and Python."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

import spinetail

ROOT = Path(__file__).resolve().parents[2]
EXTENSIONS = sorted(Path(spinetail.__file__).parent.glob("_*.so"))
needs_tools = pytest.mark.skipif(
    not (shutil.which("objdump") and shutil.which("cc")), reason="binutils or a C compiler is not installed"
)


@pytest.fixture(scope="module")
def gate():
    spec = importlib.util.spec_from_file_location("check_traps", ROOT / "tools/check_traps.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_tools
@pytest.mark.parametrize("path", EXTENSIONS, ids=lambda path: path.name)
def test_extension_passes(gate, path):
    assert gate.problems(str(path)) == []


def test_there_is_something_to_check():
    assert len(EXTENSIONS) >= 2


@needs_tools
@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("void spinetail_get_num_threads(void) { __builtin_trap(); }", "1 trap(s) in spinetail_get_num_threads"),
        ("void somewhere_else(void);\nvoid spinetail_get_num_threads(void) { somewhere_else(); }", "undefined symbol"),
        ("void leaks_out(void) {}", "exported symbol leaks_out"),
    ],
)
def test_the_gate_closes(gate, tmp_path, code, complaint):
    (tmp_path / "bad.c").write_text(code)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "bad.so", tmp_path / "bad.c"], check=True)
    assert any(complaint in line for line in gate.problems(str(tmp_path / "bad.so")))


def test_tasks_with_scratch_say_for_how_many_workers():
    """Scratch sized by workerLimit() and parallel() must have the same number: another thread may raise it between."""
    for path in sorted((ROOT / "Sources/Spinetail").rglob("*.swift")):
        text = path.read_text()
        if path.name != "ThreadPool.swift" and "workerLimit()" in text:
            assert "workers:" in text, f"{path.name} asks for workerLimit() and calls parallel() without `workers:`"
