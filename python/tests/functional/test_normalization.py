import sys
from pathlib import Path

import numpy as np
import pytest

import spinetail.functional.normalization as F
from spinetail.autograd import Tensor, make, no_grad

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from normalization_cases import CASES, arrays  # noqa: E402

golden = np.load(GOLDEN / "normalization.npz")


@pytest.mark.parametrize("case", CASES)
def test_tensors_give_pytorchs_values_and_gradients(case):
    name, _, options, _ = CASES[case]
    x, values, grad = arrays(case)
    x = make(Tensor, x, True)
    values = {n: None if v is None else make(Tensor, v, n in ("weight", "bias")) for n, v in values.items()}
    y = getattr(F, name)(x, **values, **options)
    y.backward(make(Tensor, grad))
    np.testing.assert_allclose(y._array, golden[f"{case}/output"], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(x.grad._array, golden[f"{case}/input"], rtol=1e-8, atol=1e-10)
    for n, v in values.items():
        if v is not None:
            actual = v.grad._array if v.requires_grad else v._array
            np.testing.assert_allclose(actual, golden[f"{case}/{n}"], rtol=1e-8, atol=1e-10, err_msg=n)


@pytest.mark.parametrize("case", CASES)
def test_arrays_give_arrays(case):
    name, _, options, _ = CASES[case]
    x, values, _ = arrays(case)
    y = getattr(F, name)(x, **values, **options)
    assert type(y) is np.ndarray
    np.testing.assert_allclose(y, golden[f"{case}/output"], rtol=1e-9, atol=1e-11)
    for n in ("running_mean", "running_var"):
        if values.get(n) is not None:
            np.testing.assert_allclose(values[n], golden[f"{case}/{n}"], rtol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_gradients_by_differences(case):
    name, _, options, _ = CASES[case]
    x, values, grad = arrays(case)
    fixed = {n: v for n, v in values.items() if n not in ("weight", "bias")}

    def loss(x, **parameters):
        copies = {n: None if v is None else v.copy() for n, v in fixed.items()}
        return (getattr(F, name)(x, **copies, **parameters, **options) * grad).sum()

    parameters = {n: v for n, v in values.items() if n in ("weight", "bias")}
    tensors = {n: make(Tensor, v, True) for n, v in {"input": x, **parameters}.items()}
    copies = {n: None if v is None else make(Tensor, v.copy()) for n, v in fixed.items()}
    given = {n: t for n, t in tensors.items() if n != "input"}
    getattr(F, name)(tensors["input"], **copies, **given, **options).backward(make(Tensor, grad))
    rng = np.random.default_rng(0)
    for n, tensor in tensors.items():
        direction = rng.standard_normal(tensor._array.shape)
        ends = []
        for h in (1e-5, -1e-5):
            moved = {m: t._array + (h * direction if m == n else 0) for m, t in tensors.items()}
            ends.append(loss(moved.pop("input"), **moved))
        np.testing.assert_allclose(
            (tensor.grad._array * direction).sum(), (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-6
        )


def test_running_statistics_count_as_changed():
    m, v = make(Tensor, np.zeros(2)), make(Tensor, np.ones(2))
    F.batch_norm(make(Tensor, np.random.default_rng(0).standard_normal((4, 2))), m, v, training=True)
    assert m._version == v._version == 1


def test_running_variances_of_instances_do_not_cancel():
    x = (np.random.default_rng(1).standard_normal((3, 4, 500)) * 1e-2 + 1e4).astype(np.float32)
    m, v = np.zeros(4, np.float32), np.zeros(4, np.float32)
    F.instance_norm(x, m, v, momentum=1.0)
    np.testing.assert_allclose(m, x.mean((0, 2), dtype=np.float64), rtol=1e-7)
    np.testing.assert_allclose(v, x.astype(np.float64).var(2, ddof=1).mean(0), rtol=1e-6)


def test_no_graph_where_none_is_wanted():
    x = make(Tensor, np.random.default_rng(0).standard_normal((4, 3)), True)
    with no_grad():
        assert not F.layer_norm(x, (3,)).requires_grad
    assert not F.layer_norm(x.detach(), (3,)).requires_grad
    assert F.layer_norm(x.detach(), (3,), make(Tensor, np.ones(3), True)).requires_grad
    assert F.layer_norm(np.ones((2, 3)), (3,), make(Tensor, np.ones(3), True)).requires_grad


def test_a_saved_input_must_not_change():
    x = make(Tensor, np.random.default_rng(0).standard_normal((4, 3)), True)
    y = F.layer_norm(x, (3,))
    x._bump()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_what_pytorch_refuses():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        F.group_norm(np.ones((1, 4)), 4)
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        F.instance_norm(np.ones((2, 4, 1)))
    with pytest.raises(ValueError, match=r"\[instance_norm\]"):
        F.instance_norm(np.ones((2, 4)))
