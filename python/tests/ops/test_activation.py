"""The elementary functions' errors in units in the last place, their special values, layouts and threads."""

from __future__ import annotations

import math

import numpy as np
import pytest

import spinetail
from spinetail._native import kernels, level
from spinetail.ops import activation as ops

INF, NAN = np.inf, np.nan


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def logsigmoid(x):
    return -softplus(-x)


_erf = np.vectorize(math.erf, otypes=[np.float64])


def erf(x):
    return _erf(x.astype(np.float64)).astype(x.dtype)


# name: (reference in a wider type, bound in ULP for float32, for float64)
FUNCTIONS = {
    "exp": (np.exp, 1.1, 1.1),
    "expm1": (np.expm1, 1.7, 1.7),
    "log": (np.log, 1.0, 1.0),
    "log1p": (np.log1p, 1.7, 1.7),
    "tanh": (np.tanh, 2.0, 2.0),
    "sigmoid": (sigmoid, 2.3, 2.3),
    "softplus": (softplus, 2.2, 2.2),
    "logsigmoid": (logsigmoid, 2.2, 2.2),
    "erf": (erf, 1.5, 2.0),
}
SAMPLES = 40_000


def samples(dtype) -> np.ndarray:
    """Numbers of every size and sign, dense where functions bend."""
    rng = np.random.default_rng(3)
    info = np.finfo(dtype)
    top = np.log10(float(info.max)) - 0.1
    bottom = np.log10(float(info.tiny))
    sign = rng.choice([-1.0, 1.0], SAMPLES)
    sets = [
        rng.uniform(-3, 3, SAMPLES),
        rng.uniform(-20, 20, SAMPLES),
        rng.uniform(-1e-3, 1e-3, SAMPLES),
        rng.uniform(-1, 1, SAMPLES) * np.log(float(info.max)),
        sign * 10.0 ** rng.uniform(bottom, top, SAMPLES),
        sign * float(info.tiny) * rng.uniform(0, 1, SAMPLES),
        1 + rng.uniform(-0.01, 0.01, SAMPLES),
        np.exp(rng.uniform(-5, 5, SAMPLES)),
    ]
    return np.concatenate(sets).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_ulp(name, dtype):
    reference, *bounds = FUNCTIONS[name]
    wide = np.float64 if dtype == np.float32 else np.longdouble
    if wide is np.longdouble and np.finfo(wide).nmant < 63:
        pytest.skip("long double is no wider than float64 here")
    x = samples(dtype)
    if name == "erf" and dtype == np.float64:
        x = x[::8]
    if name == "log":
        x = np.abs(x)
    if name == "log1p":
        x = x[x > -1]
    with np.errstate(all="ignore"):
        expected = reference(x.astype(wide))
        result = getattr(ops, name)(x, *((1.0, INF) if name == "softplus" else ()))
        largest = np.finfo(dtype).max
        unit = np.spacing(np.minimum(np.abs(expected), largest).astype(dtype)).astype(wide)
        error = np.abs(result.astype(wide) - expected) / unit
    # beyond the largest number the result is infinite
    beyond = np.abs(expected) > largest
    assert np.all(np.isinf(result[beyond]) | (np.abs(result[beyond]) == largest))
    worst = error[~beyond].argmax()
    assert error[~beyond][worst] <= bounds[dtype == np.float64], (x[~beyond][worst], float(error[~beyond][worst]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "name, values",
    [
        ("exp", [(0.0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (NAN, NAN), (1000.0, INF), (-1000.0, 0)]),
        ("expm1", [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1), (NAN, NAN), (1000.0, INF), (-1000.0, -1)]),
        ("log", [(0.0, -INF), (-0.0, -INF), (INF, INF), (-INF, NAN), (NAN, NAN), (1.0, 0.0), (-1.0, NAN)]),
        ("log1p", [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, NAN), (NAN, NAN), (-1.0, -INF), (-2.0, NAN)]),
        ("tanh", [(0.0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1), (NAN, NAN), (50.0, 1), (-50.0, -1)]),
        ("sigmoid", [(0.0, 0.5), (-0.0, 0.5), (INF, 1), (-INF, 0), (NAN, NAN), (50.0, 1)]),
        ("logsigmoid", [(INF, 0), (-INF, -INF), (NAN, NAN), (-1000.0, -1000)]),
        ("erf", [(0.0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1), (NAN, NAN), (7.0, 1), (-7.0, -1)]),
        ("softplus", [(INF, INF), (-INF, 0), (NAN, NAN), (1000.0, 1000), (-1000.0, 0)]),
        ("relu", [(0.0, 0.0), (-1.0, 0.0), (INF, INF), (-INF, 0), (NAN, NAN)]),
    ],
)
def test_special_values(name, values, dtype):
    x = np.array([v for v, _ in values], dtype)
    result = getattr(ops, name)(x)
    expected = np.array([v for _, v in values], dtype)
    np.testing.assert_array_equal(result, expected)
    zero = expected == 0
    if name != "relu":
        np.testing.assert_array_equal(np.signbit(result[zero]), np.signbit(expected[zero]))
    tiny = np.array([5e-324 if dtype == np.float64 else 1e-45], dtype)
    if name in ("expm1", "log1p", "tanh"):
        assert getattr(ops, name)(tiny) == tiny and getattr(ops, name)(-tiny) == -tiny


EVERY = [
    ("relu", ()),
    ("leaky_relu", (0.1,)),
    ("elu", (0.7,)),
    ("celu", (0.7,)),
    ("selu", ()),
    ("gelu", ("none",)),
    ("gelu", ("tanh",)),
    ("silu", ()),
    ("mish", ()),
    ("sigmoid", ()),
    ("logsigmoid", ()),
    ("tanh", ()),
    ("softplus", (1.5, 20.0)),
    ("softsign", ()),
    ("hardtanh", (-0.5, 2.0)),
    ("hardsigmoid", ()),
    ("hardswish", ()),
    ("tanhshrink", ()),
    ("softshrink", (0.5,)),
    ("hardshrink", (0.5,)),
    ("threshold", (0.1, 3.0)),
    ("exp", ()),
    ("expm1", ()),
    ("log", ()),
    ("log1p", ()),
    ("erf", ()),
]


def layouts(x: np.ndarray):
    """The same values in memory of every kind."""
    yield "contiguous", np.ascontiguousarray(x)
    yield "fortran", np.asfortranarray(x)
    wide = np.zeros((x.shape[0] * 2, x.shape[1] * 3), x.dtype)
    wide[::2, ::3] = x
    yield "strided", wide[::2, ::3]
    yield "negative", x[::-1, ::-1].copy()[::-1, ::-1]
    yield "swapped", x.astype(x.dtype.newbyteorder())
    raw = np.zeros(x.nbytes + 1, np.uint8)
    raw[1:] = np.frombuffer(x.tobytes(), np.uint8)
    yield "misaligned", raw[1:].view(x.dtype).reshape(x.shape)
    frozen = x.copy()
    frozen.setflags(write=False)
    yield "read-only", frozen


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", EVERY, ids=lambda c: "-".join(map(str, c)))
def test_layouts_and_tails(case, dtype):
    name, parameters = case
    forward, backward = getattr(ops, name), getattr(ops, name + "_backward")
    rng = np.random.default_rng(1)
    for shape in [(3, 5), (1, 1), (2, 33)]:
        x = rng.standard_normal(shape).astype(dtype)
        x = np.abs(x) if name == "log" else x
        x = np.maximum(x, -0.9, dtype=dtype) if name == "log1p" else x
        g = rng.standard_normal(shape).astype(dtype)
        single = [forward(np.array([v]), *parameters)[0] for v in x.ravel()]
        pairs = zip(g.ravel(), x.ravel(), strict=True)
        slopes = [backward(np.array([a]), np.array([b]), *parameters)[0] for a, b in pairs]
        for layout, laid in layouts(x):
            result = forward(laid, *parameters)
            assert result.dtype == dtype and result.dtype.isnative, layout
            # an element's result does not depend on its place in a vector
            np.testing.assert_array_equal(result.ravel(), single, err_msg=layout)
        for (layout, laid), (_, grad) in zip(layouts(x), layouts(g), strict=True):
            np.testing.assert_array_equal(backward(grad, laid, *parameters).ravel(), slopes, err_msg=layout)


@pytest.mark.parametrize("case", EVERY, ids=lambda c: "-".join(map(str, c)))
def test_gradients_are_derivatives(case):
    """Central differences in float64; backward gets the output where it is named so."""
    name, parameters = case
    forward, backward = getattr(ops, name), getattr(ops, name + "_backward")
    x = np.linspace(0.13, 4.3, 57) if name in ("log", "log1p") else np.linspace(-4.31, 4.27, 57)
    step = 1e-6
    numeric = (forward(x + step, *parameters) - forward(x - step, *parameters)) / (2 * step)
    saves_output = "output" in backward.__code__.co_varnames[: backward.__code__.co_argcount][1]
    saved = forward(x, *parameters) if saves_output else x
    np.testing.assert_allclose(backward(np.ones_like(x), saved, *parameters), numeric, rtol=2e-8, atol=2e-9)


@pytest.mark.parametrize("dtype", [np.float16, "bfloat16"])
def test_half_precision(dtype):
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    x = np.linspace(-4, 4, 31).astype(dtype)
    for name, parameters in EVERY:
        with np.errstate(invalid="ignore"):
            result = getattr(ops, name)(x, *parameters)
            expected = getattr(ops, name)(x.astype(np.float32), *parameters).astype(dtype)
            grad = getattr(ops, name + "_backward")(x, x, *parameters)
        assert result.dtype == grad.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(result.astype(np.float32), expected.astype(np.float32))
    assert ops.softmax(x, 0).dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 64), (7, 31), (9, 150), (2, 21, 197), (3, 5, 8, 64)], ids=str)
def test_softmax_down_columns(shape, dtype):
    """Strips, single vectors and odd tails of columns against float64."""
    rng = np.random.default_rng(3)
    x, g = (rng.standard_normal(shape).astype(dtype) * 3 for _ in range(2))
    axis, eps = len(shape) - 2 if len(shape) < 4 else 1, np.finfo(dtype).eps
    x64, g64 = x.astype(np.float64), g.astype(np.float64)
    e = np.exp(x64 - x64.max(axis, keepdims=True))
    p = e / e.sum(axis, keepdims=True)
    y, log = ops.softmax(x, axis), ops.log_softmax(x, axis)
    np.testing.assert_allclose(y, p, rtol=16 * eps)
    np.testing.assert_allclose(log, np.log(p), rtol=8 * eps, atol=8 * eps)
    slope = p * (g64 - (g64 * p).sum(axis, keepdims=True))
    np.testing.assert_allclose(ops.softmax_backward(g, y, axis), slope, atol=64 * eps)
    slope = g64 - p * g64.sum(axis, keepdims=True)
    np.testing.assert_allclose(ops.log_softmax_backward(g, log, axis), slope, atol=128 * eps)


def test_threads_give_the_same_bits():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((130, 2011)).astype(np.float32)
    results = []
    for threads in (1, 2, 5):
        spinetail.set_num_threads(threads)
        parts = [ops.gelu(x), ops.gelu_backward(x, x), ops.tanh(x)]
        for axis in (0, 1):
            y = ops.softmax(x, axis)
            parts += [y, ops.softmax_backward(x, y, axis), ops.log_softmax(x, axis)]
        results.append(b"".join(p.tobytes() for p in parts))
    assert results[0] == results[1] == results[2]


def test_backward_refuses_what_does_not_fit():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"grad_output has shape \(3, 2\)"):
        ops.gelu_backward(x.T, x)
    with pytest.raises(TypeError, match="grad_output is float64"):
        ops.gelu_backward(x.astype(np.float64), x)
    with pytest.raises(ValueError, match="shape"):
        ops.softmax_backward(x, x[:1], 0)


def test_kernel_checks_its_arguments():
    """What reaches a kernel past the checks in Python is refused, never followed out of bounds."""
    x, y = np.zeros(4, np.float32), np.zeros(4, np.float32)
    f, b, s = kernels.activation_forward, kernels.activation_backward, kernels.softmax_forward
    for call, error in [
        (lambda: f(y, x[:3], 1, 0.0, 0.0), ValueError),
        (lambda: f(y, x.astype(np.float64), 1, 0.0, 0.0), TypeError),
        (lambda: f(y[::2], x[::2], 1, 0.0, 0.0), ValueError),
        (lambda: f(y, x, 999, 0.0, 0.0), ValueError),
        (lambda: f(y, x, -1, 0.0, 0.0), ValueError),
        (lambda: f(y.astype(np.int32), x.astype(np.int32), 1, 0.0, 0.0), TypeError),
        (lambda: b(y, x[:2], x, 1, 0.0, 0.0), ValueError),
        (lambda: b(y, x, x[:2], 1, 0.0, 0.0), ValueError),
        (lambda: s(y, x, 1, 0), ValueError),
        (lambda: s(y, x, -1, 0), ValueError),
    ]:
        with pytest.raises(error):
            call()
    frozen = y.copy()
    frozen.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        f(frozen, x, 1, 0.0, 0.0)
    assert level in ("v2", "v3", "v4", "neon")
