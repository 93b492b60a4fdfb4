"""Attention among sequences of different lengths."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import enabled, record, wrap
from ..autograd.tensor import Tensor
from ..ops import varlen_attention as ops
from ..ops.attention_terms import Dropout, terms
from ..ops.paged_attention import check_paging
from .door import operand
from .generator import default_generator

__all__ = ["varlen_attn"]

_NAME = "varlen_attn"


def varlen_attn(
    query: Tensor | np.ndarray,
    key: Tensor | np.ndarray,
    value: Tensor | np.ndarray,
    cu_seq_q: Tensor | np.ndarray,
    cu_seq_k: Tensor | np.ndarray | None = None,
    max_q: int | None = None,
    max_k: int | None = None,
    *,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
    alibi_slopes: Tensor | np.ndarray | None = None,
    softcap: float | None = None,
    dropout_p: float = 0.0,
    return_lse: bool = False,
    seqused_k: Tensor | np.ndarray | None = None,
    block_table: Tensor | np.ndarray | None = None,
    num_splits: int | None = None,
) -> Tensor | np.ndarray | tuple[Tensor, Tensor] | tuple[np.ndarray, np.ndarray]:
    r"""`scaled_dot_product_attention` of n sequences that lie one after another, each seeing itself alone.

    Shapes: query (t, h, e), key (s, g, e), value (s, g, v), result (t, h, v). Sequence i has the queries cu_seq_q[i] …
    cu_seq_q[i + 1] - 1 and the keys cu_seq_k[i] … cu_seq_k[i + 1] - 1; cu_seq_q and cu_seq_k (n + 1,) are integers that
    rise from 0 to t and to s, and cu_seq_k is cu_seq_q by default. Nothing is padded. `max_q` and `max_k` are at least
    the longest lengths, as PyTorch wants them; they are checked and not needed. g = h unless `enable_gqa`.
    `window_size` (left, right): query i of a sequence of l queries and k keys stands at key i + k - l and sees `left`
    keys before and `right` keys after it; -1: all of them. (-1, 0) is a causal mask whose last query sees all keys.
    `alibi_slopes` (h,) or (n, h), `softcap`, `scale`, `dropout_p` and dtypes: as in scaled_dot_product_attention.
    `return_lse`: (output, lse), lse (h, t) without a gradient.
    `seqused_k` (n,): sequence i uses the first seqused_k[i] of its keys alone. `block_table` (n, pages), with
    seqused_k: key (p, r, g, e) and value (p, r, g, v) are pages of r positions, and position j of sequence i is row
    j mod r of page block_table[i, j // r]; cu_seq_k is not used. Both are for inference: no gradients.
    `num_splits`: sequences of up to 4 queries have their keys summed in so many parts, which threads share; 1 makes a
    sequence's result the same to the bit in whatever batch it is. By default as many as pay.

    Raises: ValueError for shapes, heads, offsets and pages that do not fit and for options out of their range,
    TypeError for mixed or other dtypes, RuntimeError for seqused_k where a gradient is wanted, and for pages with
    dropout.

    Source: torch.nn.attention.varlen.varlen_attn.

    >>> import numpy as np, spinetail.functional.varlen_attention as F
    >>> x = np.arange(5.0).reshape(5, 1, 1)
    >>> F.varlen_attn(x, x, x, np.array([0, 2, 5]), scale=0.0, window_size=(-1, 0)).ravel()
    array([0. , 0.5, 2. , 2.5, 3. ])
    """
    slopes, cu_q, cu_k, used, table = (
        a._array if isinstance(a, Tensor) else a for a in (alibi_slopes, cu_seq_q, cu_seq_k, seqused_k, block_table)
    )
    options = terms(False, "lower_right", None, slopes, softcap, _NAME)
    window = terms(window=window_size, name=_NAME)
    options = options._replace(left=window.left, right=window.right)
    tensors = any(isinstance(a, Tensor) for a in (query, key, value))
    q, k, v = (operand(_NAME, a) if tensors and not isinstance(a, Tensor) else a for a in (query, key, value))
    arrays = tuple(a._array if tensors else a for a in (q, k, v))
    paged = table is not None
    offsets = ops.check(*arrays, cu_q, cu_q if cu_k is None else cu_k, max_q, max_k, enable_gqa, paged)
    paging = check_paging(arrays[1], *offsets, used, table, num_splits)
    if paged and dropout_p:
        raise RuntimeError(f"[{_NAME}] block_table and dropout_p exclude each other")
    dropout = Dropout(dropout_p, *default_generator.key()) if dropout_p else None
    given = (offsets, scale, dropout, options)
    gradient = tensors and enabled() and any(a._requires_grad for a in (q, k, v))
    if gradient and used is not None:
        raise RuntimeError(f"[{_NAME}] seqused_k is for inference: use no_grad()")
    out, saved = ops.varlen_attn(*arrays, *given, gradient or return_lse, paging)
    lse = saved.lse[0] if return_lse else None
    if gradient:

        def backward(grad):
            return ops.varlen_attn_backward(grad, saved, *arrays, *given)

        # For evaluate.footprint: the lengths are not in the shapes.
        pairs = int((np.diff(offsets[0]) * np.diff(offsets[1])).sum())
        backward.macs = pairs * q._array.shape[1] * (q._array.shape[2] + v._array.shape[2])
        out = record(out, (q, k, v), backward, (q, k, v), _NAME, saved_output=True)
    elif tensors:
        out = wrap(out)
    return (out, wrap(lse.copy()) if tensors else lse) if return_lse else out
