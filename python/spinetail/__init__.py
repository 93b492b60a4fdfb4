"""Spinetail: train, prune, quantise, distil and measure models on ordinary CPUs."""

from __future__ import annotations

import typing as _typing
from importlib import import_module as _import
from math import e, inf, nan, pi

from . import autograd, dtypes
from .autograd import (
    Tensor,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .autograd.printing import set_printoptions
from .config import get_num_threads, set_num_threads, show_config
from .devices import *
from .dtypes import *
from .functional import conversion as _conversion
from .functional import operators as _operators
from .functional.activation import celu, log_softmax, prelu, relu, selu, softmax, threshold
from .functional.arithmetic import *
from .functional.arrangement import *
from .functional.broadcast import *
from .functional.comparison import *
from .functional.creation import *
from .functional.cumulative import *
from .functional.einsum import *
from .functional.extremes import *
from .functional.filling import *
from .functional.generator import *
from .functional.indexing import *
from .functional.joining import *
from .functional.pointwise import *
from .functional.product import *
from .functional.random import *
from .functional.reduction import *
from .functional.scatter import *
from .functional.shape import *
from .functional.size import *
from .functional.sorting import *
from .functional.special import *
from .version import __version__

if _typing.TYPE_CHECKING:  # what is imported on first use
    from . import compress, data, evaluate, io, models, nn, ops, optim, train
    from .io import load, save

newaxis = None

#: Submodules that are imported on first use, and names that come from them.
_MODULES = frozenset(
    "accelerator amp backends cli compress cuda data evaluate functional io linalg models mps nn ops optim "
    "train utils xpu".split()
)
_NAMES = {
    "compile": "compiling",
    "compiler": "compiling",
    "load": "io",
    "save": "io",
    "autocast": "amp",
    **dict.fromkeys("cholesky det logdet matrix_power matrix_rank qr slogdet svd".split(), "linalg"),
}
_RENAMED = {"inverse": ("linalg", "inv"), "pinverse": ("linalg", "pinv")}

#: Functions of layers that PyTorch has at the top too.
_LAYERS = frozenset(
    "adaptive_avg_pool1d adaptive_max_pool1d alpha_dropout avg_pool1d batch_norm bilinear channel_shuffle "
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d cosine_embedding_loss "
    "dropout embedding group_norm hardshrink hinge_embedding_loss instance_norm kl_div layer_norm "
    "margin_ranking_loss max_pool1d max_pool2d max_pool3d pairwise_distance pixel_shuffle pixel_unshuffle "
    "poisson_nll_loss rms_norm rrelu triplet_margin_loss binary_cross_entropy_with_logits".split()
)


def __getattr__(name: str):
    if name in _MODULES:
        try:
            return _import("." + name, __name__)
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
    elif name in _NAMES:
        value = getattr(_import("." + _NAMES[name], __name__), name)
        globals()[name] = value
        return value
    elif name in _RENAMED:
        module, original = _RENAMED[name]
        return getattr(_import("." + module, __name__), original)
    elif name in _LAYERS:
        layers = _import(".nn.functional", __name__)
        if hasattr(layers, name):
            return getattr(layers, name)
    elif name.endswith("_") and not name.startswith("_") and hasattr(Tensor, name):
        return getattr(Tensor, name)  # exp_(x) and its like
    if name.startswith("_"):
        raise AttributeError(f"module 'spinetail' has no attribute {name!r}")
    from difflib import get_close_matches

    near = get_close_matches(name, __dir__(), 1, 0.5)
    raise AttributeError(f"spinetail has no {name!r}" + (f"; the nearest thing is {near[0]!r}" if near else ""))


def __dir__() -> list[str]:
    return sorted({*(n for n in globals() if not n.startswith("_")), *_MODULES, *_NAMES, "__version__"})
