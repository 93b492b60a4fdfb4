import numpy as np
import pytest

import spinetail as st
import spinetail.functional.embedding as F


def test_gradient():
    w = st.tensor(np.arange(12.0).reshape(4, 3), requires_grad=True)
    i = st.tensor([[1, 3], [1, 0]])
    y = F.embedding(i, w, padding_idx=-1)
    assert y.shape == (2, 2, 3)
    np.testing.assert_array_equal(y.detach().numpy(), w.detach().numpy()[i.numpy()])
    (y * y).sum().backward()
    expected = 2 * w.detach().numpy() * np.array([1, 2, 0, 0])[:, None]
    np.testing.assert_array_equal(w.grad.numpy(), expected)
    w.grad = None
    F.embedding(i, w, scale_grad_by_freq=True).sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), [[1] * 3, [1] * 3, [0] * 3, [1] * 3])


def test_arrays_give_arrays():
    w = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(F.embedding(np.array([2, 0]), w), w[[2, 0]])
    mixed = F.embedding(np.array([2, 0]), st.tensor(w, requires_grad=True))
    assert mixed.requires_grad


def test_max_norm_changes_the_table():
    w = st.tensor([[3.0, 4.0], [30.0, 40.0]], requires_grad=True)
    y = F.embedding(st.tensor([0]), w, max_norm=1.0)
    np.testing.assert_allclose(y.detach().numpy(), [[0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(w.detach().numpy(), [[0.6, 0.8], [30, 40]], rtol=1e-6)
    assert w._version == 1


def test_indices_must_not_change_before_backward():
    w, i = st.ones(3, 2, requires_grad=True), st.tensor([0, 1])
    y = F.embedding(i, w)
    i += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_bad_input():
    w = st.ones(3, 2)
    with pytest.raises(IndexError, match=r"index 3 at position \(1,\)"):
        F.embedding(st.tensor([0, 3]), w)
    with pytest.raises(IndexError, match="index 7"):
        F.embedding(st.tensor([7]), w, max_norm=1.0)
    with pytest.raises(ValueError, match="padding_idx must be within"):
        F.embedding(st.tensor([0]), w, padding_idx=3)
    with pytest.raises(ValueError, match="sparse=True"):
        F.embedding(st.tensor([0]), w, sparse=True)
    with pytest.raises(TypeError, match="int64 or int32"):
        F.embedding(st.tensor([0.0]), w)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gradients_of_halves_are_added_in_float32(dtype):
    table = st.ones(3, 2, dtype=getattr(st, dtype)).requires_grad_()
    F.embedding(st.zeros(3000, dtype=st.int64), table).sum().backward()
    assert table.grad.dtype == table.dtype
    assert table.grad.float().tolist() == [[float(st.tensor(3000.0).to(table.dtype).float())] * 2, [0, 0], [0, 0]]
