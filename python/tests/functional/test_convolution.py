"""Convolution through both doors: gradients, second derivatives, batches of one image, PyTorch's golden values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spinetail as st
import spinetail.functional.convolution as F
from spinetail.ops import convolution as ops

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "convolution.npz")
CASES = sorted({name.rpartition("/")[0] for name in GOLDEN.files})


def tensor(array):
    return st.from_numpy(np.array(array)).requires_grad_()


@pytest.mark.parametrize("case", CASES)
def test_golden(case):
    """Values and gradients that PyTorch gave, in float64."""
    function, _, arguments = case.partition(" ")
    x, w, b, y, g, dx, dw, db = (GOLDEN[f"{case}/{part}"] for part in "x w b y g dx dw db".split())
    options = eval(f"dict({arguments})")
    given = [tensor(a) for a in (x, w, b)]
    result = getattr(F, function)(*given, **options)
    np.testing.assert_allclose(result.detach().numpy(), y, rtol=1e-12, atol=1e-12)
    result.backward(st.from_numpy(g))
    for t, expected in zip(given, (dx, dw, db), strict=True):
        np.testing.assert_allclose(t.grad.numpy(), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(getattr(F, function)(x, w, b, **options), y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "function, options, shapes",
    [
        (F.conv2d, {"stride": 2, "padding": 1, "groups": 2}, [(2, 4, 5, 4), (6, 2, 3, 2), (6,)]),
        (F.conv2d, {"padding": "same", "groups": 3}, [(1, 3, 4, 3), (6, 1, 2, 3), (6,)]),
        (F.conv1d, {"dilation": 2}, [(3, 9), (2, 3, 3), (2,)]),
        (F.conv_transpose2d, {"stride": 2, "output_padding": 1}, [(1, 2, 3, 2), (2, 3, 2, 2), (3,)]),
    ],
)
def test_first_and_second_derivatives(function, options, shapes):
    """Against differences, in float64: the maps are bilinear, so differences of half-steps are exact to rounding."""
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(s) for s in shapes]
    steps = [rng.standard_normal(s) for s in shapes]
    weights = rng.standard_normal(function(*values, **options).shape)

    def gradients(arrays, graph=False):
        given = [tensor(a) for a in arrays]
        loss = (function(*given, **options) * st.from_numpy(weights)).sum()
        return given, loss, st.autograd.grad(loss, given, create_graph=graph)

    given, _, first = gradients(values, graph=True)
    ahead = [v + 0.5 * s for v, s in zip(values, steps, strict=True)]
    behind = [v - 0.5 * s for v, s in zip(values, steps, strict=True)]
    slope = sum(float((g * st.from_numpy(s)).sum().item()) for g, s in zip(first, steps, strict=True))
    rise = gradients(ahead)[1].item() - gradients(behind)[1].item()
    assert slope == pytest.approx(rise, rel=1e-10, abs=1e-10)
    directed = sum((g * st.from_numpy(s)).sum() for g, s in zip(first[:2], steps[:2], strict=True))
    second = st.autograd.grad(directed, given[:2])
    for s, p, m in zip(second, gradients(ahead)[2], gradients(behind)[2], strict=False):
        np.testing.assert_allclose(s.numpy(), (p - m).detach().numpy(), rtol=1e-10, atol=1e-10)


def test_only_what_needs_a_gradient_gets_one():
    rng = np.random.default_rng(1)
    x, w, b = rng.standard_normal((1, 2, 4, 4)), rng.standard_normal((3, 2, 3, 3)), rng.standard_normal(3)
    w_tensor = tensor(w)
    y = F.conv2d(x, w_tensor, b)
    y.sum().backward()
    expected = ops.convolution_backward(np.ones((1, 3, 2, 2)), x, w)[1]
    np.testing.assert_allclose(w_tensor.grad.numpy(), expected)
    with st.no_grad():
        assert not F.conv2d(x, w_tensor).requires_grad
    assert isinstance(F.conv2d(x, w), np.ndarray)


def test_a_changed_weight_is_noticed():
    x, w = tensor(np.ones((1, 1, 3, 3))), tensor(np.ones((1, 1, 2, 2)))
    y = F.conv2d(x, w)
    with st.no_grad():
        w.mul_(2.0)
    with pytest.raises(RuntimeError):
        y.sum().backward()


def test_bad_input():
    x = np.ones((1, 2, 5, 5))
    with pytest.raises(ValueError, match=r"\[conv2d\] weight must have 4 dimensions, got shape \(3, 2, 3\)"):
        F.conv2d(x, np.ones((3, 2, 3)))
    with pytest.raises(TypeError, match=r"\[conv2d\] weight must be a Tensor or an ndarray, got list"):
        F.conv2d(x, [[1.0]])
    with pytest.raises(TypeError, match=r"\[conv2d\] expected a Tensor or an ndarray, got list"):
        F.conv2d(st.from_numpy(x), [[1.0]])
    with pytest.raises(TypeError, match=r"\[conv2d\] expected one dtype"):
        F.conv2d(st.from_numpy(x), st.ones(3, 2, 3, 3))
