"""nn.init: the distributions, on tensors and arrays, and refusals."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

import spinetail as st
from spinetail.nn import init


def generator(seed=0):
    return st.Generator().manual_seed(seed)


def filled(name, shape, *args, dtype=np.float64, **kwargs):
    return getattr(init, name)(np.empty(shape, dtype), *args, generator=generator(), **kwargs)


def is_uniform(x, low, high):
    """Kolmogorov and Smirnov's distance at a level of about 1e-4."""
    u = np.sort((x.ravel() - low) / (high - low))
    n = u.size
    distance = max(abs(u - np.arange(n) / n).max(), abs(u - np.arange(1, n + 1) / n).max())
    return u[0] >= 0 and u[-1] <= 1 and distance < 2.2 / math.sqrt(n)


def is_normal(x, mean, std):
    z = np.sort((x.ravel() - mean) / std)
    n = z.size
    expected = 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))
    return abs(expected - (np.arange(n) + 0.5) / n).max() < 2.2 / math.sqrt(n)


UNIFORM = [
    ("uniform_", (40, 50), (), (0, 1)),
    ("uniform_", (40, 50), (-3.0, 2.0), (-3, 2)),
    ("xavier_uniform_", (40, 50), (), (-math.sqrt(6 / 90), math.sqrt(6 / 90))),
    ("xavier_uniform_", (8, 5, 3, 4), (2.0,), (-2 * math.sqrt(6 / 156), 2 * math.sqrt(6 / 156))),
    ("kaiming_uniform_", (40, 50), (math.sqrt(5),), (-1 / math.sqrt(50), 1 / math.sqrt(50))),
    ("kaiming_uniform_", (40, 10, 3), (0, "fan_out", "relu"), (-math.sqrt(6 / 120), math.sqrt(6 / 120))),
]
NORMAL = [
    ("normal_", (40, 50), (), (0, 1)),
    ("normal_", (40, 50), (3.0, 0.1), (3, 0.1)),
    ("xavier_normal_", (40, 50), (5 / 3,), (0, 5 / 3 * math.sqrt(2 / 90))),
    ("kaiming_normal_", (40, 50), (), (0, math.sqrt(2 / 50))),
    ("kaiming_normal_", (40, 10, 3), (0.2, "fan_out", "leaky_relu"), (0, math.sqrt(2 / 1.04 / 120))),
    ("trunc_normal_", (40, 50), (1.0, 0.02), (1, 0.02)),
]


@pytest.mark.parametrize("name, shape, args, bounds", UNIFORM)
def test_uniform(name, shape, args, bounds):
    assert is_uniform(filled(name, shape, *args), *bounds)


@pytest.mark.parametrize("name, shape, args, moments", NORMAL)
def test_normal(name, shape, args, moments):
    assert is_normal(filled(name, shape, *args), *moments)


RANDOM = sorted(
    n
    for n, f in vars(init).items()
    if n.endswith("_") and n[0] != "_" and "generator" in inspect.signature(f).parameters
)
REQUIRED = {"sparse_": (0.5,)}


def test_all_of_pytorchs_are_there():
    names = "uniform_ normal_ trunc_normal_ constant_ ones_ zeros_ eye_ dirac_ xavier_uniform_ xavier_normal_"
    names += " kaiming_uniform_ kaiming_normal_ orthogonal_ sparse_ calculate_gain"
    assert all(hasattr(init, name) for name in names.split()) and len(RANDOM) == 9


@pytest.mark.parametrize("name", RANDOM)
def test_both_doors_dtypes_and_seeds(name):
    function, extra = getattr(init, name), REQUIRED.get(name, ())
    for dtype in (np.float32, np.float64, np.float16):
        array = np.full((6, 5), np.nan, dtype)
        assert function(array, *extra, generator=generator(4)) is array and not np.isnan(array).any()
        tensor = st.nn.Parameter(st.from_numpy(np.zeros((6, 5), dtype)))
        version = tensor._version
        assert function(tensor, *extra, generator=generator(4)) is tensor
        assert np.array_equal(tensor.detach().numpy(), array) and tensor.grad_fn is None and tensor._version > version
        turned = np.full((5, 6), np.nan, dtype).T
        assert np.array_equal(function(turned, *extra, generator=generator(4)), array)
    st.manual_seed(8)
    first = function(np.empty((6, 5)), *extra)
    st.manual_seed(8)
    assert np.array_equal(function(np.empty((6, 5)), *extra), first)
    assert not np.array_equal(function(np.empty((6, 5)), *extra), first)
    with pytest.raises(TypeError, match=rf"\[{name}\] expected a floating-point"):
        function(np.empty((6, 5), int), *extra)
    with pytest.raises(TypeError, match=rf"\[{name}\] expected a Tensor or an array, but got list"):
        function([[1.0]], *extra)
    locked = np.empty((6, 5))
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        function(locked, *extra)


def test_truncation():
    x = filled("trunc_normal_", (50, 50), 0.5, 1.0, 0.0, 1.0)
    assert x.min() >= 0 and x.max() <= 1 and abs(x.mean() - 0.5) < 0.02 and x.std() > 0.25
    assert (filled("trunc_normal_", (3,), 1.0, 0.0) == 1).all()
    for args in ((0, -1), (0, 1, 2, 1), (5, 0)):
        with pytest.raises(ValueError, match=r"\[trunc_normal_\]"):
            filled("trunc_normal_", (3,), *args)


BOUNDS = [
    (0.0, 1.0, -2.0, 2.0),
    (0.0, 1.0, -0.5, 3.0),
    (0.0, 2.0, 1.0, 9.0),
    (0.0, 1.0, 0.3, 0.4),
    (0.0, 1.0, -0.01, 0.02),
    (1.0, 1.0, 4.0, 5.0),
    (0.0, 1.0, 8.0, 9.0),
    (0.0, 1.0, -40.0, -30.0),
    (5.0, 0.5, -2.0, 2.0),
    (0.0, 1.0, 3.0, math.inf),
    (0.0, 1.0, -math.inf, -3.0),
]


@pytest.mark.parametrize("mean, std, a, b", BOUNDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_truncated_normal_distribution_also_far_out(mean, std, a, b, dtype):
    x = np.sort(filled("trunc_normal_", (60, 70), mean, std, a, b, dtype=dtype).ravel().astype(np.float64))
    assert np.isfinite(x).all() and a <= x[0] + 1e-6 and x[-1] - 1e-6 <= b

    def below(z):  # of the standard normal distribution, exact in the tail that counts
        return 0.5 * math.erfc(-z / math.sqrt(2))

    low, high, z = (a - mean) / std, (b - mean) / std, (x - mean) / std
    if low > 0:  # mirrored, so that no difference of numbers near 1 is taken
        low, high, z = -high, -low, -z[::-1]
    share = np.array([(below(v) - below(low)) / (below(high) - below(low)) for v in z])
    distance = abs(share - (np.arange(len(z)) + 0.5) / len(z)).max()
    assert distance < 2.2 / math.sqrt(len(z)) + (1e-3 if dtype == np.float32 else 0)
    assert len(set(z.tolist())) > 0.9 * len(z)


def test_moments():
    for name, shape, args, (low, high) in UNIFORM:
        x = filled(name, (shape[0] * 20, *shape[1:]), *args) if name == "uniform_" else filled(name, shape, *args)
        sigma = (high - low) / math.sqrt(12)
        assert abs(x.mean() - (low + high) / 2) < 4 * sigma / math.sqrt(x.size)
        assert abs(x.var() / sigma**2 - 1) < 4 * math.sqrt(0.8 / x.size)
    for name, shape, args, (mean, std) in NORMAL:
        x = filled(name, shape, *args)
        assert abs(x.mean() - mean) < 4 * std / math.sqrt(x.size)
        assert abs(x.var() / std**2 - 1) < 4 * math.sqrt(2 / x.size)


def test_kaiming_keeps_the_variance_through_layers():
    x = np.random.default_rng(0).standard_normal((512, 256))
    for _ in range(8):
        x = np.maximum(x @ filled("kaiming_normal_", (256, 256), nonlinearity="relu").T, 0)
    assert 0.3 < (x**2).mean() / 1.0 < 3


OLD = "uniform normal constant eye dirac xavier_uniform xavier_normal kaiming_uniform kaiming_normal orthogonal sparse"


@pytest.mark.parametrize("name", OLD.split())
def test_old_names_warn_and_do_the_same(name):
    extra = {"constant": (2.0,), "sparse": (0.5,)}.get(name, ())
    shape = (3, 3, 3) if name == "dirac" else (6, 5)
    st.manual_seed(2)
    with pytest.warns(FutureWarning, match=rf"`nn\.init\.{name}` is now deprecated in favor of `nn\.init\.{name}_`"):
        old = getattr(init, name)(np.empty(shape), *extra)
    st.manual_seed(2)
    assert np.array_equal(old, getattr(init, name + "_")(np.empty(shape), *extra))


def test_constants():
    for value, function in ((3, lambda t: init.constant_(t, 3)), (1, init.ones_), (0, init.zeros_)):
        assert (function(np.empty((2, 3))) == value).all() and (function(st.empty(2)).numpy() == value).all()
    assert np.array_equal(init.eye_(np.empty((2, 3))), np.eye(2, 3))
    with pytest.raises(ValueError, match="eye_"):
        init.eye_(np.empty(3))


def test_dirac_passes_channels_on():
    w = init.dirac_(np.empty((4, 2, 3, 3)), groups=2)
    expected = np.zeros((4, 2, 3, 3))
    for out, channel in ((0, 0), (1, 1), (2, 0), (3, 1)):
        expected[out, channel, 1, 1] = 1
    assert np.array_equal(w, expected)
    assert init.dirac_(np.empty((3, 2, 4))).sum() == 2 and init.dirac_(np.empty((1, 1, 2, 3, 5)))[0, 0, 1, 1, 2] == 1
    for shape, groups in (((2, 2), 1), ((3, 1, 3), 2), ((3, 1, 3), 0)):
        with pytest.raises(ValueError, match="dirac_"):
            init.dirac_(np.empty(shape), groups)


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (4, 2, 3)])
def test_orthogonal(shape):
    q = filled("orthogonal_", shape, 2.0).reshape(shape[0], -1)
    small = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)
    with pytest.raises(ValueError, match="at least 2"):
        filled("orthogonal_", (3,))


def test_orthogonal_has_no_preferred_direction():
    g = generator()
    first = np.array([init.orthogonal_(np.empty((2, 2)), generator=g)[0] for _ in range(1000)])
    assert abs(first.mean(0)).max() < 0.1 and is_uniform(np.arctan2(first[:, 1], first[:, 0]), -math.pi, math.pi)


def test_sparse():
    x = filled("sparse_", (10, 300), 0.25, 0.5)
    assert ((x == 0).sum(0) == 3).all() and is_normal(x[x != 0], 0, 0.5)
    assert (x == 0).mean(1).min() > 0.2
    for args in ((1.5,), (-0.1,)):
        with pytest.raises(ValueError, match="sparsity"):
            filled("sparse_", (3, 3), *args)


def test_gains():
    gain = init.calculate_gain
    assert gain("linear") == gain("conv2d") == gain("sigmoid") == 1 and gain("tanh") == 5 / 3 and gain("selu") == 0.75
    assert gain("relu") == math.sqrt(2) and gain("leaky_relu") == math.sqrt(2 / 1.0001) and gain("leaky_relu", 1) == 1
    for args in (("gelu",), ("leaky_relu", True), ("leaky_relu", "a")):
        with pytest.raises(ValueError, match="calculate_gain"):
            gain(*args)


def test_refusals():
    for name in ("xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_"):
        with pytest.raises(ValueError, match="fewer than 2 dimensions"):
            filled(name, (3,))
    with pytest.raises(ValueError, match="mode"):
        filled("kaiming_normal_", (3, 3), mode="fan")
    with pytest.raises(ValueError, match="std"):
        filled("normal_", (3,), 0, -1)
    with pytest.raises(ValueError, match="a <= b"):
        filled("uniform_", (3,), 1, 0)


def test_zero_sizes():
    for name in ("kaiming_uniform_", "xavier_normal_", "orthogonal_", "uniform_", "trunc_normal_"):
        assert filled(name, (0, 3)).shape == (0, 3)
