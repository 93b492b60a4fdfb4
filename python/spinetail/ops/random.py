"""Dropout and random bits from Philox: what an element gets depends on (seed, offset, its number) alone."""

from __future__ import annotations

import numpy as np

from .._native import kernels
from .arrays import is_half

Array = np.ndarray


def bits(shape: int | tuple[int, ...], seed: int, offset: int) -> Array:
    """32 random bits for each element, as int32."""
    output = np.empty(shape, np.int32)
    kernels.random_bits(output, word(seed), word(offset))
    return output


def dropout(
    input: Array,
    probability: float,
    seed: int,
    offset: int,
    scale: float | None = None,
    shift: float = 0.0,
    dropped: float = 0.0,
    out: Array | None = None,
) -> Array:
    """input·scale + shift where an element is kept, else `dropped`; the scale is 1/(1 - probability) unless given.

    The gradient is the same call on the gradient, without shift and dropped. float16 and bfloat16 are computed in
    float32.
    """
    if not isinstance(input, np.ndarray) or isinstance(input, np.ma.MaskedArray):
        raise TypeError(f"[dropout] expected a Tensor or ndarray as input, got {type(input).__name__}")
    if is_half(input.dtype):
        wide = dropout(input.astype(np.float32), probability, seed, offset, scale, shift, dropped).astype(input.dtype)
        if out is None:
            return wide
        out[...] = wide
        return out
    if input.dtype.char not in "fd":
        raise TypeError(f"[dropout] expected input of dtype float16, bfloat16, float32 or float64, got {input.dtype}")
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {probability}")
    output = np.empty(input.shape, input.dtype) if out is None else out
    if probability == 1.0:
        output.fill(dropped)
        return output
    if scale is None:
        scale = 1.0 / (1.0 - probability)
    x = input if input.flags.c_contiguous else np.array(input, order="C")
    if output.flags.c_contiguous:
        kernels.random_dropout(output, x, word(seed), word(offset), probability, scale, shift, dropped)
    else:
        output[...] = dropout(x, probability, seed, offset, scale, shift, dropped)
    return output


def word(value: int) -> int:
    """An unsigned 64-bit number as the signed one of the same bits."""
    return (value & 0xFFFFFFFFFFFFFFFF) - ((value & 0x8000000000000000) << 1)
