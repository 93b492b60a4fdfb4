"""Collation: a list of samples becomes one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import Tensor
from ..autograd.tape import wrap
from ..functional.joining import stack


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack samples along a new first axis, inside dicts, tuples and lists too.

    Tensors, arrays and numbers become one Tensor (Python floats float64, integers int64, as in PyTorch); strings and
    bytes stay a list. Raises: ValueError for tensors of different shapes or sequences of different lengths; TypeError
    for anything else.

    >>> import spinetail as st
    >>> st.utils.data.default_collate([{"x": 1, "name": "a"}, {"x": 2, "name": "b"}])
    {'x': tensor([1, 2]), 'name': ['a', 'b']}
    """
    first = batch[0]
    if isinstance(first, Tensor):
        if any(isinstance(item, Tensor) and item.requires_grad for item in batch):
            return stack(list(batch))
        return wrap(_stack([item._array for item in batch]))
    if isinstance(first, np.ndarray):
        if first.dtype.kind not in "biufV":
            raise TypeError(f"[default_collate] cannot make a batch of arrays of dtype {first.dtype}")
        return wrap(_stack(batch))
    if isinstance(first, np.generic):
        return wrap(np.array(batch))
    if isinstance(first, float):
        return wrap(np.array(batch, np.float64))
    if isinstance(first, int):
        array = np.array(batch)
        return wrap(array.astype(dtypes.get_default_dtype().numpy) if array.dtype.kind == "f" else array)
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        found = {key: default_collate([item[key] for item in batch]) for key in first}
        try:
            return type(first)(found)  # type: ignore[call-arg]
        except TypeError:
            return found
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*_columns(batch))
    if isinstance(first, tuple):
        return _columns(batch)  # a list, as in PyTorch
    if isinstance(first, Sequence):
        found_list = _columns(batch)
        try:
            return type(first)(found_list)  # type: ignore[call-arg]
        except TypeError:
            return found_list
    raise TypeError(
        "[default_collate] batch must contain tensors, arrays, numbers, strings, dicts, tuples or lists; "
        f"found {type(first).__name__}"
    )


def _columns(batch: Sequence[Any]) -> list[Any]:
    lengths = {len(item) for item in batch}
    if len(lengths) != 1:
        raise ValueError(
            f"[default_collate] each element in list of batch should be of equal size, but got {sorted(lengths)}"
        )
    return [default_collate(column) for column in zip(*batch, strict=True)]


def _stack(arrays: Sequence[np.ndarray]) -> np.ndarray:
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1:
        raise ValueError(
            f"[default_collate] stack expects each tensor to be equal size, but got shapes {sorted(map(list, shapes))}"
        )
    return np.stack(arrays)


def default_convert(data: Any) -> Any:
    """Arrays and NumPy numbers as Tensors, inside dicts, tuples and lists too; everything else as it is.

    >>> import numpy as np, spinetail as st
    >>> st.utils.data.default_convert({"x": np.arange(2), "name": "a"})
    {'x': tensor([0, 1]), 'name': 'a'}
    """
    if isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
        try:
            dtypes.of(array.dtype)
        except TypeError:
            return data
        return wrap(array)
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, (tuple, list)):
        return [default_convert(value) for value in data]
    return data
