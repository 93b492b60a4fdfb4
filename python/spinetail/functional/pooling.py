"""Pooling over one, two or three spatial axes: maximum, average, adaptive, power-average, and unpooling."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..autograd.tape import enabled, ndarray, record, record_many, wrap
from ..autograd.tensor import Tensor
from ..ops import pooling as ops
from ..ops.convolution import key, sizes

__all__ = [
    f"{name}{spatial}d"
    for name in ("adaptive_avg_pool", "adaptive_max_pool", "avg_pool", "lp_pool", "max_pool", "max_unpool")
    for spatial in (1, 2, 3)
] + [f"{name}{spatial}d_with_indices" for name in ("adaptive_max_pool", "max_pool") for spatial in (1, 2, 3)]


def _max_pool(spatial, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    r"""The maximum over sliding windows of {axes}.

    Equation: y[n, c, p] = max over k of x[n, c, p·stride + k·dilation - padding], over what lies inside the input.
    Shapes: input (N, C, {L}) or (C, {L}); result (N, C, {OL}) or (C, {OL}); each output extent is
    floor((L + 2·padding - dilation·(kernel_size - 1) - 1) / stride) + 1, or ceil(·) + 1 in ceil mode, less one where
    that window would start beyond the input and its left padding.
    Parameters: ints or one int for each axis; stride is kernel_size unless given; padding at most half the kernel.
    return_indices: also the places of the maxima, int64, counted through each plane.
    dtypes: float32 or float64, exact; float16 and bfloat16 by way of float32.
    NaN: a window with a NaN gives NaN. Of equal maxima the first counts, and receives the gradient.

    Raises: TypeError for other dtypes, ValueError for shapes and parameters that do not fit.

    Source: torch.nn.functional.max_pool{spatial}d.

    >>> import numpy as np, spinetail.functional.pooling as F
    >>> F.max_pool1d(np.array([[[1.0, 3.0, 2.0, 5.0, 4.0]]]), 2, ceil_mode=True)
    array([[[3., 5., 4.]]])
    """
    given, x = _given(f"max_pool{spatial}d", input)
    plan = ops.plan_max(spatial, x.shape, key(kernel_size), key(stride), key(padding), key(dilation), bool(ceil_mode))
    return _maximum(plan, given, x, return_indices)


def _adaptive_max_pool(spatial, input, output_size, return_indices=False):
    r"""The maximum over as many windows of {axes} as the result has elements.

    Equation: y[n, c, i] = max of x[n, c, floor(i·L / OL) ..< ceil((i + 1)·L / OL)], likewise along every axis.
    Shapes: input (N, C, {L}) or (C, {L}); result (N, C, {OL}) or (C, {OL}).
    Parameters: output_size is {OL}, or one int for all; None keeps the input's extent. return_indices: also the places
    of the maxima, int64, counted through each plane.
    dtypes: float32 or float64, exact; float16 and bfloat16 by way of float32. NaN and ties as in max_pool{spatial}d.

    Raises: TypeError for other dtypes, ValueError for shapes and sizes that do not fit.

    Source: torch.nn.functional.adaptive_max_pool{spatial}d.

    >>> import numpy as np, spinetail.functional.pooling as F
    >>> F.adaptive_max_pool1d(np.array([[[1.0, 3.0, 2.0, 5.0, 4.0]]]), 3)
    array([[[3., 5., 5.]]])
    """
    given, x = _given(f"adaptive_max_pool{spatial}d", input)
    plan = ops.plan_adaptive("adaptive_max_pool", spatial, x.shape, key(output_size))
    return _maximum(plan, given, x, return_indices)


def _avg_pool(
    spatial,
    input,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    r"""The average over sliding windows of {axes}.

    Equation: y[n, c, p] = (Σ over k of x[n, c, p·stride + k - padding]) / divisor, zeros outside the input.
    The divisor is the number of elements in the window, padding included (but not what ceil mode adds) unless
    count_include_pad is false; divisor_override replaces it.
    Shapes: input (N, C, {L}) or (C, {L}); result (N, C, {OL}) or (C, {OL}), with extents as in max_pool{spatial}d.
    Parameters: ints or one int for each axis; stride is kernel_size unless given; padding at most half the kernel.
    dtypes: float32 or float64, summed in that dtype; float16 and bfloat16 in float32.
    Error: at most k·eps·Σ|x| / divisor, k the elements of the window. NaN spreads to every window that holds it.

    Raises: TypeError for other dtypes, ValueError for shapes and parameters that do not fit.

    Source: torch.nn.functional.avg_pool{spatial}d.

    >>> import numpy as np, spinetail.functional.pooling as F
    >>> F.avg_pool1d(np.array([[[1.0, 3.0, 2.0, 6.0]]]), 2, padding=1)
    array([[[0.5, 2.5, 3. ]]])
    """
    given, x = _given(f"avg_pool{spatial}d", input)
    plan = ops.plan_average(
        spatial,
        x.shape,
        key(kernel_size),
        key(stride),
        key(padding),
        bool(ceil_mode),
        bool(count_include_pad),
        divisor_override,
    )
    return _average(plan, given, x)


def _adaptive_avg_pool(spatial, input, output_size):
    r"""The average over as many windows of {axes} as the result has elements.

    Equation: y[n, c, i] = mean of x[n, c, floor(i·L / OL) ..< ceil((i + 1)·L / OL)], likewise along every axis.
    Shapes: input (N, C, {L}) or (C, {L}); result (N, C, {OL}) or (C, {OL}).
    Parameters: output_size is {OL}, or one int for all; None keeps the input's extent.
    dtypes: float32 or float64, summed in that dtype; float16 and bfloat16 in float32.

    Raises: TypeError for other dtypes, ValueError for shapes and sizes that do not fit.

    Source: torch.nn.functional.adaptive_avg_pool{spatial}d.

    >>> import numpy as np, spinetail.functional.pooling as F
    >>> F.adaptive_avg_pool1d(np.arange(5.0).reshape(1, 1, 5), 3)
    array([[[0.5, 2. , 3.5]]])
    """
    given, x = _given(f"adaptive_avg_pool{spatial}d", input)
    plan = ops.plan_adaptive("adaptive_avg_pool", spatial, x.shape, key(output_size))
    return _average(plan, given, x)


def _lp_pool(spatial, input, norm_type, kernel_size, stride=None, ceil_mode=False):
    r"""The p-norm over sliding windows of {axes}.

    Equation: y[n, c, i] = (Σ over the window of x^p)^(1/p), p = norm_type; a negative sum counts as 0. The limits are
    taken for p = ∞, the largest |x|, and p = -∞, the smallest.
    Shapes: input (N, C, {L}) or (C, {L}); result (N, C, {OL}) or (C, {OL}), with extents as in max_pool{spatial}d.
    dtypes: float32 or float64, computed in that dtype; float16 and bfloat16 in float32.

    Raises: TypeError for other dtypes, ValueError for shapes and parameters that do not fit.

    Source: torch.nn.functional.lp_pool{spatial}d.

    >>> import numpy as np, spinetail.functional.pooling as F
    >>> F.lp_pool1d(np.array([[[3.0, 4.0, 6.0, 8.0]]]), 2, 2)
    array([[[ 5., 10.]]])
    """
    given, _ = _given(f"lp_pool{spatial}d", input)
    x = wrap(input) if given is None else given
    if norm_type == 0:
        raise ValueError(f"[lp_pool{spatial}d] norm_type must not be 0")
    if abs(norm_type) == float("inf"):
        sign = 1 if norm_type > 0 else -1
        y = sign * _max_pool(spatial, sign * x.abs(), kernel_size, stride, ceil_mode=ceil_mode)
        return y._array if given is None else y
    count = int(np.prod(sizes(f"lp_pool{spatial}d", "kernel_size", key(kernel_size), spatial)))
    mean = _avg_pool(spatial, x**norm_type, kernel_size, stride, 0, ceil_mode)
    y = (mean.relu() * count) ** (1.0 / norm_type)
    return y._array if given is None else y


def _max_unpool(spatial, input, indices, kernel_size, stride=None, padding=0, output_size=None):
    r"""The partial inverse of max_pool{spatial}d: every value goes back to its place, zeros elsewhere.

    Equation: y[n, c, indices[n, c, p]] = x[n, c, p].
    Shapes: input and indices (N, C, {L}) or (C, {L}); result (N, C, {OL}) or (C, {OL}) with extents
    (L - 1)·stride - 2·padding + kernel_size, or what output_size says (with or without the leading axes), which must be
    less than a stride away from that.
    dtypes: any; indices are integers. Of several values for one place, one is taken.

    Raises: IndexError for indices beyond the output, TypeError and ValueError for kinds and shapes that do not fit.

    Source: torch.nn.functional.max_unpool{spatial}d.

    >>> import numpy as np, spinetail.functional.pooling as F
    >>> y, places = F.max_pool1d(np.array([[[1.0, 3.0, 5.0, 2.0]]]), 2, return_indices=True)
    >>> F.max_unpool1d(y, places, 2)
    array([[[0., 3., 5., 0.]]])
    """
    name = f"max_unpool{spatial}d"
    given, x = _given(name, input)
    places = indices._array if isinstance(indices, Tensor) else indices
    if x.ndim not in (spatial + 1, spatial + 2):
        raise ValueError(f"[{name}] input must have {spatial + 2} dimensions (or {spatial + 1}), got shape {x.shape}")
    kernel = sizes(name, "kernel_size", key(kernel_size), spatial)
    steps = kernel if stride is None else sizes(name, "stride", key(stride), spatial)
    around = sizes(name, "padding", key(padding), spatial)
    extent = tuple(
        (n - 1) * s - 2 * p + k for n, s, p, k in zip(x.shape[-spatial:], steps, around, kernel, strict=True)
    )
    if output_size is not None:
        extent = _unpooled(name, tuple(output_size), extent, steps, x.ndim)
    out = ops.max_unpool(x, places, extent)
    if given is None:
        return out
    if not given._requires_grad or not enabled():
        return wrap(out)
    planes = x.ndim - spatial
    return record(out, (given,), lambda grad: (_gather(grad, places, planes),), (), name)


def _unpooled(name: str, wanted: tuple, usual: tuple, steps: tuple, rank: int) -> tuple[int, ...]:
    """The spatial extents that `output_size` asks for, each less than a stride from the usual one."""
    spatial = len(usual)
    if len(wanted) not in (spatial, spatial + 2, rank):
        raise ValueError(f"[{name}] output_size must have {spatial} or {spatial + 2} elements, got {wanted}")
    extent = tuple(int(n) for n in wanted[-spatial:])
    for axis, (n, u, s) in enumerate(zip(extent, usual, steps, strict=True)):
        if not u - s < n < u + s:
            raise ValueError(
                f"[{name}] output_size {wanted} does not fit: spatial axis {axis} must be between {u - s} and {u + s}, "
                "both excluded"
            )
    return extent


def _gather(grad, places, planes: int):
    """The elements of grad's planes at `places`."""
    flat = grad.reshape(*grad.shape[:planes], -1)
    where = places.reshape(*places.shape[:planes], -1).astype(np.int64)
    return np.take_along_axis(flat, where, -1).reshape(places.shape)


# ---- shared by all of them


def _given(name: str, input) -> tuple[Tensor | None, np.ndarray]:
    """The input as a tensor, or None, and its array."""
    if isinstance(input, Tensor):
        return input, input._array
    if not isinstance(input, ndarray):
        raise TypeError(f"[{name}] input must be a Tensor or an ndarray, got {type(input).__name__}")
    return None, input


def _maximum(plan, given, x, return_indices: bool):
    needs = given is not None and given._requires_grad and enabled()
    y, places = ops.maximum(plan, x, needs or return_indices)
    wide = places.astype(np.int64) if return_indices else None
    if plan.unbatched:
        y, wide = y[0], wide if wide is None else wide[0]
    if given is None:
        return (y, wide) if return_indices else y
    if not needs:
        return (wrap(y), wrap(wide)) if return_indices else wrap(y)

    def backward(grad, _=None):
        return (_spread(plan, grad, places),)

    if return_indices:
        return record_many((y, wide), (given,), backward, (), plan.name, twice=True)
    return record(y, (given,), backward, (), plan.name, twice=True)


def _spread(plan, grad, places):
    """Zeros with grad's elements added at `places`; its own derivative picks them up again."""
    array = grad if type(grad) is ndarray else grad._array
    out = ops.spread(plan.name, array[None] if plan.unbatched else array, places, plan.input)
    if plan.unbatched:
        out = out[0]
    if array is grad:
        return out
    return record(out, (grad,), lambda twice: (_pick(twice, places, plan),), (), f"{plan.name}_backward")


def _pick(grad, places, plan):
    flat = grad.reshape(*plan.input[:2], -1)
    where = places.reshape(*plan.input[:2], -1)
    picked = np.take_along_axis(flat, np.maximum(where, 0).astype(np.intp), -1)
    picked = np.where(where < 0, 0, picked).astype(grad.dtype).reshape(places.shape)
    return picked[0] if plan.unbatched else picked


def _average(plan, given, x):
    y = ops.average(plan, x)
    if plan.unbatched:
        y = y[0]
    if given is None:
        return y
    if not given._requires_grad or not enabled():
        return wrap(y)
    return record(y, (given,), lambda grad: (_average_backward(plan, grad),), (), plan.name, twice=True)


def _average_backward(plan, grad):
    """The transposed average; the average is its derivative."""
    array = grad if type(grad) is ndarray else grad._array
    out = ops.average_backward(plan, array[None] if plan.unbatched else array)
    if plan.unbatched:
        out = out[0]
    if array is grad:
        return out
    return record(out, (grad,), lambda twice: (_average_again(plan, twice),), (), f"{plan.name}_backward")


def _average_again(plan, grad):
    y = ops.average(plan, grad)
    return y[0] if plan.unbatched else y


# ---- the public names: each family for one, two and three axes

_AXES = {1: ("sequences", "L", "OL"), 2: ("images", "H, W", "OH, OW"), 3: ("volumes", "D, H, W", "OD, OH, OW")}


def _with_indices(family):
    """The form that always returns (values, indices)."""

    def function(spatial, input, *args, return_indices=True, **kwargs):
        return family(spatial, input, *args, return_indices=True, **kwargs)

    function.__doc__ = family.__doc__.split("\n\n")[0].strip() + " Returns (maxima, indices).\n"
    return function


def _publish(family, name: str, suffix: str = "") -> None:
    for spatial, (axes, given, wanted) in _AXES.items():
        function = _bind(family, spatial)
        function.__name__ = function.__qualname__ = f"{name}{spatial}d{suffix}"
        text = family.__doc__.replace("{axes}", axes).replace("{spatial}", str(spatial))
        function.__doc__ = text.replace("{OL}", wanted).replace("{L}", given)
        function.__module__ = __name__
        globals()[function.__name__] = function


def _bind(family, spatial: int):
    def function(input, *args, **kwargs):
        return family(spatial, input, *args, **kwargs)

    function.__wrapped__ = partial(family, spatial)  # its signature is the function's
    return function


_publish(_max_pool, "max_pool")
_publish(_avg_pool, "avg_pool")
_publish(_adaptive_max_pool, "adaptive_max_pool")
_publish(_adaptive_avg_pool, "adaptive_avg_pool")
_publish(_lp_pool, "lp_pool")
_publish(_max_unpool, "max_unpool")
_publish(_with_indices(_max_pool), "max_pool", "_with_indices")
_publish(_with_indices(_adaptive_max_pool), "adaptive_max_pool", "_with_indices")
