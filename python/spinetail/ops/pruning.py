"""Exact selection by magnitude over one or many arrays, masks, and their application in place.

Counts are exact. Elements of equal magnitude are dropped in the order of the list and, in an array, of its flat (C
order) index. Arrays are float32 or float64; where both occur, they are compared as float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._native import kernels

Array = np.ndarray


def select(arrays: Sequence[Array], count: int) -> tuple[float, int, int]:
    """The largest of the `count` smallest magnitudes, how many of exactly this magnitude are among them, and how many
    there are in all.

    Raises: TypeError for other dtypes; ValueError for a NaN, and for a count outside 1 ... the number of elements.

    >>> import numpy as np
    >>> select([np.array([3.0, -1.0]), np.array([2.0, 1.0, -2.0])], 3)
    (2.0, 1, 2)
    """
    plain = _arrays("select", arrays)
    total = sum(array.size for array in plain)
    if not 1 <= count <= total:
        raise ValueError(f"[select] expected a count from 1 to {total}, the number of elements, got {count}")
    return _select("select", plain, count)


def magnitude_masks(arrays: Sequence[Array], count: int) -> list[Array]:
    """Bool masks that are False for the `count` smallest magnitudes over all arrays together.

    >>> import numpy as np
    >>> magnitude_masks([np.array([3.0, -1.0]), np.array([2.0, 1.0, -2.0])], 3)
    [array([ True, False]), array([False, False,  True])]
    """
    plain = _arrays("magnitude_masks", arrays)
    total = sum(array.size for array in plain)
    if not 0 <= count <= total:
        raise ValueError(f"[magnitude_masks] expected a count from 0 to {total}, the number of elements, got {count}")
    masks = [np.ones(array.shape, np.bool_) for array in plain]
    if count:
        threshold, dropped, equal = _select("magnitude_masks", plain, count)
        kernels.pruning_masks(masks, tuple(plain), threshold, -1 if dropped == equal else dropped)
    return masks


def magnitude_mask(array: Array, count: int) -> Array:
    """`magnitude_masks` of one array.

    >>> import numpy as np
    >>> magnitude_mask(np.array([3.0, -1.0, 2.0]), 1)
    array([ True, False,  True])
    """
    return magnitude_masks([array], count)[0]


def apply_masks(arrays: Sequence[Array], masks: Sequence[Array]) -> None:
    """Set the elements whose mask is False to zero, in place."""
    arrays, masks = list(arrays), list(masks)
    if len(arrays) != len(masks):
        raise ValueError(f"[apply_mask] got {len(arrays)} arrays and {len(masks)} masks")
    for i, (array, mask) in enumerate(zip(arrays, masks, strict=True)):
        _array("apply_mask", i, array)
        if not isinstance(mask, np.ndarray) or isinstance(mask, np.ma.MaskedArray) or mask.dtype != np.bool_:
            got = getattr(mask, "dtype", type(mask).__name__)
            raise TypeError(f"[apply_mask] mask {i}: expected an ndarray of dtype bool, got {got}")
        if mask.shape != array.shape:
            raise ValueError(
                f"[apply_mask] mask {i} has shape {list(mask.shape)}, but its array has shape {list(array.shape)}"
            )
        if not array.flags.writeable:
            raise ValueError(f"[apply_mask] array {i} is read-only, but it is changed in place")
    simple = [
        a.flags.c_contiguous and a.flags.aligned and m.flags.c_contiguous for a, m in zip(arrays, masks, strict=True)
    ]
    kernels.pruning_apply(
        [a for a, s in zip(arrays, simple, strict=True) if s],
        tuple([m for m, s in zip(masks, simple, strict=True) if s]),
    )
    for array, mask, done in zip(arrays, masks, simple, strict=True):
        if not done:
            np.copyto(array, 0, where=~mask)


def apply_mask(array: Array, mask: Array) -> None:
    """`apply_masks` of one array.

    >>> import numpy as np
    >>> w = np.array([3.0, -1.0])
    >>> apply_mask(w, np.array([True, False]))
    >>> w
    array([3., 0.])
    """
    apply_masks([array], [mask])


def _array(name: str, i: int, array: Array) -> None:
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"[{name}] array {i}: expected a plain ndarray, got {type(array).__name__}")
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"[{name}] array {i}: expected dtype float32 or float64, got {array.dtype}")


def _arrays(name: str, arrays: Sequence[Array]) -> list[Array]:
    """Contiguous arrays of one dtype."""
    arrays = list(arrays)
    for i, array in enumerate(arrays):
        _array(name, i, array)
    dtype = np.result_type(*[array.dtype for array in arrays]) if arrays else np.dtype(np.float32)
    return [
        a if a.dtype == dtype and a.flags.c_contiguous and a.flags.aligned else np.array(a, dtype, order="C")
        for a in arrays
    ]


def _select(name: str, arrays: list[Array], count: int) -> tuple[float, int, int]:
    threshold = np.empty(1, arrays[0].dtype)
    ties = np.empty(2, np.int64)
    try:
        kernels.pruning_select(threshold, ties, tuple(arrays), count)
    except ValueError:
        for i, array in enumerate(arrays):
            bad = np.isnan(array)
            if bad.any():
                place = tuple(int(k) for k in np.argwhere(bad)[0])
                raise ValueError(f"[{name}] array {i} holds NaN at {place}, which has no magnitude") from None
        raise
    return float(threshold[0]), int(ties[0]), int(ties[1])
