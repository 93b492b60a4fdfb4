import numpy as np
import pytest

from spinetail._native import kernels
from spinetail.ops import normalization as ops


def reference(x, axes, eps, weight=None, bias=None, center=True):
    """Output, and x̂ and scale, in float64."""
    x = x.astype(np.float64)
    mean = x.mean(axes, keepdims=True) if center else 0.0
    scale = 1 / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps)
    normal = (x - mean) * scale
    return normal * (1 if weight is None else weight) + (0 if bias is None else bias), normal, scale


def reference_gradient(g, normal, scale, axes, weight=None, center=True):
    g = g.astype(np.float64) * (1 if weight is None else weight)
    return scale * (
        g - (g.mean(axes, keepdims=True) if center else 0) - normal * (g * normal).mean(axes, keepdims=True)
    )


def close(actual, expected, dtype, scale=1.0):
    tolerance = (2e-6 if dtype == np.float32 else 1e-14) * scale
    np.testing.assert_allclose(
        actual, expected, rtol=20 * tolerance, atol=20 * tolerance * max(1, np.abs(expected).max(initial=0))
    )


LAYOUTS = {
    "plain": lambda a: a,
    "fortran": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, -1)[..., ::2],
    "reversed": lambda a: a[..., ::-1].copy()[..., ::-1],
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}
ROWS = [(1, 1), (3, 2), (5, 15), (4, 16), (4, 17), (7, 64), (2, 65), (33, 130), (2, 5000), (3, 2, 8200), (70, 769)]
ROWS += [(1, 4097), (6, 4096), (513, 40)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", ROWS, ids=str)
@pytest.mark.parametrize("center", [True, False])
def test_rows(shape, dtype, center):
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    w, b = (rng.standard_normal(shape[-1]).astype(dtype) for _ in range(2))
    for weight, bias in [(None, None), (w, None), (w, b), (None, b)]:
        if center:
            y, mean, scale = ops.layer_norm(x, shape[-1:], weight, bias)
        else:
            y, scale = ops.rms_norm(x, shape[-1:], weight, 1e-5)
            mean, bias = None, None
        expected, normal, factor = reference(x, -1, 1e-5, weight, bias, center)
        spread = min(factor.max(), 30)  # rows of equal numbers magnify rounding
        close(y, expected, dtype, spread)
        dx, dw, db = ops.layer_norm_backward(g, x, shape[-1:], mean, scale, weight)
        close(dx, reference_gradient(g, normal, factor, -1, weight, center), dtype, 4 * spread)
        lead = tuple(range(x.ndim - 1))
        close(dw, (g * normal).sum(lead), dtype, spread)
        close(db, g.astype(np.float64).sum(lead), dtype)


PLANES = [
    (2, 1, 1),
    (2, 3),
    (5, 16),
    (300, 5),
    (3, 70),
    (600, 33),
    (300, 145),
    (2, 3, 4),
    (3, 2, 7, 7),
    (2, 5, 3, 3, 3),
    (2, 2, 4100),
    (4, 17, 16, 17),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", PLANES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_batch(shape, dtype, training):
    rng = np.random.default_rng(1)
    x, g = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    channels, axes = shape[1], (0, *range(2, len(shape)))
    w, b, m, v = (rng.uniform(0.5, 2, channels).astype(dtype) for _ in range(4))
    wide = (channels, *(1,) * (len(shape) - 2))
    for weight, bias in [(None, None), (w, b)]:
        rm, rv = m.copy(), v.copy()
        y, mean, scale = ops.batch_norm(x, rm, rv, weight, bias, training, 0.25, 1e-3)
        ww = None if weight is None else w.reshape(wide)
        bb = None if bias is None else b.reshape(wide)
        x64 = x.astype(np.float64)
        if training:
            expected, normal, factor = reference(x, axes, 1e-3, ww, bb)
            gradient = reference_gradient(g, normal, factor, axes, ww)
            close(rm, 0.75 * m + 0.25 * x64.mean(axes), dtype)
            close(rv, 0.75 * v + 0.25 * x64.var(axes, ddof=1), dtype)
        else:
            factor = 1 / np.sqrt(v.astype(np.float64) + 1e-3).reshape(wide)
            normal = (x64 - m.reshape(wide)) * factor
            expected = normal * (1 if ww is None else ww) + (0 if bb is None else bb)
            gradient = g * factor * (1 if ww is None else ww)
            np.testing.assert_array_equal(rm, m)
            np.testing.assert_array_equal(rv, v)
        close(y, expected, dtype, 10)
        dx, dw, db = ops.batch_norm_backward(g, x, mean, scale, weight, training)
        close(dx, gradient, dtype, 40)
        close(dw, (g * normal).sum(axes), dtype, 10)
        close(db, g.astype(np.float64).sum(axes), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape, groups",
    [
        ((2, 4), 2),
        ((3, 6, 5), 3),
        ((2, 8, 7, 7), 1),
        ((2, 8, 7, 7), 8),
        ((1, 2, 5000), 1),
        ((4, 16, 18, 17), 4),
        ((40, 6, 3), 3),
    ],
    ids=str,
)
def test_group(shape, groups, dtype):
    rng = np.random.default_rng(2)
    x, g = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    w, b = (rng.uniform(0.5, 2, shape[1]).astype(dtype) for _ in range(2))
    wide = (shape[1], *(1,) * (len(shape) - 2))
    y, mean, scale = ops.group_norm(x, groups, w, b, 1e-3)
    folded = (shape[0], groups, -1)
    _, normal, factor = reference(x.reshape(folded), 2, 1e-3)
    normal = normal.reshape(shape)
    close(y, normal * w.reshape(wide) + b.reshape(wide), dtype, 10)
    dx, dw, db = ops.group_norm_backward(g, x, mean, scale, w)
    weighted = (g.astype(np.float64) * w.reshape(wide)).reshape(folded)
    close(dx, reference_gradient(weighted, normal.reshape(folded), factor, 2).reshape(shape), dtype, 40)
    axes = (0, *range(2, len(shape)))
    close(dw, (g * normal).sum(axes), dtype, 10)
    close(db, g.astype(np.float64).sum(axes), dtype)


def everything(x, g, w, b):
    """All functions on one 4-D input and one 2-D view of it."""
    flat, gflat = x.reshape(x.shape[0], -1)[:, : x.shape[1]], g.reshape(g.shape[0], -1)[:, : x.shape[1]]
    y, m, s = ops.layer_norm(x, x.shape[-1:], w[: x.shape[-1]], b[: x.shape[-1]])
    yield from (y, m, s, *ops.layer_norm_backward(g, x, x.shape[-1:], m, s, w[: x.shape[-1]]))
    for value, grad in ((x, g), (flat, gflat)):
        y, m, s = ops.batch_norm(value, None, None, w, b, True)
        yield from (y, m, s, *ops.batch_norm_backward(grad, value, m, s, w))
        y, m, s = ops.group_norm(value, 2, w, b)
        yield from (y, m, s, *ops.group_norm_backward(grad, value, m, s, w))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_do_not_matter(dtype):
    rng = np.random.default_rng(3)
    x, g = (rng.standard_normal((9, 36, 20, 33)).astype(dtype) for _ in range(2))
    w, b = (rng.standard_normal(36).astype(dtype) for _ in range(2))
    before = kernels.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            kernels.set_num_threads(threads)
            results.append(list(everything(x, g, w, b)))
    finally:
        kernels.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    rng = np.random.default_rng(4)
    x, g = (rng.standard_normal((3, 4, 5, 6)).astype(np.float32) for _ in range(2))
    w, b = (rng.standard_normal(4).astype(np.float32) for _ in range(2))
    w6 = rng.standard_normal(6).astype(np.float32)
    change = LAYOUTS[layout]
    for call, backward, parameter in [
        (
            lambda x, w: ops.layer_norm(x, (6,), w, w),
            lambda g, x, m, s, w: ops.layer_norm_backward(g, x, (6,), m, s, w),
            w6,
        ),
        (lambda x, w: ops.batch_norm(x, None, None, w, w, True), ops.batch_norm_backward, w),
        (lambda x, w: ops.group_norm(x, 2, w, w), ops.group_norm_backward, b),
    ]:
        expected = call(x, parameter)
        actual = call(change(x), change(parameter))
        for a, e in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(a, e)
        expected = backward(g, x, *expected[1:], parameter)
        actual = backward(change(g), change(x), *actual[1:], change(parameter))
        for a, e in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(a, e)


def test_running_statistics_in_any_layout_are_written_back():
    x = np.random.default_rng(5).standard_normal((6, 3)).astype(np.float32)
    m, v = np.zeros(3, np.float32), np.ones(3, np.float32)
    ops.batch_norm(x, m, v, None, None, True)
    both = np.array([[0, 1]] * 3, np.float32)
    ops.batch_norm(x, both[:, 0], both[:, 1], None, None, True)
    np.testing.assert_array_equal(both, np.stack([m, v], 1))


def test_large_means_do_not_eat_the_digits():
    x = (np.random.default_rng(6).standard_normal((8, 512)) + 1e4).astype(np.float32)
    close(ops.layer_norm(x, (512,), None, None)[0], reference(x, -1, 1e-5)[0], np.float32, 2)
    y, _, scale = ops.batch_norm(x.reshape(8, 2, 256), None, None, None, None, True)
    expected, _, factor = reference(x.reshape(8, 2, 256), (0, 2), 1e-5)
    np.testing.assert_allclose(scale, factor.reshape(-1), rtol=1e-5)
    np.testing.assert_allclose(y, expected, atol=1e-3)  # the mean itself is rounded to float32


@pytest.mark.parametrize("shape", [(40, 24), (9, 24, 13), (4, 24, 20, 33), (2, 24, 4100)], ids=str)
def test_variances_do_not_cancel(shape):
    """Mean 1e4 and deviation 1e-2: the squares' sums agree in ten digits, which float32 does not have."""
    x = (np.random.default_rng(8).standard_normal(shape) * 1e-2 + 1e4).astype(np.float32)
    x64, axes = x.astype(np.float64), (0, *range(2, x.ndim))
    running = np.zeros(shape[1], np.float32), np.zeros(shape[1], np.float32)
    _, _, scale = ops.batch_norm(x, *running, None, None, True, 1.0, 1e-12)
    np.testing.assert_allclose(scale, 1 / np.sqrt(x64.var(axes)), rtol=1e-6)
    np.testing.assert_allclose(running[0], x64.mean(axes), rtol=1e-7)
    np.testing.assert_allclose(running[1], x64.var(axes, ddof=1), rtol=1e-6)
    _, _, scale = ops.group_norm(x, 3, None, None, 1e-12)
    groups = x64.reshape(shape[0], 3, -1)
    np.testing.assert_allclose(scale, 1 / np.sqrt(groups.var(2)), rtol=1e-6)
    y, _, scale = ops.layer_norm(x, shape[-1:], None, None, 1e-12)
    expected, _, factor = reference(x, -1, 1e-12)
    np.testing.assert_allclose(scale, factor.reshape(-1), rtol=1e-6)
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_channels_give_the_same_alone_and_together(dtype):
    """Many channels are finished one by one, few in two sweeps over everything: the bits are the same."""
    rng = np.random.default_rng(9)
    x, g = (rng.standard_normal((3, 24, 17, 19)).astype(dtype) for _ in range(2))
    w, b = (rng.standard_normal(24).astype(dtype) for _ in range(2))
    y, mean, scale = ops.batch_norm(x, None, None, w, b, True)
    whole = (y, mean, scale, *ops.batch_norm_backward(g, x, mean, scale, w))
    z, group_mean, _ = ops.group_norm(x, 12, w, b)
    for some in (slice(0, 8), slice(8, 24, 8)):
        y, mean, scale = ops.batch_norm(x[:, some], None, None, w[some], b[some], True)
        part = (y, mean, scale, *ops.batch_norm_backward(g[:, some], x[:, some], mean, scale, w[some]))
        for one, all_ in zip(part, whole, strict=True):
            np.testing.assert_array_equal(one, all_[:, some] if all_.ndim > 1 else all_[some])
    y, mean, _ = ops.group_norm(x[:1, :8], 4, w[:8], b[:8])
    np.testing.assert_array_equal(y, z[:1, :8])
    np.testing.assert_array_equal(mean, group_mean[:1, :4])


def test_nan_and_inf_stay_in_their_row():
    x = np.ones((4, 20), np.float32) * np.arange(20, dtype=np.float32)
    x[1, 3], x[2, 17] = np.nan, np.inf
    y = ops.layer_norm(x, (20,), None, None)[0]
    assert np.isnan(y[1]).all() and np.isnan(y[2, 17]) and np.isfinite(y[[0, 3]]).all()
    z = ops.batch_norm(x, None, None, None, None, True)[0]
    assert np.isnan(z[:, 3]).all() and np.isfinite(z[:, 4]).all()


@pytest.mark.parametrize("shape", [(0, 4), (0, 4, 3), (3, 4, 0), (3, 0), (2, 0, 5)])
def test_zero_sizes(shape):
    x = np.empty(shape)
    y, m, s = ops.batch_norm(x, None, None, None, None, True)
    assert y.shape == shape
    dx, dw, db = ops.batch_norm_backward(x, x, m, s, None)
    assert dx.shape == shape and not dw.any() and not db.any() and dw.shape == (shape[1],)
    y, m, s = ops.layer_norm(x, shape[1:], None, None)
    dx, dw, db = ops.layer_norm_backward(x, x, shape[1:], m, s, None)
    assert y.shape == dx.shape == shape and not dw.any() and dw.shape == shape[1:]
    if shape[1]:
        y, m, s = ops.group_norm(x, 2, None, None)
        dx, dw, db = ops.group_norm_backward(x, x, m, s, None)
        assert y.shape == dx.shape == shape and not dw.any()


def test_only_what_is_needed_is_computed():
    x = np.random.default_rng(7).standard_normal((4, 6))
    y, m, s = ops.layer_norm(x, (6,), None, None)
    full = ops.layer_norm_backward(y, x, (6,), m, s, None)
    for i in range(3):
        needs = tuple(k == i for k in range(3))
        part = ops.layer_norm_backward(y, x, (6,), m, s, None, needs)
        assert [p is None for p in part] == [not n for n in needs]
        np.testing.assert_array_equal(part[i], full[i])


def test_bad_input():
    x = np.ones((4, 6))
    cases = [
        (lambda: ops.layer_norm(x, (5,), None, None), ValueError, r"\[layer_norm\] normalized_shape=\[5\]"),
        (lambda: ops.layer_norm(x, (2, 4, 6), None, None), ValueError, "normalized_shape"),
        (lambda: ops.layer_norm(x, (), None, None), ValueError, "normalized_shape"),
        (lambda: ops.layer_norm(x, (6,), np.ones(5), None), ValueError, r"weight has shape \[5\]"),
        (lambda: ops.layer_norm(x, (6,), np.ones(6, np.float32), None), TypeError, "weight has dtype float32"),
        (lambda: ops.layer_norm(x.astype(int), (6,), None, None), TypeError, "float32 or float64, got int64"),
        (lambda: ops.layer_norm(x.astype(complex), (6,), None, None), TypeError, "complex128"),
        (lambda: ops.layer_norm(np.ma.masked_array(x), (6,), None, None), TypeError, "MaskedArray"),
        (lambda: ops.layer_norm([1.0], (1,), None, None), TypeError, "got list"),
        (lambda: ops.rms_norm(x, (7,), None), ValueError, r"\[rms_norm\]"),
        (lambda: ops.batch_norm(np.ones(3), None, None, None, None, True), ValueError, "at least 2 dimensions"),
        (lambda: ops.batch_norm(x[:1], None, None, None, None, True), ValueError, "more than 1 value per channel"),
        (lambda: ops.batch_norm(x, None, None, None, None), ValueError, "needed outside training"),
        (lambda: ops.batch_norm(x, np.ones(5), np.ones(6), None, None), ValueError, r"running_mean has shape \[5\]"),
        (lambda: ops.group_norm(x, 4, None, None), ValueError, "divisible by num_groups"),
        (lambda: ops.group_norm(x, 0, None, None), ValueError, "num_groups=0"),
        (lambda: ops.batch_norm_backward(x[1:], x, np.ones(6), np.ones(6), None), ValueError, "grad_output has shape"),
        (lambda: ops.batch_norm_backward(x, x, np.ones(5), np.ones(6), None), ValueError, "mismatched shape"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()
    frozen = np.ones(6)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        ops.batch_norm(x, frozen, frozen, None, None, True)
