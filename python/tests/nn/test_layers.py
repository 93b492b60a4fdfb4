"""What every module of `spinetail.nn` must do, for all of them."""

from __future__ import annotations

import copy
import inspect
import io
import pickle

import numpy as np
import pytest
from cases_nn import CASES, classes_of_nn, make

import spinetail as st
import spinetail.nn as nn

NAMES = classes_of_nn()
RANDOM = {"Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"}


def first(output):
    return output[0] if isinstance(output, tuple) else output


def test_every_class_has_a_case():
    assert not set(NAMES) - set(CASES), "add the new module to cases_nn.py"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [st.float32, st.float64])
def test_forward_keeps_dtype_and_gives_the_shape(name, dtype):
    module, inputs, shape = make(name, dtype)
    for mode in (True, False):
        output = first(module.train(mode)(*inputs))
        assert output.shape == shape and output.dtype == dtype
        assert np.isfinite(output.detach().numpy()).all()


@pytest.mark.parametrize("name", NAMES)
def test_arrays_are_taken_too(name):
    module, inputs, _ = make(name)
    module.eval()
    expected = first(module(*inputs)).detach().numpy()
    try:
        found = first(module(*(x.numpy() for x in inputs)))
    except AttributeError as error:
        pytest.skip(f"needs a Tensor: {error}")
    np.testing.assert_array_equal(np.asarray(getattr(found, "_array", found)), expected)


@pytest.mark.parametrize("name", NAMES)
def test_layout_does_not_matter(name):
    module, inputs, _ = make(name, st.float64)
    module.eval()
    expected = first(module(*inputs)).detach().numpy()
    turned = [st.from_numpy(np.asarray(x.numpy(), order="F")) for x in inputs]
    reversed_twice = [st.from_numpy(np.ascontiguousarray(x.numpy()[..., ::-1])[..., ::-1]) for x in inputs]
    for other in (turned, reversed_twice):
        np.testing.assert_allclose(first(module(*other)).detach().numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_state_round_trip(name):
    module, inputs, _ = make(name)
    other = make(name)[0]
    for value in [*other.parameters(), *other.buffers()]:
        value.detach().copy_(st.zeros(value.shape))
    module.eval(), other.eval()
    file = io.BytesIO()
    st.save(module.state_dict(), file)
    file.seek(0)
    other.load_state_dict(st.load(file))
    assert list(other.state_dict()) == list(module.state_dict())
    assert st.equal(first(module(*inputs)), first(other(*inputs)))


@pytest.mark.parametrize("name", NAMES)
def test_copies_are_equal_and_apart(name):
    module, inputs, _ = make(name)
    module.eval()
    expected = first(module(*inputs))
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert st.equal(first(other(*inputs)), expected) and repr(other) == repr(module)
        shared = {id(p) for p in module.parameters()} & {id(p) for p in other.parameters()}
        assert not shared and [p.requires_grad for p in other.parameters()] == [
            p.requires_grad for p in module.parameters()
        ]


@pytest.mark.parametrize("name", NAMES)
def test_display(name):
    module, _, _ = make(name)
    assert repr(module).startswith(f"{name}(") and f">{name}" in module._repr_html_()


@pytest.mark.parametrize("name", NAMES)
def test_signature_and_docstring(name):
    kind = getattr(nn, name)
    assert kind.__doc__ and kind.__doc__.split("\n")[0].rstrip().endswith((".", ","))
    parameters = inspect.signature(kind).parameters
    assert all(
        p.kind is p.VAR_KEYWORD or p.kind is p.VAR_POSITIONAL or p.annotation != p.empty for p in parameters.values()
    )


@pytest.mark.parametrize("name", [n for n in NAMES if n not in RANDOM])
def test_gradients(name):
    module, inputs, _ = make(name, st.float64)
    parameters = list(module.parameters())
    for x in inputs[:1] if name.endswith("Loss") else inputs:
        if x.dtype.is_floating_point:
            x.requires_grad_()

    def run(*arguments):
        return first(module(*arguments[: len(inputs)]))

    if not any(x.requires_grad for x in [*inputs, *parameters]):
        pytest.skip("nothing to differentiate")
    st.autograd.gradcheck(run, (*inputs, *parameters), eps=1e-6, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in RANDOM])
def test_every_parameter_is_trained(name):
    module, inputs, _ = make(name)
    output = first(module(*inputs))
    if not output.requires_grad:
        assert not list(module.parameters())
        return
    (output * st.arange(1.0, output.numel() + 1).reshape(output.shape)).sum().backward()
    for path, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, path
        assert parameter.grad.shape == parameter.shape and parameter.grad.dtype == parameter.dtype


@pytest.mark.parametrize("name", NAMES)
def test_results_do_not_depend_on_threads(name):
    found = []
    for threads in (1, 2, 3):
        st.set_num_threads(threads)
        module, inputs, _ = make(name)
        st.manual_seed(1)
        found.append(first(module(*inputs)).detach().numpy().tobytes())
    assert len(set(found)) == 1


@pytest.mark.parametrize("name", [n for n in NAMES if "device" in inspect.signature(getattr(nn, n)).parameters])
def test_device_and_dtype(name):
    arguments, keywords, _, _ = CASES[name]
    module = getattr(nn, name)(*arguments, **keywords, device="cpu", dtype=st.float64)
    assert all(p.dtype == st.float64 for p in module.parameters())
    with pytest.raises(RuntimeError, match="no device"):
        getattr(nn, name)(*arguments, **{**keywords, "affine": True} if "Instance" in name else keywords, device="cuda")
