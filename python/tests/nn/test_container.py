"""Sequential, ModuleList, ModuleDict, ParameterList and ParameterDict."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict

import pytest

import spinetail as st
import spinetail.nn as nn


def lines(n):
    return [nn.Linear(i + 1, i + 2) for i in range(n)]


def widths(container):
    return [m.in_features for m in container]


def names(container):
    return list(container._modules)


@pytest.mark.parametrize("make", [lambda m: nn.Sequential(*m), nn.ModuleList])
def test_lists(make):
    box = make(lines(4))
    assert (
        len(box) == 4
        and widths(box) == [1, 2, 3, 4]
        and box[-1].in_features == 4
        and box[st.tensor(1)].in_features == 2
    )
    assert type(box[1:3]) is type(box) and widths(box[1:3]) == [2, 3] and widths(box[::-1]) == [4, 3, 2, 1]
    assert box[0] is box[:1][0], "slices share modules"
    del box[1]
    assert names(box) == ["0", "1", "2"] and widths(box) == [1, 3, 4]
    del box[-1:]
    assert widths(box) == [1, 3] and not hasattr(box, "2")
    box.append(nn.Linear(9, 9)).extend([nn.Linear(8, 8)])
    assert widths(box) == [1, 3, 9, 8]
    box.insert(1, nn.Linear(7, 7))
    assert widths(box) == [1, 7, 3, 9, 8] and names(box) == list("01234")
    box[-1] = nn.Linear(6, 6)
    assert widths(box) == [1, 7, 3, 9, 6] and getattr(box, "4").in_features == 6
    assert box.pop(1).in_features == 7 and widths(box + make(lines(1))) == [1, 3, 9, 6, 1]
    box += make(lines(1))
    assert widths(box) == [1, 3, 9, 6, 1]
    for index in (5, -6):
        with pytest.raises(IndexError, match=f"index {index} is out of range"):
            box[index]
        with pytest.raises(IndexError):
            box[index] = nn.Identity()
    for wrong in (lambda: box.append(3), lambda: box.insert(0, 3), lambda: box.extend(3), lambda: box["a"]):
        with pytest.raises(TypeError):
            wrong()
    other = pickle.loads(pickle.dumps(copy.deepcopy(box)))
    assert widths(other) == widths(box) and list(other.state_dict()) == list(box.state_dict())


def test_sequential():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    x = st.ones(4, 2)
    assert st.equal(net(x), net[1](net[0](x)))
    assert nn.Sequential()(x) is x
    assert len(net * 2) == 4 and len(2 * net) == 4
    for wrong, error in (
        (lambda: net * 0, ValueError),
        (lambda: net * 1.5, TypeError),
        (lambda: net.__add__([1]), ValueError),
    ):
        with pytest.raises(error):
            wrong()


def test_named_sequential():
    net = nn.Sequential(OrderedDict([("first", nn.Linear(2, 3)), ("last", nn.Linear(3, 1))]))
    assert names(net) == ["first", "last"] and net.first is net[0] and names(net[1:]) == ["last"]
    assert list(net.state_dict()) == ["first.weight", "first.bias", "last.weight", "last.bias"]
    del net[0]
    assert names(net) == ["last"] and net[0] is net.last
    with pytest.raises(TypeError):
        nn.Sequential([nn.Identity()])


def test_module_list_shows_repeats_once():
    text = repr(nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.Identity()]))
    assert text == ("ModuleList(\n  (0-1): 2 x Linear(in_features=2, out_features=2, bias=True)\n  (2): Identity()\n)")
    assert repr(nn.ModuleList()) == "ModuleList()"
    with pytest.raises(NotImplementedError):
        nn.ModuleList()(1)


def test_module_dict():
    box = nn.ModuleDict({"a": nn.Linear(1, 1)})
    box["b"] = nn.Identity()
    box.update([("c", nn.Linear(2, 2))])
    assert list(box) == ["a", "b", "c"] and len(box) == 3 and "b" in box and box.b is box["b"]
    assert (
        list(box.keys()) == ["a", "b", "c"] and len(list(box.values())) == 3 and dict(box.items())["c"].in_features == 2
    )
    assert isinstance(box.pop("b"), nn.Identity) and "b" not in box
    del box["a"]
    assert list(nn.ModuleDict(box).state_dict()) == ["c.weight", "c.bias"]
    box.clear()
    assert len(box) == 0
    for wrong, error in (
        (lambda: box.update(3), TypeError),
        (lambda: box.__setitem__("keys", nn.Identity()), KeyError),
        (lambda: box.__setitem__("x", 3), TypeError),
        (lambda: box["nothing"], KeyError),
    ):
        with pytest.raises(error):
            wrong()


def test_parameter_list():
    box = nn.ParameterList([st.ones(2), nn.Parameter(st.zeros(3))])
    assert len(box) == 2 and isinstance(box[0], nn.Parameter) and list(box.state_dict()) == ["0", "1"]
    box.append(st.ones(1)).extend([st.ones(4)])
    box += [st.ones(5)]
    box[0] = st.ones(7)
    assert [p.numel() for p in box] == [7, 3, 1, 4, 5] and box[-1].numel() == 5 and len(box[1:3]) == 2
    assert len(list(box.parameters())) == 5 and "(1): Parameter containing: [" in repr(box)
    assert [p.numel() for p in pickle.loads(pickle.dumps(box))] == [7, 3, 1, 4, 5]
    box.append("text")
    assert box[5] == "text" and len(list(box.parameters())) == 5 and "Object of type: str" in repr(box)
    with pytest.raises(IndexError):
        box[6]
    with pytest.raises(TypeError):
        box.extend(st.ones(2))
    assert repr(nn.ParameterList()) == "ParameterList()"


def test_parameter_dict():
    box = nn.ParameterDict({"a": st.ones(2)})
    box["b"] = st.ones(3)
    box.update([("c", nn.Parameter(st.ones(1)))])
    assert list(box) == ["a", "b", "c"] and list(reversed(box)) == ["c", "b", "a"] and len(box) == 3
    assert isinstance(box.a, nn.Parameter) and box["a"] is box.a and box.get("z", 4) == 4 and "b" in box
    assert list(box.state_dict()) == ["a", "b", "c"] and [k for k, _ in box.items()] == list(box.keys())
    assert box.setdefault("d", st.ones(2)) is box.d and len(list(box.values())) == 4
    assert box.pop("a").numel() == 2 and not hasattr(box, "a")
    assert list(copy.deepcopy(box)) == ["b", "c", "d"] and "(b): Parameter containing" in repr(box)
    for wrong, error in (
        (lambda: box["a"], KeyError),
        (lambda: box.__setitem__(3, st.ones(1)), TypeError),
        (lambda: box.__setitem__("keys", st.ones(1)), KeyError),
    ):
        with pytest.raises(error):
            wrong()
    box.clear()
    assert len(box) == 0 and repr(box) == "ParameterDict()"


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_takes_the_relu_behind_it_into_its_product(bias):
    st.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 7, bias=bias), nn.ReLU(), nn.Linear(7, 3, bias=bias), nn.ReLU()).double()
    x = st.randn(4, 5, dtype=st.float64, requires_grad=True)
    hidden = st.relu(net[0](x))
    expected = st.relu(net[2](hidden))
    assert st.equal(net(x), expected)
    expected.sum().backward()
    plain = [p.grad.clone() for p in (x, *net.parameters())]
    for p in (x, *net.parameters()):
        p.grad = None
    net(x).sum().backward()
    assert all(st.allclose(p.grad, g) for p, g in zip((x, *net.parameters()), plain, strict=True))
    assert st.autograd.gradcheck(net, (x,))
    assert st.autograd.gradgradcheck(lambda x: net(x) ** 2, (x,))


def test_hooked_layers_are_called_one_by_one():
    seen = []
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    net[1].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape))
    net(st.ones(3, 2))
    assert seen == [(3, 2)]


def test_a_layer_with_a_forward_of_its_own_keeps_it():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    net[0].forward = lambda x: x - 3
    assert st.equal(net(st.tensor([[2.0, 5.0]])), st.tensor([[0.0, 2.0]]))


@pytest.mark.parametrize(
    "activation", [nn.ReLU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Sigmoid(), nn.Tanh()], ids=repr
)
@pytest.mark.parametrize("rows", [1, 7, 40])
def test_linear_takes_the_activation_behind_it(activation, rows):
    """One product in inference, two operations where gradients are recorded: the same numbers."""
    linear = nn.Linear(30, 50)
    net = nn.Sequential(linear, activation)
    x = st.randn(rows, 30)
    recorded = net(x)
    with st.no_grad():
        fused = net(x)
    assert recorded.requires_grad and not fused.requires_grad
    assert st.allclose(fused, activation(linear(x)), rtol=1e-6, atol=1e-6)
    assert st.allclose(fused, recorded, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", [nn.ReLU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh])
@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
@pytest.mark.parametrize("place", [0, 1])
def test_hooks_on_the_layer_and_on_its_activation_are_called(kind, register, place):
    calls = []
    net = nn.Sequential(nn.Linear(3, 4), kind())
    expected = net(st.ones(2, 3)).detach()
    getattr(net[place], register)(lambda *_: calls.append(1))
    with st.no_grad():
        assert st.allclose(net(st.ones(2, 3)), expected)
    assert calls == [1]
    assert st.allclose(net(st.ones(2, 3)), expected)
    assert calls == [1, 1]


@pytest.mark.parametrize("kind", [nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh])
def test_an_activation_with_a_forward_of_its_own_keeps_it(kind):
    class Shifted(kind):
        def forward(self, input):
            return input - 3

    linear = nn.Linear(2, 2)
    patched = kind()
    patched.forward = lambda x: x - 3
    with st.no_grad():
        expected = linear(st.ones(2, 2)) - 3
        assert st.equal(nn.Sequential(linear, Shifted())(st.ones(2, 2)), expected)
        assert st.equal(nn.Sequential(linear, patched)(st.ones(2, 2)), expected)


@pytest.mark.parametrize("kind", [nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh])
@pytest.mark.parametrize("training", [True, False])
def test_gradients_pass_through_a_layer_and_its_activation(kind, training):
    """Where a gradient is recorded the two stay two operations, in training as in evaluation mode."""
    linear, activation = nn.Linear(3, 4), kind()
    net = nn.Sequential(linear, activation).train(training)
    x = st.randn(5, 3, requires_grad=True)
    activation(linear(x)).sum().backward()
    expected = [t.grad.clone() for t in (x, linear.weight, linear.bias)]
    x.grad = linear.weight.grad = linear.bias.grad = None
    net(x).sum().backward()
    for tensor, gradient in zip((x, linear.weight, linear.bias), expected, strict=True):
        assert st.equal(tensor.grad, gradient)


def test_a_frozen_layer_still_passes_gradients_to_its_input():
    net = nn.Sequential(nn.Linear(3, 4).requires_grad_(False), nn.GELU())
    x = st.randn(5, 3, requires_grad=True)
    net(x).sum().backward()
    assert x.grad.abs().sum() > 0
    assert not net(st.randn(5, 3)).requires_grad


def test_an_unknown_approximation_is_refused_behind_a_layer_too():
    with st.no_grad(), pytest.raises(ValueError, match="approximate"):
        nn.Sequential(nn.Linear(3, 4), nn.GELU("sinh"))(st.ones(2, 3))


@pytest.mark.parametrize("dtype", [st.float16, st.bfloat16, st.float64])
@pytest.mark.parametrize("shape", [(3,), (0, 3), (2, 5, 3), (1, 3)])
def test_fused_layers_take_any_shape_and_dtype(dtype, shape):
    net = nn.Sequential(nn.Linear(3, 4), nn.GELU()).to(dtype)
    x = st.randn(*shape).to(dtype)
    with st.no_grad():
        y = net(x)
        expected = net[1](net[0](x))
    assert y.dtype == dtype and y.shape == (*shape[:-1], 4)
    assert st.allclose(y, expected, rtol=1e-6, atol=1e-6)
