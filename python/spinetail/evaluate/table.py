"""Tables as text, Markdown and HTML, and numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Table", "count", "percent", "shape", "short", "size", "time"]

STYLE = (
    "<style>.spinetail-table{border-collapse:collapse;font-size:.92em;font-variant-numeric:tabular-nums;margin:.6em 0}"
    ".spinetail-table th,.spinetail-table td{padding:.38em .8em;text-align:right;border:0;"
    "border-bottom:1px solid rgba(128,128,128,.22);white-space:nowrap}"
    ".spinetail-table th{font-weight:600;border-bottom:2px solid rgba(128,128,128,.5)}"
    ".spinetail-table .left{text-align:left}.spinetail-table tr.total td{font-weight:600;"
    "border-top:2px solid rgba(128,128,128,.5)}.spinetail-table td.change{font-size:.88em;opacity:.75;padding-left:0}"
    ".spinetail-table .better{color:#1a7f5a;opacity:1}.spinetail-table .worse{color:#b3432f;opacity:1}</style>"
)


@dataclass
class Table:
    """Rows of cells under heads; the first `left` columns are aligned to the left, the others to the right."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: Sequence[str] | None = None
    left: int = 1

    def text(self) -> str:
        """The table for a terminal."""
        lines = [self.heads, *self.rows, *([self.total] if self.total else [])]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.heads))]

        def draw(line: Sequence[str]) -> str:
            cells = (
                c.ljust(w) if i < self.left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
            )
            return "  ".join(cells).rstrip()

        rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
        drawn = [draw(self.heads), rule, *(draw(row) for row in self.rows)]
        return "\n".join([*drawn, rule, draw(self.total)] if self.total else drawn)

    def markdown(self) -> str:
        """The table in Markdown."""

        def draw(line: Sequence[str]) -> str:
            return "| " + " | ".join(c.replace("|", "\\|") for c in line) + " |"

        ruler = "|" + "|".join(":---" if i < self.left else "---:" for i in range(len(self.heads))) + "|"
        lines = [draw(self.heads), ruler, *(draw(row) for row in self.rows)]
        return "\n".join([*lines, draw(self.total)] if self.total else lines)

    def html(self) -> str:
        """The table in HTML, with its own style."""

        def draw(line: Sequence[str], tag: str) -> str:
            marks = (f"<{tag}{' class=left' if i < self.left else ''}>{escape(c)}</{tag}>" for i, c in enumerate(line))
            return "".join(marks)

        body = "".join(f"<tr>{draw(row, 'td')}</tr>" for row in self.rows)
        total = f"<tr class=total>{draw(self.total, 'td')}</tr>" if self.total else ""
        head = f"<thead><tr>{draw(self.heads, 'th')}</tr></thead>"
        return f'{STYLE}<table class="spinetail-table">{head}<tbody>{body}{total}</tbody></table>'


def count(number: int) -> str:
    """12345 as '12,345'."""
    return f"{number:,}"


def short(number: float) -> str:
    """Three digits and a prefix: 1234567 as '1.23 M'."""
    return _scaled(number, 1000, ("", " k", " M", " G", " T", " P"))


def size(number: float) -> str:
    """Bytes, with decimal prefixes: 223528 as '224 kB'."""
    return _scaled(number, 1000, (" B", " kB", " MB", " GB", " TB"))


def time(seconds: float) -> str:
    """Seconds in the unit that suits: 0.000412 as '412 µs'."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{_digits(seconds * factor)} {unit}"
    return f"{_digits(seconds * 1e9)} ns"


def percent(change: float | None) -> str:
    """A relative change: -0.123 as '−12.3 %'; nothing for None."""
    if change is None:
        return ""
    if abs(change) < 0.0005:
        return "±0 %"
    digits = 0 if abs(change) >= 1 else 1
    return f"{'+' if change > 0 else '−'}{abs(change) * 100:.{digits}f} %"


def shape(extents: Sequence[int] | None) -> str:
    """(1, 32, 8, 8) as '1×32×8×8'."""
    return "" if extents is None else "×".join(map(str, extents))


def _digits(number: float) -> str:
    return f"{number:.0f}" if number >= 99.95 else f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"


def _scaled(number: float, base: int, units: Sequence[str]) -> str:
    value, step = float(number), 0
    while abs(value) >= base * 0.9995 and step < len(units) - 1:
        value, step = value / base, step + 1
    return f"{value:.0f}{units[0]}" if step == 0 and value == int(value) else _digits(value) + units[step]
