"""Linear layers and matrix products through both doors."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import pytest

import spinetail as st
from spinetail.autograd import gradcheck
from spinetail.functional import gemm


def tensors(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [st.tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]


MATMUL_SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (2, 3, 4)),
    ((2, 1, 2, 3), (3, 3, 2)),
    ((4,), (2, 4, 3)),
    ((2, 3, 4), (4,)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 2)),
    ((1, 1), (1, 1)),
]


@pytest.mark.parametrize("shapes", MATMUL_SHAPES)
def test_matmul_gradients(shapes):
    assert gradcheck(gemm.matmul, tensors(*shapes))


@pytest.mark.parametrize("leading", [(), (1,), (5,), (2, 3), (0,)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_gradients(leading, bias):
    inputs = tensors((*leading, 4), (3, 4), (3,))
    assert gradcheck(gemm.linear, inputs if bias else inputs[:2])


def test_second_derivatives():
    x, w, b = tensors((2, 4), (3, 4), (3,))
    y = gemm.linear(x, w, b)
    (first,) = st.autograd.grad((y**3).sum(), w, create_graph=True)
    (second,) = st.autograd.grad((first**2).sum(), x)

    def value(array):
        out = array @ w.detach().numpy().T + b.detach().numpy()
        return ((3 * out**2).T @ array) ** 2

    base = x.detach().numpy()
    for index in np.ndindex(base.shape):
        step = np.zeros_like(base)
        step[index] = 1e-6
        numeric = (value(base + step) - value(base - step)).sum() / 2e-6
        assert np.isclose(second.numpy()[index], numeric, rtol=1e-5)


@pytest.mark.parametrize(
    "needs", [(True, False, False), (False, True, False), (False, False, True), (True, True, True)]
)
def test_only_needed_gradients(needs):
    x, w, b = tensors((2, 4), (3, 4), (3,))
    for tensor, need in zip((x, w, b), needs, strict=True):
        tensor.requires_grad = bool(need)
    gemm.linear(x, w, b).sum().backward()
    assert [t.grad is not None for t in (x, w, b)] == [bool(need) for need in needs]


def test_both_doors_agree():
    x, w, b = tensors((2, 4), (3, 4), (3,))
    arrays = [t.detach().numpy() for t in (x, w, b)]
    result = gemm.linear(*arrays)
    assert type(result) is np.ndarray
    assert np.array_equal(gemm.linear(x, w, b).detach().numpy(), result)
    assert isinstance(gemm.linear(x, *arrays[1:]), st.Tensor)
    assert isinstance(gemm.linear(arrays[0], w), st.Tensor)
    assert isinstance(gemm.matmul(arrays[0], w.detach().t()), st.Tensor)


def test_no_grad_records_nothing():
    x, w, b = tensors((2, 4), (3, 4), (3,))
    with st.no_grad():
        assert not gemm.linear(x, w, b).requires_grad
        assert not gemm.matmul(x, w.t()).requires_grad


def test_changing_a_saved_weight_is_noticed():
    x, w, _ = tensors((2, 4), (3, 4), (3,))
    y = gemm.linear(x, w)
    with st.no_grad():
        w += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x, w: gemm.linear(x, w.t()), ValueError),
        (lambda x, w: gemm.linear(x, w.float()), TypeError),
        (lambda x, w: gemm.linear(x, [[1.0]]), TypeError),
        (lambda x, w: gemm.matmul(x, w), ValueError),
        (lambda x, w: gemm.matmul(x, np.ma.masked_array(w.detach().numpy())), TypeError),
    ],
)
def test_bad_input(call, error):
    x, w = tensors((2, 4), (3, 4))
    with pytest.raises(error, match=r"\[(linear|matmul)\]"):
        call(x, w)


@pytest.mark.parametrize("dtype", [st.float32, st.float64])
def test_add_products(dtype):
    st.manual_seed(3)
    a, b, c = st.randn(5, 40, dtype=dtype), st.randn(40, 7, dtype=dtype), st.randn(7, dtype=dtype)
    wide = 0.5 * c.double() - 2 * (a.double() @ b.double())
    for result in (st.addmm(c, a, b, beta=0.5, alpha=-2), c.expand(5, 7).clone().addmm_(a, b, beta=0.5, alpha=-2)):
        assert result.dtype == dtype and (result.double() - wide).abs().max() < 200 * st.finfo(dtype).eps
    batch = st.randn(3, 5, 40, dtype=dtype)
    product = st.baddbmm(st.full((3, 5, 7), float("nan"), dtype=dtype), batch, b.expand(3, 40, 7), beta=0)
    assert (product - batch @ b).abs().max() < 100 * st.finfo(dtype).eps
    assert st.addmm(st.ones(1, dtype=dtype), a[:, :0], b[:0]).tolist() == [[1.0] * 7] * 5
    assert st.addmm(c, a[:0], b).shape == (0, 7)


def test_add_products_refuse_what_does_not_fit():
    a = st.ones(2, 3)
    with pytest.raises(TypeError, match=r"\[addmm\] expected one dtype"):
        st.addmm(st.ones(2, 2, dtype=st.float64), a, a.t())
    with pytest.raises(ValueError, match=r"\[addmm\] input of shape"):
        st.addmm(st.ones(3, 2), a, a.t())
    with pytest.raises(ValueError, match="inner dimensions differ"):
        st.addmm(st.ones(2, 2), a, a)


def test_add_products_have_gradients():
    inputs = [st.randn(*s, dtype=st.float64, requires_grad=True) for s in ((4,), (3, 5), (5, 4))]
    assert gradcheck(lambda c, a, b: st.addmm(c, a, b, beta=0.5, alpha=2), inputs)
    inputs = [st.randn(*s, dtype=st.float64, requires_grad=True) for s in ((2, 3, 4), (2, 3, 5), (2, 5, 4))]
    assert gradcheck(lambda c, a, b: st.baddbmm(c, a, b, beta=0.5, alpha=2), inputs)


@pytest.mark.parametrize("name", ["matmul", "mm"])
def test_products_without_a_frame_are_functions_like_others(name):
    function = getattr(st, name)
    assert pickle.loads(pickle.dumps(function)) is function and copy.deepcopy(function) is function
    assert function.__name__ == name and function.__module__.startswith("spinetail.functional.")
    assert function.__doc__.startswith("The product of two matrices" if name == "mm" else "The matrix product")
    assert list(inspect.signature(function).parameters)[2] == "out"


class Plain(np.ndarray):
    """A subclass that adds nothing."""


@pytest.mark.parametrize("name", ["matmul", "mm"])
def test_products_without_a_frame_hand_on_what_is_not_plain(name):
    function, (first, second) = getattr(st, name), list(inspect.signature(getattr(st, name)).parameters)[:2]
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    out = np.empty((2, 4))
    expected = a @ b
    for result in (
        function(a, b),
        function(a, **{second: b}),
        function(**{first: a, second: b}),
        function(a, b, out=out),
        function(a.view(Plain), b),
        function(a.astype(">f8"), b),
        function(np.asfortranarray(a), b[:, ::-1])[:, ::-1],
        function(a.astype(np.int64), b.astype(np.int64)),
    ):
        assert type(result) is np.ndarray and np.array_equal(result, expected)
    assert out is function(a, b, out=out)
    for result in (function(st.tensor(a), b), function(a, st.tensor(b)), function(st.tensor(a), st.tensor(b))):
        assert isinstance(result, st.Tensor) and np.array_equal(result.numpy(), expected)
    for wrong, error in (
        ((a, a), ValueError),
        ((a, b.astype(np.float32)), TypeError),
        ((a,), TypeError),
        ((a, b, a), TypeError),
        ((np.ma.masked_array(a), b), TypeError),
        ((a, "b"), TypeError),
        ((a.astype(complex), b.astype(complex)), TypeError),
    ):
        with pytest.raises(error):
            function(*wrong)


def test_mm_takes_matrices_alone():
    for shapes in (((2, 3), (3,)), ((3,), (3, 2)), ((1, 2, 3), (1, 3, 2))):
        with pytest.raises(ValueError, match="2 dimensions"):
            st.mm(*map(np.ones, shapes))


def test_matmul_of_no_elements():
    assert st.matmul(np.ones((0, 3)), np.ones((3, 2))).shape == (0, 2)
    assert np.array_equal(st.matmul(np.ones((2, 0)), np.ones((0, 2))), np.zeros((2, 2)))
