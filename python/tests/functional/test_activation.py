"""Activations and softmax against PyTorch's values and gradients, through both doors; layouts, dtypes, bad input."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import numpy as np
import pytest

import spinetail as st
from spinetail.functional import activation as F

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from activation_cases import CASES, GRADIENT, inputs, shaped  # noqa: E402

sys.path.pop(0)
golden = np.load(GOLDEN / "activation.npz")
VARIANTS = [(name, i, options) for name, variants in CASES.items() for i, options in enumerate(variants)]
# softmax_dropout draws at random, and has tests of its own.
NAMES = [name for name in F.__all__ if not name.endswith("_") and name != "softmax_dropout"]
INPLACE = [name for name in NAMES if "inplace" in inspect.signature(getattr(F, name)).parameters]
#: Value and slope at +∞ where PyTorch has NaN.
LIMITS = {"gelu": (np.inf, np.nan), "mish": (np.inf, 1.0), "softsign": (np.nan, 0.0)}
EXTRA = {"threshold": (0.5, -7.0), "softmax": (0,), "log_softmax": (0,), "softmin": (0,), "prelu": None}


def call(name, x, *rest, **options):
    return getattr(F, name)(x, *(EXTRA.get(name) or ()), *rest, **options)


@pytest.fixture
def rng():
    return np.random.default_rng(23)


@pytest.mark.parametrize("kind", list(inputs()))
@pytest.mark.parametrize("case", VARIANTS, ids=lambda c: f"{c[0]}-{c[1]}")
def test_golden(case, kind):
    name, number, options = case
    array = shaped(name, inputs()[kind])
    value, gradient = golden[f"{name}/{number}/{kind}"]
    if name == "glu":
        gradient = np.concatenate((gradient, golden[f"{name}/{number}/{kind}/rest"]))
    if name in LIMITS and kind == "special":  # at +∞, where the formula has none but the function has a limit
        value[1], gradient[1] = LIMITS[name][0], LIMITS[name][1] * GRADIENT[1]
        if name == "softsign":
            gradient[2] = 0
    x = st.tensor(array, requires_grad=True)
    y = getattr(F, name)(x, **options)
    np.testing.assert_allclose(y.detach().numpy(), value, rtol=3e-15, atol=1e-15)
    y.backward(st.tensor(GRADIENT[: value.size]))
    np.testing.assert_allclose(x.grad.numpy(), gradient, rtol=1e-7 if name == "hardsigmoid" else 5e-14, atol=3e-15)
    bare = getattr(F, name)(array, **options)
    assert type(bare) is np.ndarray
    np.testing.assert_array_equal(bare, y.detach().numpy())


def test_every_activation_has_golden_values():
    assert set(NAMES) == set(CASES) | {"prelu"}


@pytest.mark.parametrize("name", NAMES)
def test_gradcheck(name, rng):
    from spinetail.autograd import gradcheck

    x = rng.uniform(-2.9, 2.9, (3, 4))
    x[np.abs(np.abs(x) - 0.5) < 0.02] += 0.1  # away from kinks
    x[np.abs(np.abs(x) - 1) < 0.02] += 0.1
    x[np.abs(x) < 0.02] += 0.1
    t = st.tensor(x, requires_grad=True)
    if name == "prelu":
        w = st.tensor([0.2, 0.5, -0.3, 0.0], dtype=st.float64, requires_grad=True)
        assert gradcheck(F.prelu, (t, w))
        assert gradcheck(F.prelu, (t, st.tensor([0.3], dtype=st.float64, requires_grad=True)))
    else:
        assert gradcheck(lambda a: call(name, a), (t,))


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("prelu", "glu")])
def test_second_derivative(name, rng):
    x = rng.uniform(-2.9, 2.9, 7)
    x[np.abs(x) < 0.1] += 0.2
    t = st.tensor(x, requires_grad=True)
    (first,) = st.autograd.grad(call(name, t).square().sum(), t, create_graph=True)
    (second,) = st.autograd.grad(first.sum(), t)

    def slope(values):
        u = st.tensor(values, requires_grad=True)
        call(name, u).square().sum().backward()
        return u.grad.numpy()

    step = 1e-6
    for i in range(x.size):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        numeric = (slope(up) - slope(down)).sum() / (2 * step)
        assert abs(numeric - second.numpy()[i]) < 1e-6 * (1 + abs(numeric))


@pytest.mark.parametrize("name", INPLACE)
def test_inplace(name, rng):
    array = rng.standard_normal((4, 5)) * 3
    expected = call(name, array.copy())
    bare = array.copy()
    assert call(name, bare, inplace=True) is bare
    np.testing.assert_array_equal(bare, expected)
    leaf = st.tensor(array, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        call(name, leaf, inplace=True)
    np.testing.assert_array_equal(leaf.detach().numpy(), array)  # refused before anything was written
    middle = leaf * 1.0
    result = call(name, middle, inplace=True)
    assert result is middle
    np.testing.assert_array_equal(result.detach().numpy(), expected)
    result.backward(st.ones(4, 5, dtype=st.float64))
    reference = st.tensor(array, requires_grad=True)
    call(name, reference).backward(st.ones(4, 5, dtype=st.float64))
    np.testing.assert_array_equal(leaf.grad.numpy(), reference.grad.numpy())


@pytest.mark.parametrize("name", [n for n in F.__all__ if n.endswith("_")])
def test_underscore_names(name, rng):
    x = rng.standard_normal(9)
    expected = call(name[:-1], x)
    assert getattr(F, name)(x, *(EXTRA.get(name[:-1]) or ())) is x
    np.testing.assert_array_equal(x, expected)


def test_relu_keeps_no_input():
    x = st.tensor([1.0, -2.0], requires_grad=True)
    middle = x * 1
    y = F.relu(middle)
    middle.add_(5)  # changes what relu has read: allowed, because the gradient needs only the output
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 0])
    middle = x * 1
    y = F.gelu(middle)
    middle.add_(5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (0, 3), (3, 0), (2, 3, 5)])
@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("prelu", "glu") and "softm" not in n])
def test_shapes(name, shape, rng):
    for dtype in (np.float32, np.float64, np.float16):
        x = np.asarray(rng.standard_normal(shape)).astype(dtype)
        y = call(name, x)
        assert y.shape == shape and y.dtype == dtype
        t = st.tensor(x, requires_grad=True)
        call(name, t).sum().backward()
        assert t.grad.numpy().shape == shape and t.grad.numpy().dtype == dtype


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("prelu", "sigmoid", "tanh")])
def test_bad_input(name):
    for bad in (np.arange(4), np.array([True, False]), np.zeros(2, complex), np.array([None, None])):
        with pytest.raises(TypeError, match=rf"\[{name}\].*floating point"):
            call(name, bad)
    with pytest.raises(TypeError, match="masked"):
        call(name, np.ma.masked_array(np.zeros(2)))
    with pytest.raises(TypeError, match=name):
        call(name, [1.0, 2.0])
    with pytest.raises(TypeError, match="floating point"):
        call(name, st.tensor([1, 2]))


def test_bad_parameters():
    x = np.zeros((2, 3))
    for function, message, error in [
        (lambda: F.gelu(x, "fast"), "'fast'", ValueError),
        (lambda: F.softmax(x, 2), "dim is 2", IndexError),
        (lambda: F.softmax(x, -3), "dim is -3", IndexError),
        (lambda: F.log_softmax(np.array(1.0), 1), "dim is 1", IndexError),
        (lambda: F.glu(x), "even", ValueError),
        (lambda: F.glu(np.array(1.0)), "scalar", ValueError),
        (lambda: F.softshrink(x, -1.0), "at least 0", ValueError),
        (lambda: F.hardtanh(x, 1.0, -1.0), "above", ValueError),
        (lambda: F.celu(x, 0.0), "alpha", ValueError),
        (lambda: F.prelu(x, np.zeros(2)), "2 values, but input has 3 channels", ValueError),
        (lambda: F.prelu(x, np.zeros(3, np.float32)), "float32", TypeError),
        (lambda: F.prelu(x, np.zeros((1, 3))), "0 or 1 dimensions", ValueError),
    ]:
        with pytest.raises(error, match=message):
            function()


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_reference(dim, dtype, rng):
    eps = np.finfo(dtype).eps
    for shape in [(1, 1, 1), (3, 4, 5), (2, 17, 33), (5, 1, 40), (0, 3, 2), (3, 0, 2), (3, 2, 0), (2, 100, 3)]:
        x = (rng.standard_normal(shape) * 5).astype(dtype)
        g = rng.standard_normal(shape).astype(dtype)
        wide = x.astype(np.float64)
        if x.size:
            e = np.exp(wide - wide.max(dim, keepdims=True))
            p = e / e.sum(dim, keepdims=True)
        else:
            p = wide
        t = st.tensor(x, requires_grad=True)
        y = F.softmax(t, dim)
        y.backward(st.tensor(g))
        np.testing.assert_allclose(y.detach().numpy(), p, rtol=(8 + 2 * x.shape[dim]) * eps, atol=0)
        dx = p * (g - (p * g).sum(dim, keepdims=True))
        np.testing.assert_allclose(t.grad.numpy(), dx, rtol=0, atol=16 * eps)
        t = st.tensor(x, requires_grad=True)
        y = F.log_softmax(t, dim)
        y.backward(st.tensor(g))
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(y.detach().numpy(), np.log(p), rtol=0, atol=40 * eps)
        np.testing.assert_allclose(t.grad.numpy(), g - p * g.sum(dim, keepdims=True), rtol=0, atol=64 * eps)
        assert y.numpy(force=True).dtype == dtype
        np.testing.assert_array_equal(F.softmin(x, dim), F.softmax(-x, dim))


@pytest.mark.parametrize("dim", [0, 1])
def test_softmax_special(dim):
    inf, nan = np.inf, np.nan
    rows = np.array([[1.0, nan, 2.0], [-inf, -inf, -inf], [-inf, 0.0, 0.0], [inf, 1.0, 2.0], [1e300, -1e300, 0.0]])
    x = rows if dim == 1 else rows.T.copy()
    for dtype in (np.float64, np.float32):
        with np.errstate(over="ignore"):
            given = np.clip(x, -3e38, 3e38) if dtype == np.float32 else x
            given = np.where(np.isfinite(x), given, x).astype(dtype)
        y = F.softmax(given, dim)
        y = y if dim == 1 else y.T
        assert np.isnan(y[[0, 1, 3]]).all()
        np.testing.assert_array_equal(y[2], [0, 0.5, 0.5])
        np.testing.assert_array_equal(y[4], [1, 0, 0])


def test_softmax_dtype_and_implicit_dim():
    x = np.zeros((2, 3), np.float16)
    assert F.softmax(x, 1, dtype=st.float64).dtype == np.float64
    t = st.tensor(x, requires_grad=True)
    y = F.log_softmax(t, -1, dtype=st.float32)
    y.sum().backward()
    assert y.dtype == st.float32 and t.grad.dtype == st.float16
    assert F.softmax(np.array([1, 2]), 0, dtype=st.float32).dtype == np.float32
    for shape, dim in [((3,), 0), ((2, 3), 1), ((2, 3, 4), 0), ((2, 3, 4, 5), 1)]:
        z = np.random.default_rng(0).standard_normal(shape)
        with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
            np.testing.assert_array_equal(F.softmax(z), F.softmax(z, dim))


def test_methods():
    x = st.randn(2, 3)
    np.testing.assert_array_equal(x.softmax(-1).numpy(), F.softmax(x, -1).numpy())
    np.testing.assert_array_equal(x.log_softmax(0, st.float64).numpy(), F.log_softmax(x, 0, dtype=st.float64).numpy())
