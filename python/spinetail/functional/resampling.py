"""Images at another size (`interpolate`), and windows as columns (`unfold`, `fold`)."""

from __future__ import annotations

import numpy as np

from ..autograd.tape import enabled, ndarray, record, wrap
from ..autograd.tensor import Tensor
from ..ops import resampling as ops
from ..ops.convolution import key
from . import pooling

__all__ = ["fold", "interpolate", "unfold"]


def interpolate(
    input,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    r"""Sequences, images or volumes at another size.

    Equation: along each axis y[i] = Σ of w(s(i) - j)·x[j], with s(i) = (i + ½)·L/OL - ½, or i·(L - 1)/(OL - 1) with
    align_corners, and L/OL = 1/scale_factor where that is given (unless recompute_scale_factor). "nearest" takes
    x[⌊i·L/OL⌋], "nearest-exact" x[⌊(i + ½)·L/OL⌋]; "linear", "bilinear" and "trilinear" the two neighbours along each
    axis by their distance, "bicubic" four by Keys' cubic with a = -¾, both with the border repeated; "area" the means
    of `adaptive_avg_pool`. antialias: "bilinear" and "bicubic" (a = -½) as wide as an output's share of the input.
    Shapes: input (N, C, L), (N, C, H, W) or (N, C, D, H, W); result with extents `size`, or ⌊L·scale_factor⌋.
    Parameters: size and scale_factor are numbers or one number for each axis; one of the two is given.
    dtypes: float32 or float64, computed in that dtype with weights rounded from float64; float16 and bfloat16 in
    float32.
    Elements of weight 0 do not count. The same bits on any number of threads, the gradient's too.

    Raises: NotImplementedError for modes that there are not for so many dimensions, ValueError for sizes and options
    that do not fit, TypeError for other dtypes.

    Source: torch.nn.functional.interpolate.

    >>> import numpy as np, spinetail.functional.resampling as F
    >>> F.interpolate(np.array([[[1.0, 3.0]]]), 4, mode="linear")
    array([[[1. , 1.5, 2.5, 3. ]]])
    >>> F.interpolate(np.array([[[[1.0, 3.0]]]]), scale_factor=2)
    array([[[[1., 1., 3., 3.],
             [1., 1., 3., 3.]]]])
    """
    given, x = _given("interpolate", input)
    plan = ops.plan_interpolate(
        x.shape,
        _plain(size),
        _plain(scale_factor),
        mode,
        align_corners if align_corners is None else bool(align_corners),
        bool(recompute_scale_factor),
        bool(antialias),
    )
    if plan.mode == "area":
        return getattr(pooling, f"adaptive_avg_pool{len(x.shape) - 2}d")(input, plan.output[2:])
    return _linear("interpolate", given, x, plan, ops.resample, ops.resample_backward)


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    r"""Windows that slide over images, as columns.

    Equation: y[n, (c, i, j), (p, q)] = x[n, c, p·stride + i·dilation - padding, q·stride + j·dilation - padding], zeros
    outside the image.
    Shapes: input (N, C, H, W) or (C, H, W); result (N, C·kernel, windows) or (C·kernel, windows), with
    floor((H + 2·padding - dilation·(kernel_size - 1) - 1) / stride) + 1 windows along the height, likewise the width.
    Parameters: ints or pairs. dtypes: float32, float64, float16 and bfloat16, exact.

    Raises: TypeError for other dtypes, ValueError for shapes and parameters that do not fit.

    Source: torch.nn.functional.unfold; "im2col".

    >>> import numpy as np, spinetail.functional.resampling as F
    >>> F.unfold(np.arange(6.0).reshape(1, 1, 2, 3), 2)
    array([[[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]]])
    """
    given, x = _given("unfold", input)
    plan = ops.plan_unfold(x.shape, key(kernel_size), key(dilation), key(padding), key(stride))
    return _linear("unfold", given, x, plan, ops.unfold, ops.fold)


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    r"""Images from columns: the transpose of `unfold`, in which what windows share is added.

    Equation: y[n, c, h, w] = Σ of x[n, (c, i, j), (p, q)] with h = p·stride + i·dilation - padding, likewise w.
    Shapes: input (N, C·kernel, windows) or (C·kernel, windows); result (N, C, *output_size) or (C, *output_size).
    Parameters: ints or pairs. dtypes: float32 or float64, summed in that dtype; float16 and bfloat16 in float32.

    Raises: TypeError for other dtypes, ValueError for shapes and parameters that do not fit.

    Source: torch.nn.functional.fold; "col2im".

    >>> import numpy as np, spinetail.functional.resampling as F
    >>> F.fold(np.ones((1, 4, 2)), (2, 3), 2)
    array([[[[1., 2., 1.],
             [1., 2., 1.]]]])
    """
    given, x = _given("fold", input)
    plan = ops.plan_fold(x.shape, key(output_size), key(kernel_size), key(dilation), key(padding), key(stride))
    return _linear("fold", given, x, plan, ops.fold, ops.unfold)


# ---- shared by all of them


def _given(name: str, input) -> tuple[Tensor | None, np.ndarray]:
    """The input as a tensor, or None, and its array."""
    if isinstance(input, Tensor):
        return input, input._array
    if not isinstance(input, ndarray):
        raise TypeError(f"[{name}] input must be a Tensor or an ndarray, got {type(input).__name__}")
    return None, input


def _plain(value):
    """A size or factor that can be remembered."""
    if isinstance(value, (list, tuple)):
        return tuple(_plain(v) for v in value)
    if isinstance(value, (ndarray, Tensor)):
        return value.item() if value.ndim == 0 else tuple(value.tolist())
    return value


def _linear(name: str, given: Tensor | None, x: np.ndarray, plan, forward, transpose):
    """`forward(plan, x)`, whose gradient is `transpose`, whose gradient is `forward`."""
    y = forward(plan, x)
    if given is None:
        return y
    if not given._requires_grad or not enabled():
        return wrap(y)

    def backward(grad):
        if type(grad) is ndarray:
            return (transpose(plan, grad),)
        return (_linear(f"{name}_backward", grad, grad._array, plan, transpose, forward),)

    return record(y, (given,), backward, (), name, twice=True)
