"""The house's guard: imports go down, never up a floor, and siblings of floor 5 never import each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import spinetail

PACKAGE = Path(spinetail.__file__).parent

#: The floor of each room, by the first name under `spinetail`.
FLOORS = {
    "version": 2,
    "_cpu": 2,
    "_native": 2,
    "_tape": 2,
    "config": 2,
    "dtypes": 2,
    "devices": 2,
    "ops": 3,
    "autograd": 4,
    "functional": 4,
    "accelerator": 4,
    "amp": 4,
    "backends": 4,
    "compiling": 4,
    "cuda": 4,
    "linalg": 4,
    "mps": 4,
    "special": 4,
    "xpu": 4,
    "averaging": 5,
    "data": 5,
    "io": 5,
    "nn": 5,
    "optim": 5,
    "utils": 5,
    "compress": 6,
    "evaluate": 6,
    "models": 6,
    "parallel": 6,
    "search": 6,
    "train": 6,
    "benchmarks": 7,
    "optimize": 7,
    "cli": 7,
    "demo": 7,
    "__main__": 7,
    "__init__": 8,
}
#: Rooms of one floor that never import each other. `utils` is other names for what they hold, `averaging` a joint.
APART = {"data", "io", "nn", "optim"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(source: str, package: tuple[str, ...]) -> set[str]:
    """The rooms that a module of `package` (its parents' names) imports, anywhere in its text."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = (*start, *(node.module.split(".") if node.module else ()))
            # `from . import nn` names a room; `from .nn import Linear` names something in one.
            found |= {(*base, alias.name) if base == ("spinetail",) else base for alias in node.names}
        elif isinstance(node, ast.Call):
            found |= called(node, package)
    rooms = {path[1] if len(path) > 1 else "__init__" for path in found if path[:1] == ("spinetail",)}
    return {room if room in FLOORS or (PACKAGE / room).exists() else "__init__" for room in rooms}


def called(node: ast.Call, package: tuple[str, ...]) -> set[tuple[str, ...]]:
    """import_module("…") and __import__("…") with a text in place."""
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name.lstrip("_") not in {"import", "import_module"} or not node.args:
        return set()
    text = node.args[0]
    if not (isinstance(text, ast.Constant) and isinstance(text.value, str)):
        return set()
    dots = len(text.value) - len(text.value.lstrip("."))
    start = package[: len(package) - dots + 1] if dots else ()
    return {(*start, *text.value.lstrip(".").split("."))}


def complaints(path: Path) -> list[str]:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    room = parts[1]
    assert room in FLOORS, f"spinetail.{room} has no floor yet: give it one in {Path(__file__).name}"
    found = []
    for other in sorted(imports(path.read_text(), parts[:-1])):
        if other == room:
            continue
        if other not in FLOORS:
            found.append(f"imports spinetail.{other}, which has no floor")
        elif FLOORS[other] > FLOORS[room]:
            found.append(f"floor {FLOORS[room]} imports spinetail.{other} from floor {FLOORS[other]}")
        elif room in APART and other in APART:
            found.append(f"imports its sibling spinetail.{other}")
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    assert complaints(path) == []


@pytest.mark.parametrize(
    ("source", "rooms"),
    [
        ("from . import ops", {"ops"}),
        ("from ..nn import Linear", {"nn"}),
        ("from ..nn.module import Module", {"nn"}),
        ("from ... import nn", set()),
        ("def f():\n    from .. import nn", {"nn"}),
        ("import spinetail.compress.prune as p", {"compress"}),
        ("import spinetail", {"__init__"}),
        ("from spinetail import tensor", {"__init__"}),
        ("from spinetail import nn", {"nn"}),
        ("if TYPE_CHECKING:\n    from ..optim import SGD", {"optim"}),
        ("import_module('..optim', __package__)", {"optim"}),
        ("import numpy, os.path", set()),
    ],
)
def test_the_guard_sees(source, rooms):
    package = ("spinetail",) if source == "from . import ops" else ("spinetail", "data")
    assert imports(source, package) == rooms
