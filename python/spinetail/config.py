"""How many threads the kernels use, and what this installation is made of."""

from __future__ import annotations

import math
import os
import sys
from types import ModuleType
from typing import Any

from . import _native
from .version import __version__

LARGEST = 256
VARIABLES = ("SPINETAIL_NUM_THREADS", "OMP_NUM_THREADS", "SPINETAIL_CPU_LEVEL")


def get_num_threads() -> int:
    """How many threads one call may use, the calling thread included.

    >>> import spinetail as st
    >>> st.get_num_threads() >= 1
    True
    """
    return int(_native.kernels.get_num_threads())


def set_num_threads(count: int) -> None:
    """Sets how many threads one call may use, the calling thread included. Results do not depend on it, to the bit.

    Raises: TypeError if `count` is not a whole number, ValueError if it is not within 1 … 256.

    >>> import spinetail as st
    >>> before = st.get_num_threads()
    >>> st.set_num_threads(1)
    >>> st.get_num_threads()
    1
    >>> st.set_num_threads(before)
    """
    if isinstance(count, bool) or not hasattr(count, "__index__"):
        raise TypeError(f"[set_num_threads] expected a whole number, got {type(count).__name__}")
    count = count.__index__()
    if not 1 <= count <= LARGEST:
        raise ValueError(f"[set_num_threads] expected 1 to {LARGEST} threads, got {count}")
    _native.kernels.set_num_threads(count)


def default_num_threads() -> int:
    """What the environment asks for: SPINETAIL_NUM_THREADS, else OMP_NUM_THREADS, else the processors we may use.

    OMP_NUM_THREADS is other programs' variable: its first number counts, and what is not a number is left to them.
    """
    own = os.environ.get("SPINETAIL_NUM_THREADS")
    if own:
        if not own.strip().isdecimal() or not 1 <= int(own) <= LARGEST:
            raise ValueError(f"[spinetail] SPINETAIL_NUM_THREADS={own!r}: expected a whole number from 1 to {LARGEST}")
        return int(own)
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if first.isdecimal() and int(first) > 0:
        return min(int(first), LARGEST)
    return min(available_processors(), LARGEST)


def available_processors() -> int:
    """The processors in this process's affinity mask, or fewer where a cgroup's quota allows fewer."""
    processors = len(os.sched_getaffinity(0))
    quota = cgroup_quota()
    return processors if quota is None else max(1, min(processors, math.ceil(quota)))


def cgroup_quota(system: str = "/") -> float | None:
    """The processors' worth of time that control groups (version 2 or 1) leave this process; None without a limit."""
    try:
        lines = _read(system, "proc/self/cgroup").splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", "", ""][:3]
        if controllers == "":
            mounts, quota_in = ("sys/fs/cgroup", "sys/fs/cgroup/unified"), _quota_v2
        elif "cpu" in controllers.split(","):
            mounts, quota_in = (f"sys/fs/cgroup/{controllers}", "sys/fs/cgroup/cpu"), _quota_v1
        else:
            continue
        # Each group up to the root may set a limit. Inside a container the path may be the host's: then only the
        # mount's own root is there to be read.
        parts = [part for part in path.split("/") if part]
        for mount in mounts:
            for depth in range(len(parts), -1, -1):
                try:
                    quota = quota_in(os.path.join(system, mount, *parts[:depth]))
                except (OSError, ValueError, ZeroDivisionError):
                    continue
                if quota is not None:
                    quotas.append(quota)
    return min(quotas, default=None)


def _quota_v2(folder: str) -> float | None:
    quota, period = _read(folder, "cpu.max").split()
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(folder: str) -> float | None:
    quota = int(_read(folder, "cpu.cfs_quota_us"))
    return None if quota <= 0 else quota / int(_read(folder, "cpu.cfs_period_us"))


def _read(*path: str) -> str:
    with open(os.path.join(*path)) as file:
        return file.read()


# ---- threadpoolctl, whether it is imported before us or after, and without importing it ourselves


def register_threadpoolctl(threadpoolctl: ModuleType) -> None:
    """Makes `threadpoolctl.threadpool_limits` and `threadpool_info` see the kernels' threads."""

    class SpinetailController(threadpoolctl.LibController):  # type: ignore[misc, name-defined]
        user_api = "spinetail"
        internal_api = "spinetail"
        filename_prefixes = ("_spinetail_",)
        check_symbols = ("spinetail_get_num_threads",)

        def get_num_threads(self) -> int:
            return get_num_threads()

        def set_num_threads(self, num_threads: int) -> None:
            set_num_threads(max(1, min(num_threads, LARGEST)))

        def get_version(self) -> str:
            return __version__

        def set_additional_attributes(self) -> None:
            self.architecture = _native.level

    threadpoolctl.register(SpinetailController)


class _WhenImported:
    """Stands in front of the import system until threadpoolctl comes by, registers us with it, and leaves."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "threadpoolctl":
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(self)  # type: ignore[arg-type]
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                register_threadpoolctl(module)

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec


# ---- what is installed


def information() -> dict[str, str]:
    """What `show_config` prints: a line's name and its value."""
    import platform

    import numpy

    quota = cgroup_quota()
    result = {
        "spinetail": __version__,
        "CPU level": f"{_native.level} ({_native.kernels.vector_width} float32 lanes)",
        "levels installed": ", ".join(_native.installed),
        "levels this CPU runs": ", ".join(_native.supported),
        "threads": str(get_num_threads()),
        "processors": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} in the affinity mask",
        "cgroup quota": "none" if quota is None else f"{quota:g} processors",
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "NumPy": numpy.__version__,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()) or "unknown",
        "installed in": os.path.dirname(os.path.abspath(__file__)),
    }
    for name in VARIABLES:
        result[name] = os.environ.get(name, "not set")
    return result


def show_config() -> None:
    """Prints what this installation is: version, CPU level and its alternatives, threads, and what surrounds it.

    >>> import spinetail as st
    >>> st.show_config()  # doctest: +ELLIPSIS
    spinetail ...
    """
    lines = information()
    width = max(map(len, lines))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in lines.items()))


_native.kernels.set_num_threads(default_num_threads())
if "threadpoolctl" in sys.modules:
    register_threadpoolctl(sys.modules["threadpoolctl"])
else:
    sys.meta_path.insert(0, _WhenImported())  # type: ignore[arg-type]
