"""dtypes: their objects, and PyTorch's rules for mixing them, against what PyTorch made."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import spinetail as st

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
#: Row and column as in NAMES: torch.promote_types of PyTorch 2.15.
TABLE = """
bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64
uint8 uint8 int16 int16 int32 int64 float16 bfloat16 float32 float64
int8 int16 int8 int16 int32 int64 float16 bfloat16 float32 float64
int16 int16 int16 int16 int32 int64 float16 bfloat16 float32 float64
int32 int32 int32 int32 int32 int64 float16 bfloat16 float32 float64
int64 int64 int64 int64 int64 int64 float16 bfloat16 float32 float64
float16 float16 float16 float16 float16 float16 float16 float32 float32 float64
bfloat16 bfloat16 bfloat16 bfloat16 bfloat16 bfloat16 float32 bfloat16 float32 float64
float32 float32 float32 float32 float32 float32 float32 float32 float32 float64
float64 float64 float64 float64 float64 float64 float64 float64 float64 float64
""".split()


@pytest.mark.parametrize("row", range(10), ids=NAMES)
@pytest.mark.parametrize("column", range(10), ids=NAMES)
def test_promotion(row, column):
    a, b = getattr(st, NAMES[row]), getattr(st, NAMES[column])
    expected = getattr(st, TABLE[row * 10 + column])
    assert st.promote_types(a, b) is expected
    pytest.importorskip("ml_dtypes")
    x, y = st.ones(2, dtype=a), st.ones(2, dtype=b)
    assert (x + y).dtype == expected and (x * y).dtype == expected
    # a tensor without dimensions gives way within its category
    loose = st.ones((), dtype=b)
    assert (x + loose).dtype == (a if a.category >= b.category else expected if b.category > a.category else a)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_do_not_promote_within_a_category(name):
    pytest.importorskip("ml_dtypes")
    dtype = getattr(st, name)
    for shape in ((2,), ()):
        x = st.ones(shape, dtype=dtype)
        assert (x * True).dtype == dtype
        assert (x + 2).dtype == (st.int64 if name == "bool" else dtype)
        assert (3 * x).dtype == (st.int64 if name == "bool" else dtype)
        assert (x + 2.5).dtype == (dtype if dtype.is_floating_point else st.float32)
        assert (x / 2).dtype == (dtype if dtype.is_floating_point else st.float32)
        assert (x / x).dtype == (dtype if dtype.is_floating_point else st.float32)
        assert (x == 1).dtype == st.bool
        assert x.sum().dtype == (dtype if dtype.is_floating_point else st.int64)
        if not dtype.is_floating_point:
            with pytest.raises(TypeError, match="mean"):
                x.mean()


def test_numbers_wrap_around_as_in_pytorch():
    assert (st.tensor([250], dtype=st.uint8) + 10).tolist() == [4]
    assert (st.tensor([1], dtype=st.uint8) + 300).tolist() == [45]
    assert (st.tensor([100], dtype=st.int8) * 2).tolist() == [-56]


def test_dtype_objects():
    assert (
        st.float32 == np.float32
        and np.dtype("float32") == st.float32
        and st.float32 == "float32"
        and st.float32 != st.float64
    )
    assert st.float is st.float32 and st.double is st.float64 and st.long is st.int64 and st.half is st.float16
    assert st.float32 is st.tensor([1.0]).dtype and {st.int64: 1}[st.tensor([1]).dtype] == 1
    assert np.zeros(3, st.float64).dtype == np.float64 and np.ones(2).astype(st.int8).dtype == np.int8
    assert repr(st.float32) == "spinetail.float32" and st.int16.itemsize == 2
    assert (
        st.float16.is_floating_point and not st.int8.is_floating_point and not st.uint8.is_signed and st.int8.is_signed
    )
    assert pickle.loads(pickle.dumps(st.float32)) is st.float32 and copy.deepcopy(st.int64) is st.int64
    assert st.float32 is not None and (st.float32 == None) is False  # noqa: E711
    assert st.tensor([1.0]).dtype in (st.float32, st.float64)


def test_limits():
    assert st.finfo(st.float32).max == float(np.finfo(np.float32).max) and st.finfo(st.float32).bits == 32
    assert st.finfo().dtype == "float32" and st.iinfo(st.int8).min == -128
    pytest.importorskip("ml_dtypes")
    assert st.finfo(st.bfloat16).eps == 0.0078125
    with pytest.raises(TypeError, match="finfo"):
        st.finfo(st.int8)
    with pytest.raises(TypeError, match="iinfo"):
        st.iinfo(st.float32)


def test_the_default_dtype():
    try:
        st.set_default_dtype(st.float64)
        assert st.tensor([1.5]).dtype == st.zeros(1).dtype == st.rand(1).dtype == st.float64
        assert (st.tensor([1]) / 2).dtype == (st.tensor([1]) + 1.5).dtype == st.exp(st.tensor([1])).dtype == st.float64
    finally:
        st.set_default_dtype(st.float32)
    with pytest.raises(TypeError, match="floating-point"):
        st.set_default_dtype(st.int64)
    assert st.tensor([1.5]).dtype == st.float32 and st.tensor(np.array([1.5])).dtype == st.float64


def test_unknown_dtypes_are_refused():
    for bad in ("nonsense", np.complex64, object, 3.5):
        with pytest.raises(TypeError, match="dtype"):
            st.zeros(1, dtype=bad)
    for bad in (np.array(["a"]), np.array([1j]), np.array([None]), np.array(["2020"], "datetime64")):
        with pytest.raises(TypeError, match=r"\[tensor\] no tensor has NumPy's dtype"):
            st.tensor(bad)
    with pytest.raises(ValueError, match="ragged"):
        st.tensor([[1, 2], [3]])
    with pytest.raises(TypeError, match="masked"):
        st.from_numpy(np.ma.array([1.0]))


def test_gradients_keep_their_inputs_dtype():
    x, y = st.ones(2, requires_grad=True), st.ones(2, dtype=st.float64, requires_grad=True)
    (x * y).sum().backward()
    assert x.grad.dtype == st.float32 and y.grad.dtype == st.float64
    h = st.ones(2, dtype=st.float16, requires_grad=True)
    (h.float() * 3).sum().backward()
    assert h.grad.dtype == st.float16 and h.grad.tolist() == [3, 3]
