"""The tape's objects are C's: what holds them, what frees them, and what is left after an error."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest

import spinetail as st
from spinetail import _tape
from spinetail.autograd import engine, tape


def model_step(w, x):
    loss = ((x * w).relu() * w).sum()
    loss.backward()
    return loss


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_a_hundred_thousand_steps_need_no_more_memory():
    w = st.nn.Parameter(st.ones(16))
    x = st.ones(16)
    for _ in range(2000):
        w.grad = None
        model_step(w, x)
    gc.collect()
    blocks, before = sys.getallocatedblocks(), resident()
    for _ in range(100_000):
        w.grad = None
        model_step(w, x)
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 200
    assert resident() - before < 4 << 20


def test_a_graph_is_freed_with_its_output_and_without_the_collector():
    gc.collect()
    gc.disable()
    try:
        w = st.ones(3, requires_grad=True)
        y = (w * w).exp()
        seen = [weakref.ref(y), weakref.ref(y._node), weakref.ref(y._node.edges[0])]
        before = sys.getrefcount(w)
        del y
        assert [r() for r in seen] == [None, None, None]
        assert sys.getrefcount(w) < before
    finally:
        gc.enable()


def test_references_of_what_goes_through_a_step_are_given_back():
    w, x, one = st.nn.Parameter(st.ones(4)), st.ones(4), np.float32(1)
    label, edges = "an operation", (w,)
    held = (w, x, w._array, x._array, label, edges, None, True, one)
    model_step(w, x)
    w.grad = None
    before = [sys.getrefcount(o) for o in held[:6]]
    for _ in range(50):
        y = st.autograd.record(w._array, edges, lambda g: (g,), (w,), label, True, True)
        y.sum().backward()
        with pytest.raises(RuntimeError):
            y.sum().backward()
        st.autograd.grad(st.autograd.record(w._array, edges, lambda g: (g,), (w,), label).sum(), w)
    w.grad = y = None
    gc.collect()
    assert [sys.getrefcount(o) for o in held[:6]] == before


def test_cycles_through_nodes_hooks_and_attributes_are_collected():
    class Named(st.nn.Parameter):
        pass

    w = Named(st.ones(2))
    w.me = w
    y = w * 2
    y.register_hook(lambda g, y=y: None)  # the node's hook holds the tensor, which holds the node
    w.register_hook(lambda g, w=w: None)
    seen = [weakref.ref(w), weakref.ref(y), weakref.ref(y._node)]
    del w, y
    gc.collect()
    assert [r() for r in seen] == [None, None, None]


def test_saved_arrays_are_freed_by_backward():
    x = st.rand(8, requires_grad=True)
    hidden = x.exp()
    seen = weakref.ref(hidden._array)
    loss = hidden.sum()
    del hidden
    assert seen() is not None
    loss.backward()
    assert seen() is None
    loss2 = (x.exp() * 2).sum()
    loss2.backward(retain_graph=True)
    loss2.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss2.backward()


def test_a_chain_of_any_length_is_run_and_freed():
    x = st.ones(1, requires_grad=True)
    y = x
    for _ in range(300_000):
        y = y + 1
    y.sum().backward()
    assert x.grad.item() == 1
    del y
    gc.collect()


def test_many_edges_into_one_node_and_many_waiting_nodes():
    x = st.ones(2, requires_grad=True)
    middle = x * 3
    parts = [middle * float(i) for i in range(500)]  # 500 nodes wait at once, in any order
    np.random.default_rng(0).shuffle(parts)
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    total.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 * sum(range(500)))


def test_nodes_run_newest_first():
    order = []
    x = st.ones(1, requires_grad=True)
    branches = []
    for i in range(40):
        y = x * float(i)
        y.register_hook(lambda g, i=i: order.append(i))
        branches.append(y)
    st.cat([branches[i] for i in np.random.default_rng(1).permutation(40)]).sum().backward()
    assert order == list(range(39, -1, -1))


def test_an_error_in_the_middle_leaves_no_trace():
    w, v = st.ones(2, requires_grad=True), st.ones(2, requires_grad=True)
    with np.errstate(all="warn"):
        settings = np.geterr()

        def fail(grad):
            assert not st.is_grad_enabled()
            raise KeyError("mine")

        bad = st.autograd.record(np.ones(2, np.float32), (w,), fail, (w,), "bad")
        with pytest.raises(KeyError, match="mine"):
            (bad * v).sum().backward()
        assert st.is_grad_enabled() and np.geterr() == settings
    assert w.grad is None and v.grad is None, "no leaf gets anything when the pass fails"
    short = st.autograd.record(np.ones(2, np.float32), (w, v), lambda g: (g,), (), "short")
    with pytest.raises(ValueError, match="expected 2 gradients"):
        short.sum().backward()
    broken = st.autograd.record(np.ones(2, np.float32), (w,), lambda g: None, (), "broken")
    with pytest.raises(TypeError):
        broken.sum().backward()
    with st.no_grad():
        with pytest.raises(KeyError):
            st.autograd.record(np.ones(2, np.float32), (w,), fail, (w,), "bad").backward(st.ones(2))
        assert not st.is_grad_enabled()


def test_a_backward_inside_a_backward():
    w, v = st.ones(2, requires_grad=True), st.ones(2, requires_grad=True)

    def again(grad):
        with st.enable_grad():
            (v * 5).sum().backward()
        return (grad * 2,)

    st.autograd.record(np.ones(2, np.float32), (w,), again, (), "again").sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), [2, 2])
    np.testing.assert_array_equal(v.grad.numpy(), [5, 5])


def test_threads_run_their_own_passes_and_switches():
    failures = []
    shared = st.ones(4, requires_grad=True)
    middle = (shared * 2).exp()

    def work(k):
        try:
            assert st.is_grad_enabled()
            own = st.nn.Parameter(st.ones(4) * k)
            for i in range(300):
                own.grad = None
                with st.set_grad_enabled(i % 2 == 0):
                    y = (own * own).sum()
                    assert y.requires_grad == (i % 2 == 0)
                if i % 2 == 0:
                    y.backward()
                    np.testing.assert_array_equal(own.grad.numpy(), 2.0 * k)
                (got,) = st.autograd.grad(middle.sum(), shared, retain_graph=True)
                np.testing.assert_allclose(got.numpy(), 2 * np.exp(2), rtol=1e-6)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in (1.0, 2.0, 3.0)]
    with st.no_grad():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not st.is_grad_enabled()
    assert not failures, failures


def test_leaves_never_share_memory_with_what_was_handed_in_or_with_each_other():
    a, b = st.ones(3, requires_grad=True), st.ones(3, requires_grad=True)
    seed = st.ones(3)
    (a + b).backward(seed)
    assert len({id(t._array) for t in (a.grad, b.grad, seed)}) == 3
    assert not np.shares_memory(a.grad._array, b.grad._array) and not np.shares_memory(a.grad._array, seed._array)
    c = st.ones(2, 3, requires_grad=True)
    c.t().backward(st.ones(3, 2))
    assert c.grad._array.flags.c_contiguous and c.grad._array.base is None
    kept = np.ones(3, np.float32)
    st.autograd.record(np.ones(3, np.float32), (a.detach().requires_grad_(),), lambda g: (kept,), (), "k").sum()
    d = st.ones(3, requires_grad=True)
    st.autograd.record(np.ones(3, np.float32), (d,), lambda g: (kept,), (), "k").backward(st.ones(3))
    assert not np.shares_memory(d.grad._array, kept)


def test_subclasses_weak_references_copies_and_pickles():
    class Mine(st.Tensor):
        def double(self):
            return self * 2

    mine = st.autograd.make(Mine, np.arange(3.0), True)
    assert mine.double().requires_grad and type(mine.double()) is st.Tensor
    mine.note = ["a"]
    twin = copy.deepcopy(mine)
    assert type(twin) is Mine and twin.note == ["a"] and twin.note is not mine.note and twin.requires_grad
    plain = st.ones(2)
    with pytest.raises(AttributeError):
        plain.note = 1
    back = pickle.loads(pickle.dumps(st.nn.Parameter(plain)))
    assert type(back) is st.nn.Parameter and back.requires_grad
    seen = weakref.ref(plain)
    del plain
    assert seen() is None
    assert isinstance(mine, _tape.Base) and {mine: 1}[mine] == 1
    uninitialised = object.__new__(st.Tensor)
    with pytest.raises(AttributeError):
        str(uninitialised._array)
    del uninitialised


def test_wrong_arguments_are_refused_and_do_no_harm():
    w = st.ones(2, requires_grad=True)
    array = np.ones(2, np.float32)
    for bad in (
        lambda: tape.record(array),
        lambda: tape.record(array, (w,), None, nonsense=1),
        lambda: tape.record(array, (w,), None, (), "n", False, False, 1),
        lambda: tape.record(array, (w,), None, saved=(), name="x", array=array),
        lambda: tape.record(array, (array,), None),
        lambda: tape.record(array, 3, None),
        lambda: tape.record(array, (w,), None, 3, "n", True),
        lambda: tape.make_node((w,), None),
        lambda: tape.bump(array),
        lambda: tape.bump([w, 1]),
        lambda: st.autograd.make(int, array),
        lambda: _tape.propagate([w], [array], False, False, None, None, True),
        lambda: _tape.propagate((array,), (array,), False, False, None, None, True),
        lambda: _tape.deliver(array, array, False),
        lambda: _tape.connect(1),
        lambda: engine.run((w,), (array, array), False, False, None),
    ):
        with pytest.raises((TypeError, ValueError)):
            bad()
    assert w.grad is None and st.is_grad_enabled()


def test_masked_arrays_and_scalars_become_plain_arrays():
    assert type(tape.wrap(np.float32(2))._array) is np.ndarray
    assert type(tape.wrap(np.ma.array([1.0]))._array) is np.ndarray
    x = st.ones(2, 2, requires_grad=True)
    y = st.autograd.record(np.float32(4), (x,), lambda g: (np.full((2, 2), g),), (), "s")
    y.backward()
    assert x.grad._array.dtype == np.float32 and type(x.grad._array) is np.ndarray
