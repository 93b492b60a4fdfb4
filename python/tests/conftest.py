"""What every test may use."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def run_python():
    """Runs a program in an interpreter of its own, which must end well in time: a crash or a hang fails the test."""

    def run(code: str, *arguments: object, timeout: float = 120, code_wanted: int = 0, **environment: object) -> str:
        settings = {name: value for name, value in os.environ.items() if not name.startswith(("SPINETAIL_", "OMP_"))}
        settings |= {name: str(value) for name, value in environment.items()}
        settings["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(code), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=settings,
        )
        assert done.returncode == code_wanted, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code_wanted == 0 else done.stdout + done.stderr

    return run


@pytest.fixture(autouse=True)
def same_thread_count():
    """A test that changes the number of threads does not change it for the others."""
    import spinetail

    before = spinetail.get_num_threads()
    yield
    spinetail.set_num_threads(before)
