"""What nn.functional gathers, and one_hot, normalize and bilinear."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
import spinetail.nn.functional as F


def test_names_are_functions_and_come_from_the_families():
    names = [name for name in dir(F) if not name.startswith("_")]
    assert all(callable(getattr(F, name)) for name in names)
    assert all(getattr(F, name).__module__.startswith("spinetail.functional.") for name in names)
    assert {"relu", "linear", "cross_entropy", "layer_norm", "dropout", "one_hot"} <= set(names)


def test_one_hot():
    found = F.one_hot(st.tensor([[0, 3], [1, 1]]))
    assert found.dtype == st.int64 and found.shape == (2, 2, 4) and found.argmax(-1).tolist() == [[0, 3], [1, 1]]
    assert found.sum().item() == 4
    array = F.one_hot(np.array([2, 0], np.uint8), 5)
    assert type(array) is np.ndarray and array.tolist() == [[0, 0, 1, 0, 0], [1, 0, 0, 0, 0]]
    assert F.one_hot(np.zeros((0, 2), int), 3).shape == (0, 2, 3) and F.one_hot(np.array(1)).tolist() == [0, 1]


@pytest.mark.parametrize(
    "arguments, error, text",
    [
        (([0, 1],), TypeError, "got list"),
        ((np.array([0.5]),), TypeError, "float64"),
        ((np.array([True]),), TypeError, "bool"),
        ((np.array([-1]),), ValueError, "from -1"),
        ((np.array([3]), 3), ValueError, "0 to 2"),
        ((np.array([3]), 0), ValueError, "num_classes"),
        ((np.array([], int),), ValueError, "num_classes must be given"),
        ((np.ma.masked_array([1]),), TypeError, "masked"),
    ],
)
def test_one_hot_refuses(arguments, error, text):
    with pytest.raises(error, match=text):
        F.one_hot(*arguments)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, float("inf")])
def test_normalize(p):
    x = np.random.default_rng(0).normal(size=(4, 5, 3))
    found = F.normalize(x, p, dim=1)
    np.testing.assert_allclose(found, x / np.linalg.norm(x, p, axis=1, keepdims=True), rtol=1e-12)
    assert type(found) is np.ndarray
    t = st.tensor(x, requires_grad=True)
    np.testing.assert_array_equal(F.normalize(t, p).detach().numpy(), found)
    st.autograd.gradcheck(lambda t: F.normalize(t, p), (t,), eps=1e-6, atol=1e-5)


def test_normalize_of_nothing_and_of_zeros():
    assert F.normalize(np.zeros((0, 3))).shape == (0, 3) and F.normalize(st.zeros(2, 3)).tolist() == [[0.0] * 3] * 2
    with pytest.raises(TypeError, match="normalize"):
        F.normalize(st.arange(3))
    with pytest.raises(TypeError, match="out"):
        F.normalize(st.ones(1, 1), out=st.ones(1, 1))


def test_bilinear():
    random = np.random.default_rng(0)
    x, y, w, b = (random.normal(size=s) for s in ((2, 3, 4), (2, 3, 5), (6, 4, 5), (6,)))
    expected = np.einsum("...i,oij,...j->...o", x, w, y) + b
    np.testing.assert_allclose(F.bilinear(x, y, w, b), expected, rtol=1e-12)
    np.testing.assert_allclose(F.bilinear(x[0, 0], y[0, 0], w), expected[0, 0] - b, rtol=1e-12)
    assert F.bilinear(x[:0], y[:0], w, b).shape == (0, 3, 6)
    inputs = [st.tensor(v, requires_grad=True) for v in (x, y, w, b)]
    st.autograd.gradcheck(F.bilinear, tuple(inputs), eps=1e-6, atol=1e-5)
    for wrong in ((x[0], y, w), (x, y, w[0]), (y, x, w)):
        with pytest.raises(ValueError, match=r"\[bilinear\]"):
            F.bilinear(*wrong)
