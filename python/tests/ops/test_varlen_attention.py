"""Packed sequences: each is what it is alone, bit for bit, and what PyTorch's names promise."""

from __future__ import annotations

import numpy as np
import pytest
from reference_attention import assert_near, attention, attention_backward

import spinetail as st
from spinetail.functional.varlen_attention import varlen_attn
from spinetail.ops import attention as ops
from spinetail.ops import attention_terms as asked
from spinetail.ops import varlen_attention as packed

DTYPES = [np.float32, np.float64]
# Lengths of queries and of keys; the third goes through keys without tiles.
LENGTHS = [
    ((5, 0, 70, 131, 1), (5, 3, 300, 131, 0)),
    ((49,), (200,)),
    ((1, 4, 0, 2), (700, 1300, 5, 0)),
    ((0, 0), (4, 0)),
    ((), ()),
]
OPTIONS = [
    {},
    {"window": (-1, 0)},
    {"window": (30, 5)},
    {"softcap": 2.0, "slopes": True, "window": (-1, 0)},
]


def operands(lengths, dtype, heads=4, groups=2, width=20, values=17, seed=0):
    rng = np.random.default_rng(seed)
    q_offsets, k_offsets = (np.cumsum([0, *n]) for n in lengths)
    t, s = q_offsets[-1], k_offsets[-1]
    shapes = ((t, heads, width), (s, groups, width), (s, groups, values), (t, heads, values))
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes], q_offsets, k_offsets


def make_terms(window=(-1, -1), softcap=None, slopes=None):
    return asked.terms(False, None, window, slopes, softcap)._replace(lower_right=True)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_against_each_sequence_alone(dtype, options):
    for seed, lengths in enumerate(LENGTHS):
        (q, k, v, grad), q_offsets, k_offsets = operands(lengths, dtype, seed=seed)
        rng = np.random.default_rng(seed)
        slopes = rng.random((len(lengths[0]), 4)).astype(dtype) if "slopes" in options else None
        terms = make_terms(**options | ({"slopes": slopes} if slopes is not None else {}))
        out, saved = packed.varlen_attn(q, k, v, (q_offsets, k_offsets), None, None, terms, True)
        assert out.shape == grad.shape
        grads = packed.varlen_attn_backward(grad, saved, q, k, v, (q_offsets, k_offsets), None, None, terms)
        for i in range(len(lengths[0])):
            rows, keys = slice(*q_offsets[i : i + 2]), slice(*k_offsets[i : i + 2])
            own = [x.swapaxes(0, 1)[None].astype(float) for x in (q[rows], k[keys], v[keys])]
            reference = {
                "causal": "lower_right" if options.get("window") == (-1, 0) else False,
                "slopes": None if slopes is None else slopes[i],
                "softcap": options.get("softcap"),
                "gqa": True,
            }
            if options.get("window") == (30, 5):  # the reference counts windows from the first key
                own_shift = lengths[1][i] - lengths[0][i]
                distance = np.arange(lengths[1][i]) - np.arange(lengths[0][i])[:, None] - own_shift
                reference["mask"] = (distance >= -30) & (distance <= 5)
            expected, lse = attention(*own, **reference)
            assert_near(out[rows], expected[0].swapaxes(0, 1), dtype)
            seen = np.isfinite(lse[0])
            assert_near(saved.lse[0][:, rows][seen], lse[0][seen], dtype, 2)
            wanted = attention_backward(grad[rows].swapaxes(0, 1)[None], *own, **reference)
            for result, gradient, part in zip(grads, wanted, (rows, keys, keys), strict=False):
                assert_near(result[part], gradient[0].swapaxes(0, 1), dtype, 8)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_same_numbers_as_alone(dtype, options):
    for lengths in LENGTHS[:2]:
        (q, k, v, grad), q_offsets, k_offsets = operands(lengths, dtype)
        slopes = np.linspace(0.1, 0.7, 4).astype(dtype) if "slopes" in options else None
        terms = make_terms(**options | ({"slopes": slopes} if slopes is not None else {}))
        offsets = (q_offsets, k_offsets)
        out, saved = packed.varlen_attn(q, k, v, offsets, None, None, terms, True)
        grads = packed.varlen_attn_backward(grad, saved, q, k, v, offsets, None, None, terms)
        for i, (rows, keys) in enumerate(zip(*lengths, strict=True)):
            at, of = slice(*q_offsets[i : i + 2]), slice(*k_offsets[i : i + 2])
            own = [x.swapaxes(0, 1) for x in (q[at], k[of], v[of], grad[at])]
            alone, own_saved = ops.scaled_dot_product_attention_forward(*own[:3], enable_gqa=True, terms=terms)
            assert_near(out[at], alone.swapaxes(0, 1).astype(float), dtype)
            if rows > 4:
                assert np.array_equal(out[at], alone.swapaxes(0, 1))
            own_grads = ops.scaled_dot_product_attention_backward(
                own[3], own_saved, *own[:3], enable_gqa=True, terms=terms
            )
            for result, gradient, part in zip(grads, own_grads, (at, of, of), strict=False):
                assert_near(result[part], gradient.swapaxes(0, 1).astype(float), dtype, 4)
            assert keys or not out[at].any()


def test_same_bits_for_any_number_of_threads():
    for lengths in (LENGTHS[0], LENGTHS[2], ((3, 300), (900, 500))):
        (q, k, v, grad), *offsets = operands(lengths, np.float32)
        for dropout in (None, ops.Dropout(0.3, 5, 6)):
            results = []
            for threads in (1, 2, 5):
                st.set_num_threads(threads)
                out, saved = packed.varlen_attn(q, k, v, offsets, None, dropout, make_terms((100, 0)), True)
                grads = packed.varlen_attn_backward(grad, saved, q, k, v, offsets, None, dropout, make_terms((100, 0)))
                results.append([a.tobytes() for a in (out, saved.lse, *grads)])
            assert results[0] == results[1] == results[2]


def test_sequences_do_not_see_each_other():
    (q, k, v, grad), *offsets = operands(((60, 3, 50), (70, 9, 140)), np.float32)
    clean, saved = packed.varlen_attn(q, k, v, offsets, None, None, make_terms(), True)
    for array in (k, v):
        array[75] = np.nan
    out, saved = packed.varlen_attn(q, k, v, offsets, None, None, make_terms(), True)
    assert np.isnan(out[60:63]).all()
    for part in (slice(0, 60), slice(63, None)):
        assert np.array_equal(out[part], clean[part])
    dq, dk, dv = packed.varlen_attn_backward(grad, saved, q, k, v, offsets, None, None, make_terms())
    assert np.isfinite(dq[:60]).all() and np.isfinite(dq[63:]).all()
    for gradient in (dk, dv):
        assert np.isfinite(gradient[:70]).all() and np.isfinite(gradient[79:]).all()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"window_size": (-1, 0)},
        {"window_size": (1, 1), "softcap": 0.9},
        {"alibi_slopes": np.array([0.3, 0.6]), "scale": 0.4},
        {"dropout_p": 0.4},
    ],
)
def test_gradcheck(options):
    (q, k, v, _), cu_q, cu_k = operands(((2, 0, 3, 6), (2, 1, 4, 5)), np.float64, heads=2, groups=1, width=4, values=3)
    tensors = [st.tensor(a, requires_grad=True) for a in (q, k, v)]

    def function(q, k, v):
        st.manual_seed(3)
        return varlen_attn(q, k, v, st.from_numpy(cu_q), st.from_numpy(cu_k), 6, 5, enable_gqa=True, **options)

    assert st.autograd.gradcheck(function, tensors)


def test_doors_and_halves():
    (q, k, v, _), cu_q, _ = operands(((4, 9), (4, 9)), np.float32, groups=4)
    array, lse = varlen_attn(q, k, v, cu_q.astype(np.int32), return_lse=True)
    tensor, tensor_lse = varlen_attn(*map(st.from_numpy, (q, k, v)), st.from_numpy(cu_q), return_lse=True)
    assert np.array_equal(array, tensor.numpy())
    assert np.array_equal(lse, tensor_lse.numpy())
    assert lse.shape == (4, 13)
    half = varlen_attn(*(x.astype(np.float16) for x in (q, k, v)), cu_q)
    assert half.dtype == np.float16
    assert np.abs(half - array).max() < 5e-3
    halves = [st.tensor(x, dtype=st.bfloat16, requires_grad=True) for x in (q, k, v)]
    varlen_attn(*halves, cu_q).sum().backward()
    assert halves[0].grad.dtype == st.bfloat16


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"cu_seq_q": [0, 3]}, ValueError, "cu_seq_q must rise from 0 to the number of tokens, 5"),
        ({"cu_seq_q": [1, 5]}, ValueError, "cu_seq_q must rise"),
        ({"cu_seq_q": [0, 6, 5]}, ValueError, "cu_seq_q must rise"),
        ({"cu_seq_q": [0.0, 5.0]}, TypeError, "cu_seq_q must be integer"),
        ({"cu_seq_q": [[0, 5]]}, ValueError, r"cu_seq_q must have shape \(sequences \+ 1,\)"),
        ({"cu_seq_q": [0, 2, 5], "cu_seq_k": [0, 6]}, ValueError, "cu_seq_q has 2 sequences, but cu_seq_k has 1"),
        ({"cu_seq_q": [0, 5], "max_q": 4}, ValueError, "the longest sequence of cu_seq_q has 5 tokens"),
        ({"enable_gqa": False}, ValueError, "pass enable_gqa=True"),
        ({"window_size": (-3, 0)}, ValueError, r"\[varlen_attn\] window must be"),
        ({"alibi_slopes": np.ones(3)}, ValueError, "does not broadcast"),
        ({"key": np.ones((6, 2, 5))}, ValueError, "do not fit"),
        ({"key": np.ones((6, 2))}, ValueError, "must have shape"),
        ({"key": np.ones((6, 2, 4), np.float32)}, TypeError, "one dtype"),
        ({"key": [[[1.0]]]}, TypeError, r"must be a numpy\.ndarray"),
    ],
)
def test_bad_input(change, error, message):
    given = {
        "query": np.ones((5, 4, 4)),
        "key": np.ones((6, 2, 4)),
        "value": np.ones((6, 2, 3)),
        "cu_seq_q": [0, 5],
        "cu_seq_k": [0, 6],
        "enable_gqa": True,
    } | change
    given |= {name: np.array(given[name]) for name in ("cu_seq_q", "cu_seq_k")}
    with pytest.raises(error, match=message):
        varlen_attn(**given)
