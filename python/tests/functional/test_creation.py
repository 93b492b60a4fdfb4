"""Tensors from data and of a shape."""

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
