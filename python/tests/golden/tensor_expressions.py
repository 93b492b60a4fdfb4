"""Expressions whose values, dtypes and gradients PyTorch and spinetail must agree on; `t` is the module.

The inputs: a (3, 4), b (4,), c (3, 1), p positive (3, 4), q (2, 3, 4), s 0-d, z empty (0, 4), i int64 (3, 4),
j int32 (4,), m bool (3, 4), u uint8 (4,), n with NaN and infinities (6,), k with ties (2, 5), v vector (5,),
d float64 (4,), h float16 (4,). Floating-point ones require gradients.
"""

from __future__ import annotations

import numpy as np


def inputs() -> dict[str, np.ndarray]:
    """The arrays behind the names in the expressions."""
    rng = np.random.default_rng(7)
    f = np.float32
    return {
        "a": rng.standard_normal((3, 4)).astype(f),
        "b": rng.standard_normal(4).astype(f),
        "c": rng.standard_normal((3, 1)).astype(f),
        "p": (rng.random((3, 4)) * 0.8 + 0.1).astype(f),
        "q": rng.standard_normal((2, 3, 4)).astype(f),
        "s": np.array(1.5, f),
        "z": np.zeros((0, 4), f),
        "i": rng.integers(-5, 6, (3, 4)),
        "j": rng.integers(1, 6, 4).astype(np.int32),
        "m": rng.random((3, 4)) > 0.5,
        "u": rng.integers(0, 200, 4).astype(np.uint8),
        "n": np.array([1.0, np.nan, np.inf, -np.inf, 0.0, -2.0], f),
        "k": np.array([[1, 3, 3, 2, 1], [5, 5, 0, 5, 4]], f),
        "v": rng.standard_normal(5).astype(f),
        "d": rng.standard_normal(4),
        "h": rng.standard_normal(4).astype(np.float16),
    }


EXPRESSIONS = """
a + b
a - c
a * q
a / p
2 - a
2 / p
a ** 2
p ** a
2 ** a
p ** 0.5
a ** 0
a // 0.3
a % 0.7
7 // p
-7 % p
t.fmod(a, 0.7)
t.fmod(i, 3)
i // 3
i % 3
i / 2
i + 2.5
i * True
m + 1
m * 2.5
m + m
i + j
i * a
j * d
u + i
u * 2
u + j
b + d
h + b
h + 1
h * 1.5
s + d
s * i
s + j
d + s
t.tensor(2) * b
t.tensor(2.5, dtype=t.float64) * b
t.tensor(2.5, dtype=t.float64) * i
t.tensor(3) + u
t.add(a, b, alpha=0.5)
t.sub(a, 3, alpha=2)
t.div(a, 0.3, rounding_mode="floor")
t.div(a, 0.3, rounding_mode="trunc")
t.div(i, 2, rounding_mode="trunc")
t.div(i, 2, rounding_mode="floor")
t.maximum(a, b)
t.minimum(a, c)
t.maximum(a, a)
t.maximum(n, n.flip(0))
t.atan2(a, p)
t.lerp(a, p, 0.3)
t.lerp(a, p, p)
t.addcmul(a, b, c, value=0.5)
t.addcdiv(a, b, p, value=2)
t.exp(a)
t.exp(i)
t.exp2(a)
t.expm1(a)
t.log(p)
t.log(n)
t.log2(p)
t.log10(p)
t.log1p(p)
t.sqrt(p)
t.sqrt(n)
t.rsqrt(p)
t.square(a)
t.square(i)
t.reciprocal(a)
t.reciprocal(i + 10)
-a
abs(a)
abs(n)
t.sign(a)
t.sign(i)
t.sin(a)
t.cos(a)
t.tan(a)
t.asin(p)
t.acos(p)
t.atan(a)
t.sinh(a)
t.cosh(a)
t.tanh(a)
t.asinh(a)
t.acosh(p + 1)
t.atanh(p)
t.sigmoid(a)
t.sigmoid(n)
t.sigmoid(i)
t.relu(a)
t.relu(n)
t.floor(a)
t.ceil(a)
t.trunc(a)
t.frac(a)
t.round(a * 3)
t.round(a, decimals=2)
t.round(t.tensor([0.5, 1.5, 2.5, -0.5]))
t.clamp(a, -0.5, 0.5)
t.clamp(a, min=0)
t.clamp(a, max=b)
t.clamp(k, 1, 3)
t.clamp(n, -1, 1)
t.clamp(i, -2, 2)
t.clamp(i, 0.5)
a.clamp(b - 0.5, b + 0.5)
t.nan_to_num(n)
t.nan_to_num(n, 1.0, 5.0, -5.0)
t.isnan(n)
t.isinf(n)
t.isfinite(n)
t.logit(p)
t.deg2rad(a)
t.rad2deg(a)
~m
~i
m & (i > 0)
i & 3
i | 5
i ^ i
i << 1
i >> 1
m ^ m
t.logical_not(i)
t.logical_and(i, m)
t.logical_or(i, m)
t.logical_xor(i, m)
a == a
a != b
a < b
i <= 2
i > 0.5
u == 300
m == True
t.isclose(a, a + 1e-9)
a.sum()
a.sum(0)
a.sum(1, keepdim=True)
q.sum((0, 2))
q.sum(dim=(-1,), keepdim=True)
i.sum()
m.sum()
u.sum()
j.sum(0)
z.sum()
z.sum(0)
z.sum(1)
n.sum()
a.sum(dtype=t.float64)
h.sum()
a.mean()
a.mean(0)
q.mean((0, 1), keepdim=True)
z.mean()
z.mean(0)
i.mean(dtype=t.float32)
a.var()
a.var(0)
a.var(1, unbiased=False)
a.var(dim=1, correction=0, keepdim=True)
a.var(False)
q.std((0, 2))
a.std()
a.std(0)
c.std(1)
c.var(1)
a.prod()
a.prod(0)
i.prod(1)
(k - 3).prod(1)
(k - 3).prod()
z.prod(0)
t.logsumexp(a, 1)
t.logsumexp(a, (0, 1))
t.logsumexp(n, 0)
t.logsumexp(t.tensor([float("-inf"), float("-inf")]), 0)
t.norm(a)
t.norm(a, dim=1)
t.norm(a, 1, 0)
t.norm(a, 3, 1, True)
t.norm(a, float("inf"))
t.norm(a, float("inf"), 1)
t.norm(a, float("-inf"), 1)
t.norm(a, 0)
t.norm(a * 0)
t.norm(q, dim=(0, 1))
t.nansum(n)
t.nanmean(n)
m.all()
m.any(0)
i.all(1)
a.any()
z.all()
z.any(0)
t.count_nonzero(i)
t.count_nonzero(i, 0)
a.max()
a.min()
k.max()
k.min()
k.max(1)
k.min(1)
k.max(1).values
k.max(1, keepdim=True).indices
k.amax(1)
k.amin(1)
k.amax()
q.amax((0, 2))
n.max()
n.argmax()
n.argmin()
k.argmax(1)
k.argmax()
k.argmin(0, keepdim=True)
k.argmax(keepdim=True)
t.max(a, b)
i.max(0)
m.max()
k.median()
k.median(1)
n.median()
a.median(0, keepdim=True)
t.nanmedian(n)
t.quantile(a, 0.3)
t.quantile(a, t.tensor([0.1, 0.9]), 1)
t.quantile(a, 0.5, 1, keepdim=True)
t.quantile(a, 0.5, interpolation="lower")
a.cumsum(0)
i.cumsum(1)
m.cumsum(1)
a.cumprod(1)
(k - 3).cumprod(1)
k.cummax(1)
k.cummin(1)
n.cummax(0)
t.logcumsumexp(a, 1)
t.diff(a)
t.diff(i, n=2, dim=0)
t.diff(b, prepend=b[:1])
a.reshape(2, 6)
a.reshape(-1)
a.view(4, 3)
a.flatten()
q.flatten(1)
q.flatten(0, 1)
s.flatten()
q.unflatten(2, (2, -1))
c.squeeze()
c.squeeze(0)
c.squeeze(1)
a.unsqueeze(-1)
a.unsqueeze(1)
a.t()
a.T
q.mT
q.transpose(0, 2)
q.permute(2, 0, 1)
q.movedim(0, -1)
q.movedim((0, 1), (2, 0))
q.swapaxes(0, 1)
c.expand(3, 5)
c.expand(2, -1, 5)
b.expand(3, 4)
b.broadcast_to((2, 4))
b.expand_as(a)
b.repeat(2)
a.repeat(2, 3)
b.repeat(2, 3, 1)
a.tile((2,))
a.tile(2, 1, 1)
a.repeat_interleave(2)
a.repeat_interleave(2, 1)
a.repeat_interleave(t.tensor([1, 0, 2]), 0)
a.flip(0)
a.flip((0, 1))
a.roll(1)
a.roll((1, -1), (0, 1))
a.roll(2, 0)
a.rot90()
t.narrow(a, 1, 1, 2)
v.unfold(0, 3, 1)
a.unfold(1, 2, 2)
q.unfold(1, 2, 1)
a.diagonal()
a.diagonal(1)
q.diagonal(-1, 1, 2)
t.tril(a)
t.triu(a, 1)
t.tril(q, -1)
t.diag(a)
t.diag(b)
t.diag(b, 1)
t.diag_embed(a)
t.diagflat(c)
t.trace(a)
t.tril_indices(3, 4)
t.triu_indices(3, 4, 1)
t.cat([a, a], 1)
t.cat([a, c, i], 1)
t.cat((b, z[0:0, 0], b))
t.stack([a, a])
t.stack([b, b], -1)
t.hstack([b, b])
t.hstack([a, c])
t.vstack([b, b])
t.vstack([a, b])
t.dstack([a, a])
t.dstack([b, b])
t.column_stack([b, b])
t.split(v, 2)
a.split([1, 3], 1)
a.chunk(3, 1)
v.chunk(3)
v.chunk(4)
t.tensor_split(v, 3)
t.tensor_split(v, (1, 3))
a.unbind()
a.unbind(1)
t.meshgrid(b, v, indexing="ij")
t.meshgrid(b, v, indexing="xy")
t.atleast_1d(s)
t.block_diag(a, c)
a[0]
a[-1]
a[0, 1]
a[:, 1]
a[1:, ::2]
a[..., 0]
a[None]
a[:, None]
a[0, None, 1:]
q[0, :, [0, 2]]
q[:, 0, [0, 2]]
q[[0, 1], :, [0, 2]]
q[[1, 0]]
q[t.tensor([1, 1, 0])]
q[..., t.tensor([3, 3])]
q[t.tensor([[0, 1], [1, 0]]), t.tensor([2, 0])]
a[m]
a[m[:, 0]]
a[:, m[0]]
a[t.tensor(1)]
a[a > 0]
a[1, m[1]]
q[:, m]
v[t.tensor([], dtype=t.int64)]
a[True]
t.where(m, a, b)
t.where(m, a, 0.0)
t.where(m, 1.0, a)
t.where(m, 1.0, 0.0)
t.where(m, i, a)
t.where(m, i, 2.5)
a.where(m, b)
t.masked_fill(a, m, 2)
a.masked_fill(m, float("-inf"))
i.masked_fill(m, 7)
t.nonzero(i)
t.nonzero(i, as_tuple=True)
t.argwhere(m)
t.gather(a, 1, t.tensor([[0, 0], [1, 3], [2, 2]]))
t.gather(a, 0, t.tensor([[0, 1, 2, 0]]))
t.scatter(a, 1, t.tensor([[0, 1], [2, 3], [0, 3]]), p)
t.scatter(a, 1, t.tensor([[0], [2], [0]]), 9.0)
t.scatter(a, 0, t.tensor([[0, 1, 2, 0]]), b[None], reduce="add")
t.scatter_add(a, 1, t.tensor([[0, 0, 1], [2, 3, 3], [0, 3, 0]]), p)
t.index_select(a, 1, t.tensor([0, 0, 3]))
t.index_select(a, 0, t.tensor([2, 1]))
t.masked_select(a, m)
t.masked_select(a, m[0])
t.index_add(a, 0, t.tensor([0, 0]), p[:2], alpha=2)
t.index_fill(a, 1, t.tensor([0, 2]), -1)
t.index_copy(a, 0, t.tensor([0, 2]), p[:2])
t.take(a, t.tensor([[0, 5], [11, 0]]))
t.take_along_dim(a, t.tensor([[0], [3], [1]]), 1)
t.take_along_dim(a, t.tensor([0, 7]))
t.select(a, 1, 2)
t.sort(k, 1)
t.sort(v, descending=True)
t.sort(k, dim=1, descending=True, stable=True)
t.sort(n)
t.argsort(v)
t.msort(a)
t.topk(v, 3)
t.topk(v, 2, largest=False)
t.topk(a, 2, 0)
t.kthvalue(v, 2)
t.kthvalue(a, 1, 0, True)
t.unique(k)
t.unique(k, return_inverse=True, return_counts=True)
t.unique(i, dim=0)
t.unique_consecutive(k)
t.unique_consecutive(k[0], return_inverse=True, return_counts=True)
t.bincount(j)
t.bincount(j, d, 8)
t.histc(a, 5, -2, 2)
t.histc(a, 4)
t.searchsorted(t.tensor([1, 3, 5]), t.tensor([0, 1, 6]))
t.searchsorted(t.tensor([1, 3, 5]), t.tensor([0, 1, 6]), right=True)
t.bucketize(v, t.tensor([-1.0, 0.0, 1.0]))
t.isin(i, t.tensor([1, 2, 3]))
t.outer(b, v)
t.mm(a, q[0].T)
t.bmm(q, q.mT)
t.mv(a, b)
t.dot(b, b + 1)
a @ b
b @ a.T
a @ q.mT
q @ q[0].T
t.addmm(b[:3], a, a.T, beta=0.5, alpha=2)
t.baddbmm(q @ q.mT, q, q.mT)
t.addmv(b[:3], a, b)
t.einsum("ij,kj->ik", a, p)
t.einsum("bij,ij->b", q, a)
t.einsum("bij,kj->bik", q, p)
t.einsum("ij->ji", a)
t.einsum("ij->", a)
t.einsum("ii->i", a[:, :3])
t.einsum("ii", a[:, :3])
t.einsum("...ij,...kj->...ik", q, a)
t.einsum("i,j->ij", b, v)
t.einsum("ij,jk,kl->il", a, a.T, p)
t.einsum("ij,ij->ij", a, p)
t.einsum("i,i", b, b)
t.tensordot(q, a, 2)
t.tensordot(q, a, ([2], [1]))
t.cross(a[:, :3], p[:, :3])
t.kron(c, b)
t.dist(a, p)
t.cdist(a, p)
t.cdist(a, p, 1.0)
t.inner(a, b)
t.cosine_similarity(a, p)
t.arange(5)
t.arange(1, 2.5, 0.5)
t.arange(5, 1, -2)
t.arange(3.0)
t.linspace(0, 1, 7)
t.linspace(-3, 5, 4)
t.logspace(0, 2, 3)
t.eye(2, 3)
t.full((2,), 3)
t.full((2,), 3.0)
t.full((2,), True)
t.zeros(2, 3)
t.ones((2, 2), dtype=t.int64)
t.zeros_like(i)
t.ones_like(a)
t.full_like(a, 2)
a.new_zeros(2)
i.new_ones((2, 2))
t.tensor([1, 2])
t.tensor([1, 2.5])
t.tensor([True, False])
t.tensor(3)
t.tensor([[1, 2], [3, 4]], dtype=t.float16)
t.tensor([])
a.to(t.float64)
a.double()
a.long()
n[:1].int()
a.half()
i.float()
m.float()
a.bool()
a.type_as(d)
i.to(t.uint8)
(a + 0).mul_(b)
(a + 0).add_(b, alpha=2)
(a + 0).clamp_(-0.5, 0.5)
(a + 0).exp_()
(a + 0).relu_()
(a + 0).zero_()
(a + 0).fill_(2.0)
(a + 0).copy_(b)
(a + 0).masked_fill_(m, 0.0)
(a + 0).scatter_(1, t.tensor([[0], [1], [2]]), 5.0)
(a + 0).sub_(1).div_(p)
(i + 0).add_(1)
i.equal(i)
t.allclose(a, a + 1e-9)
a.size()
a.numel()
a.dim()
q.stride()
q.transpose(0, 1).stride()
q.transpose(0, 1).is_contiguous()
a.new_tensor([1, 2])
t.result_type(a, i)
t.promote_types(t.uint8, t.int8)
t.broadcast_tensors(b, c)
t.bernoulli(t.ones(3))
t.addcdiv(i.float(), b, p)
a.square().sum().sqrt()
t.heaviside(a, b)
t.fmax(n, n.flip(0))
t.fmin(n, n.flip(0))
t.copysign(a, p - 0.5)
t.xlogy(i.float() * a, p)
t.xlogy(a, 0.0)
t.float_power(p, 2)
t.sgn(a)
t.hsplit(a, 2)
t.vsplit(q, 2)
t.cartesian_prod(b, v)
t.atleast_2d(b)
(a @ a.T).inverse()
(a @ a.T).det()
(a @ a.T).logdet()
t.linalg.solve(a @ a.T, a)
t.linalg.norm(a)
t.linalg.norm(a, 1)
t.linalg.norm(a, float("inf"))
t.linalg.vector_norm(a, 3, 1)
t.linalg.matrix_norm(q)
t.linalg.multi_dot([a, a.T, a])
t.linalg.matrix_power(a[:, :3], 3)
a.less(b)
a.sum_to_size(1, 4)
(a + 0).fill_diagonal_(2.0)
a.index_put((t.tensor([0, 0]), t.tensor([1, 1])), t.tensor(2.0), accumulate=True)
t.scalar_tensor(3)
t.FloatTensor([1, 2])
(a + 0).unsqueeze_(0)
(a + 0).t_()
t.hypot(a, p)
t.logaddexp(a, p)
""".strip().split("\n")

#: Tensors whose printed form must be PyTorch's, but for the name of the package.
REPRS = """
t.tensor([0., float("-inf")])
t.tensor([1., float("nan"), 2.5])
t.tensor([1.,2.,3.])
t.tensor([1.,10000.])
t.tensor([1.,100.])
t.tensor([1e-5,1.])
t.tensor([0.1,1000.5])
t.tensor([123456789.])
t.tensor([[1,-2],[30,4]])
t.tensor([True,False])
t.tensor(3)
t.tensor(2.5)
t.tensor(float("inf"))
t.tensor([])
t.zeros(2,0)
t.zeros(0,3,dtype=t.int64)
t.tensor([], dtype=t.int64)
t.zeros(3,dtype=t.float64)
t.zeros(3,dtype=t.int32)
t.arange(30)
t.arange(30.)/7
t.arange(2000)
t.arange(2000.).reshape(40,50)
t.arange(24).reshape(2,3,4)
t.ones(2,2,requires_grad=True)
t.ones(1001)
t.tensor([0.00001])
t.tensor([1e10, 1.])
t.tensor([-0.0, 0.0])
t.tensor([1.5,2.5],dtype=t.float16)
t.tensor([1.5,2.5],dtype=t.bfloat16)
t.tensor([[0.12345678,100.0],[3.,4.]])
t.full((3,), 1/3)
t.tensor([1e-8,1e-7])
t.tensor([float("nan")]*3)
t.tensor([1,2],dtype=t.uint8)
t.arange(1200.).reshape(2,3,200)
""".strip().split("\n")
