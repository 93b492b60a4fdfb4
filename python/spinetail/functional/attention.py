"""Scaled dot product attention."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import enabled, record, wrap
from ..autograd.tensor import Tensor
from ..ops import attention as ops
from ..ops import attention_terms
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
    *,
    causal: str | None = None,
    window: int | tuple[int, int] | None = None,
    alibi_slopes: Tensor | np.ndarray | None = None,
    softcap: float | None = None,
    return_lse: bool = False,
) -> Tensor | np.ndarray | tuple[Tensor, Tensor] | tuple[np.ndarray, np.ndarray]:
    r"""Attention of each query to the keys it sees, without storing the scores.

    softmax(S + mask) V with S = scale · Q Kᵀ; with `softcap` c, S = c · tanh(scale · Q Kᵀ / c); with `alibi_slopes`,
    S[i, j] is less by slope · |i + o - j|. Query i stands at key i + o, with o = 0 or, for causal="lower_right",
    o = s - l.

    Shapes: query (*, h, l, e), key (*, g, s, e), value (*, g, s, v), result (*, h, l, v), with l queries and s keys of
    width e, values of width v, h heads of queries and g of keys. Leading axes broadcast; g = h unless `enable_gqa`,
    and then each g-th part of the query heads shares one head of keys and values. Rank 2 and 3 work too: no heads.
    attn_mask broadcasts to (*, h, l, s): bool, True where a query attends, or floating point and added.
    `is_causal`, or causal="upper_left": query i attends to keys 0 … i, counted from the first key also where l ≠ s;
    causal="lower_right": to keys 0 … i + s - l, so that the last query sees all keys, as with a cache of them.
    `window` (left, right): query i attends to keys i + o - left … i + o + right, -1 standing for all on that side; a
    number n is (n, n), and a causal mask makes right 0. What a query does not see costs no work, but for the edges of
    blocks. `scale`: 1/√e by default. `alibi_slopes`: (h,), or what else broadcasts to (*, h); a constant without a
    gradient. `return_lse`: (output, lse), lse (*, h, l) the logarithm of each query's sum of exponentials, a constant
    without a gradient, -∞ where there are none.
    `dropout_p`: the probability with which each weight is set to 0, the others being divided by 1 - dropout_p. It
    applies whenever it is not 0: pass 0 in evaluation.
    dtypes: float32 or float64, all the same, computed in that dtype; float16 and bfloat16 are computed in float32, in
    which their lse is given.
    A query that may attend to nothing gives zeros with zero gradients. Keys that causality or the window hide do not
    exist for a query, whatever they hold; NaN and infinities elsewhere, masked by attn_mask or not, propagate.
    Error: float32 results are within 2e-6 of the largest value (float64: 4e-15) for scores of moderate size.

    Raises: RuntimeError for attn_mask or `causal` together with is_causal and for heads that do not fit, ValueError for
    other shapes that do not fit and for options out of their range, TypeError for mixed or other dtypes.

    Source: torch.nn.functional.scaled_dot_product_attention; Dao et al., FlashAttention (2022); Milakov and Gimelshein,
    Online normalizer calculation for softmax (2018); Press et al., Train Short, Test Long (ALiBi, 2022).

    >>> import numpy as np, spinetail.functional.attention as F
    >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> F.scaled_dot_product_attention(x, x, np.array([[1.0], [3.0]]), is_causal=True, scale=0.0)
    array([[1.],
           [2.]])
    >>> ones = np.ones((4, 1))
    >>> options = {"causal": "upper_left", "window": 1, "scale": 0.0, "return_lse": True}
    >>> _, lse = F.scaled_dot_product_attention(ones, ones, ones, **options)
    >>> np.exp(lse)  # keys that each query sees
    array([1., 2., 2., 2.])
    """
    dropout = attention_terms.Dropout(dropout_p, *default_generator.key()) if dropout_p else None
    slopes = alibi_slopes._array if isinstance(alibi_slopes, Tensor) else alibi_slopes
    terms = attention_terms.terms(is_causal, causal, window, slopes, softcap)
    if not any(isinstance(a, Tensor) for a in (query, key, value, attn_mask)):
        arrays = (query, key, value, attn_mask, is_causal, scale, enable_gqa, dropout, terms)
        if not return_lse:
            return ops.scaled_dot_product_attention(*arrays)
        out, saved = ops.scaled_dot_product_attention_forward(*arrays)
        return out, saved.lse.reshape(out.shape[:-1])
    q, k, v = (a if isinstance(a, Tensor) else operand(_NAME, a) for a in (query, key, value))
    mask = attn_mask if attn_mask is None or isinstance(attn_mask, Tensor) else operand(_NAME, attn_mask)
    arrays = (q._array, k._array, v._array, None if mask is None else mask._array)
    options = (is_causal, scale, enable_gqa, dropout, terms)
    mask_gradient = mask is not None and mask._requires_grad
    gradient = enabled() and (q._requires_grad or k._requires_grad or v._requires_grad or mask_gradient)
    if not gradient and not return_lse:
        return wrap(ops.scaled_dot_product_attention(*arrays, *options))
    out, saved = ops.scaled_dot_product_attention_forward(*arrays, *options)
    if gradient:

        def backward(grad):
            return ops.scaled_dot_product_attention_backward(grad, saved, *arrays, *options, mask_gradient)

        inputs = (q, k, v, mask)
        result = record(out, inputs, backward, tuple(a for a in inputs if a is not None), _NAME, saved_output=True)
    else:
        result = wrap(out)
    return (result, wrap(saved.lse.reshape(out.shape[:-1]).copy())) if return_lse else result
