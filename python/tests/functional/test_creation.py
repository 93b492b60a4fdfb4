"""Tensors from data and of a shape."""

import numpy as np
import pytest

import spinetail as st


@pytest.mark.parametrize("name", ["FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor", "LongTensor"])
def test_typed_names_take_values_or_a_shape(name):
    make = getattr(st, name)
    assert make([1, 2]).tolist() == [1, 2]
    assert make(2, 3).shape == (2, 3) and make(2, 3).dtype == make([1]).dtype
    assert make().numel() == 0
    with pytest.raises((ValueError, RuntimeError), match="-1"):
        make(-1)


def test_python_floats_become_the_dtype_that_is_asked_for_in_one_rounding():
    for value in (0.1, [0.1, -1.2], [[1e300]], (0.1, 1)):
        np.testing.assert_array_equal(st.tensor(value, dtype=st.float64).numpy(), np.array(value))
        np.testing.assert_array_equal(st.as_tensor(value, dtype=st.float64).numpy(), np.array(value))
    assert st.tensor(0.1).dtype == st.float32
    with np.errstate(over="ignore"):
        assert st.tensor(1e300, dtype=st.float32).item() == np.inf
