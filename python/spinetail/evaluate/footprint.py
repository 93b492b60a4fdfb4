"""What a model weighs and what it computes: parameters, bytes, multiply-accumulates, layer by layer."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..autograd.graph import Operation, trace
from . import table
from .running import arguments, probing

__all__ = ["Footprint", "Layer", "file_bytes", "footprint"]

#: Multiply-accumulates for each element that comes out. Batch norm in evaluation is one scale and shift; layer and
#: group norm take the mean, the variance, the normalisation and the scale; RMS norm has no mean; rotary embedding takes
#: a cosine and a sine.
ELEMENTS = {
    "batch_norm": 1,
    "layer_norm": 4,
    "group_norm": 4,
    "instance_norm": 4,
    "rms_norm": 3,
    "rotary_embedding": 2,
}


@dataclass
class Layer:
    """One module's own share (without its children). `flops` is 2·`macs`."""

    name: str
    kind: str
    shape: tuple[int, ...] | None = None
    parameters: int = 0
    nonzero: int = 0
    bytes: int = 0
    macs: int = 0

    @property
    def flops(self) -> int:
        return 2 * self.macs


@dataclass
class Footprint:
    """The result of `footprint`: totals, and `layers` with the same figures for each module."""

    parameters: int
    nonzero: int
    bytes: int
    file_bytes: int
    macs: int
    layers: list[Layer] = field(default_factory=list)

    @property
    def flops(self) -> int:
        return 2 * self.macs

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain Python values."""
        result = asdict(self) | {"flops": self.flops}
        for row, layer in zip(result["layers"], self.layers, strict=True):
            row["flops"] = layer.flops
        return result

    def _table(self) -> table.Table:
        rows = [
            [
                x.name or "(model)",
                x.kind,
                table.shape(x.shape),
                table.count(x.parameters),
                table.count(x.nonzero),
                table.size(x.bytes),
                table.short(x.macs),
                table.short(x.flops),
            ]
            for x in self.layers
        ]
        total = [
            "total",
            "",
            "",
            table.count(self.parameters),
            table.count(self.nonzero),
            table.size(self.bytes),
            table.short(self.macs),
            table.short(self.flops),
        ]
        heads = ["layer", "kind", "output", "parameters", "nonzero", "bytes", "MACs", "FLOPs"]
        return table.Table(heads, rows, total, left=3)

    def __repr__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()


def footprint(model: Any, example: Any) -> Footprint:
    """Count a model's parameters and bytes, and the multiply-accumulates of one forward pass on `example`.

    The model is run once, and what the tape recorded is counted, wherever it was called from: matrix products,
    convolutions and attention by their sizes (masks do not count), norms and rotary embedding by element (batch norm 1,
    rotary embedding 2, RMS norm 3, layer and group norm 4 multiply-accumulates); activations, pooling, softmax and
    other element-wise work count as 0. FLOPs are 2·MACs, and both belong to the whole batch of `example`. `bytes` are
    those of the arrays as they are stored (parameters and buffers): a masked weight is as large as a dense one, and
    `nonzero` says how much of it is not zero.

    Raises: TypeError if `model` is not a Module.

    >>> import spinetail as st
    >>> model = st.nn.Sequential(st.nn.Linear(100, 50), st.nn.ReLU(), st.nn.Linear(50, 10))
    >>> found = st.evaluate.footprint(model, st.zeros(1, 100))
    >>> found.parameters, found.macs, found.flops
    (5560, 5500, 11000)
    """
    if not hasattr(model, "named_modules"):
        raise TypeError(f"[footprint] expected a Module, but got {type(model).__name__}")
    with probing(model, arguments("footprint", example)) as inputs:
        operations = trace(model, inputs).operations
    layers = {path: _own(path, module) for path, module in model.named_modules()}
    for operation in operations:
        layer = layers[operation.module]
        layer.macs += macs(operation)
        if operation.shape is not None:
            layer.shape = operation.shape
    kept = [layer for layer in layers.values() if layer.parameters or layer.macs or layer.bytes]
    return Footprint(
        parameters=sum(x.parameters for x in kept),
        nonzero=sum(x.nonzero for x in kept),
        bytes=sum(x.bytes for x in kept),
        file_bytes=file_bytes(model),
        macs=sum(x.macs for x in kept),
        layers=kept,
    )


def macs(operation: Operation) -> int:
    """The multiply-accumulates of one recorded operation, counted from its shapes, or as it says itself."""
    counted: int | None = getattr(operation.node.backward, "macs", None)
    if counted is not None:
        return counted
    name, shape = operation.name, operation.shape
    if shape is None:
        return 0
    size = int(np.prod(shape, dtype=np.int64))
    first, second = operation.source_shape(0), operation.source_shape(1)
    if name.startswith("linear") and second is not None:
        return size * second[-1]
    if name.startswith("conv_transpose") and second is not None and first is not None:
        return int(np.prod(first, dtype=np.int64) * np.prod(second[1:], dtype=np.int64))
    if name.startswith("conv") and name != "conversion" and second is not None and len(second) > 2:
        return size * int(np.prod(second[1:], dtype=np.int64))
    if name in ("matmul", "mm", "bmm", "mv", "dot", "inner", "addmm", "baddbmm"):
        if name.startswith(("addmm", "baddbmm")):
            first, second = second, operation.source_shape(2)
        if first is not None:
            return size * first[-1]
        return size * second[-2 if len(second) > 1 else -1] if second is not None else 0
    if name.startswith("scaled_dot_product_attention") and first is not None and second is not None:
        value = operation.source_shape(2)
        return int(np.prod(first[:-1], dtype=np.int64)) * second[-2] * (first[-1] + (value or second)[-1])
    return size * ELEMENTS.get(name, 0)


def file_bytes(model: Any) -> int:
    """The size of the model's state when it is saved."""
    from ..io import save

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.safetensors")
        save(model.state_dict(), path)
        return os.path.getsize(path)


def _own(path: str, module: Any) -> Layer:
    layer = Layer(path, type(module).__name__)
    for parameter in module.parameters(recurse=False):
        layer.parameters += parameter._array.size
        layer.nonzero += int(np.count_nonzero(parameter._array))
        layer.bytes += parameter._array.nbytes
    for buffer in module.buffers(recurse=False):
        layer.bytes += buffer._array.nbytes
    return layer
