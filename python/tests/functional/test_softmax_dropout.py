"""softmax_dropout through both doors: gradients, seeds, training, errors."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
import spinetail.nn.functional as F
from spinetail.autograd import gradcheck, gradgradcheck


def seeded(**options):
    def run(x, mask=None):
        st.manual_seed(4)
        return F.softmax_dropout(x, mask=mask, **options)

    return run


def tensors(*shapes):
    rng = np.random.default_rng(0)
    return [st.tensor(rng.standard_normal(s), requires_grad=True) for s in shapes]


BOOLEAN = st.tensor([[True, False, True, True], [False] * 4, [True] * 4])


@pytest.mark.parametrize(
    "options", [{}, {"p": 0.0}, {"training": False}, {"dim": 0}, {"dim": 1, "p": 0.25}, {"p": 1.0}]
)
def test_gradcheck(options):
    run = seeded(**options)
    for check in (gradcheck, gradgradcheck):
        assert check(run, tensors((2, 3, 4)))
        assert check(lambda x: run(x, BOOLEAN), tensors((2, 3, 4)))


@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 4), (4,), (2, 1, 1), (1,), ()])
def test_gradcheck_of_the_mask(shape):
    for run in (seeded(), seeded(dim=1, p=0.0)):
        assert gradcheck(run, tensors((2, 3, 4), shape))
        assert gradgradcheck(run, tensors((2, 3, 4), shape))


def test_both_doors_and_seeds():
    x = np.random.default_rng(1).standard_normal((5, 6, 33)).astype(np.float32)
    run = seeded(p=0.3)
    y = run(x)
    assert isinstance(y, np.ndarray) and isinstance(run(st.tensor(x)), st.Tensor)
    np.testing.assert_array_equal(run(st.tensor(x)).numpy(), y)
    st.manual_seed(4)
    np.testing.assert_array_equal(F.dropout(F.softmax(x, -1), 0.3), y)
    assert (F.softmax_dropout(x, p=0.3) != y).any()  # the next draw
    np.testing.assert_array_equal(F.softmax_dropout(x, training=False), F.softmax(x, -1))


def test_gradients_of_halves():
    x = st.ones(4, 6, dtype=st.bfloat16).requires_grad_()
    mask = st.zeros(6, dtype=st.bfloat16).requires_grad_()
    y = F.softmax_dropout(x, p=0.5, mask=mask)
    (y * st.arange(6).to(st.bfloat16)).sum().backward()
    assert x.grad.dtype == mask.grad.dtype == y.dtype == st.bfloat16 and mask.grad.shape == (6,)


def test_changed_in_place():
    x = st.ones(3, 4, requires_grad=True)
    z = x * 1.0
    y = F.softmax_dropout(z)
    z.add_(1.0)
    with pytest.raises(RuntimeError, match=r"in-?place"):
        y.sum().backward()


def test_bad_input_is_explained():
    x = np.zeros((2, 3))
    for p in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            F.softmax_dropout(x, p=p)
    with pytest.raises(TypeError, match="expected a Tensor or an ndarray"):
        F.softmax_dropout([1.0])
    with pytest.raises(IndexError, match="dim is 2"):
        F.softmax_dropout(x, 2)
    with pytest.raises(TypeError, match="mask must be"):
        F.softmax_dropout(x, mask="no")
    with pytest.raises(TypeError, match="but got list"):
        F.softmax_dropout(st.zeros(2, 3), mask=[True])
