"""Builds the Swift kernels, once per CPU level, and links each into an ordinary C extension.

SPINETAIL_CPU_LEVELS: "native" (default: this machine's best level), "all", or a comma-separated list such as "v2,v4".
SWIFT_EXEC: the `swift` (or `swiftc`) to use. SPINETAIL_BUILD_DIR: where Swift's own build outputs go.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
LEVELS = {
    "x86_64": {"v2": ["-march=x86-64-v2"], "v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4", "-mavx512vnni"]},
    "aarch64": {"neon": ["-march=armv8.2-a"]},
}
# By size the older levels are a sixth to a quarter smaller. v2 is within 5 % of its speed (maxima of pooling: 20 %);
# what lost more at v3, Winograd's transforms and small products, is marked @_optimize(speed).
SWIFT_FLAGS = {"v2": ["-Osize"], "v3": ["-Osize"]}
LINK_FLAGS = ["-Wl,--gc-sections", "-lm"]
NEEDED_SWIFT = (6, 3)
ADVICE = "Install Swift 6.3 or newer from https://www.swift.org/install, or set SWIFT_EXEC to its `swift`."


def swift() -> str:
    """The Swift driver, or a one-line explanation of what is missing."""
    named = os.environ.get("SWIFT_EXEC")
    found = shutil.which(named or "swift")
    if found is None:
        raise SystemExit(f"error: spinetail needs the Swift compiler, and {named or 'swift'!r} was not found. {ADVICE}")
    if Path(found).name == "swiftc":
        found = str(Path(found).with_name("swift"))
    try:
        text = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as problem:
        raise SystemExit(f"error: {found} --version failed ({problem}). {ADVICE}") from None
    version = re.search(r"Swift version (\d+)\.(\d+)", text)
    if version is None or tuple(map(int, version.groups())) < NEEDED_SWIFT:
        line = text.splitlines()[0] if text else "nothing"
        raise SystemExit(f"error: spinetail needs Swift 6.3 or newer, but {found} says {line!r}. {ADVICE}")
    return found


def machine_level(levels: dict[str, list[str]]) -> str:
    """The best level that this machine runs."""
    if "neon" in levels:
        return "neon"
    try:
        flags = set(re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.M).group(1).split())
    except (OSError, AttributeError):
        return "v2"
    if not {"avx2", "fma", "bmi1", "bmi2"} <= flags:
        return "v2"
    wide = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512_vnni"}
    return "v4" if wide <= flags else "v3"


def wanted_levels() -> dict[str, list[str]]:
    known = LEVELS.get(platform.machine())
    if known is None:
        raise SystemExit(f"error: spinetail has no kernels for {platform.machine()!r} (it has {', '.join(LEVELS)}).")
    wish = os.environ.get("SPINETAIL_CPU_LEVELS", "native")
    names = list(known) if wish == "all" else [machine_level(known)] if wish == "native" else wish.split(",")
    for name in names:
        if name not in known:
            raise SystemExit(f"error: SPINETAIL_CPU_LEVELS={wish!r}: no level {name!r} (expected {', '.join(known)}).")
    return {name: known[name] for name in names}


class SwiftBuildExt(build_ext):
    """Adds `swift build` before the C compile of each level."""

    def run(self) -> None:
        compiler = swift()  # before any work: what is missing is said at once
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            libraries = [
                pool.submit(self.swift_library, compiler, ext.level, ext.level_flags)
                for ext in self.extensions
                if hasattr(ext, "level")
            ]
            for library in libraries:
                library.result()
        self.keeps_symbols = bool(self.inplace)  # which setuptools forgets while it builds
        self.parallel = None  # the levels compile one C file into one folder, in turn
        super().run()
        # Objects of earlier builds, of other levels or interpreters, hold older kernels: none may be loaded or shipped.
        outputs = [Path(self.build_lib, self.get_ext_filename(ext.name)) for ext in self.extensions]
        folders = {path.parent for path in outputs} | ({ROOT / "python/spinetail"} if self.inplace else set())
        for folder in folders:
            for path in folder.glob("_*.so"):
                if path.name not in {output.name for output in outputs}:
                    path.unlink()

    def build_extension(self, ext: Extension) -> None:
        import numpy

        ext.include_dirs += [numpy.get_include(), str(ROOT / "Sources/CSpinetail/include")]
        # The interpreter's own library paths have no place in an extension that other machines load.
        self.compiler.linker_so = [flag for flag in self.compiler.linker_so if not flag.startswith("-Wl,-rpath")]
        if hasattr(ext, "level"):
            ext.extra_objects = [str(scratch(ext.level) / "release" / "libSpinetail.a")]
            # What is built in place is disassembled and profiled by its functions' names, a twentieth of a wheel.
            ext.extra_link_args.append("-Wl,--strip-debug" if self.keeps_symbols else "-Wl,--strip-all")
        super().build_extension(ext)

    def swift_library(self, compiler: str, level: str, flags: list[str]) -> None:
        command = [compiler, "build", "-c", "release", "--product", "Spinetail", "--package-path", str(ROOT)]
        command += ["--scratch-path", str(scratch(level))]
        for flag in [*flags, "-fno-math-errno", "-ffp-contract=off"]:
            command += ["-Xcc", flag]
        for flag in SWIFT_FLAGS.get(level, []):
            command += ["-Xswiftc", flag]
        environment = {**os.environ, "SPINETAIL_EMBEDDED": "1"}
        environment.pop("SWIFT_EXEC", None)  # SwiftPM reads it too, and expects swiftc
        print("spinetail:", " ".join(command), flush=True)
        done = subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise SystemExit(f"{done.stdout}\nerror: swift build failed for CPU level {level}.")


def scratch(level: str) -> Path:
    """Where Swift's own build outputs of one level go."""
    return Path(os.environ.get("SPINETAIL_BUILD_DIR", ROOT / "build")) / f"swift-{level}"


def stable_abi() -> bool:
    """Whether one binary serves every CPython from 3.11 on. NumPy 1 and free-threaded Pythons do not allow it."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return False
    try:
        import numpy
    except ModuleNotFoundError:  # only asked for metadata
        return True
    return int(numpy.__version__.split(".")[0]) >= 2


def extensions() -> list[Extension]:
    folder = "Sources/PythonModule"
    limited = stable_abi()
    macros = [("Py_LIMITED_API", "0x030B0000")] if limited else []
    compile_args = ["-O2", "-g0", "-fvisibility=hidden", "-std=c11", "-Wall", "-Wextra", "-Wno-unknown-pragmas"]
    common = {"extra_compile_args": compile_args, "py_limited_api": limited}
    result = [Extension("spinetail._cpu", [f"{folder}/cpu.c"], define_macros=macros, **common)]
    sources = [p for p in sorted(ROOT.glob("Sources/**/*")) if p.is_file()]
    depends = ["setup.py", "Package.swift", *(str(p.relative_to(ROOT)) for p in sources)]
    numpys = ("NPY_TARGET_VERSION", "NPY_1_22_API_VERSION")
    tape = [f"{folder}/tape.c", f"{folder}/engine.c"]
    result.append(Extension("spinetail._tape", tape, depends=depends, define_macros=[*macros, numpys], **common))
    for name, flags in wanted_levels().items():
        ext = Extension(
            f"spinetail._spinetail_{name}",
            [f"{folder}/module.c"],
            depends=depends,
            define_macros=[*macros, ("SPINETAIL_LEVEL", name), numpys],
            extra_link_args=[f"-Wl,--version-script={folder}/exports.map", *LINK_FLAGS],
            **common,
        )
        ext.level, ext.level_flags = name, flags
        result.append(ext)
    return result


if sys.platform != "linux":
    raise SystemExit(f"error: spinetail builds on Linux today, not on {sys.platform}.")
setup(
    ext_modules=extensions(),
    cmdclass={"build_ext": SwiftBuildExt},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if stable_abi() else {},
)
