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


def gelu(x):
    """x · Φ(x) where erfc does not cancel: math.erfc for float32's sake, so float64 is tested below."""
    return x * np.vectorize(math.erfc, otypes=[np.float64])(-x * math.sqrt(0.5)) / 2


def silu(x):
    return np.where(x < 0, x * np.exp(-np.abs(x)), x) / (1 + np.exp(-np.abs(x)))


def gelu_tanh(x):
    z = -math.sqrt(8 / math.pi) * (np.abs(x) + 0.044715 * np.abs(x) ** 3)
    return np.where(x < 0, x * np.exp(z), x) / (1 + np.exp(z))


# name: (reference in a wider type, bound in ULP for float32, for float64)
FUNCTIONS = {
    "exp": (np.exp, 1.1, 1.1),
    "expm1": (np.expm1, 1.7, 1.7),
    "log": (np.log, 1.0, 1.0),
    "log1p": (np.log1p, 1.7, 1.7),
    "tanh": (np.tanh, 2.0, 2.0),
    "sigmoid": (sigmoid, 2.0, 2.0),
    "softplus": (softplus, 2.0, 2.0),
    "logsigmoid": (logsigmoid, 2.0, 2.0),
    "erf": (erf, 1.5, 2.0),
    "gelu": (gelu, 2.0, None),
    "gelu_tanh": (gelu_tanh, 2.0, None),
    "silu": (silu, 2.0, 2.0),
    "sin": (np.sin, 2.0, 2.0),
    "cos": (np.cos, 2.0, 2.0),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 2.0, 2.0),
}
PARAMETERS = {"softplus": (1.0, INF), "gelu_tanh": ("tanh",)}
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
    bound = bounds[dtype == np.float64]
    if bound is None:
        return  # no reference that is wide enough: see test_gelu_float64
    wide = np.float64 if dtype == np.float32 else np.longdouble
    if wide is np.longdouble and np.finfo(wide).nmant < 63:
        pytest.skip("long double is no wider than float64 here")
    x = samples(dtype)
    if name == "erf" and dtype == np.float64:
        x = x[::8]
    if name in ("log", "rsqrt"):
        x = np.abs(x)
    if name == "log1p":
        x = x[x > -1]
    with np.errstate(all="ignore"):
        expected = reference(x.astype(wide))
        result = getattr(ops, name.removesuffix("_tanh"))(x, *PARAMETERS.get(name, ()))
        largest = np.finfo(dtype).max
        unit = np.spacing(np.minimum(np.abs(expected), largest).astype(dtype)).astype(wide)
        error = np.abs(result.astype(wide) - expected) / unit
    # beyond the largest number the result is infinite
    beyond = np.abs(expected) > largest
    assert np.all(np.isinf(result[beyond]) | (np.abs(result[beyond]) == largest))
    worst = error[~beyond].argmax()
    assert error[~beyond][worst] <= bound, (x[~beyond][worst], float(error[~beyond][worst]))


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
        ("sin", [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (NAN, NAN)]),
        ("cos", [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (NAN, NAN)]),
        ("rsqrt", [(0.0, INF), (-0.0, -INF), (INF, 0.0), (-1.0, NAN), (NAN, NAN), (4.0, 0.5)]),
        ("silu", [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, NAN), (NAN, NAN), (-1e30, -0.0)]),
        ("gelu", [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, NAN), (NAN, NAN), (-1e30, -0.0)]),
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
    if name in ("expm1", "log1p", "tanh", "sin"):
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
    ("sin", ()),
    ("cos", ()),
    ("rsqrt", ()),
]

# x, gelu(x) and its tanh form, from 60 digits: down to where float64 ends.
GELU = np.array(
    [
        [-37.2, -1.269284215770929e-301, -0.0],
        [-35.29280926295326, -1.3359298954940404e-271, -0.0],
        [-33.476733499420405, -1.7596077897397118e-244, -0.0],
        [-30.5, -3.973960635193133e-203, -0.0],
        [-21.1, -8.391060595707607e-98, -3.9148513340576206e-305],
        [-20.3, -1.3051366269427644e-90, -1.0061653127657417e-272],
        [-17.7, -3.710868816142468e-69, -1.3804938552988278e-183],
        [-14.210677858753936, -5.589087419562593e-45, -2.362540145332371e-98],
        [-12.345, -3.1994685478178554e-34, -1.7152773337679187e-66],
        [-9.1, -4.1100982572062655e-19, -1.9953567379642828e-29],
        [-6.6, -1.3568206802036852e-10, -2.1692367905185487e-13],
        [-4.4, -2.3815193193896947e-05, -9.001941250344772e-06],
        [-3.7, -0.00039885901386633657, -0.00027180602139205363],
        [-2.9, -0.005410858571113711, -0.004966666235471415],
        [-2.761279668016993, -0.007949082228617088, -0.0074788579022783555],
        [-1.8392130311026162, -0.06058722577997536, -0.06062343838568962],
        [-1.8316300491023942, -0.06136561143604961, -0.06140769253513773],
        [-1.2, -0.13808360426604993, -0.1382972308621351],
        [-0.7518, -0.16997120746440647, -0.1700406563883433],
        [-0.63919758507172, -0.16705250004163397, -0.16709340212096285],
        [-0.31, -0.11726694823517403, -0.11726978989473458],
        [-0.0625755756, -0.029726667331129435, -0.02972667236341003],
        [-0.028008534750231684, -0.013691346839097564, -0.013691347041515771],
        [-0.001, -0.000499601057786089, -0.000499601057786418],
        [-1e-09, -4.999999996010577e-10, -4.999999996010577e-10],
        [1e-300, 5e-301, 5e-301],
        [1e-09, 5.000000003989423e-10, 5.000000003989423e-10],
        [0.001, 0.000500398942213911, 0.000500398942213582],
        [0.029235400801897127, 0.014958631256082723, 0.014958631015810764],
        [0.1, 0.053982783727702904, 0.053982751045435165],
        [0.7, 0.5306254434438489, 0.5305701347051167],
        [1.0, 0.8413447460685429, 0.8411919906082767],
        [1.9, 1.8454385363495964, 1.8454512344553324],
        [3.3, 3.2984047003301336, 3.298688771881664],
        [8.8, 8.8, 8.8],
    ]
)


def test_gelu_float64():
    """Where no wider type serves as a reference: the last digits of -x²/2 count for much in the tail."""
    x, *expected = GELU.T
    for approximate, values in zip(("none", "tanh"), expected, strict=True):
        error = np.abs(ops.gelu(x, approximate) - values) / np.spacing(np.abs(values))
        assert error.max() <= 2.0, (approximate, x[error.argmax()], error.max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_gradient(approximate, dtype):
    """Its error, which is absolute because the slope passes 0, is at most 3 eps."""
    x = np.concatenate((np.linspace(-16, 16, 50_001), np.linspace(-1e-3, 1e-3, 101))).astype(dtype)
    wide = x.astype(np.float64)
    if approximate == "none":
        half = np.vectorize(math.erfc)(-wide * math.sqrt(0.5)) / 2
        expected = half + wide * np.exp(-wide * wide / 2) / math.sqrt(2 * math.pi)
    else:
        e = np.exp(-math.sqrt(8 / math.pi) * (np.abs(wide) + 0.044715 * np.abs(wide) ** 3))
        gate = np.where(wide < 0, e, 1) / (1 + e)
        expected = gate + wide * e / (1 + e) ** 2 * math.sqrt(8 / math.pi) * (1 + 0.134145 * wide**2)
    error = np.abs(ops.gelu_backward(np.ones_like(x), x, approximate) - expected)
    assert error.max() <= 3 * np.finfo(dtype).eps
    far = np.array([INF, 1e30, -1e30], dtype)
    np.testing.assert_array_equal(ops.gelu_backward(np.ones_like(far), far, approximate)[1:], [1, 0])


def test_lanes_do_not_depend_on_their_neighbours():
    """A vector with a number that needs the long way gives the others the same bits as without it."""
    x = np.random.default_rng(5).uniform(-5, 5, 4096).astype(np.float32)
    mixed = x.copy()
    mixed[::7], mixed[3::50], mixed[5::64] = -9.5, 1e30, NAN
    same = mixed == x
    for name in ("gelu", "sin", "cos", "tanh"):
        function, backward = getattr(ops, name), getattr(ops, name + "_backward")
        np.testing.assert_array_equal(function(mixed)[same], function(x)[same])
        np.testing.assert_array_equal(backward(x, mixed)[same], backward(x, x)[same])


def test_sine_of_huge_numbers():
    """Against 2/π to 1000 bits: numbers near multiples of π/2, where digits cancel, and the largest ones."""
    x = np.array(
        [
            [5.319372648326541e255, 1.0, -4.687165924254628e-19],
            [1.7976931348623157e308, 0.004961954789184062, -0.9999876894265599],
            [-1e300, 0.8178819121159085, -0.5753861119575491],
            [1e22, -0.8522008497671888, 0.523214785395139],
            [6588397.316661142, -2.56827048412547e-10, 1.0],
            [-1048577.5, -0.9648223011268932, -0.2629028855836442],
            [1000000.5, 0.141954699000744, 0.9898731552232378],
            [1329843162081635.2, -0.9441143635079066, 0.3296180647629321],
            [8.98846567431158e307, 0.563127779850884, -0.826369834614148],
            [123456789012.345, -0.41379247932315333, -0.9103712341982241],
            [-6.02e23, 0.9271625905775166, 0.37465921933616986],
            [9000000000000000.0, 0.13729212598775015, 0.9905306013151556],
        ]
    )
    for column, function in ((1, ops.sin), (2, ops.cos)):
        error = np.abs(function(np.ascontiguousarray(x[:, 0])) - x[:, column]) / np.spacing(np.abs(x[:, column]))
        assert error.max() <= 2.0


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
    x = np.linspace(0.13, 4.3, 57) if name in ("log", "log1p", "rsqrt") else np.linspace(-4.31, 4.27, 57)
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
@pytest.mark.parametrize("columns", [1, 63, 64, 65, 131, 515, 5003, 16_385, 50_257])
@pytest.mark.parametrize("spread", [1, 20, 300])
def test_softmax_along_rows(columns, spread, dtype):
    """Whole strips, those with powers that are no normal numbers, masked elements and odd tails, far from 0 too."""
    rng = np.random.default_rng(4)
    eps, tiny = np.finfo(dtype).eps, np.finfo(dtype).tiny
    for offset in (0, 1e5):
        x = (rng.standard_normal((9, columns)) * spread + offset).astype(dtype)
        x[3, : columns // 2] = x[4, 1::3] = -INF
        x[6].sort()
        x[8, columns // 2 :] += dtype(1.5)
        distance = x.astype(np.longdouble) - x.max(1, keepdims=True)
        e = np.exp(distance)
        p = e / e.sum(1, keepdims=True)
        y, log = ops.softmax(x, 1), ops.log_softmax(x, 1)
        near = x > -INF
        bound = 4 * eps * (1 - distance[near]) * p[near] + tiny
        assert (np.abs(y - p)[near] <= bound).all()
        assert (y[~near] == 0).all() and (log[~near] == -INF).all()
        expected = (distance - np.log(e.sum(1, keepdims=True)))[near]
        assert (np.abs(log[near] - expected) <= 4 * eps * (1 + np.abs(expected))).all()
    x[2, columns // 3] = x[7, -1] = NAN
    x[5, -1] = INF
    for y in (ops.softmax(x, 1), np.exp(ops.log_softmax(x, 1))):
        assert np.isnan(y[[2, 5, 7]]).all() and np.isfinite(np.delete(y, [2, 5, 7], 0)).all()


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
