"""Module: registration, state, traversal, modes, conversion, hooks, copies, display."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import spinetail as st
import spinetail.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)
        self.register_buffer("scale", st.full((4,), 2.0))
        self.register_buffer("hidden", st.ones(1), persistent=False)
        self.body = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Identity())
        self.alpha = nn.Parameter(st.ones(()))
        self.note = "plain"
        self.nothing = None

    def forward(self, x, gain=1.0):
        return self.body(self.fc(x) * self.scale) * self.alpha * gain


KEYS = ["alpha", "scale", "fc.weight", "fc.bias", "body.0.weight"]


def test_registration():
    net = Net()
    assert list(net._parameters) == ["alpha"] and list(net._buffers) == ["scale", "hidden"]
    assert list(net._modules) == ["fc", "body"] and isinstance(net._parameters, dict)
    assert net.fc is net._modules["fc"] and net.alpha is net._parameters["alpha"]
    assert net.note == "plain" and net.nothing is None and "note" not in net._parameters


def test_attributes_follow_the_dicts():
    net = Net()
    other = nn.Linear(3, 4)
    net._modules["fc"] = other
    assert net.fc is other
    net._parameters["alpha"] = p = nn.Parameter(st.zeros(()))
    assert net.alpha is p
    del net._buffers["hidden"]
    assert not hasattr(net, "hidden")
    assert net._modules.pop("body") and not hasattr(net, "body") and net._modules.pop("body", 5) == 5
    net._modules.update(a=nn.Identity())
    net._modules |= {"b": nn.Identity()}
    assert net._modules.setdefault("a") is net.a and isinstance(net.b, nn.Identity)
    assert net._modules.popitem()[0] == "b" and not hasattr(net, "b")
    net._modules.clear()
    assert not hasattr(net, "a") and not list(net.children())
    with pytest.raises(KeyError):
        net._modules.pop("gone")


def test_assignment_moves_between_kinds():
    net = nn.Module()
    net.x = 3
    net.x = nn.Parameter(st.ones(1))
    assert "x" in net._parameters and net.x is net.__dict__["x"]
    net.x = nn.Linear(1, 1)
    assert "x" in net._modules and "x" not in net._parameters
    net.x = nn.Buffer(st.ones(1), persistent=False)
    assert "x" in net._buffers and "x" not in net._modules and list(net.state_dict()) == []
    net.x = nn.Buffer(st.ones(1))
    assert list(net.state_dict()) == ["x"]
    net.x = st.zeros(2)
    assert net._buffers["x"].tolist() == [0, 0]
    net.x = None
    assert net._buffers == {"x": None} and net.x is None and net.state_dict() == {}
    del net.x
    assert not hasattr(net, "x")
    with pytest.raises(AttributeError):
        del net.x
    net.y = st.ones(1)
    assert "y" not in net._buffers, "a plain tensor is a plain attribute"


def test_refused_assignments():
    net = Net()
    with pytest.raises(TypeError, match="cannot assign 'Tensor' object as parameter 'alpha'"):
        net.alpha = st.ones(1)
    with pytest.raises(TypeError, match="cannot assign 'int' object as child module 'fc'"):
        net.fc = 3
    with pytest.raises(TypeError, match="cannot assign 'int' object as buffer 'scale'"):
        net.scale = 3
    net.fc = None
    assert net.fc is None and "fc.weight" not in net.state_dict()
    with pytest.raises(KeyError, match="already exists"):
        net.register_buffer("alpha", None)
    with pytest.raises(KeyError, match="already exists"):
        net.add_module("forward", nn.Identity())
    with pytest.raises(KeyError, match="contain"):
        net.register_parameter("a.b", None)
    with pytest.raises(KeyError, match="empty string"):
        net.add_module("", nn.Identity())
    with pytest.raises(TypeError, match=r"nn\.Parameter or None"):
        net.register_parameter("p", st.ones(1))
    with pytest.raises(TypeError, match="Tensor or None"):
        net.register_buffer("b", 1)
    with pytest.raises(TypeError, match="not a Module subclass"):
        net.add_module("m", 1)
    with pytest.raises(TypeError, match="string"):
        net.add_module(1, nn.Identity())
    history = nn.Parameter(st.ones(1))
    history._node = (history * 2)._node
    with pytest.raises(ValueError, match="history"):
        net.p = history


def test_before_init():
    class Early(nn.Module):
        def __init__(self, value):
            self.value = value

    assert Early(3).value == 3
    for value, what in ((nn.Linear(1, 1), "module"), (nn.Parameter(st.ones(1)), "parameters")):
        with pytest.raises(AttributeError, match=rf"cannot assign {what} before Module.__init__\(\) call"):
            Early(value)


def test_typos():
    net = Net()
    with pytest.raises(AttributeError, match=r"'Net' object has no attribute 'boddy'"):
        net.boddy  # noqa: B018
    with pytest.raises(AttributeError, match="no submodule 'x'"):
        net.get_submodule("body.0.x")
    with pytest.raises(AttributeError, match="no parameter 'scale'"):
        net.get_parameter("scale")
    with pytest.raises(AttributeError, match="no buffer"):
        net.get_buffer("fc.weight2")
    assert net.get_submodule("") is net and net.get_submodule("body.0") is net.body[0]
    assert net.get_parameter("fc.bias") is net.fc.bias and net.get_buffer("scale") is net.scale
    net.set_submodule("body.0", nn.Identity())
    assert isinstance(net.body[0], nn.Identity)
    with pytest.raises(NotImplementedError, match="missing the required"):
        nn.Module()()


def test_state_dict_round_trip():
    net, other = Net(), Net()
    state = net.state_dict()
    assert list(state) == KEYS and isinstance(state, OrderedDict)
    assert all(type(v) is st.Tensor and not v.requires_grad for v in state.values())
    assert net.state_dict(keep_vars=True)["alpha"] is net.alpha
    assert list(net.state_dict(prefix="m.")) == ["m." + key for key in KEYS]
    weight = other.fc.weight
    assert str(other.load_state_dict(state)) == "<All keys matched successfully>"
    assert other.fc.weight is weight and st.equal(weight, net.fc.weight)
    x = st.randn(2, 3)
    assert st.equal(net(x), other(x))
    state["fc.bias"].zero_()
    assert net.fc.bias.abs().sum() == 0 and other.fc.bias.abs().sum() > 0, "a state dict shares, loading copies"


def test_load_takes_arrays_and_converts_dtypes():
    net = nn.Linear(2, 1)
    net.load_state_dict({"weight": np.array([[1.5, 2.5]]), "bias": np.float64(3).reshape(1)})
    assert net.weight.tolist() == [[1.5, 2.5]] and net.weight.dtype == st.float32


def test_load_reports_everything_and_changes_nothing():
    net = Net()
    before = copy.deepcopy(net.state_dict())
    wrong = {
        "alpha": st.zeros(()),
        "scale": [1.0] * 4,
        "fc.weight": st.ones(4, 2),
        "extra": st.ones(1),
        "fc.weight.deeper": st.ones(1),
        "body.7.weight": st.ones(1),
    }
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(wrong)
    text = str(caught.value)
    assert text.startswith("Error(s) in loading state_dict for Net:\n\tMissing key(s) in state_dict: ")
    assert 'Missing key(s) in state_dict: "fc.bias", "body.0.weight". \n\tUnexpected key(s) in state_dict: ' in text
    assert {'"extra"', '"fc.weight.deeper"', '"body.7.weight"'} <= set(
        text.split("Unexpected key(s) in state_dict: ")[1].split(". \n")[0].split(", ")
    )
    assert "size mismatch for fc.weight: copying a param with shape" in text and "[4, 2]" in text and "[4, 3]" in text
    assert 'parameter named "scale"' in text and "received list" in text
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict({"fc.weight": st.ones(1)}, strict=False)
    assert all(st.equal(before[key], value) for key, value in net.state_dict().items())
    for refused in (np.array(["a"]), np.ma.masked_array([1.0]), np.array([1j])):
        with pytest.raises(RuntimeError, match="expected a Tensor or an array"):
            nn.Linear(1, 1).load_state_dict({"bias": refused}, strict=False)
    with pytest.raises(TypeError, match="dict-like"):
        net.load_state_dict([1])


def test_load_not_strict():
    net = Net()
    result = net.load_state_dict({"alpha": st.zeros(()), "zz": 1}, strict=False)
    assert result.missing_keys == KEYS[1:] and result.unexpected_keys == ["zz"] and net.alpha.item() == 0
    missing, _ = result
    assert len(missing) == 4 and "missing_keys" in repr(result)


def test_load_with_assign():
    net = nn.Linear(2, 1)
    value = st.ones(1, 2, dtype=st.float64)
    net.load_state_dict({"weight": value, "bias": nn.Parameter(st.zeros(1), requires_grad=False)}, assign=True)
    assert net.weight.dtype == st.float64 and net.weight.requires_grad and not net.bias.requires_grad
    value.zero_()
    assert net.weight.abs().sum() == 0


def test_extra_state():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = 0

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    net = nn.Sequential(Counting())
    net[0].count = 5
    state = net.state_dict()
    assert state == {"0._extra_state": {"count": 5}}
    other = nn.Sequential(Counting())
    other.load_state_dict(state)
    assert other[0].count == 5
    with pytest.raises(RuntimeError, match=r'Missing.*"0._extra_state"'):
        other.load_state_dict({})
    with pytest.raises(RuntimeError, match=r'Unexpected.*"_extra_state"'):
        nn.Identity().load_state_dict({"_extra_state": 1})


def test_state_hooks():
    net = nn.Linear(1, 1)
    seen = []
    net.register_state_dict_pre_hook(lambda module, prefix, keep: seen.append(prefix))
    net.register_state_dict_post_hook(lambda module, state, prefix, metadata: state.pop(prefix + "bias") and None)
    handle = net.register_load_state_dict_pre_hook(
        lambda module, state, prefix, *rest: state.update({prefix + "bias": st.ones(1)})
    )
    net.register_load_state_dict_post_hook(lambda module, keys: seen.append(keys))
    state = net.state_dict()
    assert list(state) == ["weight"] and seen == [""]
    net.load_state_dict(state)
    assert net.bias.item() == 1 and list(state) == ["weight"] and seen[1] == ([], [])
    handle.remove()
    with pytest.raises(RuntimeError, match="Missing"):
        net.load_state_dict(state)


def test_traversal_and_shared_parts():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == ["alpha", "fc.weight", "fc.bias", "body.0.weight"]
    assert [name for name, _ in net.named_buffers()] == ["scale", "hidden"]
    assert [name for name, _ in net.named_modules()] == ["", "fc", "body", "body.0", "body.1"]
    assert [name for name, _ in net.named_children()] == ["fc", "body"]
    assert len(list(net.parameters(recurse=False))) == 1 and len(list(net.buffers())) == 2
    net.tied = net.fc
    net.body[0].extra = net.fc.weight
    assert len(list(net.parameters())) == 4 and len(list(net.modules())) == 5 and len(list(net.children())) == 2
    assert len(list(net.named_parameters(remove_duplicate=False))) == 7
    assert "tied.weight" in net.state_dict()
    assert [name for name, _ in net.named_parameters(prefix="m")][1] == "m.fc.weight"


def test_modes():
    net = Net()
    assert net.training and net.eval() is net and not net.body[1].training
    assert net.train().body[0].training and net.train(False) and not net.training
    with pytest.raises(ValueError, match="boolean"):
        net.train(1)
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters()) and not net(st.ones(1, 3)).requires_grad
    net.requires_grad_()
    net(st.ones(1, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.fc.weight.grad.abs().sum() == 0
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_apply_goes_from_the_leaves_up():
    seen = []
    net = Net()
    assert net.apply(lambda module: seen.append(type(module).__name__)) is net
    assert seen == ["Linear", "Linear", "Identity", "Sequential", "Net"]


def test_conversions():
    net = Net()
    net.register_buffer("count", st.tensor(3))
    weight = net.fc.weight
    net(st.ones(1, 3)).sum().backward()
    assert net.double() is net and net.fc.weight is weight and weight.dtype == st.float64
    assert weight.grad.dtype == st.float64 and net.scale.dtype == st.float64 and net.count.dtype == st.int64
    assert net.scale is net._buffers["scale"]
    assert net.to(st.float32).alpha.dtype == st.float32 and net.half().alpha.dtype == st.float16
    assert net.to("cpu", st.float64).alpha.dtype == st.float64 and net.float().alpha.dtype == st.float32
    assert net.to(st.ones(1, dtype=st.float64)).alpha.dtype == st.float64
    assert net.to(device="cpu", dtype=np.float32, non_blocking=True).alpha.dtype == st.float32
    assert net.type(st.float64).alpha.dtype == st.float64 and net.cpu() is net and net.to() is net
    for call, error in (
        (lambda: net.to("cuda"), RuntimeError),
        (lambda: net.cuda(), RuntimeError),
        (lambda: net.to(st.int64), TypeError),
        (lambda: net.to(colour=1), TypeError),
    ):
        with pytest.raises(error):
            call()


def test_forward_hooks():
    net = nn.Linear(2, 2)
    seen = []
    first = net.register_forward_pre_hook(lambda module, args: seen.append("pre") or (args[0] * 2,))
    second = net.register_forward_hook(lambda module, args, output: seen.append(args[0].tolist()) or output * 0)
    net.register_forward_pre_hook(lambda module, args: seen.append("before"), prepend=True)
    assert net(st.ones(2)).tolist() == [0, 0] and seen == ["before", "pre", [2, 2]]
    first.remove()
    second.remove()
    plain = net(st.ones(2))
    assert seen[3:] == ["before"] and plain.abs().sum() > 0


def test_hooks_with_keywords_and_failures():
    net = Net()
    net.register_forward_pre_hook(lambda module, args, kwargs: (args, {"gain": 0.0}), with_kwargs=True)
    seen = []
    net.register_forward_hook(lambda m, args, kwargs, out: seen.append(kwargs), with_kwargs=True)
    assert net(st.ones(1, 3), gain=5.0).abs().sum() == 0 and seen == [{"gain": 0.0}]
    net.register_forward_hook(lambda module, args, output: seen.append(output), always_call=True)
    with pytest.raises(ValueError):
        net(st.ones(1, 7))
    assert seen == [{"gain": 0.0}, None]
    net.register_forward_pre_hook(lambda module, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="new_args, new_kwargs"):
        net(st.ones(1, 3))


def test_backward_hooks():
    net = nn.Linear(2, 3)
    seen = []
    handle = net.register_full_backward_hook(lambda module, grad_in, grad_out: seen.append((grad_in, grad_out)))
    net.register_full_backward_pre_hook(lambda module, grad_out: (grad_out[0] * 2,))
    x = st.ones(1, 2, requires_grad=True)
    net(x).sum().backward()
    ((grad_in,), (grad_out,)) = seen[0]
    assert grad_out.tolist() == [[2, 2, 2]] and st.equal(grad_in, x.grad)
    assert st.allclose(x.grad, 2 * net.weight.detach().sum(0, keepdim=True))
    assert net.bias.grad.tolist() == [2, 2, 2]
    net(st.ones(1, 2)).sum().backward()
    assert seen[1][0] == (None,) and seen[1][1][0].tolist() == [[2, 2, 2]]
    with st.no_grad():
        net(x)
    handle.remove()
    net.register_full_backward_hook(lambda module, grad_in, grad_out: (grad_in[0] * 0,))
    x.grad = None
    net(x).sum().backward()
    assert x.grad.abs().sum() == 0 and len(seen) == 2


def test_backward_hooks_with_several_outputs():
    class Two(nn.Module):
        def forward(self, x, y):
            return {"no": x}, x

        def both(self, x, y):
            return x * 2, y * 3, "text"

    class Pair(Two):
        forward = Two.both

    seen = []
    net = Pair()
    net.register_full_backward_hook(lambda module, grad_in, grad_out: seen.append((grad_in, grad_out)))
    x, y = st.ones(1, requires_grad=True), st.ones(1, requires_grad=True)
    a, b, text = net(x, y)
    (a + b).backward()
    assert text == "text" and [g.item() for g in seen[0][0]] == [2, 3] and [g.item() for g in seen[0][1]] == [1, 1]


def test_copies():
    net = Net()
    net.tied = net.fc
    net(st.ones(1, 3)).sum().backward()
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other.tied is other.fc is other._modules["fc"] and other.fc is not net.fc
        assert other.fc.weight is other.fc._parameters["weight"] and other.fc.weight is not net.fc.weight
        assert type(other.fc.weight) is nn.Parameter and other.alpha.requires_grad
        assert list(other.state_dict()) == list(net.state_dict()) and other._non_persistent_buffers_set == {"hidden"}
        other.fc = nn.Linear(3, 4)
        assert net.fc is not other.fc and other._modules["fc"] is other.fc
        other._modules["body"] = nn.Identity()
        assert isinstance(other.body, nn.Identity)
    shallow = copy.copy(net)
    shallow.fc = None
    assert net.fc is not None and shallow.alpha is net.alpha


def test_a_subclass_with_its_own_state():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(1, 1)
            self.cache = object()

        def __getstate__(self):
            state = self.__dict__.copy()
            del state["cache"]
            return state

    made = copy.deepcopy(Own())
    assert made.fc is made._modules["fc"] and not hasattr(made, "cache")
    made._modules["fc"] = nn.Identity()
    assert isinstance(made.fc, nn.Identity)


def test_a_dropped_module_is_freed_at_once():
    gc.disable()
    try:
        net = Net()
        net(st.ones(1, 3))
        gone = weakref.ref(net)
        del net
        assert gone() is None
    finally:
        gc.enable()


def test_repr():
    assert repr(Net()) == (
        "Net(\n"
        "  (fc): Linear(in_features=3, out_features=4, bias=True)\n"
        "  (body): Sequential(\n"
        "    (0): Linear(in_features=4, out_features=4, bias=False)\n"
        "    (1): Identity()\n"
        "  )\n"
        ")"
    )

    class Extra(nn.Module):
        def extra_repr(self):
            return "a=1\nb=2"

    assert repr(Extra()) == "Extra(\n  a=1\n  b=2\n)"


def test_html():
    net = Net()
    net.tied = nn.Linear(3, 4)
    net.tied.weight = net.fc.weight

    class Odd(nn.Module):
        def extra_repr(self):
            return "<script>"

    net.odd = Odd()
    html = net._repr_html_()
    assert "weight [4, 3] (shared)" in html and "&lt;script&gt;" in html and "<script>" not in html
    assert f"{sum(p.numel() for p in net.parameters()):,} of" in html and "148 bytes" in html
    assert html.count("<tr>") == 1 + 7 + 1


def test_dir_and_dynamic_super_getattr():
    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(self.module, name)

    assert Wrapper(Net()).note == "plain" and "fc" in dir(Net()) and "0" not in dir(nn.Sequential(nn.Identity()))


def test_property_errors_are_not_hidden():
    class Faulty(nn.Module):
        @property
        def value(self):
            return self.missing

    with pytest.raises(AttributeError, match="missing"):
        Faulty().value  # noqa: B018
