"""Reading and writing by index, against NumPy, with gradients."""
# ruff: noqa: E501 (the tables)

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st

A = np.arange(60.0).reshape(3, 4, 5)
MASK = A % 3 == 0
KEYS = [
    0, -1, slice(1, 3), (0, 1), (0, 1, 2), (slice(None), 2), (Ellipsis, 1), (1, Ellipsis), (None, 0), (0, None), slice(None, None, 2),
    (slice(2, 0), 0), [0, 2], [2, 2, 0], np.array([1, 1]), (slice(None), [1, 3]), ([0, 1], [1, 2]), ([0, 1], slice(None), [1, 2]),
    (np.array([[0, 1], [2, 0]]), np.array([1, 2])), MASK, MASK[:, 0, 0], (slice(None), MASK[0]), (MASK[:, :, 0], 1), (1, MASK[1]),
    (np.int64(2), np.int64(0)), [], (slice(0, 0),), True, (0, [1, 2], slice(1, 3)), (Ellipsis, [0, 4]), (None, [0, 1], None),
    np.array([[True, False, True, True]] * 3), (slice(None), slice(1, 2), [4, 4, 4]),
]  # fmt: skip


def as_tensors(key):
    """Arrays inside an index as tensors."""
    if isinstance(key, tuple):
        return tuple(as_tensors(k) for k in key)
    return st.from_numpy(key) if isinstance(key, np.ndarray) else key


@pytest.mark.parametrize("key", KEYS, ids=repr)
@pytest.mark.parametrize("convert", [lambda k: k, as_tensors], ids=["arrays", "tensors"])
def test_reading(key, convert):
    x = st.tensor(A, requires_grad=True)
    picked = x[convert(key)]
    np.testing.assert_array_equal(picked.detach().numpy(), A[key])
    weight = np.arange(1.0, A[key].size + 1).reshape(A[key].shape)
    picked.backward(st.from_numpy(weight))
    expected = np.zeros_like(A)
    np.add.at(expected, key, weight)
    np.testing.assert_array_equal(x.grad.numpy(), expected)


@pytest.mark.parametrize("key", KEYS, ids=repr)
@pytest.mark.parametrize("convert", [lambda k: k, as_tensors], ids=["arrays", "tensors"])
def test_writing(key, convert):
    places = np.zeros(A.shape, int)
    np.add.at(places, key, 1)
    repeated = places.max() > 1  # which of several values wins is not defined
    value = np.full(A[key].shape, 0.5) if repeated else -np.arange(1.0, A[key].size + 1).reshape(A[key].shape)
    x, v = st.tensor(A, requires_grad=True), st.tensor(value, requires_grad=True)
    y = x * 1
    y[convert(key)] = v
    expected = A.copy()
    expected[key] = value
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    weight = np.arange(1.0, 61).reshape(3, 4, 5)
    y.backward(st.from_numpy(weight))
    rest = weight.copy()
    rest[key] = 0
    np.testing.assert_array_equal(x.grad.numpy(), rest)
    np.testing.assert_array_equal(v.grad.numpy(), weight[key])


@pytest.mark.parametrize("shape", [(), (1,), (5,), (1, 5), (1, 1, 4, 5), (4, 1)])
def test_writing_broadcasts(shape):
    x = st.zeros(3, 4, 5, dtype=st.float64)
    v = st.from_numpy(np.random.default_rng(0).random(shape)).requires_grad_()
    x[1] = v
    np.testing.assert_array_equal(
        x[1].detach().numpy(), np.broadcast_to(v.detach().numpy().reshape(shape[-2:]), (4, 5))
    )
    x.sum().backward()
    np.testing.assert_array_equal(v.grad.numpy(), np.full(shape, 20 // v.numel()))


def test_an_integer_beside_a_list_does_not_move_its_dimension():
    x = st.tensor(A)
    assert x[0, :, [0, 2]].shape == (4, 2)  # PyTorch's rule; NumPy gives (2, 4)
    x[0, :, [0, 2]] = st.zeros(4, 2, dtype=st.float64)
    assert x[0, :, 0].tolist() == [0] * 4 and x[0, :, 1].tolist() == [1, 6, 11, 16]


def test_basic_indexing_makes_views():
    x = st.tensor(A)
    x[1, 2, 3].zero_()
    x[0, 1:3][:, 0] = 7
    assert x[1, 2, 3] == 0 and x[0, 1, 0] == x[0, 2, 0] == 7
    y = x[[0, 1]]
    y.zero_()
    assert x[0, 0, 1] == 1


def test_writing_converts_to_the_tensors_dtype():
    x = st.zeros(3, dtype=st.int64)
    x[0] = 2.7
    x[1:] = st.tensor([1.9, -1.9])
    assert x.tolist() == [2, 1, -1] and x.dtype == st.int64


@pytest.mark.parametrize("key", [3, -4, (0, 4), [3], (slice(None), [0, 4]), np.ones((3, 3), bool)])
def test_out_of_range(key):
    with pytest.raises(IndexError):
        st.tensor(A)[key]
    with pytest.raises(IndexError):
        st.tensor(A)[key] = 0.0


def test_indices_must_be_integers_or_bools():
    with pytest.raises(IndexError, match="must be long, int, byte or bool"):
        st.tensor(A)[st.tensor([0.0])]
    with pytest.raises(ValueError, match="setitem"):
        st.tensor(A)[0] = st.ones(3)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: st.gather(st.ones(2, 3), 1, st.tensor([[3], [0]])),
            IndexError,
            r"\[gather\] index 3 is out of bounds for dimension 1 with size 3",
        ),
        (lambda: st.gather(st.ones(2, 3), 1, st.tensor([[-1], [0]])), IndexError, r"index -1 is out of bounds"),
        (lambda: st.gather(st.ones(2, 3), 1, st.tensor([0])), ValueError, "same number of dimensions"),
        (lambda: st.gather(st.ones(2, 3), 1, st.tensor([[0.0]])), TypeError, "int64"),
        (lambda: st.gather(st.ones(2, 3), 1, st.zeros(3, 1, dtype=st.int64)), ValueError, "exceeds"),
        (lambda: st.ones(2, 3).scatter_(1, st.tensor([[5]]), 1.0), IndexError, "scatter"),
        (lambda: st.ones(2, 3).scatter(1, st.tensor([[1]]), st.ones(1, 1, dtype=st.float64)), TypeError, "dtype"),
        (lambda: st.index_select(st.ones(2), 0, st.tensor([2])), IndexError, "2"),
        (lambda: st.index_select(st.ones(2), 0, st.tensor([-1])), IndexError, "-1"),
        (lambda: st.index_select(st.ones(2), 0, st.tensor([[0]])), IndexError, "vector"),
        (lambda: st.masked_fill(st.ones(2), st.tensor([1, 0]), 0), TypeError, "bool"),
        (lambda: st.masked_select(st.ones(2), st.tensor([1, 0])), TypeError, "bool"),
        (lambda: st.where(st.tensor([1, 0]), 1.0, 2.0), TypeError, "bool"),
        (lambda: st.where(st.tensor([True, False]), st.ones(3), 2.0), ValueError, "broadcast"),
        (lambda: st.narrow(st.ones(3), 0, 2, 2), IndexError, "exceeds dimension size"),
        (lambda: st.take(st.ones(3), st.tensor([3])), IndexError, "3"),
        (lambda: st.ones(2).index_add(0, st.tensor([0]), st.ones(1, dtype=st.float64)), TypeError, "dtype"),
    ],
)
def test_bad_indices_are_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_repeated_rows_add_up_as_for_an_embedding():
    rows = np.random.default_rng(0).integers(0, 7, 50)
    table = st.zeros(7, 3, dtype=st.float64, requires_grad=True)
    weight = np.random.default_rng(1).random((50, 3))
    table[st.from_numpy(rows)].backward(st.from_numpy(weight))
    expected = np.zeros((7, 3))
    np.add.at(expected, rows, weight)
    np.testing.assert_allclose(table.grad.numpy(), expected, rtol=1e-14)
