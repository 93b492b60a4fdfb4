"""`out=`: every function that takes it writes there, and nothing is written that should not be.

Functions enrol by having the keyword; `ARGUMENTS` and `SPECIAL` of test_doors say how to call them.
"""
# ruff: noqa: E501 (the table)

from __future__ import annotations

import inspect

import numpy as np
import pytest
from functional.test_doors import ARGUMENTS, FAMILIES, A, I

import spinetail as st
from spinetail.functional import door, filling, gemm, random

V = A[0]
CALLS = {
    **{name: (A, *(ARGUMENTS.get(name) or ())) for name in door.WRITERS},
    "mm": (A, A), "matmul": (A, A), "bmm": (A[None], A[None]), "baddbmm": (A[None], A[None], A[None]), "mv": (A, V),
    "addbmm": (A, A[None], A[None]), "addmv": (V, A, V), "addr": (A, V, V), "outer": (V, V), "ger": (V, V), "dot": (V, V),
    "vdot": (V, V), "cat": ([A, A],), "concat": ([A, A],), "concatenate": ([A, A],), "stack": ([A, A],), "where": (A > 0.5, A, A), "histc": (A,), "zeros": (3,),
    "ones": (2, 3), "full": ((2,), 7.0), "eye": (3,), "arange": (5,), "linspace": (0, 1, 5), "rand": (3,), "randn": (3,),
    "randint": (5, (3,)), "randperm": (4,), "normal": (0.0, 1.0, (3,)), "bernoulli": (A,), "multinomial": (V, 2),
    "bitwise_and": (I, I), "bitwise_or": (I, I), "bitwise_xor": (I, I), "bitwise_not": (I,), "bitwise_left_shift": (I, I),
    "bitwise_right_shift": (I, I), "max": (A, 1), "min": (A, 1),
}  # fmt: skip
EMPTY = {"empty"}
RANDOM = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial"}


def takes_out(name: str) -> bool:
    function = getattr(st, name)
    if name in door.WRITERS:
        return True
    if inspect.isbuiltin(function):
        return "out" in inspect.signature(function).parameters
    while function is not None:
        code = getattr(function, "__code__", None)
        if code is not None and "out" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            return True
        function = getattr(function, "__wrapped__", None)
    return False


NAMES = sorted({n for f in (*FAMILIES, filling, random, gemm) for n in f.__all__ if hasattr(st, n) and takes_out(n)})


def as_list(value) -> list:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def call(name, **keywords):
    st.manual_seed(0)
    return getattr(st, name)(*CALLS[name], **keywords)


def array_of(value) -> np.ndarray:
    return np.asarray(getattr(value, "_array", value))


def expected(name) -> list[np.ndarray]:
    return [array_of(each).copy() for each in as_list(call(name))]


def fresh(name, change=lambda a: a) -> list[np.ndarray]:
    """Arrays like the results, filled with 77 (or True)."""
    return [change(np.full(each.shape, 77).astype(each.dtype)) for each in expected(name)]


def pack(arrays: list):
    return tuple(arrays) if len(arrays) > 1 else arrays[0]


def test_every_writer_is_public_and_known():
    assert {"add", "mul", "exp", "sum", "mean", "argmax", "matmul", "mm", "cat", "stack", "clamp", "where"} <= set(
        NAMES
    )
    assert set(door.WRITERS) <= {n for f in FAMILIES for n in f.__all__}
    assert set(NAMES) - EMPTY <= set(CALLS)


@pytest.mark.parametrize("kind", ["array", "tensor", "strided"])
@pytest.mark.parametrize("name", [n for n in NAMES if n not in EMPTY])
def test_results_go_there(name, kind):
    arrays = fresh(name)
    if kind == "strided":
        arrays = [np.repeat(a, 2, -1)[..., ::2] if a.ndim else a for a in arrays]
    out = pack([st.from_numpy(a) for a in arrays] if kind == "tensor" else arrays)
    assert call(name, out=out) is out
    dtype = (
        {"dtype": arrays[0].dtype} if name in {"zeros", "ones", "eye", "linspace", "rand", "randn", "normal"} else {}
    )
    st.manual_seed(0)
    wanted = [array_of(each) for each in as_list(getattr(st, name)(*CALLS[name], **dtype))]
    for array, want in zip(arrays, wanted, strict=True):
        np.testing.assert_array_equal(array, want)


SPOILS = {
    "shape": (lambda a: np.full((*a.shape, 2), 77).astype(a.dtype), ValueError, "expected out of shape"),
    "dtype": (lambda a: a.astype(np.int16), TypeError, "expected out of dtype"),
    "read-only": (lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape), ValueError, "read-only"),
    "no array": (lambda a: a.tolist() if a.ndim == 1 else 3.0, TypeError, "expected|one for each"),
}


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("name", [n for n in NAMES if n not in EMPTY and n not in filling.__all__])
def test_wrong_memory_is_refused_before_anything_is_written(name, spoil):
    if spoil == "dtype" and name in RANDOM - {"bernoulli", "multinomial"}:
        return  # numbers are made in the dtype of out
    change, error, text = SPOILS[spoil]
    arrays = fresh(name)
    arrays[-1] = change(arrays[-1])  # of several the last one is wrong, and the others stay as they were
    before = [np.copy(a) if isinstance(a, np.ndarray) else a for a in arrays]
    with pytest.raises(error, match=text):
        call(name, out=pack(arrays))
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)


ELEMENTWISE = sorted(set("add sub mul div exp log sqrt tanh sigmoid maximum clamp abs neg where mm matmul".split()))


@pytest.mark.parametrize("name", [*ELEMENTWISE, "cumsum", "sort", "flip_like"])
def test_overlap_is_as_if_operands_were_copied_first(name):
    memory = np.random.default_rng(0).uniform(0.5, 1.5, 80)
    x, y = memory[:64].reshape(8, 8), memory[3:67].reshape(8, 8)
    extra = {"clamp": (0.7, 1.2), "cumsum": (0,), "sort": (0,)}.get(name, ())
    two = name in {"add", "sub", "mul", "div", "maximum", "mm", "matmul"}

    def run(a, b, **keywords):
        if name == "where":
            return st.where(a > 1, a, b, **keywords)
        if name == "flip_like":
            return st.add(a[::-1, ::-1], b.T, **keywords)
        return getattr(st, name)(a, *((b,) if two else ()), *extra, **keywords)

    want = array_of(as_list(run(x.copy(), y.copy()))[0]).copy()
    target = memory[5:69].reshape(8, 8)
    out = (target, np.zeros((8, 8), np.int64)) if name == "sort" else target
    run(x, y, out=out)
    np.testing.assert_array_equal(target, want)


def test_out_with_gradients_is_refused():
    x = st.ones(2, requires_grad=True)
    for arguments, out in (((x, 1), st.zeros(2)), ((st.ones(2), 1), st.zeros(2, requires_grad=True))):
        with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
            st.add(*arguments, out=out)
        assert out.detach().tolist() == [0, 0]
    with st.no_grad():
        assert st.add(x, 1, out=st.zeros(2)).tolist() == [2, 2]


def test_the_tape_sees_what_out_overwrites():
    x = st.ones(2, requires_grad=True)
    saved = st.ones(2)
    y = (x * saved).sum()
    st.exp(st.ones(2), out=saved)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_numpy_calls_the_method_with_out():
    target = np.zeros(())
    assert np.sum(st.ones(3, dtype=st.float64), out=target) is target and target == 3


def test_memory_that_several_elements_share():
    shared = np.lib.stride_tricks.as_strided(np.zeros(3), (3, 3), (0, 8))
    with pytest.raises(ValueError, match="one place in memory"):
        st.add(A, A, out=shared)


def test_functions_without_out_say_so():
    for name in ("flip", "unsqueeze", "squeeze"):
        with pytest.raises(TypeError, match="out"):
            getattr(st, name)(A, 0, out=np.zeros(1))
