"""Packed sequences that use the first of their keys, or pages of a pool."""

from __future__ import annotations

import numpy as np
import pytest
from reference_attention import assert_near, attention

import spinetail as st
from spinetail.functional.varlen_attention import varlen_attn

QUERIES = (1, 60, 4, 0, 1, 3)
USED = (700, 131, 9, 5, 0, 1025)
PAGE = 16


def operands(dtype=np.float32, page=PAGE, heads=4, groups=2, width=24, values=17):
    rng = np.random.default_rng(0)
    most = -(-max(USED) // page)
    pool = most * len(USED)
    table = rng.permutation(pool).reshape(len(USED), most).astype(np.int32)
    q = rng.standard_normal((sum(QUERIES), heads, width)).astype(dtype)
    k, v = (rng.standard_normal((pool, page, groups, n)).astype(dtype) for n in (width, values))
    return q, k, v, np.cumsum([0, *QUERIES]), np.array(USED), table


def expected(q, k, v, cu_q, used, table, causal):
    parts = []
    for i, n in enumerate(used):
        own = q[cu_q[i] : cu_q[i + 1]].swapaxes(0, 1)
        keys, values = (a[table[i]].reshape(-1, *a.shape[2:])[:n].swapaxes(0, 1) for a in (k, v))
        parts.append(attention(own, keys, values, causal="lower_right" if causal else False, gqa=True)[0])
    return np.concatenate(parts, 1).swapaxes(0, 1)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("page", [1, 16, 100, 256])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pages(dtype, page, causal):
    q, k, v, cu_q, used, table = operands(dtype, page)
    options = {"window_size": (-1, 0 if causal else -1), "enable_gqa": True, "seqused_k": used, "block_table": table}
    # Nobody reads pages and rows that are not in use.
    wanted = expected(q, k, v, cu_q, used, table, causal)
    for i, n in enumerate(used):
        for a in (k, v):
            own = a[table[i]]
            own.reshape(-1, *a.shape[2:])[n:] = np.nan
            a[table[i]] = own
    found = []
    for threads in (1, 2, 5):
        st.set_num_threads(threads)
        found.append(varlen_attn(q, k, v, cu_q, None, 60, 2000, **options))
    assert_near(found[0], wanted, dtype, 1 if page > 1 else 4)  # each page is a block of its own
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


def test_the_first_keys_of_each():
    q, k, v, cu_q, used, table = operands()
    room = used + np.array([0, 7, 1, 3, 2, 0])
    cu_k = np.cumsum([0, *room])
    keys, values = (
        np.concatenate([a[row].reshape(-1, *a.shape[2:])[:n] for row, n in zip(table, room, strict=True)])
        for a in (k, v)
    )
    out = varlen_attn(q, keys, values, cu_q, cu_k, window_size=(-1, 0), enable_gqa=True, seqused_k=used)
    assert_near(out, expected(q, k, v, cu_q, used, table, True), np.float32)


def test_one_part_is_the_same_in_any_batch():
    q, k, v, cu_q, used, table = operands()
    options = {"enable_gqa": True, "num_splits": 1}
    whole = varlen_attn(q, k, v, cu_q, seqused_k=used, block_table=table, **options)
    for i in range(len(used)):
        own = slice(cu_q[i], cu_q[i + 1])
        alone = varlen_attn(
            q[own], k, v, np.array([0, QUERIES[i]]), seqused_k=used[i : i + 1], block_table=table[i : i + 1], **options
        )
        assert alone.tobytes() == whole[own].tobytes()
    parts = varlen_attn(q, k, v, cu_q, seqused_k=used, block_table=table, enable_gqa=True, num_splits=3)
    assert_near(parts, whole.astype(np.float64), np.float32)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"seqused_k": None}, ValueError, "block_table needs seqused_k"),
        ({"seqused_k": np.array(USED[:-1])}, ValueError, r"seqused_k must have shape \(6\)"),
        ({"seqused_k": np.array(USED) * 1.0}, TypeError, "seqused_k must be integer"),
        ({"seqused_k": -np.array(USED)}, ValueError, "expected seqused_k from 0"),
        ({"seqused_k": np.array(USED) + 20}, ValueError, "expected seqused_k from 0"),
        ({"block_table": np.zeros((6, 2, 1), np.int32)}, ValueError, r"block_table must have shape \(6, n\)"),
        ({"block_table": np.full((6, 65), -1)}, ValueError, "expected pages from 0"),
        ({"block_table": np.full((6, 65), 2**33)}, ValueError, "block_table is out of range"),
        ({"block_table": [[0]]}, TypeError, "block_table must be a numpy.ndarray"),
        ({"num_splits": 0}, ValueError, "num_splits must be at least 1"),
        ({"num_splits": 1.5}, TypeError, "num_splits must be an integer"),
        ({"dropout_p": 0.5}, RuntimeError, "exclude each other"),
    ],
)
def test_errors(change, error, words):
    q, k, v, cu_q, used, table = operands()
    with pytest.raises(error, match=words):
        varlen_attn(q, k, v, cu_q, enable_gqa=True, **{"seqused_k": used, "block_table": table, **change})


def test_no_gradient():
    q, k, v, cu_q, used, table = operands()
    tensor = st.tensor(q, requires_grad=True)
    options = {"enable_gqa": True, "seqused_k": used, "block_table": table}
    with pytest.raises(RuntimeError, match="for inference"):
        varlen_attn(tensor, k, v, cu_q, **options)
    with st.no_grad():
        assert varlen_attn(tensor, k, v, cu_q, **options).shape == (sum(QUERIES), 4, 17)
