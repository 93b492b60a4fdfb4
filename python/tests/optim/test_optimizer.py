import copy
import ctypes
import ctypes.util
import pickle
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from spinetail import _native, optim
from spinetail._native import kernels
from spinetail.autograd import Tensor, make
from spinetail.ops.optimizer import PLAIN
from spinetail.optim.hooks import register_optimizer_step_post_hook

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from optimizer_cases import CASES, STEPS, gradient, learning_rate, start  # noqa: E402

golden = np.load(GOLDEN / "optimizer.npz")
FE_UNDERFLOW = 0x10  # of x86-64
ALL = [
    optim.SGD,
    optim.Adam,
    optim.AdamW,
    optim.RMSprop,
    optim.Adagrad,
    optim.Adamax,
    optim.NAdam,
    optim.RAdam,
    optim.Adadelta,
    optim.ASGD,
    optim.Lion,
    optim.LAMB,
]


def leaf(array, grad=None):
    tensor = make(Tensor, np.array(array), True)
    if grad is not None:
        tensor.grad = make(Tensor, np.array(grad))
    return tensor


def run(case, dtype, door, steps=STEPS, layout=None):
    name, options = CASES[case]
    arrays = [p.astype(dtype) for p in start()]
    if layout == "fortran":
        arrays = [np.asfortranarray(a) for a in arrays]
    elif layout == "strided":
        arrays = [np.repeat(a[..., None], 3, -1)[..., 1] for a in arrays]
    params = [make(Tensor, a, True) for a in arrays] if door == "tensor" else arrays
    optimizer = getattr(optim, name)(params, **options)
    rate = optimizer.param_groups[0]["lr"]
    seen = {}
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = learning_rate(rate, step)
        gradients = [gradient(a, i, step).astype(dtype) for i, a in enumerate(arrays)]
        if door == "tensor":
            for p, g in zip(params, gradients, strict=True):
                p.grad = make(Tensor, g)
            optimizer.step()
        else:
            optimizer.step(gradients)
        if step in (1, 2, 10, steps):
            seen[step] = np.concatenate([a.reshape(-1) for a in arrays])
    return seen


@pytest.mark.parametrize("door", ["tensor", "array"])
@pytest.mark.parametrize("case", CASES)
def test_trajectory_is_pytorchs(case, door):
    for step, values in run(case, np.float64, door).items():
        np.testing.assert_allclose(values, golden[f"{case}/{step}"], rtol=1e-10, atol=1e-12, err_msg=f"step {step}")


@pytest.mark.parametrize("case", CASES)
def test_float32_follows_float64(case):
    for step, values in run(case, np.float32, "array").items():
        assert values.dtype == np.float32
        tolerance = {"rtol": 3e-3, "atol": 2e-3} if step > 2 else {"rtol": 1e-5, "atol": 1e-6}
        np.testing.assert_allclose(values, golden[f"{case}/{step}"], **tolerance)


@pytest.mark.parametrize("layout", ["fortran", "strided"])
@pytest.mark.parametrize("case", ["sgd_nesterov", "adam_amsgrad", "rmsprop_all", "adagrad_decay"])
def test_layouts_give_the_same(case, layout):
    plain, other = run(case, np.float32, "array", 10), run(case, np.float32, "array", 10, layout)
    for step in plain:
        np.testing.assert_array_equal(plain[step], other[step])


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_tails_and_cuts_do_not_matter(cls, dtype):
    rng = np.random.default_rng(0)
    sizes = [0, 1, 3, 15, 16, 17, 33, 16383, 16385, 40000, 5]
    values, grads = ([rng.standard_normal(n).astype(dtype) for n in sizes] for _ in range(2))
    results = []
    before = kernels.get_num_threads()
    try:
        for threads in (1, 2):
            kernels.set_num_threads(threads)
            arrays = [v.copy() for v in values]
            optimizer = cls(arrays, lr=0.1, weight_decay=0.1)
            for _ in range(3):
                optimizer.step(grads)
            results.append(arrays)
    finally:
        kernels.set_num_threads(before)
    for a, b, size in zip(*results, sizes, strict=True):
        np.testing.assert_array_equal(a, b)
        alone = [values[sizes.index(size)].copy()]
        optimizer = cls(alone, lr=0.1, weight_decay=0.1)
        for _ in range(3):
            optimizer.step([grads[sizes.index(size)]])
        np.testing.assert_array_equal(a, alone[0])


@pytest.mark.parametrize("cls", ALL)
def test_mixed_dtypes_in_one_group(cls):
    a, b = np.ones(5, np.float32), np.ones((2, 3))
    optimizer = cls([a, b], lr=0.1)
    optimizer.step([np.ones(5, np.float32), np.ones((2, 3))])
    assert a.dtype == np.float32 and b.dtype == np.float64
    np.testing.assert_allclose(a, b.flat[0], rtol=1e-6, atol=1e-7)
    assert a[0] < 1


def test_sgd_dampens_from_the_second_step():
    w = np.zeros(1)
    optimizer = optim.SGD([w], lr=1.0, momentum=0.9, dampening=0.5)
    optimizer.step([np.ones(1)])
    assert w[0] == -1.0
    optimizer.step([np.ones(1)])
    assert w[0] == -2.4


@pytest.mark.parametrize("cls", ALL)
def test_parameters_without_gradient_are_left_alone(cls):
    a, b = leaf([1.0, 2.0], [1.0, 1.0]), leaf([3.0])
    optimizer = cls([a, b], lr=0.1)
    optimizer.step()
    assert b._array[0] == 3.0 and a._array[0] != 1.0
    b.grad = make(Tensor, np.ones(1))
    optimizer.step()
    optimizer.step()
    reference = leaf([3.0], [1.0])
    alone = cls([reference], lr=0.1)
    alone.step()
    alone.step()
    assert b._array[0] == reference._array[0]  # its own steps count, not the optimizer's
    if cls not in (optim.SGD, optim.Lion):
        assert float(optimizer.state[a]["step"]._array) == 3 and float(optimizer.state[b]["step"]._array) == 2


def test_late_parameter_with_dampening_starts_from_its_gradient():
    a, b = np.zeros(1), np.zeros(1)
    optimizer = optim.SGD([a, b], lr=1.0, momentum=0.9, dampening=0.5)
    optimizer.step([np.ones(1), None])
    optimizer.step([np.ones(1), np.ones(1)])
    assert a[0] == -2.4 and b[0] == -1.0


@pytest.mark.parametrize("cls", ALL)
def test_refused_gradients_name_group_and_parameter_and_change_nothing(cls):
    def fresh():
        return [leaf(np.ones((2, 3)), np.ones((2, 3))), leaf(np.ones(4), np.ones(4))]

    for warm in (False, True):
        (a,), (b, c) = fresh()[:1], fresh()
        optimizer = cls([{"params": [a]}, {"params": [b, c], "lr": 0.5}], lr=0.1)
        if warm:
            optimizer.step()
        before = [p._array.copy() for p in (a, b, c)]
        c.grad = make(Tensor, np.ones(5))
        with pytest.raises(ValueError, match=r"group 1, parameter 1 has shape \(4,\), but its gradient has"):
            optimizer.step()
        c.grad = make(Tensor, np.ones(4, np.float32))
        with pytest.raises(TypeError, match=r"group 1, parameter 1 has dtype float64, but its gradient"):
            optimizer.step()
        for p, old in zip((a, b, c), before, strict=True):
            np.testing.assert_array_equal(p._array, old)

    w = np.ones(3)
    optimizer = cls([w], lr=0.1)
    optimizer.step([np.ones(3)])
    old = w.copy()
    for bad, error in [
        ([np.ones(4)], ValueError),
        ([np.ones(3, np.int64)], TypeError),
        ([np.ma.masked_array(np.ones(3), [0, 1, 0])], TypeError),
        ([np.ones(3, ">f8")], TypeError),
        ([np.ones(3), np.ones(3)], ValueError),
        (["gradient"], TypeError),
    ]:
        with pytest.raises(error, match=cls.__name__):
            optimizer.step(bad)
    w.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        optimizer.step([np.ones(3)])
    np.testing.assert_array_equal(w, old)


@pytest.mark.parametrize("cls", ALL)
def test_bad_options_and_parameters(cls):
    w = np.ones(2)
    with pytest.raises(ValueError, match="Invalid learning rate: -1"):
        cls([w], lr=-1)
    with pytest.raises(ValueError, match="Invalid learning rate: nan"):
        cls([w], lr=float("nan"))
    with pytest.raises(ValueError, match="Invalid weight_decay value"):
        cls([w], lr=1, weight_decay=-1)
    with pytest.raises(ValueError, match="empty parameter list"):
        cls([], lr=1)
    with pytest.raises(TypeError, match="iterable"):
        cls(w, lr=1)
    with pytest.raises(TypeError, match="one of the params is int"):
        cls([3], lr=1)
    with pytest.raises(TypeError, match="expected dtype float32 or float64, but got int64"):
        cls([np.ones(2, int)], lr=1)
    with pytest.raises(TypeError, match="ordered collections"):
        cls([{"params": {1}}], lr=1)
    with pytest.raises(ValueError, match="more than one parameter group"):
        cls([{"params": [w]}, {"params": [w]}], lr=1)
    with pytest.warns(UserWarning, match="duplicate"):
        cls([w, w], lr=1)
    with pytest.raises(ValueError, match="read-only"):
        cls([np.broadcast_to(w, (2, 2))], lr=1)
    x = leaf([1.0])
    with pytest.raises(ValueError, match="can't optimize a non-leaf Tensor"):
        cls([x * 2], lr=1)
    if cls not in (optim.Lion, optim.LAMB):  # which PyTorch does not have
        with pytest.raises(ValueError, match="differentiable"):
            cls([w], lr=1, differentiable=True)


def test_bad_options_of_their_own():
    w = [np.ones(2)]
    for betas in [(1.0, 0.9), (0.9, -0.1)]:
        with pytest.raises(ValueError, match="Invalid beta parameter at index"):
            optim.Adam(w, betas=betas)
    with pytest.raises(ValueError, match="Invalid epsilon"):
        optim.AdamW(w, eps=-1)
    with pytest.raises(ValueError, match="Nesterov momentum requires"):
        optim.SGD(w, nesterov=True)
    with pytest.raises(ValueError, match="Nesterov momentum requires"):
        optim.SGD(w, momentum=0.9, dampening=0.1, nesterov=True)
    with pytest.raises(ValueError, match="Invalid alpha"):
        optim.RMSprop(w, alpha=-1)
    with pytest.raises(ValueError, match="Invalid lr_decay"):
        optim.Adagrad(w, lr_decay=-1)
    with pytest.raises(RuntimeError, match="cannot be `True` together"):
        optim.Adam(w, foreach=True, fused=True)


def test_groups_have_their_own_options():
    a, b = np.ones(2), np.ones(2)
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    optimizer.step([np.ones(2), np.ones(2)])
    assert a[0] == 0.9 and b[0] == 0.5
    c = np.ones(1)
    optimizer.add_param_group({"params": [c], "lr": 1.0})
    optimizer.step([None, None, np.ones(1)])
    assert a[0] == 0.9 and c[0] == 0.0
    assert "lr: 0.5" in repr(optimizer) and repr(optimizer).startswith("SGD (\nParameter Group 0\n")


@pytest.mark.parametrize("cls", ALL)
def test_options_may_change_on_the_way(cls):
    w = leaf(np.ones(3), np.ones(3))
    optimizer = cls([w], lr=0.1)
    optimizer.step()
    optimizer.param_groups[0].update(amsgrad=True, momentum=0.5, centered=True)
    optimizer.step()
    optimizer.step()
    names = {optim.SGD: "momentum_buffer", optim.RMSprop: "grad_avg", optim.Adagrad: "sum"}
    if cls in (*names, optim.Adam, optim.AdamW):
        assert names.get(cls, "max_exp_avg_sq") in optimizer.state[w]


@pytest.mark.parametrize("case", ["sgd_momentum", "adamw_amsgrad", "rmsprop_all", "adagrad_decay"])
@pytest.mark.parametrize("how", ["state_dict", "pickle", "deepcopy"])
@pytest.mark.parametrize("door", ["tensor", "array"])
def test_a_saved_optimizer_goes_on(case, how, door):
    name, options = CASES[case]
    cls = getattr(optim, name)

    def steps(optimizer, first, last):
        params = optimizer.param_groups[0]["params"]
        for step in range(first, last):
            arrays = [p._array if door == "tensor" else p for p in params]
            gradients = [gradient(a, i, step) for i, a in enumerate(arrays)]
            for p, g in zip(params, gradients, strict=True):
                if door == "tensor":
                    p.grad = make(Tensor, g)
            optimizer.step(None if door == "tensor" else gradients)
        return np.concatenate([a.reshape(-1) for a in arrays])

    params = [make(Tensor, a, True) if door == "tensor" else a for a in start()]
    optimizer = cls(params, **options)
    steps(optimizer, 1, 5)
    if how == "state_dict":
        other = cls(copy.deepcopy(params), **{**options, "lr": 99})
        saved = optimizer.state_dict()
        assert saved["param_groups"][0]["params"] == [0, 1, 2] and set(saved["state"]) == {0, 1, 2}
        other.load_state_dict(saved)
    else:
        other = pickle.loads(pickle.dumps(optimizer)) if how == "pickle" else copy.deepcopy(optimizer)
    expected = steps(optimizer, 5, 11)
    np.testing.assert_array_equal(steps(other, 5, 11), expected)
    np.testing.assert_allclose(expected, golden[f"{case}/10"], rtol=1e-10)


def test_load_state_dict_checks_before_it_changes():
    w = np.ones(3)
    optimizer = optim.Adam([w])
    optimizer.step([np.ones(3)])
    saved = optimizer.state_dict()
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict({**saved, "param_groups": []})
    with pytest.raises(ValueError, match="doesn't match the size"):
        optimizer.load_state_dict({**saved, "param_groups": [{**saved["param_groups"][0], "params": [0, 1]}]})
    wrong = {0: {**saved["state"][0], "exp_avg": np.ones(4)}}
    with pytest.raises(ValueError, match=r"'exp_avg' of parameter 0 has shape \(4,\)"):
        optimizer.load_state_dict({"state": wrong, "param_groups": saved["param_groups"]})
    assert float(optimizer.state[w]["step"]) == 1


def test_state_can_be_looked_at_and_replaced():
    w = leaf(np.ones(2), np.ones(2))
    optimizer = optim.Adam([w], lr=0.1)
    optimizer.step()
    entry = optimizer.state[w]
    assert float(entry["step"]._array) == 1 and entry["step"]._array.dtype == np.float32
    np.testing.assert_allclose(entry["exp_avg"]._array, 0.1)
    optimizer.step()
    first = w._array.copy()
    entry["exp_avg"] = make(Tensor, np.full(2, -100.0))  # seen by the next step
    optimizer.step()
    assert (w._array > first).all()
    optimizer.state.clear()
    optimizer.step()
    assert float(optimizer.state[w]["step"]._array) == 1
    optimizer.state = {}
    optimizer.step()
    assert float(optimizer.state[w]["step"]._array) == 1
    with pytest.raises(KeyError):
        optimizer.state["w"]


def test_a_replaced_parameter_gets_its_own_state():
    a, b = leaf(np.ones(2), np.ones(2)), leaf(np.ones(2), np.ones(2))
    optimizer = optim.Adam([a], lr=0.1)
    optimizer.step()
    optimizer.step()
    optimizer.param_groups[0]["params"][0] = b
    optimizer.step()
    assert float(optimizer.state[b]["step"]._array) == 1 and b._array[0] < 1
    a2 = a._array.copy()
    optimizer.step()
    np.testing.assert_array_equal(a._array, a2)


def test_closure_hooks_and_zero_grad():
    w = leaf([2.0])
    optimizer = optim.SGD([w], lr=0.25)
    calls = []
    pre = optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append("pre"))
    post = optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append("post"))

    def closure():
        calls.append("closure")
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    assert loss._array == 4.0 and w._array[0] == 1.0
    assert calls == ["pre", "closure", "post"]
    pre.remove()
    post.remove()
    with register_optimizer_step_post_hook(lambda o, args, kwargs: calls.append("all")):
        optimizer.step()
    assert calls.pop() == "all"
    optimizer.step()
    assert calls == ["pre", "closure", "post"]
    optimizer.zero_grad(set_to_none=False)
    assert w.grad._array[0] == 0
    optimizer.zero_grad()
    assert w.grad is None


def test_a_step_is_an_in_place_change():
    w = leaf([2.0])
    loss = (w * w).sum()
    w.grad = make(Tensor, np.ones(1))
    version = w._version
    optim.SGD([w], lr=0.1).step()
    assert w._version == version + 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_zero_size_parameters():
    for cls in ALL:
        w = np.ones((0, 3))
        cls([w], lr=0.1).step([np.ones((0, 3))])


def test_nothing_is_said_in_normal_use():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optim.AdamW([np.ones(2)]).step([np.ones(2)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("beta1", [0.9, 0.99, 0.5, 0.0])
def test_adam_rounds_the_smallest_averages_as_it_rounds_all(dtype, beta1):
    """Averages that rounding holds in place are passed over, and nothing may show it."""
    least = np.finfo(dtype).smallest_subnormal
    counts = np.arange(0, 41)
    average = (counts * least).astype(dtype) * np.where(counts % 2, 1, -1).astype(dtype)
    share = Fraction(float(dtype(1 - beta1)))
    if _native.level == "v2":  # without a fused multiply-add the product is rounded by itself
        expected = [c - round(c * share) for c in counts.tolist()]
    else:
        expected = [round(c - c * share) for c in counts.tolist()]  # half to even, as the hardware

    def step(parameter, lr, eps=1e-8):
        w, m, v = np.full(41, parameter, dtype), average.copy(), np.full(41, 1e-6, dtype)
        kernels.optimizer_adam(
            [w], [m], [v], [], [np.full((), 9, np.float32)], (np.zeros(41, dtype),), lr, beta1, 0.999, eps, *PLAIN, 0
        )
        return w, m

    w, m = step(1.0, 1e-3)
    np.testing.assert_array_equal(w, 1)
    np.testing.assert_array_equal(np.abs(m) / least, expected)
    w, m = step(0.0, 1e6)
    moved = np.abs(m / dtype(1e-3)) > 0
    np.testing.assert_array_equal(w != 0, moved)  # near zero even these are seen
    np.testing.assert_array_equal(np.abs(m) / least, expected)
    w, m = step(1.0, 1e300 if dtype is np.float64 else 1e38, 0.0)
    np.testing.assert_array_equal(np.abs(m) / least, expected)


def smallest(dtype):
    """The 40 smallest numbers of both signs, and the factors that keep some of them where they are."""
    counts = np.arange(0, 101)
    values = (counts * np.finfo(dtype).smallest_subnormal).astype(dtype)
    return values * np.where(counts % 2, 1, -1).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("momentum", [0.9, 0.99, 0.5, 1.0, 0.0])
@pytest.mark.parametrize("nesterov", [0, 4])
def test_momentum_rounds_the_smallest_buffers_as_it_rounds_all(dtype, momentum, nesterov):
    start = smallest(dtype)
    expected = start * dtype(momentum)  # NumPy rounds each product

    def step(parameter, lr):
        w, b = np.full(start.shape, parameter, dtype), start.copy()
        kernels.optimizer_sgd([w], [b], (np.zeros(start.shape, dtype),), lr, momentum, 0.0, *PLAIN, nesterov)
        return w, b

    moved = expected * dtype(momentum) if nesterov else expected
    for parameter, lr in ((1.0, 1e-3), (-2.0, 1e-3), (1.0, 1e38), (0.0, 1.0)):
        w, b = step(parameter, lr)
        np.testing.assert_array_equal(b, expected)
        change = dtype(lr) * moved
        np.testing.assert_array_equal(w, dtype(parameter) - change)
    with np.errstate(all="ignore"):
        assert np.isnan(step(1.0, np.inf)[0][0])  # 0 · ∞ is no rest
    w, b = np.ones(3, dtype), np.zeros(3, dtype)
    kernels.optimizer_sgd([w], [b], (np.zeros(3, dtype),), 0.1, np.inf, 0.0, *PLAIN, 0)
    assert np.isnan(b).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alpha", [0.99, 0.9, 0.5, 1.0])
@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop_rounds_the_smallest_averages_as_it_rounds_all(dtype, alpha, centered):
    if _native.level == "v2":  # without a fused multiply-add a mean's share is rounded by itself
        share = [Fraction(round(c * Fraction(float(dtype(1 - alpha))))) for c in range(101)]
    else:
        share = [c * Fraction(float(dtype(1 - alpha))) for c in range(101)]
    least = np.finfo(dtype).smallest_subnormal
    start, zeros = smallest(dtype), np.zeros(101, dtype)
    means = np.array([round(c - part) for c, part in enumerate(share)])
    for eps, parameter in ((1e-8, 1.0), (1e-8, 0.0), (0.0, 1.0)):
        w, v, m, b = np.full(101, parameter, dtype), np.abs(start), start.copy(), start.copy()
        with np.errstate(all="ignore"):
            kernels.optimizer_rmsprop(
                [w],
                [v],
                [m] if centered else [],
                [b],
                [np.zeros((), np.float32)],
                (zeros,),
                1e-3,
                alpha,
                eps,
                0.9,
                *PLAIN,
            )
        np.testing.assert_array_equal(v, np.abs(start) * dtype(alpha))
        if centered:
            np.testing.assert_array_equal(np.abs(m) / least, means)
        if eps:
            np.testing.assert_array_equal(b, start * dtype(0.9))
            np.testing.assert_array_equal(w, dtype(parameter) - dtype(1e-3) * b)
        else:  # 0 / 0 where the square is 0
            assert np.isnan(w[0]) and not np.isnan(w[-1])


@pytest.mark.parametrize("cls", [optim.SGD, optim.RMSprop])
def test_what_rests_among_the_smallest_numbers_is_not_multiplied(cls):
    """A product that underflows takes the processor a hundred times as long, and leaves a flag: there is none."""
    libm = ctypes.CDLL(ctypes.util.find_library("m"))

    def underflows(value):
        w, g = np.ones(1000, np.float32), np.zeros(1000, np.float32)
        optimizer = cls([w], lr=1e-3, momentum=0.9)
        optimizer.step([g])
        for name in optimizer.state[w]:
            if name != "step":
                optimizer.state[w][name][...] = value
        libm.feclearexcept(FE_UNDERFLOW)
        optimizer.step([g])
        return libm.fetestexcept(FE_UNDERFLOW) != 0

    for count in (0, 1, 3):
        assert not underflows(np.float32(count * np.finfo(np.float32).smallest_subnormal))
    assert underflows(np.float32(1e-43))  # what does not rest yet: the flag tells
