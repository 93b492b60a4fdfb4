"""Optimizers that PyTorch does not have, or computes in bfloat16, against their formulas in float64."""

import numpy as np
import pytest

from spinetail import optim
from spinetail._native import kernels


def gradients(arrays, step):
    places = [np.arange(a.size).reshape(a.shape) for a in arrays]
    return [np.asarray(0.5 * a + 0.3 * np.cos(0.1 * step + i), a.dtype) for a, i in zip(arrays, places, strict=True)]


def start(*shapes, dtype=np.float64):
    return [np.cos(0.7 * np.arange(np.prod(s, dtype=int)) + i).reshape(s).astype(dtype) for i, s in enumerate(shapes)]


@pytest.mark.parametrize("options", [{}, {"betas": (0.5, 0.8), "weight_decay": 0.3}, {"maximize": True}])
def test_lion(options):
    mine = start((3, 5), (17,))
    reference = [a.copy() for a in mine]
    momenta = [np.zeros_like(a) for a in mine]
    beta1, beta2 = options.get("betas", (0.9, 0.99))
    optimizer = optim.Lion(mine, lr=0.01, **options)
    for step in range(100):
        given = gradients(mine, step)
        for i, g in enumerate(gradients(reference, step)):
            g = -g if options.get("maximize") else g
            reference[i] *= 1 - 0.01 * options.get("weight_decay", 0)
            reference[i] -= 0.01 * np.sign(beta1 * momenta[i] + (1 - beta1) * g)
            momenta[i] = beta2 * momenta[i] + (1 - beta2) * g
        optimizer.step(given)
    for a, b in zip(mine, reference, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_lion_has_no_sign_for_zero_and_keeps_nan():
    w = np.ones(3)
    optim.Lion([w], lr=0.5).step([np.array([0.0, np.nan, -np.inf])])
    np.testing.assert_array_equal(w, [1.0, np.nan, 1.5])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1, "betas": (0.8, 0.95)}, {"trust_clip": True}])
def test_lamb(options, dtype):
    shapes = ((3, 5), (40_000,), ())
    mine = start(*shapes, dtype=dtype)
    reference = start(*shapes)
    beta1, beta2 = options.get("betas", (0.9, 0.999))
    m, v = ([np.zeros_like(a) for a in reference] for _ in range(2))
    optimizer = optim.LAMB(mine, lr=0.01, **options)
    for step in range(1, 31):
        optimizer.step(gradients(mine, step))
        for i, g in enumerate(gradients(reference, step)):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g * g
            r = m[i] / (1 - beta1**step) / (np.sqrt(v[i] / (1 - beta2**step)) + 1e-6)
            r = r + options.get("weight_decay", 0) * reference[i]
            trust = np.linalg.norm(reference[i]) / np.linalg.norm(r)
            reference[i] = reference[i] - 0.01 * (min(trust, 1.0) if options.get("trust_clip") else trust) * r
    for a, b in zip(mine, reference, strict=True):
        np.testing.assert_allclose(a, b, **({"rtol": 1e-10} if dtype is np.float64 else {"rtol": 2e-3, "atol": 1e-4}))


def test_lamb_with_a_norm_of_zero_takes_adams_step():
    w, z = np.zeros(4), np.ones(4)
    optim.LAMB([w, z], lr=0.1).step([np.ones(4), np.zeros(4)])
    np.testing.assert_allclose(w, -0.1, rtol=1e-5)
    np.testing.assert_array_equal(z, 1)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (1, 7)])
@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("adjust", [None, "original", "match_rms_adamw"])
def test_muon(shape, nesterov, adjust):
    (mine,) = start(shape)
    reference, buffer = mine.copy(), np.zeros(shape)
    optimizer = optim.Muon([mine], lr=0.02, weight_decay=0.2, nesterov=nesterov, adjust_lr_fn=adjust)
    rows, columns = shape
    scale = 0.2 * np.sqrt(max(shape)) if adjust == "match_rms_adamw" else np.sqrt(max(1, rows / columns))
    for step in range(20):
        (given,), (g,) = gradients([mine], step), gradients([reference], step)
        optimizer.step([given])
        buffer = 0.95 * buffer + 0.05 * g
        u = 0.05 * g + 0.95 * buffer if nesterov else buffer
        left, singular, right = np.linalg.svd(u, full_matrices=False)
        s = singular / max(np.linalg.norm(u), 1e-7)
        for _ in range(5):  # the quintic acts on singular values
            s = 3.4445 * s - 4.775 * s**3 + 2.0315 * s**5
        reference = reference * (1 - 0.02 * 0.2) - 0.02 * scale * (left * s) @ right
    np.testing.assert_allclose(mine, reference, rtol=1e-7, atol=1e-9)


def test_muon_takes_matrices_alone():
    with pytest.raises(ValueError, match=r"group 0, parameter 1: only supports 2D parameters, but got shape \(3,\)"):
        optim.Muon([np.ones((2, 2)), np.ones(3)])
    with pytest.raises(ValueError, match="is not supported"):
        optim.Muon([np.ones((2, 2))], adjust_lr_fn="none")
    with pytest.raises(ValueError, match="ns_steps"):
        optim.Muon([np.ones((2, 2))], ns_steps=100)


def test_adafactor_of_many_axes_and_of_bad_options():
    (w,) = start((2, 3, 4))
    parts = [w[0].copy(), w[1].copy()]
    optimizer = optim.Adafactor([w], lr=0.1)
    optimizer.step(gradients([w], 1))
    assert optimizer.state[w]["row_var"].shape == (2, 3, 1) and optimizer.state[w]["col_var"].shape == (2, 1, 4)
    assert optimizer.state[w]["variance"].size == 0 and not np.array_equal(w[0], parts[0])
    for bad in ({"beta2_decay": 0.5}, {"d": 0.5}, {"eps": (-1.0, 1.0)}, {"lr": -1}):
        with pytest.raises(ValueError):
            optim.Adafactor([w], **bad)
    optim.Adafactor([np.zeros((0, 3))]).step([np.zeros((0, 3))])


@pytest.mark.parametrize("rule", ["adamax", "nadam", "radam", "adadelta", "rprop", "asgd", "lamb", "adam_packed"])
def test_missing_states_are_refused(rule):
    """An empty list where a rule has a state once read memory that was not there."""
    kernel = getattr(kernels, f"optimizer_{rule}")
    lists, numbers = {
        "adamax": (5, 8),
        "nadam": (6, 9),
        "radam": (5, 8),
        "adadelta": (5, 7),
        "rprop": (5, 6),
        "asgd": (6, 8),
        "lamb": (5, 9),
        "adam_packed": (7, 8),
    }[rule]
    flags = (0,) if rule in ("nadam", "radam", "adam_packed") else ()
    w = np.ones(3, np.float32)
    with pytest.raises(ValueError, match=rf"optimizer_{rule}. argument \d"):
        kernel([w], *[[]] * (lists - 2), (w.copy(),), *[0.5] * numbers, *flags)
    np.testing.assert_array_equal(w, 1)
