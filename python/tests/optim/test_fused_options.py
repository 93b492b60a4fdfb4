"""Clipping and decays inside the step, against the same done before it."""

import numpy as np
import pytest

import spinetail as st
from spinetail import optim

ALL = [
    optim.SGD,
    optim.Adam,
    optim.AdamW,
    optim.RMSprop,
    optim.Adagrad,
    optim.Adamax,
    optim.NAdam,
    optim.RAdam,
    optim.Adadelta,
    optim.ASGD,
    optim.Lion,
    optim.LAMB,
    optim.Rprop,
    optim.Adafactor,
]
SHAPES = [(3, 5), (17,), (2, 1)]


def values(seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]


def follow(cls, options, change, steps=4):
    """Parameters after some steps whose gradients are changed by hand first."""
    arrays = values(0)
    optimizer = cls(arrays, lr=0.05, **options)
    for step in range(1, steps + 1):
        optimizer.step(change(arrays, values(step)))
    return arrays


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("maximize", [False, True])
def test_global_norm_is_clipped_as_before_the_step(cls, maximize):
    def clip(_, gradients):
        st.nn.utils.clip_grad_norm_(gradients, 0.7)
        return gradients

    expected = follow(cls, {"maximize": maximize}, clip)
    arrays = values(0)
    half = len(arrays) // 2
    groups = [{"params": arrays[:half]}, {"params": arrays[half:]}]  # the norm is that of all groups together
    optimizer = cls(groups, lr=0.05, maximize=maximize, max_grad_norm=0.7)
    for step in range(1, 5):
        gradients = values(step)
        kept = [g.copy() for g in gradients]
        optimizer.step(gradients)
        for g, old in zip(gradients, kept, strict=True):
            np.testing.assert_array_equal(g, old)  # only read
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        assert optimizer.grad_norm == pytest.approx(norm, rel=1e-14)
    for a, b in zip(arrays, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cls", ALL)
def test_small_gradients_are_left_alone(cls):
    plain = follow(cls, {}, lambda p, g: g)
    clipped = follow(cls, {"max_grad_norm": 1e6, "max_grad_value": 1e6}, lambda p, g: g)
    for a, b in zip(plain, clipped, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cls", ALL)
def test_values_are_cut(cls):
    expected = follow(cls, {}, lambda p, g: [np.clip(x, -0.3, 0.3) for x in g])
    for a, b in zip(follow(cls, {"max_grad_value": 0.3}, lambda p, g: g), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("cls", [c for c in ALL if c is not optim.Rprop])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_l1_decay_is_added(cls, weight_decay):
    options = {"weight_decay": weight_decay}
    expected = follow(cls, options, lambda p, g: [x + 0.2 * np.sign(w) for x, w in zip(g, p, strict=True)])
    for a, b in zip(follow(cls, {**options, "l1_decay": 0.2}, lambda p, g: g), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_l1_decay_leaves_zeros_alone():
    w = np.array([0.0, -0.0, 2.0, -2.0])
    optim.SGD([w], lr=1.0, l1_decay=0.5).step([np.zeros(4)])
    np.testing.assert_array_equal(w, [0, 0, 1.5, -1.5])


def test_nan_and_infinite_norms_reach_the_parameters():
    for bad in (np.nan, np.inf):
        w = np.ones(3)
        optimizer = optim.SGD([w], lr=1.0, max_grad_norm=1.0)
        optimizer.step([np.array([1.0, bad, 1.0])])
        assert not np.isfinite(w[1]) and not np.isfinite(optimizer.grad_norm)
    w = np.ones(2)
    optim.SGD([w], lr=1.0, max_grad_value=1.0).step([np.array([np.nan, np.inf])])
    np.testing.assert_array_equal(w, [np.nan, 0.0])


def test_tensors_and_parameters_without_gradient():
    a, b = st.ones(2, requires_grad=True), st.ones(2, requires_grad=True)
    a.grad = st.tensor([3.0, 4.0])
    optimizer = optim.SGD([a, b], lr=1.0, max_grad_norm=1.0)
    optimizer.step()
    np.testing.assert_allclose(a.detach().numpy(), [0.4, 0.2], rtol=1e-5)
    np.testing.assert_array_equal(b.detach().numpy(), 1)
    assert optimizer.grad_norm == pytest.approx(5.0) and "max_grad_norm: 1.0" in repr(optimizer)


@pytest.mark.parametrize("cls", ALL)
def test_bad_options(cls):
    with pytest.raises(ValueError, match="Invalid max_grad_norm: -1"):
        cls([np.ones(2)], lr=1.0, max_grad_norm=-1)
    with pytest.raises(ValueError, match="Invalid l1_decay: nan"):
        cls([np.ones(2)], lr=1.0, l1_decay=float("nan"))
    with pytest.raises(TypeError, match="unexpected keyword argument 'clip'"):
        cls([np.ones(2)], lr=1.0, clip=1.0)


def test_a_group_has_no_norm_of_its_own():
    with pytest.raises(ValueError, match="group 1: max_grad_norm is for all groups together"):
        optim.SGD([{"params": [np.ones(2)]}, {"params": [np.ones(2)], "max_grad_norm": 0.5}], lr=1.0)
    optim.SGD([{"params": [np.ones(2)], "max_grad_norm": 0.5}], lr=1.0, max_grad_norm=0.5)


def test_options_are_saved():
    w = np.ones(3)
    saved = optim.Adam([w], max_grad_norm=0.5, l1_decay=0.1).state_dict()
    other = optim.Adam([w])
    other.load_state_dict(saved)
    assert other.param_groups[0]["max_grad_norm"] == 0.5 and other.param_groups[0]["l1_decay"] == 0.1
