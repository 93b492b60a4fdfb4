"""GPT: shapes, the loss at the start, learning, generation with and without caches, PyTorch's numbers."""

from __future__ import annotations

from math import log
from pathlib import Path

import numpy as np
import pytest
from golden import models_cases

import spinetail as st
from spinetail.models import GPT, GPTConfig
from spinetail.models.sampling import sample

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "models.npz")
SMALL = dict(vocab_size=40, block_size=12, n_layer=2, n_head=2, n_embd=16)


def small(seed=0, **changes):
    st.manual_seed(seed)
    model = GPT(**(SMALL | changes))
    return model, st.randint(0, model.config.vocab_size, (3, 7))


def spread(model):
    """Larger weights, so that the model has opinions."""
    with st.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(15)
    return model


@pytest.mark.parametrize("changes", [{}, {"bias": False}, {"tie_weights": False}, {"dropout": 0.2}, {"n_layer": 0}])
def test_shapes_and_the_loss_at_the_start(changes):
    model, tokens = small(**changes)
    logits, none = model(tokens)
    assert logits.shape == (3, 7, 40) and none is None
    logits, loss = model(tokens[:, :-1], tokens[:, 1:])
    assert logits.shape == (3, 6, 40)
    assert abs(loss.item() - log(40)) < 0.3
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    tied = model.config.tie_weights
    assert (model.lm_head.weight is model.transformer["wte"].weight) is tied
    assert ("bias" in " ".join(model.state_dict())) is model.config.bias


def test_names_are_gpt2s():
    model, _ = small(n_layer=1)
    block = ["ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"]
    expected = [f"transformer.h.0.{name}.{kind}" for name in block for kind in ("weight", "bias")]
    expected = ["transformer.wte.weight", "transformer.wpe.weight", *expected]
    expected += ["transformer.ln_f.weight", "transformer.ln_f.bias", "lm_head.weight"]
    assert list(model.state_dict()) == expected
    assert GPT(GPTConfig(**SMALL)).config == GPTConfig(**SMALL)


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_a_published_checkpoint_gives_pytorchs_numbers(prefix):
    state = {prefix + name: value for name, value in models_cases.gpt2().items()}
    state[prefix + "h.0.attn.bias"] = np.ones((1, 1, 8, 8))
    sizes = dict(vocab_size=models_cases.TOKENS, block_size=models_cases.LENGTH, n_embd=models_cases.WIDTH)
    model = GPT(**sizes, n_layer=models_cases.LAYERS, n_head=models_cases.HEADS).double().load_gpt2(state)
    idx, targets = map(st.from_numpy, models_cases.tokens())
    logits, loss = model(idx, targets)
    loss.backward()
    np.testing.assert_allclose(logits.detach().numpy(), GOLDEN["gpt2/logits"], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(loss.item(), GOLDEN["gpt2/loss"], rtol=1e-11)
    parts = model.transformer
    grads = {"wte.weight": parts["wte"].weight.grad, "wpe.weight": parts["wpe"].weight.grad}
    grads["h.0.attn.c_attn.weight"] = parts["h"][0].attn.c_attn.weight.grad.T
    for name, grad in grads.items():
        np.testing.assert_allclose(grad.numpy(), GOLDEN[f"gpt2/grad/{name}"], rtol=1e-8, atol=1e-11, err_msg=name)


def test_it_learns_a_small_batch_by_heart():
    model, tokens = small()
    optimizer = st.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        _, loss = model(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    assert (model.generate(tokens[:, :2], 5, temperature=0) == tokens).all()


@pytest.mark.parametrize("options", [{"temperature": 0}, {}, {"temperature": 0.7, "top_k": 5}, {"top_p": 0.8}])
def test_caches_change_nothing(options):
    """Token for token, also past block_size."""
    model, tokens = small()
    spread(model)
    found = []
    for cached in (True, False):
        st.manual_seed(3)
        found.append(model.generate(tokens, 14, use_cache=cached, **options))
    assert found[0].shape == (3, 21) and (found[0] == found[1]).all()
    st.manual_seed(3)
    streamed = st.stack(list(model.stream(tokens, 14, **options)), 1)
    assert (streamed == found[0][:, 7:]).all()


def test_several_tokens_behind_a_cache():
    model, tokens = small()
    spread(model)
    with st.no_grad():
        whole, _ = model(tokens)
        caches = model.make_caches(3)
        parts = [model(piece, caches=caches)[0] for piece in (tokens[:, :2], tokens[:, 2:6], tokens[:, 6:])]
    np.testing.assert_allclose(st.cat(parts, 1).numpy(), whole.numpy(), rtol=1e-4, atol=1e-4)
    assert caches[0].length == 7


@pytest.mark.parametrize("dtype", [st.bfloat16, st.int8])
def test_small_caches(dtype):
    model, tokens = small()
    caches = model.make_caches(3, dtype)
    assert caches[0].nbytes < model.make_caches(3)[0].nbytes
    assert model.generate(tokens, 4, temperature=0, cache_dtype=dtype).shape == (3, 11)


def test_stop_token():
    model, tokens = small()
    spread(model)
    plain = model.generate(tokens, 5, temperature=0)
    stop = int(plain[0, 8])
    stopped = model.generate(tokens, 5, temperature=0, stop_token=stop).numpy()
    for row, expected in zip(stopped[:, 7:].tolist(), plain[:, 7:].tolist(), strict=True):
        end = expected.index(stop) + 1 if stop in expected else len(expected)
        assert row[:end] == expected[:end][: len(row)] and set(row[end:]) <= {stop}
    alone = model.generate(tokens[:1], 5, temperature=0, stop_token=stop)
    assert alone.shape[1] == 8 + plain[0, 7:].tolist().index(stop)


def test_generation_leaves_the_model_as_it_was():
    model, tokens = small(dropout=0.5)
    model.transformer["drop"].eval()
    before = [module.training for module in model.modules()]
    first = model.generate(tokens, 4, temperature=0)
    assert (first == model.generate(tokens, 4, temperature=0)).all()
    assert before == [module.training for module in model.modules()]


def test_sampling():
    st.manual_seed(0)
    logits = st.tensor([[0.0, 1.0, 2.0, 3.0]]).repeat(4000, 1)
    shares = np.bincount(sample(logits, 0.5).numpy(), minlength=4) / 4000
    exact = np.exp(np.arange(4) / 0.5)
    np.testing.assert_allclose(shares, exact / exact.sum(), atol=0.03)
    assert set(sample(logits, 5.0, top_k=2).tolist()) == {2, 3}
    assert set(sample(logits, 1.0, top_p=0.6).tolist()) == {3}  # 0.64
    assert set(sample(logits, 1.0, top_p=0.7).tolist()) == {2, 3}
    assert set(sample(logits, 1.0, top_k=1, top_p=1.0).tolist()) == {3}
    ties = st.zeros(200, 4)
    assert set(sample(ties, top_p=0.5).tolist()) == {0, 1} and len(set(sample(ties, top_k=2).tolist())) == 2
    for options in ({"temperature": -1}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}):
        with pytest.raises(ValueError, match=r"\[sample\]"):
            sample(logits, **options)


def test_errors():
    model, tokens = small()
    with pytest.raises(ValueError, match="13 tokens are more than block_size=12"):
        model(st.zeros(1, 13, dtype=st.int64))
    with pytest.raises(ValueError, match="at least one token"):
        model.generate(tokens[:, :0], 1)
    with pytest.raises(IndexError, match="40"):
        model(st.full((1, 2), 40))
    with pytest.raises(ValueError, match="multiple of n_head"):
        GPT(n_embd=10, n_head=3)
    with pytest.raises(TypeError, match="not both"):
        GPT(GPTConfig(**SMALL), n_layer=3)
