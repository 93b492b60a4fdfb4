"""Losses against PyTorch's values and gradients, through both doors, and what they refuse."""

from __future__ import annotations

import ast
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import spinetail as st
from spinetail.functional import distance, likelihood, loss, margin
from spinetail.ops import loss as ops

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from loss_cases import CASES, incoming  # noqa: E402

sys.path.pop(0)


def load() -> list[list[np.ndarray]]:
    """For each case its value and its gradients."""
    with np.load(GOLDEN / "loss.npz") as file:
        flat, shapes = file["flat"], iter(file["shapes"])
    result, place = [], 0
    for case in CASES:
        arrays = []
        for _ in range(1 + len(case[3])):
            shape = ast.literal_eval(str(next(shapes)))
            size = int(np.prod(shape))
            arrays.append(flat[place : place + size].reshape(shape))
            place += size
        result.append(arrays)
    return result


golden = load()
FUNCTIONS = {name: getattr(m, name) for m in (distance, likelihood, loss, margin) for name in m.__all__}
IDS = [f"{n}-{c[0]}-{'-'.join(f'{k}={v}' for k, v in c[2].items() if np.ndim(v) == 0)}" for n, c in enumerate(CASES)]


@pytest.fixture
def rng():
    return np.random.default_rng(17)


def run(function, *arguments, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="reduction: 'mean' divides")
        return FUNCTIONS[function](*arguments, **options)


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_golden(number):
    function, arrays, options, gradients = CASES[number]
    tensors = [st.tensor(a, requires_grad=i in gradients) for i, a in enumerate(arrays)]
    wrapped = {k: st.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    value = run(function, *tensors, **wrapped)
    assert tuple(value.shape) == golden[number][0].shape
    np.testing.assert_allclose(value.detach().numpy(), golden[number][0], rtol=1e-12, atol=1e-14)
    grad = incoming(tuple(value.shape))
    for retain in (True, False):  # a second backward through the same graph gives the same again
        for t in tensors:
            t.grad = None
        value.backward(st.tensor(grad), retain_graph=retain)
        for i, expected in zip(gradients, golden[number][1:], strict=True):
            np.testing.assert_allclose(tensors[i].grad.numpy(), expected, rtol=1e-10, atol=1e-13)
    bare = run(function, *arrays, **options)
    assert isinstance(bare, (np.ndarray, np.generic))
    np.testing.assert_array_equal(bare, value.detach().numpy())


def test_every_loss_has_golden_values():
    assert set(FUNCTIONS) == {case[0] for case in CASES}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [1, 2, 10, 15, 16, 17, 33, 100])
@pytest.mark.parametrize("samples", [0, 1, 3])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_reference(rng, dtype, classes, samples, reduction):
    x = (rng.standard_normal((samples, classes)) * 4).astype(dtype)
    y = rng.integers(0, classes, samples)
    w = np.abs(rng.standard_normal(classes)).astype(dtype)
    for weight, smoothing in ((None, 0.0), (w, 0.0), (None, 0.3), (w, 0.3)):
        t = st.tensor(x, requires_grad=True)
        weights = None if weight is None else st.tensor(weight)
        result = loss.cross_entropy(t, st.tensor(y), weights, reduction=reduction, label_smoothing=smoothing)
        result.sum().backward()
        value, gradient = reference(x, y, weight, smoothing, reduction)
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(result.detach().numpy(), value, rtol=8 * eps, atol=30 * eps)
        np.testing.assert_allclose(t.grad.numpy(), gradient, rtol=16 * eps, atol=8 * eps)


def reference(x, y, weight, smoothing, reduction):
    """Cross-entropy and its gradient in float64 from the definition."""
    x = x.astype(np.float64)
    samples, classes = x.shape
    w = np.ones(classes) if weight is None else weight.astype(np.float64)
    target = np.full(x.shape, smoothing / classes)
    target[np.arange(samples), y] += 1 - smoothing
    target *= w
    shifted = x - x.max(1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    each = -(target * logp).sum(1)
    gradient = np.exp(logp) * target.sum(1, keepdims=True) - target
    if reduction == "none":
        return each, gradient
    if reduction == "sum":
        return each.sum(), gradient
    with np.errstate(invalid="ignore"):
        return each.sum() / w[y].sum(), gradient / w[y].sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape", [(2, 3, 1), (1, 1, 5), (2, 4, 7), (3, 5, 16), (2, 7, 4, 9), (1, 21, 40, 67), (0, 3, 4), (2, 3, 0)], ids=str
)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_positions(rng, dtype, shape, reduction):
    """(N, C, d1, ...) gives what the same positions give as rows, and float64 agrees."""
    x = (rng.standard_normal(shape) * 4).astype(dtype)
    y = rng.integers(0, shape[1], shape[:1] + shape[2:])
    w = np.abs(rng.standard_normal(shape[1])).astype(dtype)
    rows = np.moveaxis(x, 1, -1).reshape(-1, shape[1])
    eps = np.finfo(dtype).eps
    for weight, smoothing in ((None, 0.0), (w, 0.0), (None, 0.3), (w, 0.3)):
        value, gradient = ops.cross_entropy_backward(x, y, weight, -100, reduction, smoothing)
        expected, slope = reference(rows, y.reshape(-1), weight, smoothing, reduction)
        assert gradient.shape == shape and gradient.base is None
        bound = 8 * eps + y.size * 2.0**-53  # the sum over samples is made in float64
        np.testing.assert_allclose(value.reshape(-1), np.reshape(expected, -1), rtol=bound, atol=30 * eps)
        flat = np.moveaxis(gradient, 1, -1).reshape(-1, shape[1])
        np.testing.assert_allclose(flat, slope, rtol=16 * eps, atol=8 * eps)
        np.testing.assert_array_equal(ops.cross_entropy(x, y, weight, -100, reduction, smoothing), value)


def test_positions_that_do_not_count(rng):
    """Zeros for them, whatever their logits are; the bits do not depend on threads."""
    x = rng.standard_normal((2, 5, 30, 41)).astype(np.float32)
    y = rng.integers(0, 5, (2, 30, 41))
    y[0, 3], y[1, :, 7] = -100, -100
    x[0, 2, 3, 1], x[1, 1, 4, 7] = np.nan, np.inf
    each, gradient = ops.cross_entropy_backward(x, y, None, -100, "none", 0.1)
    ignored = y == -100
    assert not each[ignored].any() and not gradient.transpose(0, 2, 3, 1)[ignored].any()
    assert np.isfinite(each).all() and np.isfinite(gradient).all()
    results = []
    for threads in (1, 2, 3):
        st.set_num_threads(threads)
        results.append([a.tobytes() for a in ops.cross_entropy_backward(x, y, None, -100, "mean", 0.1)])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("make", [np.asfortranarray, lambda a: a[::-1][:, ::-1], lambda a: a.astype(">f4")])
def test_cross_entropy_layouts(rng, make):
    x = rng.standard_normal((6, 9)).astype(np.float32)
    y = rng.integers(0, 9, 6)
    odd = make(x)
    expected = loss.cross_entropy(np.array(odd, np.float32), y)
    np.testing.assert_array_equal(loss.cross_entropy(odd, y), expected)
    np.testing.assert_array_equal(loss.cross_entropy(odd, np.repeat(y, 2)[::2]), expected)
    np.testing.assert_array_equal(loss.cross_entropy(odd, y.astype(np.uint8)), expected)
    np.testing.assert_array_equal(loss.cross_entropy(odd, y.astype(">i8")), expected)


def test_half_precision(rng):
    x = rng.standard_normal((4, 5)).astype(np.float16)
    t = st.tensor(x, requires_grad=True)
    value = loss.cross_entropy(t, st.tensor([0, 1, 2, 3]))
    value.backward()
    assert value.dtype == st.float16 and t.grad.dtype == st.float16
    wide = loss.cross_entropy(x.astype(np.float32), np.array([0, 1, 2, 3]))
    assert abs(value.item() - float(wide)) <= 2**-10 * float(wide)
    assert loss.mse_loss(x, x + 1).dtype == np.float16


def test_threads_give_the_same_bits(rng):
    x = rng.standard_normal((300, 700)).astype(np.float32)
    y = rng.integers(0, 700, 300)
    results = []
    for threads in (1, 2, 3):
        st.set_num_threads(threads)
        t = st.tensor(x, requires_grad=True)
        value = loss.cross_entropy(t, st.tensor(y), label_smoothing=0.1)
        value.backward()
        squared = loss.mse_loss(x, x[::-1])
        results.append((value.numpy(force=True).tobytes(), t.grad.numpy().tobytes(), np.asarray(squared).tobytes()))
    assert results[0] == results[1] == results[2]


def test_cross_entropy_special_values():
    inf, nan = np.inf, np.nan
    y = np.array([0])
    assert np.isnan(loss.cross_entropy(np.array([[nan, 1.0]]), y))
    assert np.isnan(loss.cross_entropy(np.array([[-inf, -inf]]), y))
    assert loss.cross_entropy(np.array([[-inf, 0.0]]), y) == inf
    assert loss.cross_entropy(np.array([[1000.0, -1000.0]]), y) == 0
    assert np.isnan(loss.cross_entropy(np.zeros((1, 2)), np.array([[nan, 1.0]])))
    assert np.isnan(loss.cross_entropy(np.zeros((2, 3)), np.array([-100, -100])))
    assert np.isnan(loss.cross_entropy(np.zeros((0, 3)), np.zeros(0, np.int64)))
    assert loss.cross_entropy(np.zeros((0, 3)), np.zeros(0, np.int64), reduction="sum") == 0
    assert np.isnan(loss.mse_loss(np.zeros(0), np.zeros(0)))
    assert likelihood.binary_cross_entropy(np.array([0.0]), np.array([1.0])) == 100


BAD = [
    ("cross_entropy", (np.zeros((2, 3)), np.array([1, 5])), {}, IndexError, r"target 5 at position 1 .* 3 classes"),
    ("cross_entropy", (np.zeros((2, 3)), np.array([-1, 0])), {}, IndexError, r"target -1 at position 0"),
    ("cross_entropy", (np.zeros((1, 3, 2)), np.array([[1, 9]])), {}, IndexError, r"position \(0, 1\)"),
    ("cross_entropy", (np.zeros((2, 3)), np.array([1, 2], np.int32)), {}, RuntimeError, "int64 or uint8, got int32"),
    ("cross_entropy", (np.zeros((2, 3)), np.array([True, False])), {}, RuntimeError, "got bool"),
    ("cross_entropy", (np.zeros((2, 3)), np.array([1.0, 2.0])), {}, RuntimeError, "got float64"),
    ("cross_entropy", (np.zeros((2, 3)), np.array([1, 2, 0])), {}, ValueError, r"must have shape \(2,\)"),
    ("cross_entropy", (np.zeros((2, 3)), np.array([1, 2]), np.ones(2)), {}, ValueError, r"weight must have shape"),
    ("cross_entropy", (np.zeros((2, 3)), np.array([1, 2]), np.ones(3, "f")), {}, TypeError, "weight is float32"),
    ("cross_entropy", (np.zeros((2, 3)), np.array([1, 2])), {"reduction": "all"}, ValueError, "got 'all'"),
    ("cross_entropy", (np.zeros((2, 3)), np.array([1, 2])), {"label_smoothing": 1.5}, ValueError, "between 0 and 1"),
    ("cross_entropy", (np.zeros((2, 3)), np.zeros((2, 3))), {"ignore_index": 1}, RuntimeError, "ignore_index"),
    ("cross_entropy", (np.zeros((2, 3)), np.array([1, 2])), {"size_average": True}, TypeError, "size_average"),
    ("cross_entropy", (np.zeros((2, 3), int), np.array([1, 2])), {}, TypeError, "floating point"),
    ("cross_entropy", (np.ma.masked_array(np.zeros((2, 3))), np.array([1, 2])), {}, TypeError, "masked"),
    ("cross_entropy", ([[1.0, 2.0]], np.array([1])), {}, TypeError, "list"),
    ("nll_loss", (np.zeros((2, 3)), np.array([1, 3])), {}, IndexError, "target 3 at position 1"),
    ("nll_loss", (np.zeros((2, 3)), np.array([1, 2])), {"reduce": True}, TypeError, "reduce"),
    ("mse_loss", (np.zeros(3, int), np.zeros(3, int)), {}, TypeError, "floating point"),
    ("l1_loss", (np.zeros(3), np.zeros(3)), {"reduce": False}, TypeError, "reduce"),
    ("huber_loss", (np.zeros(3), np.zeros(3)), {"delta": 0.0}, ValueError, "delta"),
    ("smooth_l1_loss", (np.zeros(3), np.zeros(3)), {"beta": -1.0}, RuntimeError, "beta"),
    ("binary_cross_entropy", (np.array([1.5]), np.array([1.0])), {}, RuntimeError, "input must be between"),
    ("binary_cross_entropy", (np.array([np.nan]), np.array([1.0])), {}, RuntimeError, "input must be between"),
    ("binary_cross_entropy", (np.array([0.5]), np.array([2.0])), {}, RuntimeError, "target must be between"),
    ("binary_cross_entropy", (np.array([0.5]), np.array([1.0, 0.0])), {}, ValueError, r"size \(2,\)"),
    ("binary_cross_entropy_with_logits", (np.array([0.5]), np.ones(2)), {}, ValueError, r"size \(2,\)"),
    ("binary_cross_entropy_with_logits", (np.array([0.5]), np.array([1])), {}, TypeError, "target"),
    ("gaussian_nll_loss", (np.zeros(3), np.zeros(3), -np.ones(3)), {}, ValueError, "negative"),
    ("gaussian_nll_loss", (np.zeros((3, 4)), np.zeros((3, 4)), np.ones((2, 1))), {}, ValueError, r"\(2, 1\)"),
    ("margin_ranking_loss", (np.zeros((3, 4)), np.zeros((3, 4)), np.ones(3)), {}, RuntimeError, "dimensions"),
    ("cosine_embedding_loss", (np.zeros((3, 4)), np.zeros((3, 4)), np.ones((3, 4))), {}, ValueError, "target"),
    ("triplet_margin_loss", (np.zeros((3, 4)), np.zeros((3, 4)), np.zeros(4)), {}, RuntimeError, "dimensions"),
    ("triplet_margin_loss", (np.zeros(4), np.zeros(4), np.zeros(4)), {"margin": 0.0}, ValueError, "margin"),
]


@pytest.mark.parametrize("case", BAD, ids=[f"{i}-{c[0]}" for i, c in enumerate(BAD)])
def test_bad_input(case):
    function, arrays, options, error, message = case
    with pytest.raises(error, match=message):
        FUNCTIONS[function](*arrays, **options)
    if isinstance(arrays[0], np.ndarray) and not isinstance(arrays[0], np.ma.MaskedArray):
        with pytest.raises(error, match=message):
            FUNCTIONS[function](*map(st.tensor, arrays), **options)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_broadcasting_warns(name):
    with pytest.warns(UserWarning, match=r"Using a target size \(\(3,\)\) that is different"):
        value = FUNCTIONS[name](np.zeros((3, 1)), np.ones(3), reduction="none")
    assert value.shape == (3, 3)


def test_broadcast_gradient():
    x, t = st.tensor(np.zeros((3, 1)), requires_grad=True), st.tensor(np.ones(2), requires_grad=True)
    with pytest.warns(UserWarning):
        loss.mse_loss(x, t).backward()
    np.testing.assert_allclose(x.grad.numpy(), np.full((3, 1), -2 / 3))
    np.testing.assert_allclose(t.grad.numpy(), np.full(2, 1.0))


def test_kl_div_mean_warns():
    with pytest.warns(UserWarning, match="batchmean"):
        likelihood.kl_div(np.zeros(2), np.ones(2))


def test_mse_layouts(rng):
    x, y = rng.standard_normal((2, 6, 7)).astype(np.float32)
    expected = loss.mse_loss(x, y)
    for a, b in [(x, y.astype(">f4")), (np.asfortranarray(x), y), (x[::-1, ::-1], y[::-1, ::-1])]:
        np.testing.assert_allclose(loss.mse_loss(a, b), expected, rtol=1e-6)
    with pytest.raises(TypeError, match="float16"):
        ops.mse_loss(x.astype(np.float16), y)


def test_mixed_dtypes_widen():
    x, y = st.tensor([1.0, 2.0], requires_grad=True), st.tensor([0.0, 4.0], dtype=st.float64)
    value = loss.mse_loss(x, y)
    value.backward()
    assert value.dtype == st.float64 and x.grad.dtype == st.float32
    assert loss.mse_loss(np.array([1.0, 2.0]), np.array([1, 3])) == 0.5
    soft = loss.cross_entropy(st.zeros(1, 2), st.tensor([[0.5, 0.5]], dtype=st.float64))
    assert soft.dtype == st.float64


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_nll_loss_of_positions_is_that_of_rows(dtype, reduction):
    """(N, C, d1, …) on the log-probabilities as they lie, value and gradient, also where the layout is another one."""
    random = np.random.default_rng(0)
    for shape in [(2, 3, 4), (3, 5, 2, 7), (1, 4, 33), (2, 3, 0), (0, 3, 4), (5, 2, 1, 1, 3), (2, 9, 70, 70)]:
        x = random.standard_normal(shape).astype(dtype)
        target = random.integers(0, shape[1], shape[:1] + shape[2:])
        target[random.random(target.shape) < 0.2] = -100
        weight = random.random(shape[1]).astype(dtype)
        last = np.moveaxis(x, 1, -1)
        rows = np.ascontiguousarray(last).reshape(-1, shape[1])
        for w in (None, weight):
            want, slope = ops.nll_loss_backward(rows, target.reshape(-1), w, -100, reduction)
            for layout in (x, np.asfortranarray(x)):
                loss, gradient = ops.nll_loss_backward(layout, target, w, -100, reduction)
                np.testing.assert_allclose(loss, want.reshape(loss.shape), rtol=1e-5)
                np.testing.assert_array_equal(gradient, np.moveaxis(slope.reshape(last.shape), -1, 1))
                alone = ops.nll_loss(layout, target, w, -100, reduction)
                np.testing.assert_array_equal(alone, loss)
