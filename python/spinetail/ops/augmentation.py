"""Images cut out, turned over, padded and normalised in one pass, each in its own way, on ndarrays."""

from __future__ import annotations

import numpy as np

from .._native import kernels
from .arrays import empty

Array = np.ndarray


def place(
    input: Array, rows: Array, columns: Array, mean: Array, factor: Array, fill: Array, dtype: np.dtype | None = None
) -> Array:
    """(input[n, c, rows[n, i], columns[n, j]] - mean[c])·factor[c], and fill[c] where a place is negative.

    input (N, C, H, W) of float32, float64 or uint8; rows (N, H') and columns (N, W') of integers; mean, factor and fill
    of C numbers. The result is of the input's dtype, or, for uint8, of `dtype`: float32 or float64.
    """
    dtype = np.dtype(input.dtype if dtype is None else dtype)
    output = empty((*input.shape[:2], rows.shape[1], columns.shape[1]), dtype)
    tables = [np.ascontiguousarray(table, np.int32) for table in (rows, columns)]
    numbers = [np.ascontiguousarray(values, dtype) for values in (mean, factor, fill)]
    kernels.augment_place(output, np.ascontiguousarray(input), *tables, *numbers)
    return output
