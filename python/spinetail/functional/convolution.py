"""Convolution and transposed convolution over one, two or three spatial axes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..autograd.tape import enabled, like, ndarray, record, wrap
from ..autograd.tensor import Tensor
from ..ops import convolution as ops

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    r"""Convolution of images with a bank of filters (cross-correlation: the kernel is not flipped).

    Equation: y[n, f, p] = b[f] + Σ over c, k of w[f, c, k] · x[n, c, p·stride + k·dilation - padding], with zeros
    outside the image; p and k are pairs (row, column).
    Shapes: input (N, C, H, W) or (C, H, W); weight (F, C / groups, KH, KW); bias (F,); result (N, F, OH, OW) or
    (F, OH, OW) with OH = floor((H + 2·padding - dilation·(KH - 1) - 1) / stride) + 1 and OW likewise. N images of C
    channels and H × W pixels, F filters.
    Parameters: stride, padding and dilation are ints or pairs; padding may be 'valid' (none) or 'same' (OH = H with
    stride 1; an odd total puts the larger half behind). groups cuts channels and filters into independent convolutions.
    dtypes: float32 or float64, all the same; sums are made in that dtype. float16 and bfloat16 are computed in float32.
    Error: at most n·eps·Σ|w·x| for each element, n = C / groups · KH · KW. Where that takes fewer operations, float32
    3×3 kernels with stride 1 go by Winograd's F(4×4, 3×3), whose error is within that bound too, but up to 2e-5 of the
    largest element, or small ones by F(2×2, 3×3), with 3e-6 as direct sums; NaN and infinities spread over the 4×4 or
    2×2 results that are made together.
    `spinetail.ops.convolution.algorithm("direct")` is a context without.

    Raises: TypeError for mixed or other dtypes, ValueError for shapes and parameters that do not fit.

    Source: torch.nn.functional.conv2d.

    >>> import numpy as np, spinetail.functional.convolution as F
    >>> F.conv2d(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2)))
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    return _convolve("conv2d", input, weight, bias, stride, padding, dilation, groups)


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    r"""Convolution of sequences with a bank of filters.

    Equation: y[n, f, p] = b[f] + Σ over c, k of w[f, c, k] · x[n, c, p·stride + k·dilation - padding].
    Shapes: input (N, C, L) or (C, L); weight (F, C / groups, K); bias (F,); result (N, F, OL) or (F, OL) with OL =
    floor((L + 2·padding - dilation·(K - 1) - 1) / stride) + 1. N sequences of C channels and L samples, F filters.
    Parameters, dtypes, error: as conv2d.

    Raises: TypeError for mixed or other dtypes, ValueError for shapes and parameters that do not fit.

    Source: torch.nn.functional.conv1d.

    >>> import numpy as np, spinetail.functional.convolution as F
    >>> F.conv1d(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[-1.0, 1.0]]]))
    array([[[1., 2.]]])
    """
    return _convolve("conv1d", input, weight, bias, stride, padding, dilation, groups)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    r"""Convolution of volumes with a bank of filters.

    Equation: as conv2d, with p and k triples (depth, row, column).
    Shapes: input (N, C, D, H, W) or (C, D, H, W); weight (F, C / groups, KD, KH, KW); bias (F,); result (N, F, OD, OH,
    OW) or (F, OD, OH, OW), each extent as in conv2d. N volumes of C channels and D × H × W voxels, F filters.
    Parameters, dtypes, error: as conv2d.

    Raises: TypeError for mixed or other dtypes, ValueError for shapes and parameters that do not fit.

    Source: torch.nn.functional.conv3d.

    >>> import numpy as np, spinetail.functional.convolution as F
    >>> F.conv3d(np.ones((1, 1, 2, 2, 2)), np.ones((1, 1, 2, 2, 2))).item()
    8.0
    """
    return _convolve("conv3d", input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    r"""The transpose of conv1d as a linear map, plus a bias: it leads from the output's shape to the input's.

    Equation: y[n, f, q] = b[f] + Σ of w[c, f, k] · x[n, c, p] over all c, p, k with
    p·stride + k·dilation - padding = q.
    Shapes: input (N, C, L) or (C, L); weight (C, F / groups, K); bias (F,); result (N, F, OL) or (F, OL) with OL =
    (L - 1)·stride - 2·padding + dilation·(K - 1) + output_padding + 1.
    Parameters: output_padding (less than stride or dilation) lengthens the result. Otherwise as conv2d.

    Raises: TypeError for mixed or other dtypes, ValueError for shapes and parameters that do not fit.

    Source: torch.nn.functional.conv_transpose1d.

    >>> import numpy as np, spinetail.functional.convolution as F
    >>> F.conv_transpose1d(np.array([[[1.0, 2.0]]]), np.array([[[1.0, 1.0, 1.0]]]), stride=2)
    array([[[1., 1., 3., 2., 2.]]])
    """
    return _transpose("conv_transpose1d", input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    r"""The transpose of conv2d as a linear map, plus a bias: it leads from the output's shape to the input's.

    Equation: as conv_transpose1d, with p, q and k pairs (row, column).
    Shapes: input (N, C, H, W) or (C, H, W); weight (C, F / groups, KH, KW); bias (F,); result (N, F, OH, OW) or (F, OH,
    OW), each extent as in conv_transpose1d.
    Parameters: as conv_transpose1d, ints or pairs.

    Raises: TypeError for mixed or other dtypes, ValueError for shapes and parameters that do not fit.

    Source: torch.nn.functional.conv_transpose2d.

    >>> import numpy as np, spinetail.functional.convolution as F
    >>> F.conv_transpose2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)))
    array([[[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]]])
    """
    return _transpose("conv_transpose2d", input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    r"""The transpose of conv3d as a linear map, plus a bias: it leads from the output's shape to the input's.

    Equation: as conv_transpose1d, with p, q and k triples (depth, row, column).
    Shapes: input (N, C, D, H, W) or (C, D, H, W); weight (C, F / groups, KD, KH, KW); bias (F,); result (N, F, OD, OH,
    OW) or (F, OD, OH, OW), each extent as in conv_transpose1d.
    Parameters: as conv_transpose1d, ints or triples.

    Raises: TypeError for mixed or other dtypes, ValueError for shapes and parameters that do not fit.

    Source: torch.nn.functional.conv_transpose3d.

    >>> import numpy as np, spinetail.functional.convolution as F
    >>> F.conv_transpose3d(np.ones((1, 1, 1, 1, 1)), np.ones((1, 1, 2, 2, 2))).shape
    (1, 1, 2, 2, 2)
    """
    return _transpose("conv_transpose3d", input, weight, bias, stride, padding, output_padding, groups, dilation)


def _convolve(name, input, weight, bias, stride, padding, dilation, groups):
    """Convolution through either door; `name` says how many spatial axes there are."""
    if not isinstance(input, Tensor):
        if not isinstance(weight, Tensor) and not isinstance(bias, Tensor):
            _rank(name, input, weight)
            return ops.convolution(input, weight, bias, stride, padding, dilation, groups)
        input = _lift(name, input)
    if not isinstance(weight, Tensor):
        weight = _lift(name, weight)
    b, needs_bias = None, False
    if bias is not None:
        if not isinstance(bias, Tensor):
            bias = _lift(name, bias)
        b, needs_bias = bias._array, bias._requires_grad
    x, w = input._array, weight._array
    try:
        plan = _plan(name, x.shape, w.shape, stride, padding, dilation, groups, ops.planned())
    except TypeError:  # lists, which cannot be remembered, or what is wrong altogether
        given = ops.key(stride), ops.key(padding), ops.key(dilation)
        plan = _plan(name, x.shape, w.shape, *given, groups, ops.planned())
    if plan.unbatched:
        return _product(plan, ops.forward, _forward_grads, input[None], weight, bias, name)[0]
    if (needs_bias or input._requires_grad or weight._requires_grad) and enabled():
        return _product(plan, ops.forward, _forward_grads, input, weight, bias, name)
    return wrap(ops.forward(plan, x, w, b))


@lru_cache(maxsize=4096, typed=True)
def _plan(name: str, input: tuple, weight: tuple, stride, padding, dilation, groups, algorithm: int) -> ops.Plan:
    """The plan of a convolution whose name says how many axes its weight has."""
    if len(weight) != int(name[-2]) + 2:
        raise ValueError(f"[{name}] weight must have {int(name[-2]) + 2} dimensions, got shape {weight}")
    return ops.plan_convolution(input, weight, stride, padding, dilation, groups, algorithm)


def _transpose(name, input, weight, bias, stride, padding, output_padding, groups, dilation):
    """Transposed convolution through either door."""
    if not isinstance(input, Tensor):
        if not isinstance(weight, Tensor) and not isinstance(bias, Tensor):
            _rank(name, input, weight)
            return ops.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
        input = _lift(name, input)
    if not isinstance(weight, Tensor):
        weight = _lift(name, weight)
    x, w = input._array, weight._array
    _rank(name, x, w)
    plan = ops.plan_transpose(
        x.shape,
        w.shape,
        ops.key(stride),
        ops.key(padding),
        ops.key(output_padding),
        groups,
        ops.key(dilation),
        ops.planned(),
    )
    if plan.unbatched:
        return _product(plan, ops.backward_input, _transpose_grads, input[None], weight, bias, name)[0]
    return _product(plan, ops.backward_input, _transpose_grads, input, weight, bias, name)


def _product(plan, compute, gradients, a: Tensor, b: Tensor, bias, name: str) -> Tensor:
    """One of a plan's three products of two tensors, recorded; `gradients(plan, grad, a, b, needs)` derives it."""
    if bias is not None and not isinstance(bias, Tensor):
        bias = _lift(name, bias)
    x, y = a._array, b._array
    if bias is None:
        out = compute(plan, x, y)
        needs = (a._requires_grad, b._requires_grad, False)
    else:
        out = compute(plan, x, y, bias._array)
        needs = (a._requires_grad, b._requires_grad, bias._requires_grad)
    if needs == (False, False, False) or not enabled():
        return wrap(out)

    def backward(grad):
        da, db = gradients(plan, grad, like(grad, a), like(grad, b), needs)
        if not needs[2]:
            return da, db, None
        dbias = ops.backward_bias(grad) if type(grad) is ndarray else grad.sum((0, *range(2, grad.ndim)))
        return da, db, dbias

    return record(out, (a, b, bias), backward, (a, b), name, twice=True)


# The three products are each other's derivatives: y = forward(x, w), x = backward_input(y, w),
# w = backward_weight(y, x).


def _forward_grads(plan, grad, x, w, needs):
    return (
        _apply(plan, ops.backward_input, _transpose_grads, grad, w, "conv_backward_input") if needs[0] else None,
        _apply(plan, ops.backward_weight, _weight_grads, grad, x, "conv_backward_weight") if needs[1] else None,
    )


def _transpose_grads(plan, grad, g, w, needs):
    return (
        _apply(plan, ops.forward, _forward_grads, grad, w, "conv") if needs[0] else None,
        _apply(plan, ops.backward_weight, _weight_grads, g, grad, "conv_backward_weight") if needs[1] else None,
    )


def _weight_grads(plan, grad, g, x, needs):
    return (
        _apply(plan, ops.forward, _forward_grads, x, grad, "conv") if needs[0] else None,
        _apply(plan, ops.backward_input, _transpose_grads, g, grad, "conv_backward_input") if needs[1] else None,
    )


def _apply(plan, compute, gradients, a, b, name):
    """The product of two arrays, or of two tensors when a second derivative is recorded."""
    if type(a) is ndarray:
        return compute(plan, a, b)
    return _product(plan, compute, gradients, a, b, None, name)


def _rank(name: str, input, weight) -> None:
    """Refuses weights with another number of spatial axes than the function's name says, and what is no array."""
    for what, value in (("input", input), ("weight", weight)):
        if not isinstance(value, np.ndarray):
            raise TypeError(f"[{name}] {what} must be a Tensor or an ndarray, got {type(value).__name__}")
    rank = int(name[-2]) + 2
    if weight.ndim != rank:
        raise ValueError(f"[{name}] weight must have {rank} dimensions, got shape {weight.shape}")


def _lift(name: str, value) -> Tensor:
    """An array beside a tensor, as a tensor."""
    if isinstance(value, ndarray) and not isinstance(value, np.ma.MaskedArray):
        return wrap(value)
    raise TypeError(f"[{name}] expected a Tensor or an ndarray, got {type(value).__name__}")
