"""The tape and the engine: gradients, freeing, accumulation, hooks, modes."""

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st


def test_gradients_of_a_small_graph_add_up():
    x = st.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    (x * x + 2 * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * x.detach().numpy() + 2)
    (x * 3).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * x.detach().numpy() + 5)


def test_a_second_backward_raises_unless_the_graph_is_retained():
    x = st.ones(2, requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [4, 4])
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.backward()


def test_a_long_chain_needs_no_recursion():
    x = st.ones(1, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1
    del y
