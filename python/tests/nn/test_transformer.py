"""Transformers beyond the golden values: stacks, causal masks, options."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
import spinetail.nn as nn


def layer(**options):
    return nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, **options)


def test_a_stack_has_copies_of_its_own():
    encoder = nn.TransformerEncoder(layer(), 3, nn.LayerNorm(8))
    assert len(list(encoder.parameters())) == 3 * 12 + 2 and encoder.layers[0] is not encoder.layers[1]
    x = st.randn(2, 5, 8)
    encoder.eval()
    y = x
    for part in encoder.layers:
        y = part(y)
    assert st.equal(encoder(x), encoder.norm(y))


@pytest.mark.parametrize("norm_first", [False, True])
def test_causal_masks_agree_and_hide_the_future(norm_first):
    encoder = nn.TransformerEncoder(layer(norm_first=norm_first), 2).eval()
    x = st.randn(2, 6, 8)
    numbers = nn.Transformer.generate_square_subsequent_mask(6)
    assert numbers.dtype == st.float32 and numbers[0].tolist() == [0] + [-np.inf] * 5
    by_numbers = encoder(x, mask=numbers)
    by_bool = encoder(x, mask=st.ones(6, 6).triu(1).bool())
    told_not = encoder(x, mask=numbers, is_causal=False)
    assert st.allclose(by_numbers, by_bool, atol=1e-6) and st.allclose(by_numbers, told_not, atol=1e-6)
    changed = x.clone()
    changed[:, 4:] = 0
    assert st.equal(encoder(changed, mask=numbers)[:, :4], by_numbers[:, :4])
    assert not st.allclose(encoder(changed)[:, :4], encoder(x)[:, :4])


def test_padding_hides_what_is_behind():
    encoder = nn.TransformerEncoder(layer(), 2).eval()
    x = st.randn(2, 6, 8)
    padding = st.zeros(2, 6, dtype=st.bool)
    padding[:, 4:] = True
    assert st.allclose(encoder(x, src_key_padding_mask=padding)[:, :4], encoder(x[:, :4]), atol=1e-6)


def test_training_draws_and_evaluation_does_not():
    model = nn.Transformer(8, 2, 1, 1, 12, dropout=0.3)
    src, tgt = st.randn(4, 2, 8), st.randn(3, 2, 8)
    assert not st.equal(model(src, tgt), model(src, tgt))
    model.eval()
    assert st.equal(model(src, tgt), model(src, tgt))


def test_refusals():
    with pytest.raises(RuntimeError, match="relu/gelu"):
        layer(activation="swish")
    with pytest.raises(ValueError, match="last axes of src and tgt to be 8"):
        nn.Transformer(8, 2, 1, 1, 12)(st.randn(4, 2, 7), st.randn(3, 2, 8))
    assert layer(activation=nn.SiLU()).state_dict().keys() == layer().state_dict().keys()
