"""Convolution for inference: weights that are packed or transformed once, and what follows the sum taken with it.

A `Prepared` belongs to one weight. It keeps a prepared copy for each algorithm that its inputs' shapes ask for, at most
three, and a plan for each shape. Pixels have their channels next to each other in memory on the way in and out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._native import kernels
from . import activation as codes
from .arrays import empty
from .convolution import FLOATS, NAMES, Plan, Size, channels_last, explain, key, plan_convolution, planned, solid

#: What may follow the sum: the function's code and its two parameters.
ACTIVATIONS = {
    "none": (0, 0.0, 0.0),
    "relu": (codes.RELU, 0.0, 0.0),
    "relu6": (codes.HARDTANH, 0.0, 6.0),
    "leaky_relu": (codes.LEAKY_RELU, 0.01, 0.0),
    "gelu": (codes.GELU, 0.0, 0.0),
    "gelu_tanh": (codes.GELU_TANH, 0.0, 0.0),
    "silu": (codes.SILU, 0.0, 0.0),
    "sigmoid": (codes.SIGMOID, 0.0, 0.0),
    "tanh": (codes.TANH, 0.0, 0.0),
    "hardswish": (codes.HARDSWISH, 0.0, 0.0),
}


class Way(NamedTuple):
    """How inputs of one shape are computed."""

    plan: Plan
    parameters: tuple[int, ...]  # with the algorithm that was chosen
    prepared: np.ndarray
    memory: tuple[int, ...]  # the output's shape as it lies in memory
    direct: bool  # whether arrays need no batch axis and no other dtype


class Prepared:
    """f(convolution(input, weight) + bias + residual) for a weight that does not change.

    weight (F, C / groups, *kernel) and bias (F,) as in `convolution`; `activation` is one of `ACTIVATIONS`. float16 and
    bfloat16 are computed in float32. The weight must stay as it is: changes in place may or may not be seen.
    """

    def __init__(
        self,
        weight: np.ndarray,
        bias: np.ndarray | None = None,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        activation: str = "none",
    ) -> None:
        self.name = NAMES.get(np.ndim(weight) - 2, "convolution")
        self.dtype = np.dtype(weight.dtype.type if isinstance(weight, np.ndarray) else object)  # the usual object
        self._check("weight", weight)
        if weight.ndim - 2 not in NAMES:
            raise ValueError(f"[{self.name}] weight must have 3, 4 or 5 dimensions, got shape {weight.shape}")
        explain(self.name, weight, weight, bias, weight.shape[0])
        if activation not in ACTIVATIONS:
            raise ValueError(f"[{self.name}] activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        self.weight, self.bias = _computable(weight), _computable(bias)
        self.arguments = (key(stride), key(padding), key(dilation), groups)
        self.activation = activation
        self._end = ACTIVATIONS[activation]
        rank = weight.ndim
        self._to_last, self._to_first = (0, *range(2, rank), 1), (0, rank - 1, *range(1, rank - 1))
        self._ways: dict[tuple, Way] = {}
        self._prepared: dict[int, np.ndarray] = {}

    def __call__(self, input: np.ndarray, residual: np.ndarray | None = None, overwrite: bool = False) -> np.ndarray:
        """input ([N,] C, *spatial), residual and result ([N,] F, *output); the result has channels last in memory.

        With `overwrite` the result may take the residual's memory, which must not be the input's.
        """
        if type(input) is not np.ndarray or input.dtype is not self.dtype:
            self._check("input", input)
        way = self._ways.get((input.shape, planned())) or self._find(input)
        if way.direct:  # what is not laid out as it should be, or wrong, the kernel refuses before it writes
            out = residual if overwrite else None
            try:
                return self._run(way, out, input, residual)
            except (TypeError, ValueError):
                pass
        plan = way.plan
        if residual is not None:
            self._check("residual", residual)
            expected = plan.output[1:] if plan.unbatched else plan.output
            if residual.shape != expected:
                raise ValueError(
                    f"[{plan.name}] residual must have the output's shape {expected}, got {residual.shape}"
                )
            residual = self._laid(residual, plan.unbatched)
        if overwrite and residual is not None and residual.dtype == self.weight.dtype and residual.flags.writeable:
            out = residual
        else:
            out = None
        out = self._run(way, out, self._laid(input, plan.unbatched), residual)
        if self.dtype != self.weight.dtype:
            out = out.astype(self.dtype)  # keeps the layout
        return out[0] if plan.unbatched else out

    def _run(self, way: Way, out: np.ndarray | None, input: np.ndarray, residual: np.ndarray | None) -> np.ndarray:
        if out is None:
            out = empty(way.memory, self.weight.dtype).transpose(self._to_first)
        code, alpha, beta = self._end
        kernels.convolution_forward_prepared(
            out, input, way.prepared, self.weight, self.bias, residual, way.parameters, code, alpha, beta
        )
        return out

    def _find(self, input: np.ndarray) -> Way:
        """The way for inputs like this one, with the weight prepared for it."""
        plan = plan_convolution(input.shape, self.weight.shape, *self.arguments, planned())
        memory = (plan.output[0], *plan.output[2:], plan.output[1])
        choice = np.zeros(2, np.int64)
        out = np.empty(memory, self.weight.dtype).transpose(self._to_first)
        kernels.convolution_choose(choice, out, self._laid(input, plan.unbatched), self.weight, plan.parameters)
        algorithm, elements = choice.tolist()
        parameters = (*plan.parameters[:-1], algorithm)
        if algorithm not in self._prepared:
            prepared = _aligned(elements, self.weight.dtype)
            kernels.convolution_prepare(prepared, self.weight, parameters)
            self._prepared[algorithm] = prepared
        direct = not plan.unbatched and self.dtype == self.weight.dtype
        way = Way(plan, parameters, self._prepared[algorithm], memory, direct)
        if len(self._ways) >= 256:  # shapes that never come back
            self._ways.clear()
        self._ways[input.shape, planned()] = way
        return way

    def _check(self, what: str, array: np.ndarray) -> None:
        """Refuses what is no array of the weight's dtype."""
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"[{self.name}] {what} must be a numpy.ndarray, got {type(array).__name__}")
        if array.dtype.newbyteorder("=") != self.dtype:
            raise TypeError(f"[{self.name}] expected one dtype, got weight {self.dtype} and {what} {array.dtype}")

    def _laid(self, array: np.ndarray, unbatched: bool) -> np.ndarray:
        """With a batch axis, with channels last, and float32 in place of float16 and bfloat16."""
        last = (array[None] if unbatched else array).transpose(self._to_last)
        if not last.flags.c_contiguous or not last.dtype.isnative or last.dtype != self.weight.dtype:
            return channels_last((array[None] if unbatched else array).astype(self.weight.dtype, "K", copy=False))
        return last.transpose(self._to_first)


def _computable(array: np.ndarray | None) -> np.ndarray | None:
    """In C order, and float32 in place of float16 and bfloat16."""
    if array is None:
        return None
    return solid(array) if array.dtype.char in FLOATS else np.ascontiguousarray(array, np.float32)


def _aligned(elements: int, dtype: np.dtype) -> np.ndarray:
    """Memory that begins at a line of the cache, so that no vector lies in two."""
    line = 64 // dtype.itemsize
    memory = np.empty(elements + line, dtype)
    first = -memory.ctypes.data % 64 // dtype.itemsize
    return memory[first : first + elements]
