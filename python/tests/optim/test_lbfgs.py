import copy
import sys
from pathlib import Path

import numpy as np
import pytest

import spinetail as st

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from optimizer_cases import LBFGS, rosenbrock  # noqa: E402

golden = np.load(GOLDEN / "optimizer.npz")


def begin(options):
    x = st.tensor([-1.2, 1.0, -0.5, 0.8, 1.5, 0.1], dtype=st.float64, requires_grad=True)
    return x, st.optim.LBFGS([x], **options)


def closure_of(x, optimizer):
    def closure():
        optimizer.zero_grad()
        loss = rosenbrock(x)
        loss.backward()
        return loss

    return closure


@pytest.mark.parametrize("case", LBFGS)
def test_path_is_pytorchs(case):
    options, calls = LBFGS[case]
    x, optimizer = begin(options)
    for expected in golden[case][:calls]:
        optimizer.step(closure_of(x, optimizer))
        np.testing.assert_allclose(x.detach().numpy(), expected[:-1], rtol=1e-6, atol=1e-7)
        assert optimizer.state[x]["func_evals"] == expected[-1]


def test_a_saved_optimizer_goes_on():
    options, _ = LBFGS["lbfgs_wolfe"]
    x, optimizer = begin(options)
    optimizer.step(closure_of(x, optimizer))
    other_x = x.detach().clone().requires_grad_()
    other = st.optim.LBFGS([other_x], **options)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(2):
        optimizer.step(closure_of(x, optimizer))
        other.step(closure_of(other_x, other))
    np.testing.assert_array_equal(x.detach().numpy(), other_x.detach().numpy())


def test_several_parameters_one_of_them_without_gradient():
    a = st.tensor([3.0, -1.0], requires_grad=True)
    b, c = st.tensor(2.0, requires_grad=True), st.tensor([7.0], requires_grad=True)
    optimizer = st.optim.LBFGS([a, b, c], max_iter=30)

    def closure():
        optimizer.zero_grad()
        loss = ((a - 1) ** 2).sum() + (b + 2) ** 2
        loss.backward()
        return loss

    first = optimizer.step(closure)
    assert first.item() == 24.0
    np.testing.assert_allclose(a.detach().numpy(), 1, atol=1e-4)
    np.testing.assert_allclose(b.detach().numpy(), -2, atol=1e-4)
    assert c.item() == 7.0


def test_bad_use():
    x = st.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="parameter groups"):
        st.optim.LBFGS([{"params": [x]}, {"params": [st.ones(2, requires_grad=True)]}])
    with pytest.raises(ValueError, match="expected None or 'strong_wolfe'"):
        st.optim.LBFGS([x], line_search_fn="armijo")
    with pytest.raises(ValueError, match="expected tensors"):
        st.optim.LBFGS([np.ones(2)])
    with pytest.raises(ValueError, match="Invalid learning rate"):
        st.optim.LBFGS([x], lr=-1)
    with pytest.raises(TypeError, match="needs a closure"):
        st.optim.LBFGS([x]).step()
