"""Scaled dot product attention."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import enabled, record, wrap
from ..autograd.tensor import Tensor
from ..ops import attention as ops
from .door import operand
from .generator import default_generator

__all__ = ["scaled_dot_product_attention"]

_NAME = "scaled_dot_product_attention"


def scaled_dot_product_attention(
    query: Tensor | np.ndarray,
    key: Tensor | np.ndarray,
    value: Tensor | np.ndarray,
    attn_mask: Tensor | np.ndarray | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor | np.ndarray:
    r"""Attention of each query to the keys: softmax(scale · Q Kᵀ + mask) V, without storing the scores.

    Shapes: query (*, h, l, e), key (*, g, s, e), value (*, g, s, v), result (*, h, l, v), with l queries and s keys of
    width e, values of width v, h heads of queries and g of keys. Leading axes broadcast; g = h unless `enable_gqa`,
    and then each g-th part of the query heads shares one head of keys and values. Rank 2 and 3 work too: no heads.
    attn_mask broadcasts to (*, h, l, s): bool, True where a query attends, or floating point and added.
    `is_causal`: query i attends to keys 0 … i, counted from the first key also where l ≠ s. `scale`: 1/√e by default.
    `dropout_p`: the probability with which each weight is set to 0, the others being divided by 1 - dropout_p. It
    applies whenever it is not 0: pass 0 in evaluation.
    dtypes: float32 or float64, all the same, computed in that dtype; float16 and bfloat16 are computed in float32.
    A query that may attend to nothing gives zeros with zero gradients. Under `is_causal` keys after a query do not
    exist for it, whatever they hold; NaN and infinities elsewhere, masked by attn_mask or not, propagate.
    Error: float32 results are within 2e-6 of the largest value (float64: 4e-15) for scores of moderate size.

    Raises: RuntimeError for attn_mask together with is_causal and for heads that do not fit, ValueError for other
    shapes that do not fit, TypeError for mixed or other dtypes.

    Source: torch.nn.functional.scaled_dot_product_attention; Dao et al., FlashAttention (2022); Milakov and Gimelshein,
    Online normalizer calculation for softmax (2018).

    >>> import numpy as np, spinetail.functional.attention as F
    >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> F.scaled_dot_product_attention(x, x, np.array([[1.0], [3.0]]), is_causal=True, scale=0.0)
    array([[1.],
           [2.]])
    """
    dropout = ops.Dropout(dropout_p, *default_generator.key()) if dropout_p else None
    operands = (query, key, value, attn_mask)
    if not any(isinstance(a, Tensor) for a in operands):
        return ops.scaled_dot_product_attention(query, key, value, attn_mask, is_causal, scale, enable_gqa, dropout)
    q, k, v = (a if isinstance(a, Tensor) else operand(_NAME, a) for a in operands[:3])
    mask = attn_mask if attn_mask is None or isinstance(attn_mask, Tensor) else operand(_NAME, attn_mask)
    arrays = (q._array, k._array, v._array, None if mask is None else mask._array)
    mask_gradient = mask is not None and mask._requires_grad
    if not enabled() or not (q._requires_grad or k._requires_grad or v._requires_grad or mask_gradient):
        return wrap(ops.scaled_dot_product_attention(*arrays, is_causal, scale, enable_gqa, dropout))
    out, saved = ops.scaled_dot_product_attention_forward(*arrays, is_causal, scale, enable_gqa, dropout)

    def backward(grad):
        return ops.scaled_dot_product_attention_backward(
            grad, saved, *arrays, is_causal, scale, enable_gqa, dropout, mask_gradient
        )

    inputs = (q, k, v, mask)
    return record(out, inputs, backward, tuple(a for a in inputs if a is not None), _NAME, saved_output=True)
