"""Arithmetic of ndarrays where a kernel is faster than NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._native import kernels
from .arrays import FLOAT32, FLOAT64, channels_behind, channels_second
from .convolution import is_channels_last

_LARGE = 32_768  # elements
_ndarray, _numpys, _kernel = np.ndarray, np.add, kernels.add


def add(x: Any, y: Any, out: np.ndarray | None = None) -> Any:
    """x + y as NumPy has it, into `out` if it is given; large arrays of one shape are shared among the threads."""
    if type(x) is _ndarray and x.size >= _LARGE and type(y) is _ndarray and x.shape == y.shape:
        dtype = x.dtype
        if dtype is y.dtype and (dtype is FLOAT32 or dtype is FLOAT64):
            try:
                made = _kernel(1 if out is None else out, x, y)  # 1: an output like the first input
                return made if out is None else out
            except (TypeError, ValueError):  # strides, or an output of another kind
                if out is None and x.strides == y.strides and is_channels_last(x):
                    return channels_second(_kernel(1, channels_behind(x), channels_behind(y)))
    return _numpys(x, y) if out is None else _numpys(x, y, out=out)
