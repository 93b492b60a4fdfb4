"""The tape and the engine: gradients, freeing, accumulation, hooks, modes."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

import spinetail as st


def leaf(*values: float) -> st.Tensor:
    return st.tensor([float(v) for v in values], requires_grad=True)


def test_gradients_of_a_small_graph_add_up():
    x = leaf(1, 2, 3)
    (x * x + 2 * x).sum().backward()
    assert x.grad.tolist() == [4, 6, 8]
    (x * 3).sum().backward()
    assert x.grad.tolist() == [7, 9, 11]


def test_a_second_backward_raises_unless_the_graph_is_retained():
    x = leaf(1, 1)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 4]
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.backward()


def test_a_graph_that_saved_nothing_can_be_run_again():
    x = leaf(1, 2)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [2, 2]


def test_a_long_chain_needs_no_recursion():
    x = leaf(1)
    y = x
    for _ in range(20_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1
    del y


def test_a_value_used_many_times_is_visited_once():
    x = leaf(2)
    y = x
    for _ in range(40):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**40


def test_non_scalars_need_a_gradient_of_their_shape():
    x = leaf(1, 2)
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar outputs"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        (x * 2).backward(st.ones(3))
    (x * 2).backward(st.tensor([1.0, 10.0]))
    assert x.grad.tolist() == [2, 20]


def test_backward_without_a_graph():
    with pytest.raises(RuntimeError, match="does not require grad and does not have a grad_fn"):
        st.ones(1).backward()


def test_grad_has_memory_of_its_own():
    x, y = leaf(1, 2), leaf(3, 4)
    seed = st.ones(2)
    (x + y).backward(seed)
    x.grad[0] = 7
    assert y.grad.tolist() == [1, 1] and seed.tolist() == [1, 1]
    z = leaf(1, 2)
    z.reshape(2, 1).backward(seed.reshape(2, 1))
    z.grad.add_(1)
    assert seed.tolist() == [1, 1]


@pytest.mark.parametrize("size", [10, 100_000])
def test_sums_of_gradients_leave_those_of_others_alone(size):
    """Large sums are made in the memory of a gradient that nobody else has."""
    x, y, seed = st.ones(size, requires_grad=True), st.ones(size, requires_grad=True), st.ones(size)
    kept = []
    z = x * 1
    z.register_hook(kept.append)
    z.retain_grad()
    (z + z + y + z * 2 + z).backward(seed)
    assert (seed == 1).all() and (y.grad == 1).all()
    assert (x.grad == 5).all() and (z.grad == 5).all() and (kept[0] == 5).all()
    (first,) = st.autograd.grad(z * 3 + z, z, seed)
    assert (first == 4).all() and (kept[0] == 5).all() and (seed == 1).all()
    (x + 0).backward(seed)
    assert (x.grad == 6).all() and (seed == 1).all()


def test_grad_accumulates_in_place():
    x = leaf(1)
    (x * 2).backward()
    first = x.grad
    (x * 3).backward()
    assert x.grad is first and first.item() == 5


def test_constants_get_no_gradient_and_integers_cannot_ask_for_one():
    x, c = leaf(1, 2), st.ones(2)
    (x * c).sum().backward()
    assert c.grad is None
    with pytest.raises(RuntimeError, match="floating-point"):
        st.arange(3).requires_grad_()
    with pytest.raises(RuntimeError, match="floating-point"):
        st.tensor([1], requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf variables"):
        (x * 2).requires_grad = False


def test_numpys_functions_take_tensors():
    x = st.tensor([[1.0, 5.0], [3.0, 2.0]])
    assert np.mean(x).item() == 2.75 and np.max(x).item() == 5 and np.sum(x, axis=0).tolist() == [4, 7]
    assert (
        np.argmax(x).item() == 1
        and np.concatenate([x, x]).shape == (4, 2)
        and np.stack([x[0], x[1]]).tolist() == x.tolist()
    )


def test_the_older_spelling_of_a_leaf():
    x = st.autograd.Variable(st.ones(2), requires_grad=True)
    assert x.requires_grad and x.is_leaf


def test_leaves_and_grad_fn():
    x = leaf(1, 2)
    y = x * 2
    assert x.is_leaf and x.grad_fn is None
    assert not y.is_leaf and y.grad_fn.name() == "MulBackward"
    assert y.grad_fn.next_functions[0][0] is x
    assert y.detach().is_leaf and not y.detach().requires_grad


def test_intermediate_arrays_are_released():
    x = leaf(*range(10))
    y = x + 1
    kept = weakref.ref(y)
    z = y * 2  # the product with a number does not save y
    del y
    assert kept() is None
    z.sum().backward()


def test_a_graph_without_references_needs_no_garbage_collector():
    gc.disable()
    try:
        x = leaf(1, 2)
        y = (x * x).exp().sum()
        node = weakref.ref(y.grad_fn)
        y.backward()
        del y
        assert node() is None
    finally:
        gc.enable()


def test_retain_grad():
    x = leaf(1, 2)
    y = x * 3
    y.retain_grad()
    (y * y).sum().backward()
    assert y.grad.tolist() == [6, 12] and x.grad.tolist() == [18, 36]
    with pytest.raises(RuntimeError, match="retain_grad"):
        st.ones(1).retain_grad()


def test_hooks_see_and_replace_gradients():
    x = leaf(1, 2)
    y = x * 3
    seen = []
    handle = y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    leafs = x.register_hook(lambda g: g + 1)
    y.sum().backward(retain_graph=True)
    assert seen == [[1, 1]] and x.grad.tolist() == [31, 31]
    handle.remove()
    leafs.remove()
    y.sum().backward()
    assert seen == [[1, 1]] and x.grad.tolist() == [61, 61]
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        st.ones(1).register_hook(print)


def test_a_leaf_hook_sees_the_total_once():
    x = leaf(1)
    seen = []
    x.register_hook(lambda g: seen.append(g.item()))
    (x * 2 + x * 3).backward()
    assert seen == [5]


def test_retained_gradients_are_those_after_the_hooks():
    x = leaf(1)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 5)
    y.backward()
    assert y.grad.item() == 5


def test_post_accumulate_hooks():
    x = leaf(1)
    seen = []
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.item()))
    (x * 4).backward()
    assert seen == [4]


def test_autograd_grad():
    x, y, unused = leaf(2), leaf(3), leaf(1)
    z = x * x * y
    dx, dy = st.autograd.grad(z, (x, y), retain_graph=True)
    assert (dx.item(), dy.item()) == (12, 4) and x.grad is None
    middle = x * y
    (dm,) = st.autograd.grad(middle * middle, middle)
    assert dm.item() == 12
    with pytest.raises(RuntimeError, match="not have been used in the graph"):
        st.autograd.grad(z, unused, retain_graph=True)
    assert st.autograd.grad(z, unused, retain_graph=True, allow_unused=True) == (None,)
    assert st.autograd.grad(z, unused, allow_unused=True, materialize_grads=True)[0].tolist() == [0]
    with pytest.raises(RuntimeError, match="does not require grad"):
        st.autograd.grad(z, st.ones(1))


def test_autograd_grad_visits_only_what_leads_to_the_inputs():
    x, y = leaf(2), leaf(3)
    other = y * y
    other.register_hook(lambda g: pytest.fail("this branch leads nowhere"))
    st.autograd.grad(x * 2 + other, x)


def test_backward_with_inputs():
    x, y = leaf(2), leaf(3)
    z = x * y
    z.backward(inputs=[x])
    assert x.grad.item() == 3 and y.grad is None


def test_autograd_backward_of_several_outputs():
    w = leaf(1, 1)
    st.autograd.backward([(w * 2).sum(), w * 3], [None, st.ones(2)])
    assert w.grad.tolist() == [5, 5]


def test_second_derivatives():
    x = leaf(2)
    (first,) = st.autograd.grad(x**3, x, create_graph=True)
    (second,) = st.autograd.grad(first, x, create_graph=True)
    (third,) = st.autograd.grad(second, x)
    assert (first.item(), second.item(), third.item()) == (12, 12, 6)


def test_a_gradient_penalty_through_linear_layers():
    x = st.rand(4, 3, dtype=st.float64, requires_grad=True)
    w = st.rand(2, 3, dtype=st.float64, requires_grad=True)

    def penalty(x, w):
        score = (x @ w.t()).tanh().sum()
        (g,) = st.autograd.grad(score, x, create_graph=True)
        return ((g.norm(2, 1) - 1) ** 2).mean()

    assert st.autograd.gradcheck(penalty, (x, w))


def test_no_second_derivative_where_there_is_none():
    x = leaf(1, 2)
    y = x * 1
    y[0] = 3.0
    with pytest.raises(RuntimeError, match="create_graph=True is not supported here"):
        st.autograd.grad(y.sum(), x, create_graph=True)


def test_grad_modes():
    x = leaf(1)
    with st.no_grad():
        assert not st.is_grad_enabled() and not (x * 2).requires_grad
        with st.enable_grad():
            assert (x * 2).requires_grad
        assert not st.is_grad_enabled()
    assert st.is_grad_enabled()
    with st.inference_mode():
        assert st.is_inference_mode_enabled() and not (x * 2).requires_grad
    with st.set_grad_enabled(False):
        assert not st.is_grad_enabled()
    st.set_grad_enabled(False)
    assert not st.is_grad_enabled()
    st.set_grad_enabled(True)

    @st.no_grad()
    def quiet():
        return st.is_grad_enabled()

    @st.no_grad
    def bare():
        return st.is_grad_enabled()

    @st.inference_mode()
    def inferring():
        return st.is_inference_mode_enabled()

    @st.set_grad_enabled(False)
    def off():
        return st.is_grad_enabled()

    assert (quiet(), bare(), inferring(), off(), st.is_grad_enabled()) == (False, False, True, False, True)
    with pytest.raises(ValueError, match="inside"), st.no_grad():
        raise ValueError("inside")
    assert st.is_grad_enabled()


def test_the_grad_mode_of_a_generator_ends_at_its_yields():
    @st.no_grad()
    def generate():
        yield st.is_grad_enabled()
        yield st.is_grad_enabled()

    iterator = generate()
    assert next(iterator) is False and st.is_grad_enabled()
    assert next(iterator) is False and st.is_grad_enabled()


def test_the_grad_mode_belongs_to_a_thread():
    seen = []
    with st.no_grad():
        thread = threading.Thread(target=lambda: seen.append(st.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_backward_in_several_threads_at_once():
    parameters = [st.ones(50, requires_grad=True) for _ in range(4)]

    def work(p):
        for _ in range(50):
            (p * 2 + p).sum().backward()

    threads = [threading.Thread(target=work, args=(p,)) for p in parameters]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert all(p.grad.tolist() == [150] * 50 for p in parameters)


def test_leaves_can_be_copied_and_pickled():
    x = leaf(1, 2)
    (x * 2).sum().backward()
    assert copy.deepcopy(x).grad.tolist() == [2, 2] and pickle.loads(pickle.dumps(x)).grad is None  # as in PyTorch
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.tolist() == [1, 2] and twin.requires_grad
        twin.detach()[0] = 9
        assert x.tolist() == [1, 2]
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(x * 2)


def test_conversions():
    x = leaf(1.5)
    assert (x.item(), float(x), int(x), bool(x), f"{x[0]:.2f}") == (1.5, 1.5, 1, True, "1.50")
    assert [1, 2, 3][st.tensor(1)] == 2
    with pytest.raises(RuntimeError, match=r"Use tensor\.detach"):
        x.numpy()
    with pytest.raises(RuntimeError, match=r"Use tensor\.detach"):
        np.asarray(x)
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(leaf(1, 2))
    with pytest.raises(RuntimeError, match="cannot be converted to Scalar"):
        leaf(1, 2).item()
    with pytest.raises(TypeError, match="0-d"):
        len(st.tensor(1))
    with pytest.raises(TypeError, match="0-d"):
        iter(st.tensor(1))
    assert len(leaf(1, 2)) == 2 and [t.item() for t in leaf(1, 2)] == [1, 2]
    assert 2 in leaf(1, 2) and 3 not in leaf(1, 2)
    assert {x: 1}[x] == 1


def test_memory_is_shared_with_numpy_and_dlpack():
    array = np.arange(3.0)
    t = st.from_numpy(array)
    assert t.dtype == st.float64 and t.numpy() is array
    twin = st.from_dlpack(array)
    other = np.from_dlpack(t)
    array[0] = 7
    assert t[0].item() == twin[0].item() == other[0] == 7
    with pytest.raises(BufferError):
        np.from_dlpack(leaf(1))
    assert np.asarray(t) is array


def test_arrays_and_tensors_mix():
    x = leaf(1, 2)
    for result in (np.ones(2, np.float32) + x, x + np.ones(2, np.float32), np.float32(1) + x):
        assert isinstance(result, st.Tensor) and result.requires_grad and result.tolist() == [2, 3]
    assert np.sum(x.detach()).item() == 3 and np.exp(x.detach()).shape == (2,)


class Cube(st.autograd.Function):
    @staticmethod
    def forward(ctx, x, power=3):
        ctx.power = power
        ctx.save_for_backward(x)
        return x**power

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        assert ctx.needs_input_grad == (True, False)
        return grad * ctx.power * x ** (ctx.power - 1), None


class Exponential(st.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0]


class Both(st.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.set_materialize_grads(False)
        places = x.argmax()
        ctx.mark_non_differentiable(places)
        return x * 2, y * 3, places

    @staticmethod
    def backward(ctx, dx, dy, _):
        return None if dx is None else dx * 2, None if dy is None else dy * 3


def test_a_function_with_its_own_gradient():
    x = st.rand(3, dtype=st.float64, requires_grad=True)
    assert st.autograd.gradcheck(lambda x: Cube.apply(x, 3), x)
    assert st.autograd.gradgradcheck(lambda x: Cube.apply(x, 3), x)
    assert st.autograd.gradcheck(Exponential.apply, x)
    assert st.autograd.gradgradcheck(Exponential.apply, x)
    y = Exponential.apply(x)
    with st.no_grad():
        y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        y.sum().backward()
    z = Cube.apply(x, 3)
    z.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        z.sum().backward()


def test_a_function_with_several_outputs():
    x, y = leaf(1, 5), leaf(2, 2)
    a, b, places = Both.apply(x, y)
    assert places.item() == 1 and not places.requires_grad
    (b * 1).sum().backward()
    assert x.grad is None and y.grad.tolist() == [3, 3]
    a, b, _ = Both.apply(x, y)
    (a + b).sum().backward()
    assert x.grad.tolist() == [2, 2] and y.grad.tolist() == [6, 6]


def test_a_function_that_changes_its_input():
    class Doubling(st.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = leaf(1, 2)
    y = x * 3
    z = Doubling.apply(y)
    assert z is y and y.tolist() == [6, 12]
    y.sum().backward()
    assert x.grad.tolist() == [6, 6]


def test_a_function_must_return_the_right_gradients():
    class Wrong(st.autograd.Function):
        result = None

        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, grad):
            return Wrong.result

    x = leaf(1, 2)
    with pytest.raises(RuntimeError, match="incorrect number of gradients"):
        Wrong.result = (st.ones(2),)
        Wrong.apply(x, x).sum().backward()
    with pytest.raises(RuntimeError, match="invalid gradient at index 0"):
        Wrong.result = (st.ones(3), None)
        Wrong.apply(x, x).sum().backward()
    Wrong.result = (st.ones(1, 2, dtype=st.float64), None)
    Wrong.apply(x, x).sum().backward()
    assert x.grad.dtype == st.float32 and x.grad.shape == (2,)


def test_gradcheck_finds_wrong_gradients():
    class Wrong(st.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * x

        @staticmethod
        def backward(ctx, grad):
            return grad

    x = st.rand(3, dtype=st.float64, requires_grad=True)
    with pytest.raises(st.autograd.GradcheckError, match="Jacobian mismatch for output 0 with respect to input 0"):
        st.autograd.gradcheck(Wrong.apply, x)
    assert st.autograd.gradcheck(Wrong.apply, x, raise_exception=False) is False
    with pytest.raises(ValueError, match="at least one input"):
        st.autograd.gradcheck(lambda x: x, st.ones(1))
    with pytest.warns(UserWarning, match="double precision"):
        st.autograd.gradcheck(lambda x: x * 2, leaf(1), atol=0.1)
