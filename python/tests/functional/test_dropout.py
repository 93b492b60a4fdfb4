import numpy as np
import pytest

import spinetail as st
import spinetail.functional.dropout as F

CHANNELS = [("dropout1d", (6, 50, 4)), ("dropout2d", (6, 50, 3, 2)), ("dropout3d", (6, 50, 2, 2, 2))]


def test_seeds_repeat():
    x = np.ones(1000, np.float32)
    results = []
    for _ in range(2):
        st.manual_seed(7)
        results.append([F.dropout(x), F.dropout(x), F.alpha_dropout(x, training=True)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (results[0][0] != results[0][1]).any()
    st.manual_seed(8)
    assert (F.dropout(x) != results[0][0]).any()


@pytest.mark.parametrize("inplace", [False, True])
def test_gradient_has_the_same_mask(inplace):
    x = st.ones(1000, requires_grad=True)
    y = F.dropout(x * 1.0, 0.25, inplace=inplace)
    assert set(np.unique(y.detach().numpy())) == {np.float32(0), np.float32(4 / 3)}
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())


def test_alpha_dropout_keeps_mean_and_variance():
    rng = np.random.default_rng(0)
    z = rng.standard_normal(400_000)
    x = 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(z))
    y = F.alpha_dropout(x, 0.2, training=True)
    assert abs(y.mean() - x.mean()) < 0.01 and abs(y.var() - x.var()) < 0.02
    t = st.tensor(x[:100], requires_grad=True)
    F.alpha_dropout(t, 0.5, training=True).sum().backward()
    a = 1 / np.sqrt((1 + 0.5 * 1.7580993408473766**2) * 0.5)
    np.testing.assert_allclose(np.unique(t.grad.numpy()), [0, a], rtol=1e-6)


@pytest.mark.parametrize("name, shape", CHANNELS)
def test_channels(name, shape):
    x = st.ones(*shape, requires_grad=True)
    y = getattr(F, name)(x, 0.5)
    values = y.detach().numpy().reshape(shape[0] * shape[1], -1)
    assert (values == values[:, :1]).all() and set(np.unique(values)) == {0, 2}
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    single = getattr(F, name)(np.ones(shape[1:]), 0.5)
    assert (single.reshape(shape[1], -1).std(1) == 0).all() and 0 < single.mean() < 2
    with pytest.raises(ValueError, match=rf"\[{name}\] expected an input of"):
        getattr(F, name)(np.ones(3))


def test_feature_alpha_dropout():
    y = F.feature_alpha_dropout(np.zeros((8, 40, 3, 3)), 0.5, training=True)
    assert (y.reshape(320, -1).std(1) == 0).all() and len(np.unique(y)) == 2


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "dropout2d", "feature_alpha_dropout"])
def test_what_all_share(name):
    function, shape = getattr(F, name), (2, 3, 4, 5)
    x = st.ones(*shape, requires_grad=True)
    assert function(x, 0.5, training=False) is x and function(x, 0.0, training=True) is x
    z = np.full(shape, np.nan)
    if name in ("dropout", "alpha_dropout"):
        assert not function(z, 1.0, training=True).any()
        assert not function(x, 1.0, training=True).detach().numpy().any()
    array = np.ones(shape)
    assert function(array, 0.5, training=True, inplace=True) is array and (array != 1).any()
    t = st.ones(*shape)
    assert function(t, 0.5, training=True, inplace=True) is t and t._version == 1
    with pytest.raises(RuntimeError, match="leaf"):
        function(x, 0.5, training=True, inplace=True)
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"between 0 and 1, but got {p}"):
            function(x, p, training=True)
    with pytest.raises(TypeError, match="float32 or float64"):
        function(np.ones(shape, int), 0.5, training=True)
    assert function(np.ones((0, 3, 2, 2)), 0.5, training=True).shape == (0, 3, 2, 2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_computed_in_float32(dtype):
    for function in (F.dropout, F.dropout1d):
        x = st.ones(2, 6, 40, dtype=getattr(st, dtype)).requires_grad_()
        st.manual_seed(3)
        y = function(x, 0.25, training=True)
        assert y.dtype == x.dtype
        assert set(y.float().detach().reshape(-1).tolist()) == {0.0, float(st.tensor(4 / 3).to(x.dtype).float())}
        y.sum().backward()
        assert st.equal(x.grad, y.detach())
