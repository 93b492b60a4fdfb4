"""Both doors: arrays in give arrays out, tensors give tensors, and the values agree."""
# ruff: noqa: E501 (the tables)

from __future__ import annotations

import numpy as np
import pytest

import spinetail as st
from spinetail.functional import (
    arithmetic,
    arrangement,
    broadcast,
    comparison,
    cumulative,
    einsum,
    extremes,
    indexing,
    joining,
    pointwise,
    product,
    reduction,
    scatter,
    shape,
    size,
    sorting,
    special,
)

A = np.linspace(0.1, 0.9, 9).reshape(3, 3)
I = np.array([[0, 1, 2], [2, 1, 0], [1, 1, 1]])  # noqa: E741
#: What to call a function with after its first argument; all others take one array.
ARGUMENTS = {
    **{n: (A.T,) for n in [
        "add", "sub", "mul", "div", "subtract", "multiply", "divide", "true_divide", "pow", "maximum", "minimum", "atan2", "arctan2",
        "hypot", "logaddexp", "fmax", "fmin", "copysign", "xlogy", "float_power", "heaviside", "floor_divide", "remainder", "fmod", "rsub", "eq", "ne", "lt", "le", "gt", "ge", "greater",
        "greater_equal", "less", "less_equal", "not_equal", "isclose", "allclose", "equal", "is_same_size", "logical_and",
        "logical_or", "logical_xor", "mm", "matmul", "inner", "kron", "dist", "cdist", "cosine_similarity", "cross", "chain_matmul",
        "tensordot", "isin", "result_type", "broadcast_tensors", "block_diag",
    ]},
    **{n: (0,) for n in ["unsqueeze", "cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "unbind", "logsumexp"]},
    **{n: (A, A) for n in ["addcmul", "addcdiv", "addmm"]},
    "lerp": (A, 0.5), "clamp": (0.2, 0.5), "clip": (0.2, 0.5), "clamp_min": (0.3,), "clamp_max": (0.3,), "reshape": ((9,),),
    "unflatten": (1, (3, 1)), "transpose": (0, 1), "swapaxes": (0, 1), "swapdims": (0, 1), "permute": ((1, 0),), "movedim": (0, 1),
    "moveaxis": (0, 1), "broadcast_to": ((2, 3, 3),), "repeat_interleave": (2,), "tile": (2,), "flip": (0,), "roll": (1,),
    "split": (2,), "hsplit": (3,), "vsplit": (3,), "chunk": (2,), "tensor_split": (2,), "masked_fill": (A > 0.5, 0.0), "gather": (0, I), "scatter": (0, I, A),
    "scatter_add": (0, I, A), "index_select": (0, I[0]), "masked_select": (A > 0.5,), "index_add": (0, I[0], A),
    "index_fill": (0, I[0, :1], 1.0), "index_copy": (0, I[0], A), "take": (I,), "take_along_dim": (I, 0), "select": (0, 1),
    "narrow": (0, 0, 2), "topk": (2,), "kthvalue": (2,), "quantile": (0.5,), "where": None, "searchsorted": None, "bucketize": None,
    "einsum": None, "stack": None, "cat": None, "concat": None, "concatenate": None, "hstack": None, "vstack": None, "dstack": None,
    "row_stack": None, "column_stack": None, "bmm": None, "baddbmm": None, "addbmm": None, "mv": None, "addmv": None, "dot": None,
    "vdot": None, "outer": None, "ger": None, "addr": None, "bitwise_and": None, "bitwise_or": None, "bitwise_xor": None,
    "bitwise_not": None, "bitwise_left_shift": None, "bitwise_right_shift": None, "bincount": None, "tril_indices": None,
    "triu_indices": None, "Size": None, "broadcast_shapes": None, "is_tensor": None, "is_nonzero": None,
}  # fmt: skip
SPECIAL = {
    "where": lambda w: st.where(w(A > 0.5), w(A), 0.0),
    "searchsorted": lambda w: st.searchsorted(w(A[0]), w(A[1])),
    "bucketize": lambda w: st.bucketize(w(A), w(A[0])),
    "einsum": lambda w: st.einsum("ij,jk->ik", w(A), w(A)),
    "stack": lambda w: st.stack([w(A), w(A)]),
    "cat": lambda w: st.cat([w(A), w(A)]),
    "hstack": lambda w: st.hstack([w(A), w(A)]),
    "vstack": lambda w: st.vstack([w(A), w(A)]),
    "dstack": lambda w: st.dstack([w(A), w(A)]),
    "column_stack": lambda w: st.column_stack([w(A), w(A)]),
    "bmm": lambda w: st.bmm(w(A[None]), w(A[None])),
    "baddbmm": lambda w: st.baddbmm(w(A), w(A[None]), w(A[None])),
    "mv": lambda w: st.mv(w(A), w(A[0])),
    "dot": lambda w: st.dot(w(A[0]), w(A[0])),
    "outer": lambda w: st.outer(w(A[0]), w(A[0])),
    "bitwise_and": lambda w: st.bitwise_and(w(I), w(I.T)),
    "bitwise_not": lambda w: st.bitwise_not(w(I)),
    "bincount": lambda w: st.bincount(w(I[0])),
    "meshgrid": lambda w: st.meshgrid(w(A[0]), w(A[1]), indexing="ij"),
}
ONE_OPERAND_LISTS = {"meshgrid", "atleast_1d", "atleast_2d", "cartesian_prod"}
FAMILIES = (
    arithmetic,
    arrangement,
    broadcast,
    comparison,
    cumulative,
    einsum,
    extremes,
    indexing,
    joining,
    pointwise,
    product,
    reduction,
    scatter,
    shape,
    size,
    sorting,
    special,
)
NAMES = sorted({n for f in FAMILIES for n in f.__all__ if ARGUMENTS.get(n, ()) is not None} - ONE_OPERAND_LISTS)


def flatten(value) -> list:
    return (
        [x for v in value for x in flatten(v)]
        if isinstance(value, (tuple, list)) and not isinstance(value, st.Size)
        else [value]
    )


def compare(by_array, by_tensor, name):
    arrays, tensors = flatten(by_array), flatten(by_tensor)
    assert len(arrays) == len(tensors)
    for array, tensor in zip(arrays, tensors, strict=True):
        if isinstance(tensor, st.Tensor):
            assert isinstance(array, (np.ndarray, np.generic)), f"{name} of an array gave {type(array).__name__}"
            np.testing.assert_array_equal(array, tensor.numpy())
            assert array.dtype == tensor.numpy().dtype
        else:
            assert not isinstance(array, st.Tensor) and array == tensor


@pytest.mark.parametrize("name", NAMES)
def test_arrays_in_arrays_out(name):
    arguments, function = ARGUMENTS.get(name, ()), getattr(st, name)
    compare(function(A, *arguments), function(st.from_numpy(A), *arguments), name)


@pytest.mark.parametrize("name", SPECIAL)
def test_arrays_in_arrays_out_special(name):
    compare(SPECIAL[name](lambda a: a), SPECIAL[name](st.from_numpy), name)


@pytest.mark.parametrize("name", ["exp", "add", "sum", "sort", "where"])
def test_bad_arrays_are_refused(name):
    def call(a):
        return st.where(a, a, a) if name == "where" else st.add(a, 1) if name == "add" else getattr(st, name)(a)

    for bad in (np.array(["x"]), np.array([1j]), np.array([object()]), np.ma.array([1.0], mask=[True])):
        with pytest.raises(TypeError):
            call(bad)


def test_lists_and_numbers_are_taken():
    assert st.exp([0.0]).dtype == np.float32 and st.sum([1, 2, 3]) == 6


def test_names_that_are_missing_say_so():
    with pytest.raises(AttributeError, match="spinetail has no 'zeroes'; the nearest thing is 'zeros'"):
        st.zeroes  # noqa: B018
    with pytest.raises(AttributeError):
        st.ones(1).no_such_method  # noqa: B018


@pytest.mark.parametrize("name", sorted({n for f in FAMILIES for n in f.__all__}))
def test_docstrings(name):
    first = (getattr(st, name).__doc__ or "").strip().partition("\n\n")[0]
    assert first.endswith((".", ")")) or ":" in first


@pytest.mark.parametrize(("name", "word"), [("reshape", "shape"), ("permute", "dims"), ("view", "size")])
def test_extents_by_name(name, word):
    """Extents may come by their name, and by no other."""
    x = st.zeros(2, 3)
    function = getattr(st.Tensor, name)
    extents = (1, 0) if name == "permute" else (3, 2)
    assert function(x, **{word: extents}).shape == (3, 2)
    with pytest.raises(TypeError, match=rf"\[{name}\] got an unexpected keyword argument 'unknown'"):
        function(x, unknown=extents)
    with pytest.raises(TypeError, match=rf"\[{name}\] got '{word}' twice"):
        function(x, extents, **{word: extents})
