"""In-place operations: leaves, saved values, views, and who learns of a change. Every rule here is PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st


def leaf(*values: float) -> st.Tensor:
    return st.tensor([float(v) for v in values], requires_grad=True)


CHANGES = [
    lambda t: t.add_(1),
    lambda t: t.__iadd__(1),
    lambda t: t.mul_(2),
    lambda t: t.zero_(),
    lambda t: t.fill_(3),
    lambda t: t.copy_(st.ones(3)),
    lambda t: t.clamp_(0, 1),
    lambda t: t.relu_(),
    lambda t: t.exp_(),
    lambda t: t.__setitem__(0, 9.0),
    lambda t: t.uniform_(),
    lambda t: t.normal_(),
    lambda t: t.masked_fill_(t > 0, 0.0),
    lambda t: t[0:2].add_(1),
    lambda t: t.view(3, 1).zero_(),
    lambda t: t.detach().requires_grad_().add_(1),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_leaf_that_requires_a_gradient_is_not_changed(change):
    t = leaf(1, 2, 3)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad is being used in an in-place operation"):
        change(t)
    assert t.tolist() == [1, 2, 3]


@pytest.mark.parametrize("change", CHANGES[:-1])
def test_under_no_grad_it_is_changed_and_stays_a_leaf(change):
    t = leaf(1, 2, -3)
    with st.no_grad():
        change(t)
    assert t.is_leaf and t.requires_grad and t.grad_fn is None
    assert t.tolist() != [1, 2, -3]


@pytest.mark.parametrize(
    ("saving", "changed"),
    [
        (lambda a, b: a * b, "a"),
        (lambda a, b: a * b, "b"),
        (lambda a, b: a / b, "b"),
        (lambda a, b: a @ b, "a"),
        (lambda a, b: a.square(), "a"),
        (lambda a, b: a.log(), "a"),
        (lambda a, b: a.sin(), "a"),
        (lambda a, b: a.pow(3), "a"),
        (lambda a, b: a.abs(), "a"),
        (lambda a, b: a.prod(), "a"),
        (lambda a, b: a.exp(), "output"),
        (lambda a, b: a.sqrt(), "output"),
        (lambda a, b: a.tanh(), "output"),
        (lambda a, b: a.sigmoid(), "output"),
        (lambda a, b: a.relu(), "output"),
        (lambda a, b: a.logsumexp(0), "output"),
        (lambda a, b: a.softmax(0), "output"),
        (lambda a, b: a.clamp(1.5, 2.5), "a"),
        (lambda a, b: a.var(), "a"),
    ],
)
@pytest.mark.parametrize("how", ["directly", "through a view", "through detach"])
def test_a_changed_value_that_backward_needs_is_noticed(saving, changed, how):
    a, b = leaf(1, 2, 3) + 0, leaf(4, 5, 6) + 0
    result = saving(a, b)
    total = result.sum() + 0
    target = {"a": a, "b": b, "output": result}[changed]
    with st.no_grad():
        if how == "directly":
            target.add_(1)
        elif how == "through a view":
            target.view(-1)[0:1].zero_()
        else:
            target.detach()[...] = 0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


@pytest.mark.parametrize(
    "saving",
    [
        lambda a: a + 1,
        lambda a: a.sum(),
        lambda a: a * 2,
        lambda a: a.reshape(3, 1),
        lambda a: -a,
        lambda a: st.cat([a, a]),
    ],
)
def test_a_changed_value_that_backward_does_not_need_is_allowed(saving):
    x = leaf(1, 2, 3)
    a = x + 0
    total = saving(a).sum()
    with st.no_grad():
        a.zero_()
    total.backward()
    assert x.grad is not None


def test_data_and_numpy_are_not_watched_but_version_is_kept():
    x = leaf(1, 2)
    y = x * x
    x.data[0] = 5
    assert x._version == 0
    y.sum().backward()
    assert x.grad.tolist() == [10, 4]
    with st.no_grad():
        x.add_(1)
    assert x._version == 1
    assert x.detach()._version == 1


@pytest.mark.parametrize(
    ("change", "value", "slope"),
    [
        (lambda t: t.add_(1), lambda x: x + 1, lambda x: x * 0 + 1),
        (lambda t: t.mul_(3), lambda x: x * 3, lambda x: x * 0 + 3),
        (lambda t: t.pow_(3), lambda x: x**3, lambda x: 3 * x**2),
        (lambda t: t.exp_(), np.exp, np.exp),
        (lambda t: t.tanh_(), np.tanh, lambda x: 1 - np.tanh(x) ** 2),
        (lambda t: t.sigmoid_(), lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
        (lambda t: t.relu_(), lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0)),
        (lambda t: t.sqrt_(), np.sqrt, lambda x: 0.5 / np.sqrt(x)),
        (lambda t: t.zero_(), lambda x: x * 0, lambda x: x * 0),
        (lambda t: t.floor_(), np.floor, lambda x: x * 0),
        (lambda t: t.clamp_(0.2, 0.6), lambda x: np.clip(x, 0.2, 0.6), lambda x: 1.0 * ((x > 0.2) & (x < 0.6))),
    ],
)
@pytest.mark.parametrize("part", [slice(None), slice(1, 3), 0])
def test_gradients_of_in_place_operations_on_a_tensor_and_on_a_part_of_it(change, value, slope, part):
    start = np.array([0.1, 0.3, 0.5, 0.7])
    x = st.tensor(start, requires_grad=True)
    y = x * 1
    change(y[part] if part != slice(None) else y)
    expected, gradient = start.copy(), np.ones(4)
    expected[part], gradient[part] = value(start[part]), slope(start[part])
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-12)
    (y * st.tensor([1.0, 2.0, 3.0, 4.0], dtype=st.float64)).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), gradient * [1, 2, 3, 4], rtol=1e-12)


def test_writing_tracked_values_into_a_constant_makes_it_tracked():
    w = leaf(2.0)
    buffer = st.zeros(3)
    view = buffer[1:]
    buffer[1] = w[0] * 3
    assert buffer.requires_grad and not buffer.is_leaf
    assert view.requires_grad and view.tolist() == [6, 0]
    view.sum().backward()
    assert w.grad.tolist() == [3]


def test_a_change_through_one_view_reaches_the_base_and_its_other_views():
    x = leaf(1, 2, 3, 4)
    base = x * 1
    first, second = base[:2], base.view(2, 2)
    first.mul_(10)
    assert base.tolist() == [10, 20, 3, 4] and second.tolist() == [[10, 20], [3, 4]]
    (second * st.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert x.grad.tolist() == [10, 20, 3, 4]


def test_views_of_views_and_transposed_views():
    x = leaf(*range(6))
    base = (x * 1).reshape(2, 3)
    base.t()[1:].t()[0].mul_(5)
    assert base.tolist() == [[0, 5, 10], [3, 4, 5]]
    base.sum().backward()
    assert x.grad.tolist() == [1, 5, 5, 1, 1, 1]


def test_a_change_of_the_base_reaches_its_views():
    x = leaf(1, 2, 3)
    base = x * 1
    view = base[1:]
    base.mul_(3)
    view.sum().backward()
    assert x.grad.tolist() == [0, 3, 3]


def test_repeated_in_place_changes_in_a_loop():
    x = leaf(1.0, 2.0)
    state = st.zeros(3, 2)
    for i in range(3):
        state[i] = x * (i + 1)
    state[0] += state[2]
    state.sum().backward()
    assert x.grad.tolist() == [1 + 2 + 3 + 3] * 2


def test_an_in_place_operation_keeps_shape_and_dtype():
    with pytest.raises(
        ValueError, match=r"\[add_\] output with shape \[2\] doesn't match the broadcast shape \[3, 2\]"
    ):
        st.ones(2).add_(st.ones(3, 2))
    with pytest.raises(TypeError, match="can't be cast to the desired output type"):
        st.arange(2).add_(1.5)
    with pytest.raises(TypeError, match="can't be cast"):
        st.tensor([True]).add_(1)
    t = st.ones(2)
    t += st.ones(2, dtype=st.float64)
    assert t.dtype == st.float32 and t.tolist() == [2, 2]


def test_memory_with_several_elements_in_one_place_is_not_written_to():
    t = st.ones(1).expand(3)
    with pytest.raises(RuntimeError, match="single memory location"):
        t.add_(1)
    with pytest.raises(RuntimeError, match="clone"):
        t[0] = 2.0


def test_an_operand_that_is_the_tensor_itself_counts_as_changed():
    y = leaf(1, 2) * 1
    y.mul_(y)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_in_place_operators_return_the_same_object():
    t = st.ones(2)
    before = t
    t += 1
    t -= 0.5
    t *= 4
    t /= 3
    t **= 2
    t //= 1
    t %= 3
    assert t is before and t.tolist() == [1, 1]
    i = st.tensor([6])
    same = i
    i &= 3
    i |= 4
    i ^= 1
    i <<= 2
    i >>= 1
    assert i is same and i.tolist() == [14]


def test_in_place_on_numpy_memory_is_seen_by_numpy():
    array = np.zeros(3, np.float32)
    t = st.from_numpy(array)
    t.add_(1)[0] = 5
    assert array.tolist() == [5, 1, 1]


def test_detach_in_place_cuts_the_history():
    x = leaf(1, 2)
    y = x * 2
    y.detach_()
    assert y.is_leaf and not y.requires_grad
    with pytest.raises(RuntimeError, match="Can't detach views in-place"):
        (x * 2)[0].detach_()
