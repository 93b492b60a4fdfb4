"""Matrices: orthogonal, and mostly zero."""

from __future__ import annotations

import numpy as np

from ...functional import random
from ...functional.generator import Generator
from .target import A, dimensions, done, dtype_of, fill_normal, floating


def orthogonal_(tensor: A, gain: float = 1, generator: Generator | None = None) -> A:
    """Fill with `gain` times a random matrix whose rows, or columns if they are fewer, are orthonormal.

    Dimensions after the first count as one. Raises: ValueError for fewer than 2 dimensions.
    Source: Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear neural networks, 2013.
    """
    array = floating("orthogonal_", tensor)
    dimensions("orthogonal_", array, 2)
    if array.size == 0:
        return tensor
    rows = array.shape[0]
    columns = array.size // rows
    flat = random.normal_array((max(rows, columns), min(rows, columns)), 0.0, 1.0, dtype_of(array), generator)
    q, r = np.linalg.qr(flat)
    q *= np.sign(np.diagonal(r))  # makes the distribution uniform
    array[...] = (gain * (q.T if rows < columns else q)).reshape(array.shape)
    return done(tensor)


def sparse_(tensor: A, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> A:
    """Fill a matrix from N(0, std²) and set the share `sparsity` of each column to zero.

    Raises: ValueError unless there are 2 dimensions and 0 <= sparsity <= 1.
    Source: Martens, Deep learning via Hessian-free optimization, 2010.
    """
    array = floating("sparse_", tensor)
    dimensions("sparse_", array, 2, 2)
    if not 0 <= sparsity <= 1:
        raise ValueError(f"[sparse_] sparsity should be between 0 and 1, but got {sparsity}")
    rows, columns = array.shape
    zeros = int(np.ceil(sparsity * rows))
    fill_normal(array, 0.0, std, generator)
    order = np.argsort(random.uniform((rows, columns), 0.0, 1.0, np.float64, generator), axis=0)
    np.put_along_axis(array, order[:zeros], 0, axis=0)
    return done(tensor)
