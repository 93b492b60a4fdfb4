"""MultiheadAttention beyond the golden values: lost queries, agreement of its two ways, modes, bad input."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
import spinetail.nn as nn


def attention(*args, **kwargs):
    st.manual_seed(0)
    module = nn.MultiheadAttention(*args, **kwargs).double()
    nn.init.normal_(module.out_proj.bias)
    return module


@pytest.mark.parametrize("way", ["bool", "numbers", "padding"])
@pytest.mark.parametrize("need_weights", [True, False])
def test_a_query_that_may_attend_to_nothing(way, need_weights):
    module = attention(4, 2, batch_first=True)
    x = st.randn(2, 3, 4, dtype=st.float64, requires_grad=True)
    key = st.randn(2, 5, 4, dtype=st.float64, requires_grad=True)
    options: dict = {}
    if way == "padding":
        padding = st.zeros(2, 5, dtype=st.bool)
        padding[1] = True
        options["key_padding_mask"], lost = padding, np.array([[False] * 3, [True] * 3])
    else:
        mask = st.zeros(3, 5, dtype=st.bool)
        mask[1] = True
        if way == "numbers":
            mask = st.where(mask, -np.inf, 0.0).double()
        options["attn_mask"], lost = mask, np.array([[False, True, False]] * 2)
    output, weights = module(x, key, key, need_weights=need_weights, **options)
    expected = np.broadcast_to(module.out_proj.bias.detach().numpy(), output.shape)
    np.testing.assert_array_equal(output.detach().numpy()[lost], expected[lost])
    assert np.isfinite(output.detach().numpy()).all()
    if need_weights:
        assert (weights.detach().numpy()[lost] == 0).all() and not (weights.detach().numpy()[~lost] == 0).all()
        np.testing.assert_allclose(weights.detach().numpy()[~lost].sum(-1), 1, rtol=1e-12)
    output.sum().backward()
    assert np.isfinite(key.grad.numpy()).all() and (x.grad.numpy()[lost] == 0).all() and x.grad.abs().sum() > 0


def test_both_ways_agree_with_gradients():
    module = attention(12, 3, add_bias_kv=True, kdim=5, vdim=7)
    found = []
    for need_weights in (True, False):
        q, k, v = (st.tensor(np.random.default_rng(n).normal(size=(4, 2, n)), requires_grad=True) for n in (12, 5, 7))
        mask = st.from_numpy(np.random.default_rng(1).random((4, 4)) < 0.3)
        module.zero_grad()
        output, _ = module(q, k, v, attn_mask=mask, need_weights=need_weights)
        (output * st.from_numpy(np.random.default_rng(2).normal(size=output.shape))).sum().backward()
        found.append([output.detach()] + [t.grad for t in (q, k, v, *module.parameters())])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-11)


def test_a_mask_of_numbers_gets_a_gradient():
    module = attention(4, 2, batch_first=True)
    x = st.randn(2, 3, 4, dtype=st.float64)
    mask = st.zeros(3, 3, dtype=st.float64, requires_grad=True)
    for need_weights in (True, False):
        mask.grad = None
        module(x, x, x, attn_mask=mask, need_weights=need_weights)[0].square().sum().backward()
        gradient = mask.grad.clone()
        assert gradient.abs().sum() > 0
        np.testing.assert_allclose(gradient.sum(-1).numpy(), 0, atol=1e-12)


def test_float32_masks_and_layouts():
    module = attention(8, 2, batch_first=True).float()
    x = st.randn(2, 6, 8)
    causal = st.ones(6, 6).triu(1).bool()
    a = module(x, x, x, attn_mask=causal, is_causal=True, need_weights=False)[0]
    b = module(x, x, x, attn_mask=causal)[0]
    c = module(x, x, x, attn_mask=st.where(causal, -np.inf, 0.0).double(), need_weights=False)[0]
    assert st.allclose(a, b, atol=1e-6) and st.allclose(a, c, atol=1e-6) and c.dtype == st.float32
    unbatched = module(x[0], x[0], x[0], key_padding_mask=st.zeros(6, dtype=st.bool))
    assert st.allclose(unbatched[0], module(x, x, x)[0][0], atol=1e-6) and unbatched[1].shape == (6, 6)
    time_first = nn.MultiheadAttention(8, 2)
    time_first.load_state_dict(module.state_dict())
    assert st.allclose(time_first(*[x.transpose(0, 1)] * 3)[0].transpose(0, 1), module(x, x, x)[0], atol=1e-6)


def test_arrays():
    module = attention(8, 2)
    x = np.random.default_rng(0).normal(size=(4, 2, 8))
    assert st.equal(module(x, x, x)[0], module(*[st.from_numpy(x)] * 3)[0])


def test_starting_values():
    module = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    assert (module.in_proj_bias == 0).all() and (module.out_proj.bias == 0).all()
    bound = np.sqrt(6 / (64 + 3 * 64))
    assert 0.95 * bound < module.in_proj_weight.abs().max() <= bound and module.bias_k.std() > 0
    assert nn.MultiheadAttention(8, 2, bias=False).out_proj.bias is None


def test_empty_batch_and_length():
    module = attention(4, 2, batch_first=True)
    for shape in ((0, 3, 4), (2, 0, 4)):
        x = st.zeros(*shape, dtype=st.float64)
        for need_weights in (True, False):
            assert module(x, x, x, need_weights=need_weights)[0].shape == shape


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda m, x: m(x[0, 0], x[0, 0], x[0, 0]), ValueError, "expected 3 axes"),
        (lambda m, x: m(x, x[0], x[0]), ValueError, "expected 3 axes"),
        (lambda m, x: m(x, x[..., :3], x), ValueError, "last axes 4, 4, 4"),
        (lambda m, x: m(x, x, x[:1]), ValueError, "one length"),
        (lambda m, x: m(x, x[:, :2], x[:, :2]), ValueError, "one batch size"),
        (lambda m, x: m(x, x, x, attn_mask=st.ones(2, 2)), ValueError, r"attn_mask.*\[2, 2\]"),
        (lambda m, x: m(x, x, x, attn_mask=st.ones(2, 5, 5)), ValueError, "attn_mask"),
        (lambda m, x: m(x, x, x, key_padding_mask=st.ones(5, 3)), ValueError, r"key_padding_mask.*\[3, 5\]"),
        (lambda m, x: m(x, x, x, attn_mask=st.ones(5, 5, dtype=st.int64)), TypeError, "attn_mask should be bool"),
        (lambda m, x: m(x, x, x, is_causal=True), RuntimeError, "give the causal attn_mask"),
    ],
)
def test_bad_input(call, error, text):
    module = attention(4, 2)
    with pytest.raises(error, match=rf"^\[MultiheadAttention\].*{text}"):
        call(module, st.randn(5, 3, 4, dtype=st.float64))


@pytest.mark.parametrize("args", [(4, 3), (0, 1), (4, 0), (4, 2, 1.5)])
def test_bad_sizes(args):
    with pytest.raises(ValueError, match=r"^\[MultiheadAttention\]"):
        nn.MultiheadAttention(*args)


def test_second_derivative_through_the_packed_projection():
    module = attention(4, 2, batch_first=True)
    x = st.randn(1, 2, 4, dtype=st.float64, requires_grad=True)
    try:
        st.autograd.gradgradcheck(lambda t: module(t, t, t)[0], (x,))
    except AttributeError:
        pytest.skip("no gradgradcheck")


def test_dropout_in_training_only():
    module = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
    x = st.randn(2, 20, 8)
    calm = module.eval()(x, x, x)[0]
    assert st.equal(calm, module(x, x, x)[0])
    module.train()
    for need_weights in (True, False):
        st.manual_seed(3)
        first, weights = module(x, x, x, need_weights=need_weights, average_attn_weights=False)
        st.manual_seed(3)
        assert st.equal(first, module(x, x, x, need_weights=need_weights)[0]) and not st.allclose(first, calm)
        assert (weights is not None) == need_weights
        if need_weights:
            assert 0.4 < (weights == 0).float().mean().item() < 0.6
