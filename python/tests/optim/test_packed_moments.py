"""Adam whose running means take one or two bytes each."""

import copy

import numpy as np
import pytest

import spinetail as st
from spinetail import optim
from spinetail._native import kernels

ml_dtypes = pytest.importorskip("ml_dtypes")
KINDS = ["bfloat16", "int8"]


def problem(size=5000, seed=0):
    rng = np.random.default_rng(seed)
    scale = np.exp(rng.uniform(-6, 2, size)).astype(np.float32)  # gradients of very different sizes
    return rng.standard_normal(size).astype(np.float32), scale, rng


@pytest.mark.parametrize("cls", [optim.Adam, optim.AdamW])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_stay_near_those_of_full_moments(cls, kind):
    w, scale, rng = problem()
    full, packed = w.copy(), w.copy()
    a, b = cls([full], lr=1e-3, weight_decay=0.1), cls([packed], lr=1e-3, weight_decay=0.1, state_dtype=kind)
    for _ in range(200):
        g = (scale * (0.3 + rng.standard_normal(w.size))).astype(np.float32)
        a.step([g])
        b.step([g])
    moved = np.abs(full - w).mean()
    assert np.abs(full - packed).mean() < {"bfloat16": 0.005, "int8": 0.12}[kind] * moved
    # What is rounded at random below a root makes steps a little longer, on average.
    assert np.abs(np.mean(full - packed)) < {"bfloat16": 0.001, "int8": 0.06}[kind] * moved


@pytest.mark.parametrize("kind", KINDS)
def test_first_moments_are_within_their_bounds(kind):
    w, scale, rng = problem(1000)
    g = (scale * rng.standard_normal(w.size)).astype(np.float32)
    optimizer = optim.Adam([w], state_dtype=kind)
    optimizer.step([g])
    state = optimizer.state[w]
    m, v = 0.1 * g.astype(np.float64), 0.001 * g.astype(np.float64) ** 2
    if kind == "bfloat16":
        np.testing.assert_allclose(state["exp_avg"].astype(np.float64), m, rtol=2**-7)
        np.testing.assert_allclose(state["exp_avg_sq"].astype(np.float64), v, rtol=2**-7)
        return
    assert state["exp_avg"].dtype == np.int8 and state["exp_avg_sq"].dtype == np.uint8
    for start in range(0, w.size, 256):
        block, place = slice(start, start + 256), start // 256
        for scales, exact in (("exp_avg_scale", m), ("exp_avg_sq_scale", v)):
            np.testing.assert_allclose(state[scales][place], np.abs(exact[block]).max(), rtol=1e-6)
        code = state["exp_avg"][block].astype(np.float64)
        decoded = np.sign(code) * (code / 127) ** 2 * state["exp_avg_scale"][place]
        assert np.abs(decoded - m[block]).max() <= 2 / 127 * np.abs(m[block]).max()
        root = (state["exp_avg_sq"][block] / 255.0) ** 2 * np.sqrt(state["exp_avg_sq_scale"][place])
        assert np.abs(root - np.sqrt(v[block])).max() <= 4 / 255 * np.sqrt(v[block]).max()
        assert (state["exp_avg_sq"][block][v[block] > 0] > 0).all()  # or a step would divide by eps alone


@pytest.mark.parametrize("kind", KINDS)
def test_rounding_is_right_in_the_mean(kind):
    """A running mean of squares that changes by less than a code a step still follows."""
    w = np.zeros(4096, np.float32)
    optimizer = optim.Adam([w], betas=(0.9, 0.999), state_dtype=kind)
    rng = np.random.default_rng(0)
    expected = np.zeros(w.size)
    for step in range(1500):
        size = 4.0 if step < 300 else 1.0
        g = (size * rng.choice([-1.0, 1.0], w.size) * np.linspace(0.5, 1, w.size)).astype(np.float32)
        expected = 0.999 * expected + 0.001 * g.astype(np.float64) ** 2
        optimizer.step([g])
    state = optimizer.state[w]
    if kind == "bfloat16":
        v = state["exp_avg_sq"].astype(np.float64)
    else:
        v = (state["exp_avg_sq"] / 255.0) ** 4 * np.repeat(state["exp_avg_sq_scale"], 256)
    assert v.mean() == pytest.approx(expected.mean(), rel=0.02)
    np.testing.assert_allclose(v, expected, rtol=0.25)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_sizes_and_layouts_do_not_matter(kind):
    rng = np.random.default_rng(1)
    sizes = [0, 1, 15, 17, 255, 257, 16383, 40_000]
    values, grads = ([rng.standard_normal(n).astype(np.float32) for n in sizes] for _ in range(2))
    results = []
    before = kernels.get_num_threads()
    try:
        for threads in (1, 2):
            kernels.set_num_threads(threads)
            arrays = [v.copy() for v in values]
            optimizer = optim.Adam(arrays, lr=0.1, state_dtype=kind)
            for _ in range(3):
                optimizer.step(grads)
            results.append(arrays)
    finally:
        kernels.set_num_threads(before)
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    strided = np.repeat(values[5][:, None], 3, 1)[:, 1]
    plain = values[5].copy()
    optim.Adam([strided], lr=0.1, state_dtype=kind).step([grads[5]])
    optim.Adam([plain], lr=0.1, state_dtype=kind).step([grads[5]])
    np.testing.assert_array_equal(strided, plain)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_optimizer_goes_on(kind):
    w = np.linspace(-1, 1, 300).astype(np.float32)
    optimizer = optim.AdamW([w], lr=0.01, state_dtype=kind)
    for step in range(3):
        optimizer.step([np.sin(w + step)])
    other_w = w.copy()
    other = optim.AdamW([other_w], lr=0.01, state_dtype=kind)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for step in range(3, 6):
        optimizer.step([np.sin(w + step)])
        other.step([np.sin(other_w + step)])
    np.testing.assert_array_equal(w, other_w)


@pytest.mark.parametrize("kind", KINDS)
def test_a_gpt_learns_as_with_full_moments(kind):
    """Mean losses of the last steps agree within 1 %."""
    words = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3]).repeat(2)
    text = np.random.default_rng(0).integers(0, 4, 2000) + np.resize(words, 2000)

    def losses(state_dtype):
        st.manual_seed(0)
        model = st.models.GPT(vocab_size=16, block_size=16, n_layer=2, n_head=2, n_embd=32)
        optimizer = optim.AdamW(model.parameters(), lr=3e-3, state_dtype=state_dtype)
        random = np.random.default_rng(1)
        found = []
        for _ in range(120):
            places = random.integers(0, len(text) - 17, 8)[:, None] + np.arange(17)
            tokens = st.from_numpy(text[places])
            optimizer.zero_grad()
            _, loss = model(tokens[:, :-1], tokens[:, 1:])
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return np.array(found)

    full, packed = losses(None), losses(kind)
    assert full[-20:].mean() < 0.8 * full[0]
    assert packed[-20:].mean() == pytest.approx(full[-20:].mean(), rel=0.01)


def test_state_takes_little_memory():
    w = np.zeros(100_000, np.float32)
    optimizer = optim.Adam([w], state_dtype="int8")
    optimizer.step([np.ones(100_000, np.float32)])
    held = sum(value.nbytes for value in optimizer.state[w].values())
    assert held <= 2.1 * w.size


def test_bad_use():
    w = np.ones(3, np.float32)
    with pytest.raises(ValueError, match="Invalid state_dtype"):
        optim.Adam([w], state_dtype="float32")
    with pytest.raises(ValueError, match="amsgrad"):
        optim.Adam([w], state_dtype="int8", amsgrad=True)
    with pytest.raises(TypeError, match="is for float32 parameters, not float64"):
        optim.Adam([np.ones(3)], state_dtype="int8").step([np.ones(3)])
    optimizer = optim.Adam([w], state_dtype="int8")
    optimizer.step([w])
    full = optim.Adam([w])
    full.step([w])
    saved = {**optimizer.state_dict(), "state": full.state_dict()["state"]}
    with pytest.raises(ValueError, match="has dtype float32, but this optimizer keeps it in int8"):
        optimizer.load_state_dict(saved)


def test_no_crash_with_nan_and_infinity():
    w = np.ones(300, np.float32)
    g = np.ones(300, np.float32)
    g[3], g[280] = np.nan, np.inf
    for kind in KINDS:
        optimizer = optim.Adam([w.copy()], state_dtype=kind)
        for _ in range(3):
            optimizer.step([g])
