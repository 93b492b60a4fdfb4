"""How tensors look: PyTorch's way of printing."""

from __future__ import annotations

import math

import numpy as np

from .. import dtypes
from .tensor import Tensor, method

_options = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None}


def set_printoptions(
    precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None
) -> None:
    """Choose how tensors print: digits, the size above which the middle is left out, line width.

    >>> import spinetail as st
    >>> st.set_printoptions(precision=2); st.tensor([0.123])
    tensor([0.12])
    >>> st.set_printoptions(profile="default")
    """
    profiles = {
        "default": dict(precision=4, threshold=1000, edgeitems=3, linewidth=80),
        "short": dict(precision=2, threshold=1000, edgeitems=2, linewidth=80),
        "full": dict(precision=4, threshold=math.inf, edgeitems=3, linewidth=80),
    }
    if profile is not None:
        _options.update(profiles[profile])
    given = dict(precision=precision, threshold=threshold, edgeitems=edgeitems, linewidth=linewidth)
    _options.update({name: value for name, value in given.items() if value is not None})
    _options["sci_mode"] = sci_mode


def _formatter(array: np.ndarray):
    """A function from a number to its text; all texts have one width."""
    precision = _options["precision"]
    if array.dtype.kind in "biu":
        width = max((len(str(v)) for v in array.reshape(-1).tolist()), default=1)
        return lambda v: str(v).rjust(width)
    finite = array[np.isfinite(array) & (array != 0)].astype(np.float64)
    magnitudes = np.abs(finite)
    whole = bool((np.ceil(finite) == finite).all())
    scientific = False
    if magnitudes.size:
        low, high = float(magnitudes.min()), float(magnitudes.max())
        scientific = high / low > 1000 or high > 1e8 or (low < 1e-4 and not whole)
    if _options["sci_mode"] is not None:
        scientific = _options["sci_mode"]

    def text(v: float) -> str:
        if scientific:
            return f"{v:.{precision}e}"
        if whole:
            return f"{v:.0f}." if math.isfinite(v) else str(v)
        return f"{v:.{precision}f}"

    width = max((len(text(v)) for v in finite.tolist()), default=1)  # zeros, infinities and NaN do not count
    return lambda v: text(v).rjust(width)


def _body(array: np.ndarray, indent: int, cut: bool, text) -> str:
    edge = _options["edgeitems"]
    if array.ndim == 0:
        return text(array.item())
    halves = [array[:edge], array[-edge:]] if cut and len(array) > 2 * edge else [array]
    if array.ndim == 1:
        items = [[text(v) for v in half.tolist()] for half in halves]
        flat = items[0] if len(items) == 1 else [*items[0], " ...", *items[1]]
        width = len(flat[0]) if flat else 0
        per_line = max(1, int((_options["linewidth"] - indent) // max(1, width + 2)))
        lines = [", ".join(flat[i : i + per_line]) for i in range(0, len(flat), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    parts = [_body(row, indent + 1, cut, text) for row in halves[0]]
    if len(halves) == 2:
        parts = [*parts, "...", *[_body(row, indent + 1, cut, text) for row in halves[1]]]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _cut(array: np.ndarray) -> np.ndarray:
    """The elements that are shown of a long array."""
    edge = _options["edgeitems"]
    for axis, extent in enumerate(array.shape):
        if extent > 2 * edge:
            array = np.take(array, [*range(edge), *range(extent - edge, extent)], axis)
    return array


@method
def __repr__(self) -> str:
    array = self._array
    opening = "Parameter containing:\ntensor(" if type(self).__name__ == "Parameter" else "tensor("
    prefix = len("tensor(")
    cut = array.size > _options["threshold"]
    suffixes = []
    if array.size == 0:
        body = "[]"
        if array.ndim != 1:
            suffixes.append(f"size={tuple(array.shape)}")
    else:
        shown = array.astype(np.float32) if dtypes.of(array.dtype) is dtypes.bfloat16 else array
        body = _body(shown, prefix, cut, _formatter(_cut(shown) if cut else shown))
    kind = dtypes.of(array.dtype)
    if kind not in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool) or (
        array.size == 0 and kind is dtypes.int64
    ):
        suffixes.append(f"dtype={kind}")
    if self._node is not None:
        suffixes.append(f"grad_fn={self._node!r}")
    elif self._requires_grad:
        suffixes.append("requires_grad=True")
    text = opening + body
    for suffix in suffixes:
        last = len(text) - text.rfind("\n") - 1
        text += (", " if last + len(suffix) + 2 < _options["linewidth"] else ",\n" + " " * prefix) + suffix
    return text + ")"


Tensor.__str__ = Tensor.__repr__
