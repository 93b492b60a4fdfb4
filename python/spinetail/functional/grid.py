"""Images bent along a grid: `grid_sample`, and the grid of an affine map."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import enabled, record, wrap
from ..autograd.tensor import Tensor
from ..ops import grid as ops
from .door import both, expect
from .resampling import _plain

__all__ = ["affine_grid", "grid_sample"]


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    r"""The input's pixels at the places that a grid names.

    Equation: y[n, c, p] = Σ over the neighbours q of w(grid[n, p], q)·x[n, c, q]; coordinates (x, y[, z]) of -1 and 1
    are the image's borders, or with align_corners the middles of its outermost pixels. "bilinear" takes two neighbours
    along each axis (of volumes too), "nearest" one, "bicubic" four by Keys' cubic with a = -¾.
    padding_mode: beyond the borders "zeros" finds 0, "border" the outermost pixel, "reflection" the image mirrored at
    the border (or at the outermost pixel's middle).
    Shapes: input (N, C, H, W) with grid (N, OH, OW, 2), result (N, C, OH, OW); or (N, C, D, H, W) with
    (N, OD, OH, OW, 3). bicubic: images only.
    dtypes: float32 or float64, computed in that dtype; float16 and bfloat16 in float32. NaN in the grid counts as -1.
    Gradients to both; they have no gradient of their own. The same bits on any number of threads.

    Raises: ValueError for modes and shapes that do not fit, TypeError for other dtypes or two of them.

    Source: Jaderberg et al., Spatial Transformer Networks, 2015; torch.nn.functional.grid_sample.

    >>> import numpy as np, spinetail.functional.grid as F
    >>> F.grid_sample(np.array([[[[1.0, 3.0]]]]), np.array([[[[0.0, 0.0], [0.5, 0.0]]]]), align_corners=True)
    array([[[[2. , 2.5]]]])
    """
    name = "grid_sample"
    expect(name, input, grid)
    a, b = (value if isinstance(value, Tensor) else None for value in (input, grid))
    given = input if a is None else a._array
    dtype = given.dtype.newbyteorder("=")
    x, places = ops.operands(name, given, grid if b is None else b._array)
    made = ops.make_out(name, x, places, mode, padding_mode, bool(align_corners))
    y = ops.sample(made, x).astype(dtype, copy=False)
    if a is None and b is None:
        return y
    need_x, need_grid = (t is not None and t._requires_grad for t in (a, b))
    if not (need_x or need_grid) or not enabled():
        return wrap(y)

    def backward(grad):
        grad, _ = ops.operands(name, grad, grad)
        dx = ops.sample_backward_input(made, grad).astype(dtype, copy=False) if need_x else None
        dgrid = ops.sample_backward_grid(made, grad, x).astype(dtype, copy=False) if need_grid else None
        return dx, dgrid

    saved = (a,) if need_grid and a is not None else ()
    return record(y, (a, b), backward, saved, name)


@both
def affine_grid(theta, size, align_corners=None):
    r"""The grid by which `grid_sample` applies an affine map.

    Equation: grid[n, p] = theta[n]·(x, y[, z], 1), p's own coordinates from -1 to 1 as in `grid_sample`.
    Shapes: theta (N, 2, 3) with size (N, C, H, W), result (N, H, W, 2); or (N, 3, 4), (N, C, D, H, W), (N, D, H, W, 3).
    dtypes: float32, float64.

    Raises: ValueError for shapes that do not fit, TypeError for other dtypes.

    Source: Jaderberg et al., Spatial Transformer Networks, 2015; torch.nn.functional.affine_grid.

    >>> import numpy as np, spinetail.functional.grid as F
    >>> F.affine_grid(np.array([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2)).tolist()
    [[[[0.0, 0.0], [1.0, 0.0]]]]
    """
    name = "affine_grid"
    dtype = theta._array.dtype
    if dtype.kind != "f":
        raise TypeError(f"[{name}] theta must be floating point, got {dtype}")
    try:
        size = tuple(int(n) for n in _plain(size))
    except TypeError:
        raise TypeError(f"[{name}] size must be a tuple of ints, got {size!r}") from None
    spatial = len(size) - 2
    if spatial not in (2, 3) or theta.ndim != 3 or tuple(theta.shape) != (size[0], spatial, spatial + 1):
        raise ValueError(
            f"[{name}] theta must have shape (N, 2, 3) with a size (N, C, H, W), or (N, 3, 4) with (N, C, D, H, W), "
            f"got {tuple(theta.shape)} and {size}"
        )
    if min(size) < 1:
        raise ValueError(f"[{name}] size must be positive, got {size}")
    extent = size[2:]
    axes = []
    for a, n in enumerate(extent):
        places = np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
        if not align_corners:
            places = places * (n - 1) / n
        axes.append(np.broadcast_to(places.reshape(-1, *[1] * (spatial - 1 - a)), extent))
    base = np.stack([*axes[::-1], np.ones(extent)], -1).reshape(1, -1, spatial + 1).astype(dtype)
    return (wrap(base) @ theta.transpose(1, 2)).reshape(size[0], *extent, spatial)
