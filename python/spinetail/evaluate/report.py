"""A comparison as HTML, Markdown, JSON and a figure."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from . import table

if TYPE_CHECKING:
    from .compare import Comparison, Row

__all__ = ["figure", "html", "html_table", "markdown", "save"]

COLOURS = ("#5b6573", "#0f8a83", "#e07a3f", "#6a5acd", "#b8860b", "#c2477f")
#: The measures that the figure shows, as far as a comparison has them.
PANELS = ("accuracy", "f1", "mse", "latency_p50", "throughput", "bytes", "file_bytes", "memory", "flops", "nonzero")

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
:root{{color-scheme:light}}
body{{font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;color:#1f2933;
background:#f5f6f8;margin:0;padding:2.5rem 1.25rem}}
main{{max-width:64rem;margin:0 auto;background:#fff;border-radius:14px;padding:2.25rem 2.5rem;
box-shadow:0 1px 3px rgba(31,41,51,.10),0 10px 32px rgba(31,41,51,.07)}}
h1{{font-size:1.75rem;line-height:1.25;margin:0 0 .4rem}}h2{{font-size:1.15rem;margin:2.2rem 0 .5rem}}
p.notes{{color:#52606d;max-width:48rem;margin:.2rem 0 1.2rem}}
.cards{{display:flex;flex-wrap:wrap;gap:.9rem;margin:1.4rem 0 .4rem}}
.card{{flex:1 1 15rem;border:1px solid #e4e7eb;border-radius:10px;padding:.9rem 1.1rem;
border-top:4px solid var(--tone)}}
.card h3{{margin:0 0 .5rem;font-size:1rem}}
.card dl{{display:grid;grid-template-columns:auto auto;gap:.15rem .8rem;margin:0}}
.card dt{{color:#616e7c}}.card dd{{margin:0;text-align:right;font-weight:600;font-variant-numeric:tabular-nums}}
.scroll{{overflow-x:auto}}.scroll table{{width:100%}}img{{max-width:100%;height:auto}}
footer{{color:#7b8794;font-size:.85rem;margin-top:1.8rem;border-top:1px solid #e4e7eb;padding-top:.8rem}}
</style></head><body><main>
<h1>{title}</h1><p class="notes">{notes}</p>
<div class="cards">{cards}</div>
<h2>All measures</h2><div class="scroll">{table}</div>
<h2>At a glance</h2><img alt="{title}: the main measures as bars" src="data:image/png;base64,{plot}">
<footer>{footer}</footer>
</main></body></html>
"""


def html_table(comparison: Comparison) -> str:
    """The table in HTML, with changes coloured by whether they are for the better."""
    heads = "".join(f"<th>{escape(n)}</th>" + "<th></th>" * (n != comparison.baseline) for n in comparison.names)
    body = []
    for row in comparison.rows:
        cells = "".join(
            f"<td>{escape(row.show(n))}</td>{_change(row, n, comparison.baseline)}" for n in comparison.names
        )
        body.append(f"<tr><td class=left>{escape(row.title)}</td>{cells}</tr>")
    head = f"<thead><tr><th class=left></th>{heads}</tr></thead>"
    return f'{table.STYLE}<table class="spinetail-table">{head}<tbody>{"".join(body)}</tbody></table>'


def _change(row: Row, name: str, baseline: str) -> str:
    if name == baseline:
        return ""
    change = row.change(name, baseline)
    if change is None:
        return "<td></td>"
    kind = ""
    if row.better and abs(change) >= 0.0005:
        kind = " better" if (change > 0) == (row.better == "higher") else " worse"
    return f'<td class="change{kind}">{escape(table.percent(change))}</td>'


def markdown(comparison: Comparison, title: str, notes: str) -> str:
    """The report in Markdown; the figure is linked as report.png."""
    parts = [f"# {title}", notes, comparison.to_markdown(), f"![{title}](report.png)", _footer(comparison)]
    return "\n\n".join(part for part in parts if part) + "\n"


def html(comparison: Comparison, title: str, notes: str, png: bytes) -> str:
    """The report as one HTML file."""
    return PAGE.format(
        title=escape(title),
        notes=escape(notes),
        cards="".join(_card(comparison, n) for n in comparison.names),
        table=html_table(comparison),
        plot=base64.b64encode(png).decode(),
        footer=escape(_footer(comparison)),
    )


def _card(comparison: Comparison, name: str) -> str:
    rows = {row.key: row for row in comparison.rows}
    first = comparison.rows[0]
    speed = [row for row in comparison.rows if row.key.startswith("latency_p50")][-1:]
    chosen = [first, *speed, *(rows[key] for key in ("bytes", "flops") if key in rows)]
    items = "".join(
        f"<dt>{escape(row.title)}</dt><dd>{escape(row.show(name))}</dd>"
        for row in dict((r.key, r) for r in chosen).values()
    )
    tone = COLOURS[comparison.names.index(name) % len(COLOURS)]
    return f'<div class="card" style="--tone:{tone}"><h3>{escape(name)}</h3><dl>{items}</dl></div>'


def _footer(comparison: Comparison) -> str:
    known = comparison.environment
    parts = [
        f"Measured on {known['cpu']}" if known.get("cpu") else "",
        f"{known['threads']} thread{'s' if known['threads'] != 1 else ''}" if "threads" in known else "",
        f"{known['samples']} test samples" if "samples" in known else "",
        f"Python {known['python']}, NumPy {known['numpy']}, kernels {known['kernels']}" if "python" in known else "",
        "changes are (after − before) / before; masked weights count with all their bytes",
    ]
    return " · ".join(part for part in parts if part)


def figure(comparison: Comparison, history: Mapping[str, Sequence[float]] | None = None) -> Any:
    """A panel of bars for each of the main measures, and the history of training below if there is one."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("the report's plot needs matplotlib: pip install matplotlib") from None
    rows = [row for key in PANELS for row in comparison.rows if row.key == key or row.key.startswith(key + "_")]
    rows = [row for row in rows if not row.key.startswith("latency_p99")][:9]
    names = comparison.names
    columns = 3 if len(rows) > 4 else 2
    lines = -(-len(rows) // columns)
    bar = 0.32 * len(names) + 0.8
    height = bar * lines + (2.9 if history else 0) + 0.3
    drawing = Figure(figsize=(10.5, height), dpi=150)
    drawing.set_layout_engine("constrained", h_pad=0.08, w_pad=0.06)
    parts: Any = drawing.subfigures(2, 1, height_ratios=[bar * lines, 2.9]) if history else [drawing]
    axes = parts[0].subplots(lines, columns, squeeze=False).reshape(-1)
    for axis in axes[len(rows) :]:
        axis.set_visible(False)
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
    for number, (axis, row) in enumerate(zip(axes, rows, strict=False)):
        values = [row.values[name] for name in names]
        places = range(len(names))[::-1]
        axis.barh(list(places), values, color=colours, height=0.7)
        top = max(max(values), 0)
        for place, name, value in zip(places, names, values, strict=True):
            axis.text(
                max(value, 0) + 0.02 * (top or 1), place, row.show(name), va="center", fontsize=8.5, color="#1f2933"
            )
        axis.set_xlim(min(0, *values), (top or 1) * 1.32)
        axis.set_yticks(list(places), names if number % columns == 0 else [""] * len(names), fontsize=9)
        axis.set_title(row.title, fontsize=10, loc="left", color="#1f2933", fontweight="bold")
        axis.tick_params(axis="both", length=0)
        axis.set_xticks([])
        for side in ("top", "right", "bottom"):
            axis.spines[side].set_visible(False)
        axis.spines["left"].set_color("#9aa5b1")
    if history:
        axis = parts[1].subplots()
        for number, (name, losses) in enumerate(history.items()):
            axis.plot(range(1, len(losses) + 1), losses, color=COLOURS[number % len(COLOURS)], label=name, lw=1.8)
        axis.set_xlabel("epoch", fontsize=9)
        axis.set_title("training loss", fontsize=10, loc="left", color="#1f2933", fontweight="bold")
        axis.tick_params(labelsize=8.5)
        axis.grid(alpha=0.25)
        axis.legend(frameon=False, fontsize=9)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    return drawing


def save(
    comparison: Comparison,
    folder: str | os.PathLike[str],
    title: str,
    notes: str,
    history: Mapping[str, Sequence[float]] | None,
) -> dict[str, str]:
    """Write the four files; the figure is drawn first, so that nothing is written when it cannot be."""
    picture = io.BytesIO()
    figure(comparison, history).savefig(picture, format="png")
    png = picture.getvalue()
    found = comparison.to_dict() | {"title": title, "notes": notes}
    if history:
        found["history"] = {name: [float(v) for v in values] for name, values in history.items()}
    contents = {
        "html": html(comparison, title, notes, png).encode(),
        "md": markdown(comparison, title, notes).encode(),
        "json": (json.dumps(found, indent=2, ensure_ascii=False) + "\n").encode(),
        "png": png,
    }
    os.makedirs(folder, exist_ok=True)
    paths = {kind: os.path.join(folder, f"report.{kind}") for kind in contents}
    for kind, content in contents.items():
        with open(paths[kind], "wb") as file:
            file.write(content)
    return paths
