"""The native module's contract: what it refuses, and how it says so. Kernels enrol themselves by being in the table."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spinetail._native import kernels

SIGNATURES = kernels.signatures()
FUZZ = Path(__file__).with_name("fuzz_native.py")
#: Calls of each kernel; set SPINETAIL_FUZZ_CALLS for a longer search, SPINETAIL_FUZZ_SEED for another.
CALLS = int(os.environ.get("SPINETAIL_FUZZ_CALLS", "600"))
SEED = int(os.environ.get("SPINETAIL_FUZZ_SEED", "1"))


def relu(output, input):
    return kernels.activation_forward(output, input, 1, 0.0, 0.0)


def pair(shape=8, dtype=np.float32):
    return np.full(shape, 7, dtype), np.ones(shape, dtype)


# ---- every kernel there is


def test_every_function_is_in_the_table():
    functions = {name for name, value in vars(kernels).items() if callable(value) and not name.startswith("_")}
    others = {"empty", "get_num_threads", "set_num_threads", "register_bfloat16", "shortcut", "signatures"}
    assert functions - set(SIGNATURES) == others
    assert set().union(*SIGNATURES.values()) <= set("WORNLIDP")


@pytest.mark.parametrize("name", SIGNATURES)
def test_number_of_arguments(name):
    wanted = len(SIGNATURES[name])
    for count in (0, wanted - 1, wanted + 1):
        with pytest.raises(TypeError, match=rf"\[{name}\] takes {wanted} arguments, got {count}"):
            getattr(kernels, name)(*[None] * count)


@pytest.mark.parametrize("name", SIGNATURES)
def test_only_nones(name):
    """None everywhere: an exception that names the kernel, unless every argument is optional."""
    with pytest.raises((TypeError, ValueError)):
        getattr(kernels, name)(*[None] * len(SIGNATURES[name]))


@pytest.mark.parametrize("name", SIGNATURES)
def test_outputs_must_be_writable(name):
    for position, letter in enumerate(SIGNATURES[name]):
        if letter != "W":
            continue
        arguments = [np.ones((2, 2), np.float32) if each in "WR" else None for each in SIGNATURES[name]]
        arguments[position].flags.writeable = False
        with pytest.raises(ValueError, match=rf"\[{name}\] argument {position}: output array is read-only"):
            getattr(kernels, name)(*arguments)
        break


def fuzz(*arguments):
    return subprocess.run(
        [sys.executable, str(FUZZ), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=550,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Calls that the docstrings' examples make, to start from."""
    path = tmp_path_factory.mktemp("fuzz") / "corpus"
    done = fuzz("record", path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SIGNATURES)
def test_random_calls(name, corpus, tmp_path):
    """Hundreds of random calls, in fenced memory and a process of their own: exceptions, never a crash or a hang."""
    log = tmp_path / "last"
    log.write_bytes(bytes(4096))
    done = fuzz("call", corpus, log, SEED, CALLS, name)
    last = log.read_bytes().rstrip(b"\0 ").decode()
    assert done.returncode == 0, f"exit code {done.returncode} in the call: {last}\n{done.stderr[-3000:]}"
    computed, refused = map(int, done.stdout.split())
    assert computed + refused == CALLS
    assert refused > 0


# ---- what arguments may be, on one kernel


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([1.0, 2.0], "expected a numpy.ndarray, got <class 'list'>"),
        (None, "expected a numpy.ndarray, got <class 'NoneType'>"),
        (np.float32(1), "expected a numpy.ndarray"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), r"masked arrays are not supported \(use .filled\(\)\)"),
        (np.array([object()]), "unsupported dtype object"),
        (np.ones(2, np.complex64), "unsupported dtype complex64"),
        (np.ones(2, [("a", "f4")]), "unsupported dtype"),
        (np.array(["2026-01-01"], "M8[D]"), "unsupported dtype datetime64"),
        (np.array(["text"]), "unsupported dtype <U4"),
        (np.ones(2, np.longdouble), "unsupported dtype"),
        (np.ones(2, np.uint32), "unsupported dtype uint32"),
    ],
)
def test_what_is_no_array_for_us(value, complaint):
    for position in (0, 1):
        arguments = [np.ones(2, np.float32), np.ones(2, np.float32)]
        arguments[position] = value
        with pytest.raises(TypeError, match=rf"\[activation_forward\] argument {position}: {complaint}"):
            relu(*arguments)


def test_subclasses_of_arrays_are_arrays():
    class Mine(np.ndarray):
        pass

    output, input = pair()
    relu(output, input.view(Mine))
    assert (output == 1).all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_inputs_in_foreign_byte_order_or_out_of_alignment(dtype):
    output, _ = pair(5, dtype)
    relu(output, np.arange(-2, 3).astype(">" + dtype))
    assert output.tolist() == [0, 0, 0, 1, 2]
    memory = np.zeros(6 * output.itemsize, np.uint8)
    odd = memory[1 : 1 + 5 * output.itemsize].view(dtype)
    odd[:] = np.arange(-2, 3)
    assert not odd.flags.aligned
    output[:] = 7
    relu(output, odd)
    assert output.tolist() == [0, 0, 0, 1, 2]


@pytest.mark.parametrize("spoil", [lambda a: a.astype(">f4"), lambda a: np.zeros(33, np.uint8)[1:].view("f4")])
def test_outputs_must_be_ours(spoil):
    with pytest.raises(ValueError, match="array is misaligned or in foreign byte order"):
        relu(spoil(np.ones(8, np.float32)), np.ones(8, np.float32))


@pytest.mark.parametrize(
    ("output", "input", "error"),
    [
        (np.ones(3, "f4"), np.ones(4, "f4"), ValueError),
        (np.ones((2, 2), "f4"), np.ones(4, "f4"), ValueError),
        (np.ones(4, "f8"), np.ones(4, "f4"), TypeError),
        (np.ones(4, "i4"), np.ones(4, "i4"), TypeError),
    ],
)
def test_arrays_that_do_not_go_together(output, input, error):
    before = output.copy()
    with pytest.raises(error, match=r"^\[activation_forward\] argument \d"):
        relu(output, input)
    assert (output == before).all()


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**40])
def test_huge_integers(value):
    with pytest.raises(OverflowError):
        kernels.activation_forward(*pair(), value, 0.0, 0.0)


@pytest.mark.parametrize("value", ["1", None, [1], 1.5])
def test_what_is_no_integer(value):
    with pytest.raises(TypeError):
        kernels.activation_forward(*pair(), value, 0.0, 0.0)


def test_a_list_may_change_while_a_kernel_runs():
    """Lists are held as they were at the call: emptying one in another thread must not free what is being computed."""
    import threading

    gradients = [np.full(300_000, 3.0, np.float32) for _ in range(20)]
    stop = threading.Event()

    def empty_and_fill():
        while not stop.is_set():
            count = len(gradients)
            gradients[:] = [np.full(300_000, 3.0, np.float32) for _ in range(count)]

    thread = threading.Thread(target=empty_and_fill)
    thread.start()
    try:
        out = np.zeros(20)
        for _ in range(30):
            kernels.optimizer_power_sums(out, gradients, 2.0)
    finally:
        stop.set()
        thread.join()


def test_zero_sizes():
    for shape in (0, (0, 3), (3, 0, 2)):
        relu(*pair(shape))


def test_nothing_leaks():
    """Neither references nor memory, in calls that work and in calls that fail."""
    output, input = pair(1000)
    swapped, wrong = input.astype(">f4"), np.ones(3, np.float32)
    for _ in range(2):
        gc.collect()
        before = [sys.getrefcount(each) for each in (output, input, swapped, wrong)]
        for _ in range(2000):
            relu(output, input)
            relu(output, swapped)
            for bad in (wrong, None, [1]):
                with pytest.raises((TypeError, ValueError)):
                    relu(output, bad)
        assert [sys.getrefcount(each) for each in (output, input, swapped, wrong)] == before


@pytest.mark.parametrize("dtype", ["f8", "V2", [("a", "i1"), ("b", "i1")], "i2"])
def test_only_bfloat16_is_registered_as_such(dtype):
    with pytest.raises(TypeError, match=r"\[register_bfloat16\] expected ml_dtypes.bfloat16"):
        kernels.register_bfloat16(np.dtype(dtype))
    with pytest.raises(TypeError):
        kernels.register_bfloat16("bfloat16")


def test_thread_counts_are_clamped():
    before = kernels.get_num_threads()
    for count, expected in ((0, 1), (-(2**40), 1), (2**40, 256), (3, 3)):
        kernels.set_num_threads(count)
        assert kernels.get_num_threads() == expected
    kernels.set_num_threads(before)


# ---- memory of large arrays

LARGE = (1 << 20, np.dtype(np.float32))


@pytest.mark.parametrize("shape", [(), 3, (0,), (2, 3), (1000, 1000), np.int64(70_000), (4, 0, 2**40), (np.int8(3), 2)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "?"])
def test_empty_is_as_numpys(shape, dtype):
    mine, other = kernels.empty(shape, np.dtype(dtype)), np.empty(shape, dtype)
    assert type(mine) is np.ndarray
    assert mine.shape == other.shape
    assert mine.dtype == other.dtype
    assert mine.strides == other.strides
    assert mine.flags.owndata and mine.flags.writeable and mine.flags.aligned
    mine[...] = 1
    assert (mine == 1).all()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (((3,),), TypeError),
        (((3,), "f4"), TypeError),
        (("3", LARGE[1]), TypeError),
        (((1.5,), LARGE[1]), TypeError),
        (((-1,), LARGE[1]), ValueError),
        (((2**40, -1), LARGE[1]), ValueError),
        (((2**40, 2**40), LARGE[1]), ValueError),
        (((2**62,), LARGE[1]), ValueError),
        (((2**64,), LARGE[1]), OverflowError),
        (((1,) * 65, LARGE[1]), ValueError),
        (((2**55,), LARGE[1]), MemoryError),
    ],
)
def test_what_no_array_can_be(arguments, error):
    handler = np.core.multiarray if not hasattr(np, "_core") else np._core.multiarray
    before = handler.get_handler_name()
    with pytest.raises(error):
        kernels.empty(*arguments)
    assert handler.get_handler_name() == before


def test_memory_of_large_arrays_is_used_again():
    kept = kernels.empty(*LARGE)
    kept[:] = 7
    place = kept.ctypes.data
    view = kept[5:]
    del kept
    other = kernels.empty(*LARGE)
    assert other.ctypes.data != place, "a view keeps its memory"
    other[:] = 8
    assert (view == 7).all()
    del view
    again = kernels.empty(LARGE[0] - 100, LARGE[1])
    assert again.ctypes.data == place
    again[:] = 9
    assert (other == 8).all()


def test_memory_that_is_kept_has_a_limit():
    """Arrays of many sizes come and go; what stays behind is bounded."""
    program = """
import numpy as np, resource
from spinetail._native import kernels
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
before = resident()
for size in range(1, 60):
    kernels.empty(size << 20, np.dtype("f4"))[:] = 1
assert resident() - before < 300 << 20, resident() - before
large = [kernels.empty(20 << 20, np.dtype("f4")) for _ in range(6)]
for each in large: each[:] = 1
del large, each
assert resident() - before < 300 << 20, resident() - before
"""
    if not os.path.exists("/proc/self/statm"):
        return
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_large_arrays_may_be_resized_and_copied():
    array = kernels.empty(*LARGE)
    array[:] = np.arange(LARGE[0])
    copy = array.copy()
    array.resize(3 * LARGE[0], refcheck=False)
    assert (array[: LARGE[0]] == copy).all() and not array[LARGE[0] :].any()
    array.resize(10, refcheck=False)
    assert (array == copy[:10]).all()
    del array
    assert kernels.empty(*LARGE).shape == copy.shape


def test_outputs_are_made_by_their_recipes():
    x, w, b = np.ones((3, 4), np.float32), np.ones((5, 4), np.float32), np.ones(5, np.float32)
    y = kernels.linear_forward(((1, 0), (2, 0)), x, w, b, 0)
    assert y.shape == (3, 5) and y.dtype == np.float32 and (y == 5).all()
    assert np.array_equal(kernels.linear_forward(bytes((1, 0, 2, 0)), x, w, b, 0), y)
    into = np.empty((3, 5), np.float32)
    assert kernels.linear_forward(into, x, w, b, 0) is None and (into == y).all()
    dx, dw, db = kernels.linear_backward(5, None, ((6, 0),), y, None, x, w)
    assert dx.shape == x.shape and dw is None and db.shape == (5,)
    assert (kernels.linear_backward(dx, None, (5,), y, None, x, w)[0] is dx) and dx.sum() == 3 * 4 * 25
    loss, gradient = kernels.cross_entropy((), None, y, np.zeros(3, np.int64), None, -100, 0.0, 1)
    assert loss.shape == () and gradient is None
    big = np.ones((300, 300))
    assert np.array_equal(kernels.activation_forward(1, big, 1, 0.0, 0.0), big)
    before = sys.getrefcount(None)
    for _ in range(1000):
        kernels.linear_backward(5, None, ((6, 0),), y, None, x, w)
    assert abs(sys.getrefcount(None) - before) < 50
    for recipe in (
        7,
        -1,
        3,
        2**70,
        (-1,),
        (2**70,),
        ((1, 2),),
        ((1, -1),),
        ((9, 0),),
        ((1,),),
        ((4, 0), 1),
        (1,) * 99,
        "a",
        b"\x01",
        bytes((1, 2, 2, 0)),
        bytes((9, 0, 2, 0)),
        bytes((4, 0, 2, 0)),
        bytes((1, 0)) * 99,
        b"",
    ):
        with pytest.raises((TypeError, ValueError, IndexError, OverflowError)):
            kernels.linear_forward(recipe, x, w, b, 0)
    with pytest.raises(TypeError):
        kernels.activation_forward(1, [1.0], 1, 0.0, 0.0)
    with pytest.raises(TypeError):
        kernels.probe_write((1,), 0, 0)
