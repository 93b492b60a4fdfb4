"""BERT: PyTorch's numbers, padding, pooling, learning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from golden import models_cases

import spinetail as st
from spinetail.models import BERT, BERTConfig

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "models.npz")
SMALL = dict(vocab_size=20, block_size=9, n_layer=2, n_head=2, n_embd=16, dropout=0.0)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("prefix", ["", "bert."])
def test_a_published_checkpoint_gives_pytorchs_numbers(pooling, prefix):
    state = {prefix + name: value for name, value in models_cases.bert().items()}
    state["cls.predictions.bias"] = np.zeros(3)
    sizes = dict(vocab_size=models_cases.TOKENS, block_size=models_cases.LENGTH, n_embd=models_cases.WIDTH)
    model = BERT(**sizes, n_layer=models_cases.LAYERS, n_head=models_cases.HEADS, pooling=pooling).double()
    model.load_bert(state).eval()
    segments, padding = map(st.from_numpy, models_cases.segments_and_padding())
    x, pooled = model(st.from_numpy(models_cases.tokens()[0]), segments, padding)
    kept = ~padding.numpy()
    np.testing.assert_allclose(x.detach().numpy()[kept], GOLDEN["bert/output"][kept], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(pooled.detach().numpy(), GOLDEN[f"bert/{pooling}"], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_changes_nothing(pooling):
    st.manual_seed(0)
    model = BERT(BERTConfig(**SMALL, pooling=pooling))
    tokens = st.randint(0, 20, (2, 6))
    x, pooled = model(tokens)
    padded = st.cat([tokens, st.randint(0, 20, (2, 3))], 1)
    y, other = model(padded, padding_mask=st.tensor([[False] * 6 + [True] * 3] * 2))
    np.testing.assert_allclose(y[:, :6].detach().numpy(), x.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(other.detach().numpy(), pooled.detach().numpy(), atol=1e-5)
    first, _ = model(tokens, st.ones(2, 6, dtype=st.int64))
    assert (first - x).abs().max() > 1e-4, "segments count"
    assert st.isfinite(model(tokens, padding_mask=st.ones(2, 6, dtype=st.bool))[1]).all()


def test_it_learns_a_small_batch_by_heart():
    st.manual_seed(0)
    model, head = BERT(**(SMALL | {"dropout": 0.1})), st.nn.Linear(16, 3)
    tokens, classes = st.randint(0, 20, (6, 5)), st.tensor([0, 1, 2, 2, 1, 0])
    optimizer = st.optim.AdamW([*model.parameters(), *head.parameters()], lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = st.nn.functional.cross_entropy(head(model(tokens)[1]), classes)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2
    assert all(p.grad is not None for name, p in model.named_parameters())


def test_errors():
    with pytest.raises(ValueError, match="cls or mean"):
        BERT(**SMALL, pooling="max")
    with pytest.raises(ValueError, match="10 tokens are more than block_size=9"):
        BERT(**SMALL)(st.zeros(1, 10, dtype=st.int64))
    with pytest.raises(TypeError, match="not both"):
        BERT(BERTConfig(**SMALL), n_layer=3)
