"""bfloat16 and float16 arrays: computed in float32 as their widened copies are, rounded once."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
import reference_attention as reference

from spinetail.ops import attention as ops
from spinetail.ops import attention_terms as asked
from spinetail.ops import varlen_attention as packed

ml_dtypes = pytest.importorskip("ml_dtypes")
HALVES = [np.float16, ml_dtypes.bfloat16]
SIZES = [
    (1, 2, 1, 50, 131, 33, 17),
    (2, 4, 2, 97, 97, 16, 16),
    (1, 2, 2, 130, 300, 64, 80),
    (1, 2, 1, 3, 700, 24, 20),
    (1, 4, 2, 1, 1500, 64, 64),
    (1, 1, 1, 7, 5, 3, 1),
    (1, 4, 1, 330, 300, 24, 40),
]


def operands(sizes, dtype):
    rng = np.random.default_rng(1)
    batch, heads, groups, queries, keys, width, values = sizes
    shapes = ((heads, queries, width), (groups, keys, width), (groups, keys, values))
    return [rng.standard_normal((batch, *shape)).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("kind", ["none", "bool", "float", "band"])
@pytest.mark.parametrize("dtype", HALVES)
def test_the_rounded_result_of_float32(dtype, kind):
    rng = np.random.default_rng(2)
    for sizes in SIZES:
        q, k, v = operands(sizes, dtype)
        terms, mask = asked.terms(), None
        if kind == "band":
            slopes = np.linspace(0.1, 0.6, sizes[1]).astype(dtype)
            terms = asked.terms(False, "lower_right", 40, slopes, 4.0)
        elif kind != "none":
            mask = rng.standard_normal((sizes[3], sizes[4])).astype(dtype)
            mask = mask > -0.5 if kind == "bool" else mask
        out, saved = ops.scaled_dot_product_attention_forward(q, k, v, mask, enable_gqa=True, terms=terms)
        wide = [a if a is None or a.dtype == bool else a.astype(np.float32) for a in (q, k, v, mask)]
        wanted, same = ops.scaled_dot_product_attention_forward(*wide, enable_gqa=True, terms=terms)
        assert out.dtype == dtype
        assert np.array_equal(out, wanted.astype(dtype))
        assert saved.lse.dtype == np.float32
        assert np.array_equal(saved.lse, same.lse)
        grads = ops.scaled_dot_product_attention_backward(
            out, saved, q, k, v, mask, enable_gqa=True, terms=terms, mask_gradient=kind == "float"
        )
        wanted = ops.scaled_dot_product_attention_backward(
            wanted, same, *wide, enable_gqa=True, terms=terms, mask_gradient=kind == "float"
        )
        for result, gradient in zip(grads, wanted, strict=True):
            if gradient is not None:
                assert result.dtype == dtype
                size = np.abs(gradient).max(initial=1)
                assert np.abs(result.astype(np.float32) - gradient).max(initial=0) < 0.03 * size


@pytest.mark.parametrize("dtype", HALVES)
def test_strides(dtype):
    rng = np.random.default_rng(5)
    fused = rng.standard_normal((2, 70, 3, 4, 24)).astype(dtype)
    q, k, v = (fused[:, :, i].swapaxes(1, 2) for i in range(3))
    wanted = ops.scaled_dot_product_attention(*(a.copy() for a in (q, k, v)), is_causal=True)
    assert np.array_equal(wanted, ops.scaled_dot_product_attention(q, k, v, is_causal=True))
    back = (q[..., ::-1], k[..., ::-1], v)
    one = ops.scaled_dot_product_attention(*back)
    assert np.array_equal(one, ops.scaled_dot_product_attention(*(a.copy() for a in back)))


@pytest.mark.parametrize("dtype", HALVES)
def test_packed(dtype):
    rng = np.random.default_rng(6)
    for lengths in (((5, 70, 131), (9, 300, 131)), ((1, 3), (700, 900))):
        offsets = [np.cumsum([0, *n]) for n in lengths]
        q, k, v = (rng.standard_normal((n, 2, 20)).astype(dtype) for n in (offsets[0][-1], *[offsets[1][-1]] * 2))
        out, _ = packed.varlen_attn(q, k, v, offsets, None, None, asked.terms())
        wide, _ = packed.varlen_attn(*(a.astype(np.float32) for a in (q, k, v)), offsets, None, None, asked.terms())
        assert np.array_equal(out, wide.astype(dtype))


@pytest.mark.parametrize("dtype", HALVES)
def test_hidden_keys_do_not_leak(dtype):
    for queries, position in itertools.product((1, 90), (0, 20, 63, 64, 127, 128, 149)):
        q, k, v = operands((1, 1, 1, queries, 150, 8, 8), dtype)
        terms = asked.terms(window=(20, 11))
        clean = ops.scaled_dot_product_attention(q, k, v, terms=terms)
        v[..., position, :] = np.nan
        rows = np.arange(queries)
        unseen = (position < rows - 20) | (position > rows + 11)
        out = ops.scaled_dot_product_attention(q, k, v, terms=terms)
        assert np.array_equal(out[0, 0, unseen], clean[0, 0, unseen])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", HALVES)
def test_gradients_of_the_reference(dtype, causal):
    for sizes in [*SIZES, (1, 2, 1, 400, 390, 64, 64), (1, 14, 14, 130, 130, 40, 33)]:
        q, k, v = operands(sizes, dtype)
        grad = np.random.default_rng(3).standard_normal((*q.shape[:3], v.shape[3])).astype(dtype)
        saved = ops.scaled_dot_product_attention_forward(q, k, v, None, causal, enable_gqa=True)[1]
        grads = ops.scaled_dot_product_attention_backward(grad, saved, q, k, v, None, causal, enable_gqa=True)[:3]
        wanted = reference.attention_backward(grad, q, k, v, causal=causal, gqa=True)
        for result, gradient in zip(grads, wanted, strict=False):
            assert result.dtype == dtype
            # The output that the pass begins with is rounded, and so is the result.
            rounding = float(ml_dtypes.finfo(dtype).eps)
            assert np.abs(result.astype(np.float64) - gradient).max() <= 2 * rounding * np.abs(gradient).max(initial=1)


@pytest.mark.parametrize("dtype", HALVES)
def test_gradients_without_wide_copies(dtype):
    q, k, v = operands((1, 2, 2, 2000, 2000, 64, 64), dtype)
    saved = ops.scaled_dot_product_attention_forward(q, k, v)[1]
    tracemalloc.start()
    try:
        grads = ops.scaled_dot_product_attention_backward(saved.output, saved, q, k, v)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < sum(g.nbytes for g in grads[:3]) + 100_000


@pytest.mark.parametrize("dtype", HALVES)
def test_packed_gradients(dtype):
    rng = np.random.default_rng(7)
    offsets = [np.cumsum([0, 5, 70, 0, 331]), np.cumsum([0, 9, 300, 4, 131])]
    q, k, v = (rng.standard_normal((n, 2, 20)).astype(dtype) for n in (offsets[0][-1], *[offsets[1][-1]] * 2))
    wide = [a.astype(np.float32) for a in (q, k, v)]
    out, saved = packed.varlen_attn(q, k, v, offsets, None, None, asked.terms(), True)
    same = ops.Saved(saved.output.astype(np.float32), saved.lse)
    grads = packed.varlen_attn_backward(out, saved, q, k, v, offsets, None, None, asked.terms())
    wanted = packed.varlen_attn_backward(out.astype(np.float32), same, *wide, offsets, None, None, asked.terms())
    assert all(np.array_equal(g, w.astype(dtype)) for g, w in zip(grads, wanted, strict=True))
