"""scaled_dot_product_attention through both doors: gradients of every option, errors, dropout."""

from __future__ import annotations

import numpy as np
import pytest
from reference_attention import attention

import spinetail as st
from spinetail.functional.attention import scaled_dot_product_attention as attend


def tensors(*shapes, seed=0, dtype=st.float64):
    rng = np.random.default_rng(seed)
    return [st.tensor(rng.standard_normal(s), dtype=dtype, requires_grad=True) for s in shapes]


QKV = ((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3))
MASK = np.array([[True, False, True, True, False], [False] * 5, [True] * 5])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"scale": -0.7},
        {"scale": 0.0},
        {"attn_mask": MASK},
        {"attn_mask": MASK[:, :1]},
        {"attn_mask": np.where(MASK, 0.3, -np.inf)},
        {"causal": "upper_left"},
        {"causal": "lower_right"},
        {"window": 1},
        {"window": (0, 2), "attn_mask": MASK},
        {"causal": "lower_right", "window": 1},
        {"softcap": 0.8},
        {"alibi_slopes": np.array([0.5, 0.25])},
        {"softcap": 2.0, "alibi_slopes": np.array([[0.5, 0.25], [1.0, 0.0]]), "window": (2, -1)},
    ],
)
def test_gradcheck(options):
    options = {name: st.from_numpy(v) if isinstance(v, np.ndarray) else v for name, v in options.items()}
    assert st.autograd.gradcheck(lambda q, k, v: attend(q, k, v, **options), tensors(*QKV))


@pytest.mark.parametrize("shape", [(2, 2, 3, 5), (3, 5), (2, 1, 1, 5), (1, 2, 3, 1), (5,)])
def test_gradcheck_of_the_mask(shape):
    assert st.autograd.gradcheck(lambda q, k, v, m: attend(q, k, v, m, softcap=0.7), tensors(*QKV, shape))
    assert st.autograd.gradcheck(lambda q, k, v, m: attend(q, k, v, m), tensors(*QKV, shape))


def test_gradcheck_of_shared_and_broadcast_heads():
    grouped = tensors((1, 4, 3, 4), (1, 2, 5, 4), (1, 2, 5, 3))
    assert st.autograd.gradcheck(lambda q, k, v: attend(q, k, v, enable_gqa=True), grouped)
    broadcast = tensors((2, 2, 3, 4), (1, 5, 4), (2, 1, 5, 4))
    assert st.autograd.gradcheck(lambda q, k, v: attend(q, k, v), broadcast)
    assert st.autograd.gradcheck(lambda q, k, v: attend(q, k, v), tensors((3, 4), (5, 4), (5, 2)))


def test_gradcheck_of_dropout():
    def function(q, k, v):
        st.manual_seed(5)
        return attend(q, k, v, dropout_p=0.4, is_causal=True)

    assert st.autograd.gradcheck(function, tensors((1, 2, 6, 4), (1, 2, 6, 4), (1, 2, 6, 4)))


def test_gradient_of_a_fused_projection():
    """q, k and v are views of one tensor, which gets one gradient."""
    fused = tensors((2, 5, 3, 2, 4))[0]

    def function(x):
        q, k, v = (x[:, :, i].transpose(1, 2) for i in range(3))
        return attend(q, k, v, is_causal=True).transpose(1, 2).reshape(2, 5, 8)

    assert st.autograd.gradcheck(function, (fused,))


def test_only_what_requires_a_gradient_gets_one():
    q, k, v = tensors(*QKV)
    attend(q, k.detach(), v, is_causal=True).sum().backward()
    assert q.grad is not None and v.grad is not None and k.grad is None
    with st.no_grad():
        assert not attend(q, k, v).requires_grad
    mask = st.zeros(3, 5, dtype=st.float64, requires_grad=True)
    attend(q.detach(), k.detach(), v.detach(), mask).sum().backward()
    assert mask.grad.shape == (3, 5)


def test_changing_what_was_saved_raises():
    q, k, v = tensors(*QKV)
    for change in ("key", "output"):
        copy = k * 1
        out = attend(q, copy, v)
        with st.no_grad():
            (copy if change == "key" else out).mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            out.sum().backward()


def test_doors():
    q, k, v = (t.detach().numpy() for t in tensors(*QKV))
    array = attend(q, k, v)
    assert type(array) is np.ndarray
    assert np.abs(array - attention(q, k, v)[0]).max() < 1e-14
    tensor = attend(st.from_numpy(q), k, v)
    assert isinstance(tensor, st.Tensor)
    assert np.array_equal(tensor.numpy(), array)
    assert np.array_equal(attend(q, k, v, MASK), attend(st.from_numpy(q), k, v, st.from_numpy(MASK)).numpy())


def test_log_sum_exp():
    q, k, v = (t.detach() for t in tensors(*QKV))
    mask = MASK[None]
    wanted = attention(q.numpy(), k.numpy(), v.numpy(), mask)[1]
    for door in (lambda x: x.numpy(), lambda x: x, lambda x: x.clone().requires_grad_()):
        out, lse = attend(door(q), door(k), door(v), mask, return_lse=True)
        assert type(out) is type(lse)
        assert lse.shape == (2, 2, 3)
        assert not getattr(lse, "requires_grad", False)
        assert np.array_equal(
            out.detach().numpy() if isinstance(out, st.Tensor) else out, attend(q, k, v, mask).numpy()
        )
        lse = lse.numpy() if isinstance(lse, st.Tensor) else lse
        assert np.array_equal(np.isneginf(lse), np.isneginf(wanted))
        seen = np.isfinite(wanted)
        assert np.abs(lse[seen] - wanted[seen]).max() < 1e-14
    _, lse = attend(q.half(), k.half(), v.half(), return_lse=True)
    assert lse.dtype == st.float32


def test_dropout_follows_the_seed():
    q, k, v = (t.detach() for t in tensors((2, 2, 64, 8), (2, 2, 64, 8), (2, 2, 64, 8), dtype=st.float32))
    st.manual_seed(1)
    first, second = attend(q, k, v, dropout_p=0.5), attend(q, k, v, dropout_p=0.5)
    assert not st.equal(first, second)
    st.manual_seed(1)
    assert st.equal(first, attend(q, k, v, dropout_p=0.5))
    assert not attend(q, k, v, dropout_p=1.0).any()
    average = sum(attend(q, k, v, dropout_p=0.5) for _ in range(300)) / 300
    assert (average - attend(q, k, v)).abs().mean() < 0.02


@pytest.mark.parametrize(
    ("shapes", "options", "error", "message"),
    [
        (((2, 3, 4), (2, 5, 6), (2, 5, 6)), {}, ValueError, "query has width 4, but key has width 6"),
        (((2, 3, 4), (2, 5, 4), (2, 6, 4)), {}, ValueError, "key has 5 rows, but value has 6"),
        (((4,), (5, 4), (5, 4)), {}, ValueError, r"query must have shape \(..., length, width\), got \(4,\)"),
        (((2, 3, 4), (3, 5, 4), (3, 5, 4)), {}, RuntimeError, "leading axes do not fit"),
        (((1, 4, 3, 4), (1, 2, 5, 4), (1, 2, 5, 4)), {}, RuntimeError, "key has 2: pass enable_gqa=True"),
        (((1, 4, 3, 4), (1, 3, 5, 4), (1, 3, 5, 4)), {"enable_gqa": True}, RuntimeError, "query has 4 heads, key 3"),
        (((1, 4, 3, 4), (1, 2, 5, 4), (1, 4, 5, 4)), {"enable_gqa": True}, RuntimeError, "key 2 and value 4"),
        (((3, 4), (5, 4), (5, 4)), {"attn_mask": np.ones((5, 3), bool)}, ValueError, r"\(5, 3\) does not .* \(3, 5\)"),
        (((3, 4), (5, 4), (5, 4)), {"attn_mask": np.ones((2, 3, 5), bool)}, ValueError, "does not broadcast"),
        (((3, 4), (5, 4), (5, 4)), {"attn_mask": np.ones((3, 5), np.int64)}, TypeError, "attn_mask must be bool"),
        (((3, 4), (5, 4), (5, 4)), {"attn_mask": np.ones((3, 5), np.float32)}, TypeError, "attn_mask must be bool"),
        (((3, 4),) * 3, {"attn_mask": np.ones((3, 3), bool), "is_causal": True}, RuntimeError, "exclude each other"),
        (((3, 4), (3, 4), (3, 4)), {"dropout_p": 1.5}, ValueError, "between 0 and 1"),
        (((3, 4),) * 3, {"causal": "left"}, ValueError, "causal must be"),
        (((3, 4),) * 3, {"causal": "upper_left", "is_causal": True}, RuntimeError, "exclude each other"),
        (((3, 4),) * 3, {"window": -2}, ValueError, "window must be at least 0"),
        (((3, 4),) * 3, {"window": (1, 2, 3)}, TypeError, "window must be an integer or two"),
        (((3, 4),) * 3, {"window": 1.5}, TypeError, "window must be an integer or two"),
        (((3, 4),) * 3, {"softcap": 0.0}, ValueError, "softcap must be positive"),
        (((3, 4),) * 3, {"softcap": np.nan}, ValueError, "softcap must be positive"),
        (((2, 3, 4),) * 3, {"alibi_slopes": np.ones(3)}, ValueError, r"\(3,\) does not broadcast"),
        (((2, 3, 4),) * 3, {"alibi_slopes": np.ones(2, int)}, TypeError, "alibi_slopes must be floating point"),
    ],
)  # fmt: skip
def test_bad_input(shapes, options, error, message):
    arrays = [np.ones(s) for s in shapes]
    for door in (lambda x: x, st.from_numpy):
        given = {n: door(v) if isinstance(v, np.ndarray) else v for n, v in options.items()}
        with pytest.raises(error, match=r"\[scaled_dot_product_attention\].*" + message):
            attend(*map(door, arrays), **given)


def test_bad_kinds():
    x = np.ones((3, 4))
    for bad in (np.ones((3, 4), int), np.ones((3, 4), complex), np.full((3, 4), None), x.astype(np.float32)):
        for arguments in ((x, bad, x), (x, x, bad)):
            with pytest.raises(TypeError, match="scaled_dot_product_attention"):
                attend(*arguments)
    for bad in (np.ma.masked_array(x, x > 0), [[1.0]], None):
        with pytest.raises(TypeError, match=r"must be a numpy\.ndarray"):
            attend(bad, x, x)
    with pytest.raises(TypeError):
        attend(st.from_numpy(x), [[1.0]], x)
