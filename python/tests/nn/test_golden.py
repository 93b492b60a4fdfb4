"""Modules against PyTorch's: states, results, gradients, running statistics and `repr`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden.nn_cases import CASES, STEPS, build, inputs, masks

import spinetail as st
import spinetail.nn as nn

FILE = np.load(Path(__file__).parents[1] / "golden" / "nn.npz")
LAYOUT = json.loads(str(FILE["layout"]))["cases"]
close = dict(rtol=1e-9, atol=1e-11)


def unpack() -> dict[str, dict[str, np.ndarray]]:
    found: dict[str, dict] = {}
    numbers, start = FILE["numbers"], 0
    for name, case in LAYOUT.items():
        found[name] = {}
        for key, shape in case["shapes"].items():
            count = int(np.prod(shape, dtype=int))
            found[name][key] = numbers[start : start + count].reshape(shape)
            start += count
    assert start == len(numbers)
    return found


GOLDEN = unpack()


def part(name: str, kind: str) -> dict[str, np.ndarray]:
    return {key[len(kind) + 1 :]: value for key, value in GOLDEN[name].items() if key.startswith(kind + "/")}


def test_the_golden_values_belong_to_these_cases():
    assert list(GOLDEN) == list(CASES)


@pytest.mark.parametrize("name", CASES)
def test_golden(name):
    kind, arguments, keywords, _, call = CASES[name]
    module = build(nn, kind, arguments, keywords).double()
    state = part(name, "state")
    assert list(module.state_dict()) == list(state), "the same keys in the same order"
    module.load_state_dict(state)
    given: list = []
    for value in inputs(name):
        if isinstance(value, str):
            given.append(given[-1])
            continue
        given.append(st.tensor(value, requires_grad=value.dtype == np.float64))
    options = {key: st.from_numpy(masks()[v]) if isinstance(v, str) else v for key, v in call.items()}
    for _ in range(STEPS):
        module.zero_grad()
        for tensor in given:
            tensor.grad = None
        output = module(*given, **options)
        output, weights = output if isinstance(output, tuple) else (output, None)
        total = (output * st.linspace(-1, 1, output.numel(), dtype=st.float64).reshape(output.shape)).sum()
        if weights is not None:
            direction = st.linspace(1, 2, weights.numel(), dtype=st.float64).reshape(weights.shape)
            total = total + (weights * direction).sum()
        total.backward()
    np.testing.assert_allclose(output.detach().numpy(), GOLDEN[name]["output"], **close)
    assert (weights is None) == ("weights" not in GOLDEN[name])
    if weights is not None:
        np.testing.assert_allclose(weights.detach().numpy(), GOLDEN[name]["weights"], **close)
    for key, value in part(name, "input").items():
        np.testing.assert_allclose(given[int(key)].grad.numpy(), value, **close, err_msg=f"gradient of input {key}")
    gradients = part(name, "grad")
    assert set(gradients) == {key for key, _ in module.named_parameters()}
    for key, parameter in module.named_parameters():
        np.testing.assert_allclose(parameter.grad.numpy(), gradients[key], **close, err_msg=key)
    for key, buffer in module.named_buffers():
        np.testing.assert_allclose(buffer.numpy(), GOLDEN[name][f"after/{key}"], **close, err_msg=key)
    output = module.eval()(*given, **options)
    output = output[0] if isinstance(output, tuple) else output
    np.testing.assert_allclose(output.detach().numpy(), GOLDEN[name]["eval"], **close)
    assert repr(module) == LAYOUT[name]["repr"].replace("NonDynamicallyQuantizable", "")
