"""How a module shows itself: indented text, and a table for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .module import Module


def indent(text: str) -> str:
    """The text with every line but the first moved two columns to the right."""
    return text.replace("\n", "\n  ")


def text(module: Module) -> str:
    """The module and what is below it, one line each."""
    extra = module.extra_repr()
    lines = [f"({name}): {indent(repr(child))}" for name, child in module._modules.items()]
    if not lines and "\n" not in extra:
        return f"{module._get_name()}({extra})"
    return wrap(module, ([*extra.split("\n")] if extra else []) + lines)


def wrap(module: Module, lines: list[str]) -> str:
    """The module's name with lines in parentheses."""
    return module._get_name() + "(\n  " + "\n  ".join(lines) + "\n)"


def html(module: Module) -> str:
    """A table: each module's path, kind, shapes of its own parameters, and how many numbers they hold."""
    from html import escape

    rows, total, trained, size = [], 0, 0, 0
    seen: set[int] = set()
    for path, part in module.named_modules():
        shapes, count = [], 0
        for name, value in part._parameters.items():
            if value is None:
                continue
            shared = id(value) in seen
            shapes.append(f"{name} {list(value._array.shape)}" + (" (shared)" if shared else ""))
            if not shared:
                seen.add(id(value))
                count += value._array.size
                size += value._array.nbytes
                trained += value._array.size if value.requires_grad else 0
        total += count
        extra = part.extra_repr() if not part._modules else ""
        depth = path.count(".") + 1 if path else 0
        name = escape(path.rpartition(".")[2] or type(module).__name__)
        rows.append(
            f'<tr><td style="text-align:left;padding-left:{0.5 + 1.2 * depth:.1f}em">{name}</td>'
            f'<td style="text-align:left">{escape(part._get_name())}{f"({escape(extra)})" if extra else ""}</td>'
            f'<td style="text-align:left">{escape(", ".join(shapes))}</td><td>{f"{count:,}" if count else ""}</td></tr>'
        )
    return (
        "<table><thead><tr><th>name</th><th>module</th><th>own parameters</th><th>count</th></tr></thead><tbody>"
        + "".join(rows)
        + f"</tbody><tfoot><tr><th colspan=3>{trained:,} of {total:,} parameters are trained; {_bytes(size)}</th>"
        f"<th>{total:,}</th></tr></tfoot></table>"
    )


def _bytes(size: int) -> str:
    number = float(size)
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.4g} {unit}"
        number /= 1000
    return f"{number:.4g} GB"
