"""Attention to keys and values as a cache stores them, against float64 with the stored numbers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from reference_attention import assert_near, attention

import spinetail as st
from spinetail.nn import KVCache

STORED = ["float32", "float64", "float16", "bfloat16", "int8"]
# Batch, heads, keys' heads, queries, keys, widths.
SIZES = [
    (2, 4, 2, 1, 900, 64, 64),
    (1, 6, 2, 3, 200, 40, 24),
    (2, 4, 4, 9, 130, 33, 17),
    (1, 14, 2, 1, 1100, 128, 128),
    (1, 3, 3, 1, 3000, 16, 80),
    (1, 3, 1, 2, 2, 5, 3),
    (1, 5, 1, 200, 333, 64, 48),
]


def filled(dtype, sizes, seed=0):
    batch, heads, groups, queries, keys, width, values = sizes
    rng = np.random.default_rng(seed)
    computed = dtype if dtype in ("float16", "float64") else "float32"
    cache = KVCache(batch, groups, width, values, dtype=dtype, page_size=64)
    cache.append(*(rng.standard_normal((batch, groups, keys, n)).astype(computed) for n in (width, values)))
    query = rng.standard_normal((batch, heads, queries, width))
    return cache, query.astype("float64" if dtype == "float64" else "float32")


@pytest.mark.parametrize("options", [{}, {"is_causal": False}, {"window": 70}, {"softcap": 3.0, "alibi_slopes": True}])
@pytest.mark.parametrize("dtype", STORED)
def test_against_the_stored_numbers(dtype, options):
    for seed, sizes in enumerate(SIZES):
        cache, query = filled(dtype, sizes, seed)
        slopes = np.linspace(0.01, 0.3, sizes[1]).astype(query.dtype)
        given = options | ({"alibi_slopes": slopes} if "alibi_slopes" in options else {})
        out = cache.attend(query, **given)
        window = {"window": (70, 70)} if "window" in options else {}
        if window:  # the reference counts windows from the first key
            distance = np.arange(sizes[4]) - np.arange(sizes[3])[:, None] - (sizes[4] - sizes[3])
            window = {"mask": np.abs(distance) <= 70}
        terms = {"softcap": options.get("softcap"), "slopes": slopes if "alibi_slopes" in options else None}
        causal = "lower_right" if options.get("is_causal", True) else False
        wanted, _ = attention(
            query, cache.keys.numpy(), cache.values.numpy(), causal=causal, gqa=True, **terms, **window
        )
        assert_near(out, wanted, query.dtype)


@pytest.mark.parametrize("dtype", STORED)
@pytest.mark.parametrize("kind", ["bool", "additive"])
def test_masks(dtype, kind):
    rng = np.random.default_rng(3)
    for sizes in SIZES:
        cache, query = filled(dtype, sizes)
        mask = rng.standard_normal((sizes[3], sizes[4]))
        mask = mask > -0.5 if kind == "bool" else mask.astype(query.dtype)
        out = cache.attend(query, attn_mask=mask, is_causal=False)
        assert_near(out, attention(query, cache.keys.numpy(), cache.values.numpy(), mask, gqa=True)[0], query.dtype)


@pytest.mark.parametrize("dtype", STORED)
def test_same_bits_for_any_number_of_threads(dtype):
    for sizes in SIZES:
        cache, query = filled(dtype, sizes)
        results = []
        for threads in (1, 2, 5):
            st.set_num_threads(threads)
            results.append(cache.attend(query).tobytes())
        assert results[0] == results[1] == results[2]


def test_narrow_queries_and_appended_positions():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for stored in STORED[2:]:
        for dtype in (np.float16, ml_dtypes.bfloat16):
            cache, query = filled(stored, SIZES[1])
            out = cache.attend(query.astype(dtype))
            assert out.dtype == dtype
            assert np.array_equal(out, cache.attend(query.astype(dtype).astype(np.float32)).astype(dtype))
    cache = KVCache(1, 2, 4)
    key = np.ones((1, 2, 3, 4), np.float32)
    found = cache.attend(st.tensor(key), st.tensor(key), st.tensor(key))
    assert isinstance(found, st.Tensor) and cache.length == 3
    assert_near(found.numpy(), key.astype(np.float64), np.float32)
    assert not KVCache(1, 2, 4).attend(key).any()


def test_a_hidden_key_is_never_read():
    for dtype in ("float32", "bfloat16"):
        cache, query = filled(dtype, SIZES[1])
        clean = cache.attend(query, window=(60, 0))
        for store in cache._stores:
            store.numbers[:, :, 20:100] = np.nan
        assert np.array_equal(cache.attend(query, window=(60, 0)), clean)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda c, q: c.attend(q[0]), ValueError, "expected query of shape"),
        (lambda c, q: c.attend(q[:, :3]), ValueError, "a multiple of 2"),
        (lambda c, q: c.attend(q[..., :3]), ValueError, "expected query of shape"),
        (lambda c, q: c.attend(q.astype(np.float64)), TypeError, "does not go with"),
        (lambda c, q: c.attend(q.tolist()), TypeError, "list"),
        (lambda c, q: c.attend(q, q), ValueError, "both key and value"),
        (lambda c, q: c.attend(q, attn_mask=np.ones((3, 3), bool)), ValueError, "does not broadcast"),
        (lambda c, q: c.attend(q, attn_mask=np.ones((3, 200), int)), TypeError, "attn_mask must be bool"),
        (lambda c, q: c.attend(st.tensor(q, requires_grad=True)), RuntimeError, "no_grad"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_errors(dtype, call, error, words):
    with pytest.raises(error, match=words):
        call(*filled(dtype, SIZES[1]))


CONTRACT = """
import numpy as np
from spinetail._native import kernels
f, b = np.float32, np.int8
q, k, s = np.ones((2, 4, 1, 8), f), np.ones((2, 2, 5, 8), b), np.ones((2, 2, 5), f)
def call(q=q, k=k, v=k, ks=s, vs=s, offsets=None, lengths=None, table=None, dropout=0.0):
    out = np.empty((*q.shape[:3], v.shape[3]), q.dtype)
    kernels.attention_forward(
        out, None, q, k, v, None, None, offsets, None, lengths, table, ks, vs, 1.0, 0.0, dropout, (-1, -1, 0, 0, 0)
    )
call()
wide = np.ones((2, 2, 5, 8), f)
call(k=wide, v=wide, ks=None, vs=None)
wrong = [
    dict(ks=None), dict(vs=None), dict(ks=s[:, :1]), dict(ks=s[..., :4]), dict(vs=s[0]), dict(vs=s.astype("f8")),
    dict(ks=np.ones((2, 2, 10), f)[..., ::2]), dict(v=wide), dict(k=wide), dict(k=wide, v=wide),
    dict(q=q.astype(b)), dict(q=q.astype("f8")), dict(q=q.astype("f8"), k=wide, v=wide, ks=None, vs=None),
    dict(lengths=np.array([5, 5])), dict(table=np.zeros((2, 1), "i4")),
]
packed = dict(q=q[:1], k=k, v=k, ks=s, vs=s, offsets=np.array([0, 1]), lengths=np.array([7]),
              table=np.array([[1, 0]], "i4"))
call(**packed)
wrong += [packed | each for each in (
    dict(lengths=None), dict(lengths=np.array([11])), dict(lengths=np.array([-1])),
    dict(table=np.array([[1, 2]], "i4")),
    dict(table=np.array([[-1, 0]], "i4")), dict(table=np.array([[1, 0]])), dict(table=np.array([1, 0], "i4")),
    dict(table=np.array([[1, 0, 0, 0]], "i4")[:, ::2]), dict(dropout=0.5), dict(table=None), dict(ks=s[:1]),
)]
for each in wrong:
    try:
        call(**each)
    except (TypeError, ValueError) as error:
        assert str(error).startswith("[attention_forward] argument"), error
    else:
        raise SystemExit(f"accepted: {each}")
"""


def test_the_kernel_refuses_what_does_not_go_together():
    done = subprocess.run([sys.executable, "-c", CONTRACT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
