"""Sums of products in Einstein's notation."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import enabled, like, record, wrap
from ..autograd.tensor import Tensor
from .door import lift, lower
from .gemm import matmul

__all__ = [
    "einsum",
]


def einsum(equation, *operands):
    """A sum of products in Einstein's notation: einsum("ij,jk->ik", a, b).

    Letters that are missing on the right of -> are summed over; "..." stands for the dimensions that broadcast.
    Raises: ValueError for an equation that does not fit the operands.

    >>> import spinetail as st
    >>> st.einsum("ij->j", st.ones(2, 3))
    tensor([2., 2., 2.])
    """
    if not isinstance(equation, str):
        raise TypeError(f"[einsum] expected the equation as a str, but got {type(equation).__name__}")
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    wrapped = any(isinstance(o, Tensor) for o in operands)
    tensors = [lift(o) for o in operands]
    inputs, output = _letters(equation.replace(" ", ""), [t._array.ndim for t in tensors])
    product = _two_operands(tensors, inputs, output) if len(tensors) == 2 else None
    result = _einsum(tensors, inputs, output) if product is None else product
    return result if wrapped else lower(result)


def _letters(equation: str, ranks: list) -> tuple[list, str]:
    """The letters of each operand and of the output; dimensions under "..." get letters of their own."""
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise ValueError(f"[einsum] {equation!r} has {len(terms)} operands, but {len(ranks)} were given")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in equation]
    widths = [rank - len(term) + 3 if "..." in term else 0 for term, rank in zip(terms, ranks, strict=True)]
    dots = spare[: max(widths, default=0)]
    inputs = []
    for term, width, rank in zip(terms, widths, ranks, strict=True):
        whole = term.replace("...", "".join(dots[len(dots) - width :]) if width > 0 else "")
        if len(whole) != rank or (not whole.isalpha() and whole):
            raise ValueError(f"[einsum] {term!r} does not describe an operand of {rank} dimensions")
        inputs.append(whole)
    if arrow:
        output = right.replace("...", "".join(dots))
    else:
        joined = "".join(inputs)
        output = "".join(dots) + "".join(sorted(c for c in set(joined) if joined.count(c) == 1 and c not in dots))
    unknown = set(output) - set("".join(inputs))
    if unknown or len(set(output)) != len(output):
        raise ValueError(f"[einsum] the output {right!r} of {equation!r} has unknown or repeated letters")
    return inputs, output


def _two_operands(tensors: list, inputs: list, output: str) -> Tensor | None:
    """A product of two operands as a batched matrix product, where every letter and extent allows it."""
    (a, b), (left, right) = tensors, inputs
    if a._array.dtype.kind != "f" or a._array.dtype != b._array.dtype:
        return None
    if len(set(left)) != len(left) or len(set(right)) != len(right):
        return None
    extents = dict(zip(left, a._array.shape, strict=True))
    for letter, extent in zip(right, b._array.shape, strict=True):
        if extents.setdefault(letter, extent) != extent:
            return None
    batch = [c for c in left if c in right and c in output]
    summed = [c for c in left if c in right and c not in output]
    rows = [c for c in left if c not in right]
    columns = [c for c in right if c not in left]
    if not summed or any(c not in output for c in (*rows, *columns)):
        return None

    def size(letters):
        return int(np.prod([extents[c] for c in letters]))

    x = a.permute([left.index(c) for c in (*batch, *rows, *summed)]).reshape(size(batch), size(rows), size(summed))
    y = b.permute([right.index(c) for c in (*batch, *summed, *columns)]).reshape(
        size(batch), size(summed), size(columns)
    )
    letters = [*batch, *rows, *columns]
    result = matmul(x, y).reshape([extents[c] for c in letters])
    order = [letters.index(c) for c in output]
    return result if order == list(range(len(order))) else result.permute(order)


def _einsum(tensors: list, inputs: list, output: str) -> Tensor:
    """Any Einstein sum, by NumPy."""
    arrays = [t._array for t in tensors]
    try:
        out = np.einsum(",".join(inputs) + "->" + output, *arrays, optimize=len(arrays) > 2)
    except ValueError as error:
        raise ValueError(f"[einsum] {error}") from None
    if not (enabled() and any(t._requires_grad for t in tensors)):
        return wrap(np.array(out))

    def backward(grad):
        values = [like(grad, t) for t in tensors]
        parts = []
        for i, tensor in enumerate(tensors):
            if not tensor._requires_grad:
                parts.append(None)
                continue
            others = [v for j, v in enumerate(values) if j != i]
            letters = [t for j, t in enumerate(inputs) if j != i]
            parts.append(_einsum_gradient(grad, output, others, letters, inputs[i], arrays[i].shape))
        return tuple(parts)

    return record(np.array(out), tensors, backward, tuple(tensors), "einsum", twice=True)


def _einsum_gradient(grad, output: str, others: list, letters: list, own: str, shape: tuple):
    """The gradient of an Einstein sum for the operand with the letters `own`."""
    known = set(output).union(*letters)
    distinct = "".join(dict.fromkeys(own))
    kept = "".join(c for c in distinct if c in known)
    equation = ",".join([output, *letters]) + "->" + kept
    part = einsum(equation, grad, *others)
    if isinstance(part, Tensor):
        expand = Tensor.expand
    else:
        part, expand = np.asarray(part), np.broadcast_to
    extents = dict(zip(own, shape, strict=True))
    part = part.reshape([part.shape[kept.index(c)] if c in kept else 1 for c in distinct])
    part = expand(part, tuple(extents[c] for c in distinct))
    if distinct == own:
        return part
    result = np.zeros(shape, grad._array.dtype if isinstance(grad, Tensor) else grad.dtype)
    if isinstance(part, Tensor):
        raise RuntimeError("[einsum] create_graph=True is not supported for repeated letters")
    grid = np.ogrid[tuple(slice(extents[c]) for c in distinct)]
    result[tuple(grid[distinct.index(c)] for c in own)] = part
    return result
