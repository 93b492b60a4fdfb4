"""Every differentiable function against finite differences; a function that nobody listed makes a test fail."""
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
    creation,
    cumulative,
    einsum,
    extremes,
    indexing,
    joining,
    pointwise,
    product,
    random,
    reduction,
    scatter,
    shape,
    size,
    sorting,
    special,
)

FAMILIES = (
    arithmetic, arrangement, broadcast, comparison, creation, cumulative, einsum, extremes, indexing, joining,
    pointwise, product, random, reduction, scatter, shape, size, sorting, special,
)  # fmt: skip


def distinct(*shape: int, low: float = -2.0, high: float = 2.0, layout: str = "plain", seed: int = 0) -> st.Tensor:
    """Distinct values of an interval, none near 0, in shuffled order: no ties, no kinks."""
    size = int(np.prod(shape))
    values = np.linspace(low, high, size + 2)[1:-1] + 0.013
    values = np.random.default_rng(seed).permutation(values).reshape(shape)
    if layout == "transposed":
        values = np.ascontiguousarray(values.T).T
    elif layout == "strided":
        wide = np.zeros((*shape[:-1], shape[-1] * 2))
        wide[..., ::2] = values
        values = wide[..., ::2]
    return st.from_numpy(values).requires_grad_()


SHAPES = [
    ((3, 4), "plain"),
    ((3, 4), "transposed"),
    ((3, 5), "strided"),
    ((1,), "plain"),
    ((7,), "plain"),
    ((0, 3), "plain"),
    ((2, 1, 3), "plain"),
]
DOMAINS = {
    "acos": (-0.9, 0.9), "asin": (-0.9, 0.9), "atanh": (-0.9, 0.9), "acosh": (1.2, 3), "log": (0.2, 3), "log2": (0.2, 3),
    "log10": (0.2, 3), "log1p": (-0.8, 3), "sqrt": (0.2, 3), "rsqrt": (0.2, 3), "tan": (-1, 1), "reciprocal": (0.5, 3),
}  # fmt: skip
BINARY = {
    "add": {}, "sub": {}, "mul": {}, "div": {"low": 0.5, "high": 3.0}, "maximum": {}, "minimum": {},
    "pow": {"low": 0.5, "high": 2.0}, "atan2": {}, "hypot": {}, "logaddexp": {},
}  # fmt: skip
PAIRS = [
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((), (2, 3)),
    ((1,), (1,)),
    ((0, 3), (3,)),
    ((2, 1, 3), (4, 1)),
]
M = st.tensor([[True, False, True, False], [False, False, True, True], [True, True, False, True]])

#: What is checked, by the function's name: calls on one (3, 4) tensor a and others made from it.
CALLS = {
    "lerp": [lambda a: st.lerp(a, a * 2, 0.3), lambda a: st.lerp(a, a.cos(), a.sin())],
    "addcmul": [lambda a: st.addcmul(a, a[0], a[1], value=0.5)],
    "addcdiv": [lambda a: st.addcdiv(a, a[0], a[1].exp(), value=0.5)],
    "remainder": [lambda a: st.remainder(a, 0.77), lambda a: st.remainder(a + 9.05, a.exp() + 3)],
    "fmod": [lambda a: st.fmod(a, 0.77), lambda a: st.fmod(a + 9.05, a.exp() + 3)],
    "fmax": [lambda a: st.fmax(a, a.flip(0)), lambda a: st.fmax(a, 0.1)],
    "fmin": [lambda a: st.fmin(a, a.flip(0)), lambda a: st.fmin(0.1, a)],
    "copysign": [lambda a: st.copysign(a, a.flip(0)), lambda a: st.copysign(a, -1.0)],
    "xlogy": [lambda a: st.xlogy(a, a.exp()), lambda a: st.xlogy(a, 0.7)],
    "float_power": [lambda a: st.float_power(a.exp(), 1.7)],
    "atleast_2d": [lambda a: st.atleast_2d(a[0])],
    "hsplit": [lambda a: st.hsplit(a, 2)],
    "vsplit": [lambda a: st.vsplit(a, 3)],
    "cartesian_prod": [lambda a: st.cartesian_prod(a[0], a[:, 0])],
    "rsub": [lambda a: st.rsub(a, 2)],
    "round": [lambda a: st.round(a) + a],
    "clamp": [lambda a: st.clamp(a, -1, 1), lambda a: st.clamp(a, max=a.flip(0)), lambda a: st.clamp(a, a - 1, a.exp())],
    "clamp_min": [lambda a: st.clamp_min(a, 0.1)],
    "clamp_max": [lambda a: st.clamp_max(a, 0.1)],
    "nan_to_num": [lambda a: st.nan_to_num(a)],
    "logit": [lambda a: st.logit(a.sigmoid()), lambda a: st.logit(a.sigmoid(), 0.2)],
    "sum": [lambda a: a.sum(), lambda a: a.sum(0), lambda a: a.sum((0, 1), keepdim=True), lambda a: a.sum(-1, dtype=st.float64)],
    "mean": [lambda a: a.mean(), lambda a: a.mean(1), lambda a: a.mean((0, -1), True)],
    "nansum": [lambda a: st.nansum(a, 1)],
    "nanmean": [lambda a: st.nanmean(a, 1)],
    "var": [lambda a: a.var(), lambda a: a.var(1, correction=0), lambda a: a.var((0, 1), keepdim=True)],
    "std": [lambda a: a.std(), lambda a: a.std(0), lambda a: a.std(1, unbiased=False, keepdim=True)],
    "var_mean": [lambda a: st.var_mean(a, 1)],
    "std_mean": [lambda a: st.std_mean(a, 1)],
    "prod": [lambda a: a.prod(), lambda a: a.prod(1), lambda a: a.prod(0, keepdim=True), lambda a: (a * 0).prod(1)],
    "logsumexp": [lambda a: a.logsumexp(1), lambda a: st.logsumexp(a, (0, 1), True)],
    "norm": [lambda a: a.norm(), lambda a: a.norm(1, 0), lambda a: a.norm(3, 1, True), lambda a: a.norm(float("inf"), 1)],
    "amax": [lambda a: a.amax(), lambda a: a.amax(1), lambda a: a.amax((0, 1), True)],
    "amin": [lambda a: a.amin(), lambda a: a.amin(0)],
    "aminmax": [lambda a: st.aminmax(a, dim=1)],
    "max": [lambda a: a.max(), lambda a: a.max(1).values, lambda a: a.max(0, True).values],
    "min": [lambda a: a.min(), lambda a: a.min(0).values],
    "median": [lambda a: a.median(), lambda a: a.median(1).values],
    "nanmedian": [lambda a: a.nanmedian(), lambda a: a.nanmedian(0).values],
    "quantile": [lambda a: a.quantile(0.3), lambda a: st.quantile(a, [0.1, 0.8], 1)],
    "cumsum": [lambda a: a.cumsum(0), lambda a: a.cumsum(-1)],
    "cumprod": [lambda a: a.cumprod(1), lambda a: (a * M).cumprod(1)],
    "cummax": [lambda a: a.cummax(1).values],
    "cummin": [lambda a: a.cummin(0).values],
    "logcumsumexp": [lambda a: a.logcumsumexp(1)],
    "diff": [lambda a: a.diff(), lambda a: a.diff(2, 0), lambda a: st.diff(a, prepend=a)],
    "reshape": [lambda a: a.reshape(2, 6), lambda a: a.t().reshape(-1)],
    "flatten": [lambda a: a.flatten()],
    "ravel": [lambda a: a.ravel()],
    "unflatten": [lambda a: a.unflatten(1, (2, 2))],
    "squeeze": [lambda a: a[:, :1].squeeze(), lambda a: a[:, :1].squeeze(1)],
    "unsqueeze": [lambda a: a.unsqueeze(1)],
    "transpose": [lambda a: a.transpose(0, 1)],
    "permute": [lambda a: a.reshape(3, 2, 2).permute(2, 0, 1)],
    "t": [lambda a: a.t(), lambda a: a.T, lambda a: a.mT],
    "movedim": [lambda a: a.reshape(3, 2, 2).movedim(0, -1)],
    "adjoint": [lambda a: a.adjoint()],
    "broadcast_to": [lambda a: a[:, :1].broadcast_to((3, 5)), lambda a: a.expand(2, 3, 4)],
    "broadcast_tensors": [lambda a: st.broadcast_tensors(a, a[:, :1])],
    "repeat_interleave": [lambda a: a.repeat_interleave(2, 1), lambda a: st.repeat_interleave(a, 2)],
    "tile": [lambda a: a.tile(2, 1), lambda a: a.repeat(2, 1, 3)],
    "flip": [lambda a: a.flip(0, 1)],
    "fliplr": [lambda a: a.fliplr()],
    "flipud": [lambda a: a.flipud()],
    "roll": [lambda a: a.roll(1), lambda a: a.roll((1, -1), (0, 1))],
    "rot90": [lambda a: a.rot90()],
    "tril": [lambda a: a.tril(1)],
    "triu": [lambda a: a.triu()],
    "diagonal": [lambda a: a.diagonal(1), lambda a: a.reshape(3, 2, 2).diagonal(0, 1, 2)],
    "diag": [lambda a: a.diag(), lambda a: a[0].diag(-1)],
    "diag_embed": [lambda a: a.diag_embed(1)],
    "diagflat": [lambda a: a.diagflat()],
    "trace": [lambda a: a.trace()],
    "cat": [lambda a: st.cat([a, a[:, :2]], 1), lambda a: st.cat([a[0], a[1]])],
    "stack": [lambda a: st.stack([a, a * 2], 1)],
    "hstack": [lambda a: st.hstack([a, a])],
    "vstack": [lambda a: st.vstack([a, a[0]])],
    "dstack": [lambda a: st.dstack([a, a])],
    "column_stack": [lambda a: st.column_stack([a, a[:, 0]])],
    "split": [lambda a: a.split(3, 1), lambda a: a.split([1, 2])],
    "chunk": [lambda a: a.chunk(2, 1)],
    "tensor_split": [lambda a: a.tensor_split(3, 1)],
    "unbind": [lambda a: a.unbind(1)],
    "meshgrid": [lambda a: st.meshgrid(a[0], a[:, 0], indexing="xy")],
    "block_diag": [lambda a: st.block_diag(a, a[0])],
    "atleast_1d": [lambda a: st.atleast_1d(a[0, 0])],
    "where": [lambda a: st.where(M, a, a * 2), lambda a: st.where(M, a, 0.0), lambda a: a.where(M, a[0])],
    "masked_fill": [lambda a: a.masked_fill(M, 2.0), lambda a: st.masked_fill(a, M, a[0, 0])],
    "gather": [lambda a: a.gather(1, st.tensor([[0, 0], [3, 1], [2, 2]]))],
    "scatter": [lambda a: a.scatter(1, st.tensor([[0, 1], [3, 2], [1, 0]]), a * 2), lambda a: a.scatter(0, st.tensor([[1]]), 3.0)],
    "scatter_add": [lambda a: a.scatter_add(1, st.tensor([[0, 0], [3, 1], [2, 2]]), a * 3)],
    "index_select": [lambda a: a.index_select(1, st.tensor([3, 0, 0]))],
    "masked_select": [lambda a: a.masked_select(M)],
    "index_add": [lambda a: a.index_add(0, st.tensor([1, 1]), a[:2] * 2, alpha=3)],
    "index_fill": [lambda a: a.index_fill(1, st.tensor([0, 2]), 5.0)],
    "index_copy": [lambda a: a.index_copy(0, st.tensor([2, 0]), a[:2] * 2)],
    "take": [lambda a: a.take(st.tensor([[0, 5], [11, 5]]))],
    "take_along_dim": [lambda a: a.take_along_dim(st.tensor([[0], [3], [1]]), 1)],
    "select": [lambda a: a.select(1, 2)],
    "narrow": [lambda a: a.narrow(1, 1, 2)],
    "sort": [lambda a: a.sort().values, lambda a: a.sort(0, True).values],
    "msort": [lambda a: a.msort()],
    "topk": [lambda a: a.topk(2).values],
    "kthvalue": [lambda a: a.kthvalue(2).values],
    "mm": [lambda a: st.mm(a, a.t())],
    "bmm": [lambda a: st.bmm(a.reshape(3, 2, 2), a.reshape(3, 2, 2))],
    "mv": [lambda a: st.mv(a, a[0])],
    "dot": [lambda a: st.dot(a[0], a[1])],
    "matmul": [lambda a: a @ a.t(), lambda a: a[0] @ a.t(), lambda a: a @ a[0], lambda a: a.reshape(3, 1, 2, 2) @ a[:2].reshape(1, 2, 2, 2)],
    "inner": [lambda a: st.inner(a, a[:2])],
    "outer": [lambda a: st.outer(a[0], a[:, 1])],
    "addmm": [lambda a: st.addmm(a[:, :3], a, a.t(), beta=0.5, alpha=2)],
    "addmv": [lambda a: st.addmv(a[:, 0], a, a[0], beta=2)],
    "addr": [lambda a: st.addr(a, a[:, 0], a[0], alpha=2)],
    "baddbmm": [lambda a: st.baddbmm(a.reshape(3, 2, 2), a.reshape(3, 2, 2), a.reshape(3, 2, 2))],
    "addbmm": [lambda a: st.addbmm(a.reshape(3, 2, 2)[0], a.reshape(3, 2, 2), a.reshape(3, 2, 2))],
    "chain_matmul": [lambda a: st.chain_matmul(a, a.t(), a)],
    "tensordot": [lambda a: st.tensordot(a, a, ([0], [0])), lambda a: st.tensordot(a, a, 0)],
    "einsum": [
        lambda a: st.einsum("ij,kj->ik", a, a), lambda a: st.einsum("ij->j", a), lambda a: st.einsum("ij,ij->ij", a, a),
        lambda a: st.einsum("ii->i", a[:, :3]), lambda a: st.einsum("ij,jk,kl->il", a, a.t(), a), lambda a: st.einsum("i,j->", a[0], a[1]),
        lambda a: st.einsum("...j,...j->...", a, a), lambda a: st.einsum("ij,j->", a, a[0]),
    ],
    "cross": [lambda a: st.cross(a[:, :3], a[:, 1:], 1)],
    "kron": [lambda a: st.kron(a[0], a)],
    "dist": [lambda a: st.dist(a, a * 2)],
    "cdist": [lambda a: st.cdist(a, a[:2] * 2 + 1)],
    "cosine_similarity": [lambda a: st.cosine_similarity(a, a * a)],
    "floor_divide": [lambda a: st.floor_divide(a, 0.77) + a],
}  # fmt: skip
NO_GRADIENT = set(
    """heaviside result_type tril_indices triu_indices argmax argmin nonzero argwhere all any count_nonzero argsort bincount
    bucketize histc isin searchsorted unique unique_consecutive numel Size broadcast_shapes""".split()
)
ALIASES = set(
    """subtract multiply divide true_divide arctan2 moveaxis swapaxes swapdims concat concatenate row_stack absolute sgn
    negative fix arcsin arccos arctan arcsinh arccosh arctanh clip ger vdot""".split()
)


def public() -> set[str]:
    """The functions that this test answers for."""
    names = {name for family in FAMILIES for name in family.__all__}
    return names - set(comparison.__all__) - set(creation.__all__) - set(random.__all__) - NO_GRADIENT - ALIASES


def test_every_function_is_listed():
    assert public() - set(pointwise.NAMES) - set(BINARY) - set(CALLS) == set()


@pytest.mark.parametrize("name", pointwise.NAMES)
@pytest.mark.parametrize(("shape", "layout"), SHAPES)
def test_functions_of_one_operand(name, shape, layout):
    low, high = DOMAINS.get(name, (-2, 2))
    x = distinct(*shape, low=low, high=high, layout=layout)
    assert st.autograd.gradcheck(getattr(st, name), x)
    if shape == (3, 4) and layout == "plain":
        assert st.autograd.gradgradcheck(getattr(st, name), x, atol=1e-4)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_functions_of_two_operands(name, first, second):
    x, y = distinct(*first, **BINARY[name]), distinct(*second, seed=1, **(BINARY[name] or {"low": -1.7, "high": 2.1}))
    function = getattr(st, name)
    assert st.autograd.gradcheck(function, (x, y))
    assert st.autograd.gradcheck(lambda x: function(x, 1.3), x)
    if first == (3, 1):
        assert st.autograd.gradgradcheck(function, (x, y), atol=1e-4)
    frozen = y.detach()
    assert st.autograd.gradcheck(lambda x: function(x, frozen), x)


@pytest.mark.parametrize("name", [*pointwise.NAMES, *BINARY, "var", "std", "norm", "mean", "prod", "logsumexp", "amax"])
@pytest.mark.parametrize("dtype", [st.float32, st.float16], ids=str)
def test_gradients_of_single_numbers_keep_their_dtype(name, dtype):
    x = st.tensor(1.5 if name == "acosh" else 0.7, dtype=dtype, requires_grad=True)
    value = st.cat([x.reshape(1), x.reshape(1) * 2]) if name in reduction.__all__ else x
    result = getattr(st, name)(value, *([x * 2] if name in BINARY else [0] if name == "logsumexp" else []))
    assert result.dtype == dtype
    result.backward()
    assert x.grad.dtype == dtype and x.grad.shape == ()


def second_derivatives_are_supported(call, a) -> bool:
    try:
        outputs = call(a)
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        st.autograd.grad(first.sum(), a, create_graph=True)
    except RuntimeError as error:
        assert "create_graph=True is not supported" in str(error)
        return False
    return True


ONLY_ONCE = {"scatter", "scatter_add", "index_add", "index_copy"}


@pytest.mark.parametrize(("name", "number"), [(n, i) for n, calls in CALLS.items() for i in range(len(calls))])
def test_calls(name, number):
    call = CALLS[name][number]
    for layout in ("plain", "transposed", "strided"):
        assert st.autograd.gradcheck(call, distinct(3, 4, layout=layout))
    a = distinct(3, 4)
    if second_derivatives_are_supported(call, a):
        assert st.autograd.gradgradcheck(call, a, atol=1e-4)
    else:
        assert name in ONLY_ONCE or (name in ("prod", "cumprod", "einsum"))
