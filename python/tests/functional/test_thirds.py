"""The parts of a fused projection: views, and gradients that are joined without a copy where attention made them so."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
from spinetail.functional.thirds import _whole, thirds
from spinetail.ops import attention as ops

attend = st.nn.functional.scaled_dot_product_attention


@pytest.mark.parametrize("first", [True, False])
def test_gradients_of_attention_are_one_array(first):
    fused = np.random.default_rng(0).standard_normal((4, 6, 3 * 2 * 5))
    axes = (0, 2, 1, 3) if first else (1, 2, 0, 3)
    q, k, v = (fused[..., i * 10 : i * 10 + 10].reshape(4, 6, 2, 5).transpose(axes) for i in range(3))
    out, saved = ops.scaled_dot_product_attention_forward(q, k, v, is_causal=True)
    found = ops.scaled_dot_product_attention_backward(out, saved, q, k, v, is_causal=True)
    copies = [np.ascontiguousarray(x) for x in (q, k, v)]
    expected = ops.scaled_dot_product_attention_backward(out, saved, *copies, is_causal=True)
    back = np.argsort(axes)
    parts = [grad.transpose(back).reshape(4, 6, 10) for grad in found[:3]]
    whole = _whole(parts, fused.shape)
    assert whole is not None and np.shares_memory(whole, parts[0])
    np.testing.assert_array_equal(whole, np.concatenate(parts, -1))
    for grad, other in zip(found[:3], expected[:3], strict=True):
        np.testing.assert_array_equal(grad, other)
    assert _whole([parts[1], parts[0], parts[2]], fused.shape) is None
    assert _whole([parts[0].copy(), *parts[1:]], fused.shape) is None
    assert _whole([None, *parts[1:]], fused.shape) is None


@pytest.mark.parametrize("used", ["qkv", "qk", "v", "swapped", "twice"])
def test_gradcheck(used):
    def function(x):
        q, k, v = (part.reshape(2, 3, 2, 2).transpose(1, 2) for part in thirds(x))
        if used == "qk":
            return q * k
        if used == "v":
            return v.square()
        if used == "swapped":
            return attend(v, q, k)
        y = attend(q, k, v, is_causal=True)
        return y + attend(q, q, v) if used == "twice" else y

    x = st.tensor(np.random.default_rng(1).standard_normal((2, 3, 12)), requires_grad=True)
    assert st.autograd.gradcheck(function, (x,))
    with st.no_grad():
        assert all(np.shares_memory(part.numpy(), x.detach().numpy()) for part in thirds(x))
