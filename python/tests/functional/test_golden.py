"""Values, dtypes and gradients of tensor expressions, against what PyTorch made of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import spinetail as st

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from tensor_expressions import EXPRESSIONS, REPRS, inputs  # noqa: E402

STORED = dict(np.load(GOLDEN / "tensor.npz"))


def weights(shape) -> np.ndarray:
    """The gradient that is sent into an output, the same in the maker and in the test."""
    return (np.arange(int(np.prod(shape)), dtype=np.float64) % 7 * 0.25 - 0.6).reshape(shape)


def flatten(value) -> list:
    """All outputs in one list; a tensor's iteration is not what is meant, nor a Size's."""
    if isinstance(value, (tuple, list)):
        return [x for v in value for x in flatten(v)]
    return [value]


def tolerance(dtype) -> float:
    return {"float16": 2e-3, "float32": 2e-6, "float64": 1e-12}.get(dtype.name, 0)


def compare(found: np.ndarray, expected: np.ndarray, what: str) -> None:
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, PyTorch {expected.shape}"
    assert found.dtype == expected.dtype, f"{what}: dtype {found.dtype}, PyTorch {expected.dtype}"
    rtol = tolerance(expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=rtol * 4, atol=rtol * 4, err_msg=what)


def test_the_golden_values_belong_to_these_expressions():
    assert str(STORED["expressions"]).split("\n") == EXPRESSIONS


@pytest.mark.parametrize("number", range(len(EXPRESSIONS)), ids=EXPRESSIONS)
def test_expression(number):
    names = {n: st.tensor(v, requires_grad=v.dtype.kind == "f") for n, v in inputs().items()}
    outputs = flatten(eval(EXPRESSIONS[number], {"t": st, **names}))
    stored = {k.partition(".")[2]: v for k, v in STORED.items() if k.partition(".")[0] == str(number)}
    assert len(outputs) == sum(k.isdigit() for k in stored)
    for place, output in enumerate(outputs):
        expected = stored[str(place)]
        if isinstance(output, st.Tensor):
            compare(output.detach().numpy(), expected, f"output {place}")
        elif isinstance(output, st.dtype):
            assert str(output).split(".")[1] == str(expected).split(".")[1]
        else:
            assert output == expected.item()
    tracked = [o for o in outputs if isinstance(o, st.Tensor) and o.requires_grad]
    if "none" in stored:
        return
    if tracked:
        st.autograd.backward(tracked, [st.tensor(weights(o.shape)).to(o.dtype) for o in tracked])
    for name, tensor in names.items():
        if name in stored:
            assert tensor.grad is not None, f"no gradient of {name}"
            compare(tensor.grad.numpy(), stored[name], f"gradient of {name}")
        else:
            assert tensor.grad is None, f"PyTorch has no gradient of {name}"


@pytest.mark.parametrize("number", range(len(REPRS)), ids=REPRS)
def test_repr(number):
    assert repr(eval(REPRS[number], {"t": st})) == str(STORED["reprs"][number])
