"""Rotary position embedding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..autograd.tape import enabled, ndarray, record, wrap
from ..autograd.tensor import Tensor
from ..ops import rotary as ops
from .door import expect

__all__ = ["rotary_embedding"]

_NAME = "rotary_embedding"


def rotary_embedding(
    input: Any,
    positions: Any = None,
    base: float = 10000.0,
    *,
    offset: int = 0,
    rotary_dim: int | None = None,
    interleaved: bool = False,
    scaling: float | Mapping[str, Any] | None = None,
) -> Any:
    r"""Turn pairs of each head's numbers by angles that grow with the position (RoPE), for queries and keys alike.

    Equation: the pair (a, b) at position p becomes (a·cos(p·wᵢ) - b·sin(p·wᵢ), b·cos(p·wᵢ) + a·sin(p·wᵢ)) with
    wᵢ = base^(-2i / rotary_dim) radians for pair i. Pair i is (xᵢ, xᵢ₊ₕ), h = rotary_dim / 2, as in Llama and GPT-NeoX,
    or (x₂ᵢ, x₂ᵢ₊₁) if `interleaved`, as in the paper and in GPT-J. What is behind the first `rotary_dim` numbers (all
    by default) stays. The product of a query and a key then depends on the difference of their positions alone.
    Shapes: input (*, l, e), for instance (batch, heads, l, e), any strides; result the same. l positions, heads of
    width e.
    positions: integers or real numbers (l,), or (batch, l) where the first axis is the batch; by default they are
    offset, offset + 1, …, where a cache holds `offset` positions already.
    scaling, for contexts longer than those trained on: a number f divides all frequencies wᵢ (linear), or a mapping as
    in a model's `rope_scaling`: {"rope_type": "linear", "factor": f}; "ntk", where f slows the slowest pair only, and
    the others by less; "llama3", with "low_freq_factor", "high_freq_factor", "original_max_position_embeddings".
    dtypes: float32 or float64, computed in it from angles in float64; float16 and bfloat16 are computed in float32.
    The gradient is the gradient of the result, turned back.

    Raises: TypeError for other dtypes; ValueError for widths that are odd or too large, shapes that do not fit, and
    scalings that are not known.

    Source: Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding (2021); torchtune's
    RotaryPositionalEmbeddings, transformers' modeling_rope_utils.

    >>> import numpy as np, spinetail.functional.rotary as F
    >>> F.rotary_embedding(np.array([[1.0, 0.0], [1.0, 0.0]])).round(4)
    array([[1.    , 0.    ],
           [0.5403, 0.8415]])
    """
    expect(_NAME, input)
    width = rotary_dim if rotary_dim is not None else input.shape[-1] if input.ndim else 0
    return turned(input, rotation(_NAME, width, base, scaling), positions, offset, interleaved)


def rotation(name: str, dim: int, base: float, scaling: float | Mapping[str, Any] | None) -> ops.Frequencies:
    """The checked and complete description of the frequencies."""
    if dim <= 0 or dim % 2:
        raise ValueError(f"[{name}] numbers turn in pairs: expected an even width above 0, but got {dim}")
    if not base > 0:
        raise ValueError(f"[{name}] expected base above 0, but got {base}")
    if scaling is None:
        return ops.Frequencies(int(dim), float(base))
    if not isinstance(scaling, Mapping):
        scaling = {"rope_type": "linear", "factor": scaling}
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind == "default":
        return ops.Frequencies(int(dim), float(base))
    wanted = {
        "linear": ("factor",),
        "ntk": ("factor",),
        "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    }
    if kind not in wanted:
        raise ValueError(f"[{name}] expected a scaling of type {', '.join(wanted)}, but got {kind!r}")
    missing = [key for key in wanted[kind] if key not in scaling]
    if missing:
        raise ValueError(f"[{name}] the scaling {kind!r} needs {', '.join(missing)} too")
    numbers = [float(scaling[key]) for key in wanted[kind]]
    if not all(number > 0 for number in numbers) or (kind == "llama3" and numbers[1] >= numbers[2]):
        raise ValueError(
            f"[{name}] expected numbers above 0, and low_freq_factor below high_freq_factor, as the scaling "
            f"{kind!r}, but got {numbers}"
        )
    return ops.Frequencies(int(dim), float(base), (kind, *numbers))


def turned(input: Any, rotation: ops.Frequencies, positions: Any, offset: int, interleaved: bool) -> Any:
    """`rotary_embedding` with its options checked."""
    array = input._array if isinstance(input, Tensor) else input
    if array.ndim < 2:
        raise ValueError(f"[{_NAME}] expected input of shape (*, length, width), but got {list(array.shape)}")
    if rotation.dim > array.shape[-1]:
        raise ValueError(f"[{_NAME}] rotary_dim is {rotation.dim}, but heads have {array.shape[-1]} numbers")
    where = None if positions is None else _places(positions, array)
    output, turn = ops.rotary_embedding(array, rotation, where, int(offset), interleaved)
    if not isinstance(input, Tensor):
        return output
    return _recorded(output, input, turn, interleaved, False)


def _recorded(output: np.ndarray, input: Tensor, turn: tuple, interleaved: bool, inverse: bool) -> Tensor:
    if not (input._requires_grad and enabled()):
        return wrap(output)

    def backward(grad: Any) -> tuple[Any]:
        if type(grad) is ndarray:
            return (ops.rotate(grad, turn, interleaved, not inverse),)
        back = ops.rotate(grad._array, turn, interleaved, not inverse)
        return (_recorded(back, grad, turn, interleaved, not inverse),)

    return record(output, (input,), backward, name=_NAME, twice=True)


def _places(positions: Any, array: np.ndarray) -> np.ndarray:
    """Positions as (batch or 1, length)."""
    expect(_NAME, positions)
    found = positions._array if isinstance(positions, Tensor) else np.asarray(positions)
    if found.dtype.kind not in "iuf":
        raise TypeError(f"[{_NAME}] expected positions to be integers or real numbers, but got {found.dtype}")
    length = array.shape[-2]
    if found.shape == (length,):
        return found[None]
    if found.shape == (1, length) or (array.ndim > 2 and found.shape == (array.shape[0], length)):
        return found
    raise ValueError(
        f"[{_NAME}] expected positions of shape {[length]} or (batch, {length}) for input of shape "
        f"{list(array.shape)}, but got {list(found.shape)}"
    )
