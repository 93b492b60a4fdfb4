"""Masks: exact counts, what stays zero, what is refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import spinetail as st
from spinetail import nn
from spinetail.compress import prune


def net(seed: int = 0) -> nn.Sequential:
    st.manual_seed(seed)
    return nn.Sequential(nn.Linear(20, 33), nn.ReLU(), nn.Linear(33, 7))


def zeros(model) -> dict[str, int]:
    return {name: zero for name, (zero, _) in prune.sparsity(model).items()}


def reference(arrays: list[np.ndarray], count: int) -> list[np.ndarray]:
    """The `count` smallest magnitudes of all arrays, earlier ones first among equals."""
    flat = np.concatenate([np.abs(a).ravel() for a in arrays])
    keep = np.ones(flat.size, bool)
    keep[np.lexsort((np.arange(flat.size), flat))[:count]] = False
    return [
        part.reshape(a.shape)
        for part, a in zip(np.split(keep, np.cumsum([a.size for a in arrays])[:-1]), arrays, strict=True)
    ]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.75, 0.8])
def test_global(share):
    model = net()
    before = [model[0].weight.numpy(force=True).copy(), model[2].weight.numpy(force=True).copy()]
    assert prune.magnitude(model, sparsity=share) is model
    total = 20 * 33 + 33 * 7
    assert sum(zeros(model).values()) == round(share * total)
    for layer, weight, keep in zip((model[0], model[2]), before, reference(before, round(share * total)), strict=True):
        np.testing.assert_array_equal(layer.weight.numpy(force=True), np.where(keep, weight, 0))
    assert np.all(model[0].bias.numpy(force=True) != 0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.95])
def test_by_layer(share):
    model = prune.magnitude(net(), sparsity=share, scope="layer")
    assert zeros(model) == {"0.weight": round(share * 660), "2.weight": round(share * 231)}


def test_ties_go_to_the_lower_index():
    layer = nn.Linear(4, 2, bias=False)
    with st.no_grad():
        layer.weight.fill_(-1.0)
    prune.magnitude(layer, sparsity=3 / 8)
    assert layer.weight.numpy(force=True).tolist() == [[0, 0, 0, -1], [-1, -1, -1, -1]]


def test_twice_counts_the_whole():
    model = prune.magnitude(net(), sparsity=0.5)
    first = model[0].weight.numpy(force=True) == 0
    prune.magnitude(model, sparsity=0.75)
    assert prune.sparsity(model).share == pytest.approx(0.75, abs=1e-3)
    assert np.all(model[0].weight.numpy(force=True)[first] == 0)


def test_blocks():
    layer = nn.Linear(10, 32, bias=False)
    prune.magnitude(layer, sparsity=0.5, block=(16, 1))
    gone = layer.weight.numpy(force=True) == 0
    for rows in (gone[:16], gone[16:]):
        assert np.all(rows.all(axis=0) | ~rows.any(axis=0))
    assert gone.sum() == 160
    scores = np.abs(np.random.default_rng(0).normal(size=(7, 5)))
    found = prune.select.blocks(scores, (4, 2))
    wanted = [[scores[r : r + 4, c : c + 2].mean() for c in (0, 2, 4)] for r in (0, 4)]
    np.testing.assert_allclose(found, wanted)
    mask = prune.select.block_mask(np.array([[True, False, True], [False, True, False]]), (7, 5), (4, 2))
    assert mask.astype(int).tolist() == [[1, 1, 0, 0, 1]] * 4 + [[0, 0, 1, 1, 0]] * 3


def test_two_of_four():
    layer = nn.Linear(10, 6, bias=False)
    weight = layer.weight.numpy(force=True).copy()
    prune.magnitude(layer, keep=2, of=4)
    kept = layer.weight.numpy(force=True) != 0
    assert kept[:, :4].sum(1).tolist() == kept[:, 4:8].sum(1).tolist() == [2] * 6
    assert kept[:, 8:].all()  # a last group of two keeps both
    best = np.sort(np.abs(weight[:, :4]), axis=1)[:, 2:]
    np.testing.assert_array_equal(np.sort(np.abs(weight[:, :4] * kept[:, :4]), axis=1)[:, 2:], best)


def test_two_of_four_goes_along_the_input_channels():
    layer = nn.Conv2d(8, 3, 3, bias=False)
    prune.magnitude(layer, keep=1, of=4)
    kept = (layer.weight.numpy(force=True) != 0).reshape(3, 2, 4, 3, 3)
    assert np.all(kept.sum(axis=2) == 1)


def test_random():
    model = net()
    st.manual_seed(3)
    prune.random(model, sparsity=0.5)
    assert prune.sparsity(model).share == pytest.approx(0.5, abs=1e-3)
    first = model[0].weight.numpy(force=True) == 0
    prune.random(model, sparsity=0.7)  # what is gone stays gone
    assert np.all(model[0].weight.numpy(force=True)[first] == 0)
    other = net()
    st.manual_seed(3)
    prune.random(other, sparsity=0.5)
    np.testing.assert_array_equal(other[0].weight.numpy(force=True) == 0, first)


def test_a_criterion_of_ones_own():
    model = net()
    prune.custom(
        model,
        lambda weight, gradient, activation: np.broadcast_to(np.arange(weight.shape[1]), weight.shape),
        0.5,
        "layer",
    )
    assert np.all(model[0].weight.numpy(force=True)[:, :10] == 0)
    with pytest.raises(ValueError, match=r"scores of shape \(3,\)"):
        prune.custom(model, lambda weight, gradient, activation: np.ones(3))


@pytest.mark.parametrize(
    "make",
    [
        lambda p: st.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
        lambda p: st.optim.Adam(p, lr=0.01, weight_decay=0.1),
        lambda p: st.optim.AdamW(p, lr=0.01),
        lambda p: st.optim.RMSprop(p, lr=0.01, momentum=0.9),
    ],
)
def test_zeros_stay_while_training_goes_on(make):
    model = net()
    x, y = st.randn(16, 20), st.randn(16, 7)
    optimizer = make(model.parameters())
    for step in range(8):
        if step == 3:  # with momentum that has been gathered before
            prune.magnitude(model, sparsity=0.6)
            gone = model[0].weight.numpy(force=True) == 0
            before = model[0].weight.numpy(force=True).copy()
        optimizer.zero_grad()
        ((model(x) - y) ** 2).mean().backward()
        optimizer.step()
        if step >= 3:
            weight = model[0].weight.numpy(force=True)
            assert np.all(weight[gone] == 0) and np.count_nonzero(weight == 0) == gone.sum()
    assert np.all(weight[~gone] != before[~gone])


def test_other_changes_are_masked_at_the_next_forward():
    model = prune.magnitude(net(), sparsity=0.5)
    with st.no_grad():
        model[0].weight.add_(1.0)
    assert zeros(model)["0.weight"] == 0
    model(st.zeros(1, 20))
    assert zeros(model)["0.weight"] > 0


def test_state_dict_and_deepcopy():
    dense, model = net(), prune.magnitude(net(), sparsity=0.9, scope="layer")
    assert list(model.state_dict()) == list(dense.state_dict())
    assert [v.shape for v in model.state_dict().values()] == [v.shape for v in dense.state_dict().values()]
    twin = copy.deepcopy(model)
    optimizer = st.optim.SGD(twin.parameters(), lr=0.1)
    twin(st.ones(2, 20)).sum().backward()
    optimizer.step()
    assert zeros(twin) == zeros(model) and not np.array_equal(
        twin[2].weight.numpy(force=True), model[2].weight.numpy(force=True)
    )
    model.load_state_dict(dense.state_dict())  # masks hold for what is loaded
    model(st.zeros(1, 20))
    assert zeros(model) == zeros(twin)


def test_finalize():
    model = prune.magnitude(net(), sparsity=0.5)
    with_zeros = zeros(model)
    assert prune.finalize(model) is model
    assert zeros(model) == with_zeros
    assert not any(hasattr(p, "_mask") for p in model.parameters()) and not model[0]._hooked
    model(st.ones(2, 20)).sum().backward()
    st.optim.SGD(model.parameters(), lr=0.1).step()
    assert sum(zeros(model).values()) < sum(with_zeros.values())


def test_include_and_exclude():
    for chosen in ("2", "2.weight", "2*"):
        assert list(prune.sparsity(net(), include=chosen)) == (
            ["2.weight"] if chosen == "2.weight" else ["2.weight", "2.bias"]
        )
    model = net()
    prune.magnitude(model, sparsity=0.5, exclude=model[0])
    assert list(zeros(model).values()) == [0, round(0.5 * 231)]
    prune.magnitude(model, sparsity=0.5, include=[model[0].bias])
    assert np.count_nonzero(model[0].bias.numpy(force=True)) == 33 - round(33 * 0.5)
    with pytest.raises(ValueError, match="exclude='nothing' matches no weight"):
        prune.magnitude(model, exclude="nothing")
    with pytest.raises(TypeError, match="include must name"):
        prune.magnitude(model, include=[3])


def test_which_weights_are_meant():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.LayerNorm(4), nn.Linear(4, 2))
    assert list(prune.sparsity(model)) == ["1.weight", "4.weight"]
    attention = nn.MultiheadAttention(8, 2)
    assert list(prune.sparsity(attention)) == ["in_proj_weight", "out_proj.weight"]
    with pytest.raises(ValueError, match="no weights to prune"):
        prune.magnitude(nn.ReLU())


def test_shared_weights_count_once():
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    model[1].weight = model[0].weight
    prune.magnitude(model, sparsity=0.5)
    assert prune.sparsity(model) == {"0.weight": (18, 36)}


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5, float("nan"), None])
def test_sparsity_outside_is_refused(share):
    model = net()
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match=r"sparsity must be in \[0, 1\)"):
        prune.magnitude(model, sparsity=share)
    np.testing.assert_array_equal(model[0].weight.numpy(force=True), before[0].weight.numpy(force=True))


def test_nan_is_refused_by_name():
    model = net()
    with st.no_grad():
        model[2].weight[1, 1] = float("nan")
    with pytest.raises(ValueError, match=r"'2\.weight' has NaN"):
        prune.magnitude(model, sparsity=0.5)
    assert zeros(model) == {"0.weight": 0, "2.weight": 0}


def test_an_empty_layer_is_refused():
    model = net()
    with st.no_grad():
        model[2].weight.mul_(1e-6)
    with pytest.raises(ValueError, match=r"nothing would be left of '2\.weight'"):
        prune.magnitude(model, sparsity=0.5)
    assert zeros(model) == {"0.weight": 0, "2.weight": 0}
    prune.magnitude(model, sparsity=0.5, scope="layer")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"scope": "all"}, "scope must be"),
        ({"keep": 2}, "go together"),
        ({"keep": 4, "of": 4}, "less than of"),
        ({"keep": 1, "of": 4, "block": (1, 4)}, "cannot be combined"),
        ({"block": (0, 1)}, "block must be"),
        ({"block": (4,)}, "block must be"),
    ],
)
def test_bad_options(options, text):
    with pytest.raises(ValueError, match=text):
        prune.magnitude(net(), **options)


def test_not_a_module():
    with pytest.raises(TypeError, match="expected a Module, but got ndarray"):
        prune.magnitude(np.ones(3))


def test_table():
    found = prune.sparsity(prune.magnitude(net(), sparsity=0.5, scope="layer"))
    assert "0.weight" in repr(found) and "50.00 %" in repr(found) and "<table" in found._repr_html_()
