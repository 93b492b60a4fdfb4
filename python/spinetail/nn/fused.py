"""Convolutions for inference: weights prepared once, and bias, residual and activation in the same pass.

`compress.restructure.fuse(model, example, prepare=True)` puts them in the place of a network's convolutions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ..autograd import Tensor, wrap
from ..autograd.tape import enabled
from ..ops.prepared_convolution import Prepared
from . import activation, convolution
from . import functional as F
from .linear import Identity
from .module import Module
from .sequential import _plain

__all__ = ["ACTIVATIONS", "Conv1d", "Conv2d", "Conv3d", "activation_of", "ready"]

T = TypeVar("T", bound="_Fused")

#: What a convolution can end with.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "none": None,
    "relu": F.relu,
    "relu6": F.relu6,
    "hardswish": F.hardswish,
    "silu": F.silu,
    "sigmoid": F.sigmoid,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "tanh": F.tanh,
    "leaky_relu": F.leaky_relu,
}
#: The layers of `nn` that do the same, with the options that make them so.
_LAYERS: dict[type[Module], tuple[str, dict[str, Any]]] = {
    activation.ReLU: ("relu", {}),
    activation.ReLU6: ("relu6", {}),
    activation.Hardswish: ("hardswish", {}),
    activation.SiLU: ("silu", {}),
    activation.Sigmoid: ("sigmoid", {}),
    activation.GELU: ("gelu", {"approximate": "none"}),
    activation.Tanh: ("tanh", {}),
    activation.LeakyReLU: ("leaky_relu", {"negative_slope": 0.01}),
}


def activation_of(module: Module) -> str | None:
    """The name that `ACTIVATIONS` has for an activation layer of `nn` without hooks; None for all else.

    >>> import spinetail as st
    >>> st.nn.fused.activation_of(st.nn.ReLU6()), st.nn.fused.activation_of(st.nn.ELU())
    ('relu6', None)
    """
    if type(module) is activation.GELU and module.approximate == "tanh" and _plain(module):
        return "gelu_tanh"
    name, options = _LAYERS.get(type(module), (None, {}))
    same = all(getattr(module, option) == value for option, value in options.items())
    return name if same and _plain(module) else None


def ready(layer: Module, *behind: Module) -> bool:
    """Whether the layer may take a residual or an activation: a convolution of this file that has neither yet, nothing
    but `nn.Identity` is `behind` it, and none of them has hooks.

    >>> import spinetail as st
    >>> st.nn.fused.ready(st.nn.fused.Conv2d(1, 1, 1), st.nn.Identity()), st.nn.fused.ready(st.nn.Conv2d(1, 1, 1))
    (True, False)
    """
    free = type(layer) in (Conv1d, Conv2d, Conv3d) and layer.activation == "none"
    return free and all(type(module) is Identity for module in behind) and all(map(_plain, (layer, *behind)))


class _Fused(convolution._Conv):
    _prepared: Prepared | None = None
    _made_of: tuple[Any, ...] = ()

    def __init__(self, *args: Any, activation: str = "none", **options: Any) -> None:
        super().__init__(*args, **options)
        self.activation = activation
        self.requires_grad_(False)

    @classmethod
    def from_conv(cls: type[T], conv: convolution._Conv, activation: str = "none") -> T:
        """The layer with a convolution's sizes and parameters, which are shared and no longer require gradients.

        It takes the convolution's mode, training or evaluation. Raises: TypeError for another layer.
        """
        if not isinstance(conv, convolution._Conv) or conv.rank != cls.rank:
            raise TypeError(f"[Fused{cls.__name__}] expected a Conv{cls.rank}d, but got {type(conv).__name__}")
        layer = cls.__new__(cls)
        layer.__setstate__(conv.__getstate__())
        layer.activation = activation
        return layer.requires_grad_(False)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "activation" and value not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(f"[{self._get_name()}] activation must be one of {known}, but got {value!r}")
        super().__setattr__(name, value)
        self.__dict__["_prepared"] = None  # whatever it was, the weights are prepared for it

    def forward(self, input: Tensor, residual: Tensor | None = None, overwrite: bool = False) -> Tensor:
        """g(input ⋆ W + b + residual); with `overwrite` the output may take the residual's memory."""
        if self.training:
            raise RuntimeError(
                f"[{self._get_name()}] it is for inference, but is in training mode: call eval(), and to train the "
                "model, fuse it without prepare=True"
            )
        if not isinstance(input, Tensor):
            input = _tensor(input)
        if residual is not None:
            residual = _tensor(residual)
        if enabled() and any(t is not None and t._requires_grad for t in (input, residual, self.weight, self.bias)):
            return self._recorded(input, residual)
        if self.padding_mode != "zeros":
            input = self._padded(input)
        prepared = self._prepared if self._fresh() else self._prepare()
        return wrap(prepared(input._array, None if residual is None else residual._array, overwrite))

    def _recorded(self, input: Tensor, residual: Tensor | None) -> Tensor:
        """The same step by step, for the tape."""
        output = super().forward(input)
        if residual is not None:
            output = output + residual
        function = ACTIVATIONS[self.activation]
        return output if function is None else function(output)

    def _source(self) -> tuple[Any, ...]:
        """What the prepared weights are made of: the arrays, and numbers that grow as they are changed."""
        weight, bias = self.weight, self.bias
        if bias is None:
            return weight._array, None, weight._version, 0
        return weight._array, bias._array, weight._version, bias._version

    def _fresh(self) -> bool:
        """Whether the weights are prepared, and have not been changed since."""
        if self._prepared is None:
            return False
        weight, bias = self.weight, self.bias
        w, b, version, other = self._made_of
        if weight._array is not w or weight._version != version:
            return False
        return b is None if bias is None else bias._array is b and bias._version == other

    def _prepare(self) -> Prepared:
        source = self._source()
        padding = self.padding if self.padding_mode == "zeros" else 0
        bias = None if self.bias is None else self.bias._array
        options = (self.stride, padding, self.dilation, self.groups, self.activation)
        made = Prepared(self.weight._array, bias, *options)
        self.__dict__["_made_of"], self.__dict__["_prepared"] = source, made
        return made

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_prepared", None)
        state.pop("_made_of", None)
        return state

    def extra_repr(self) -> str:
        return super().extra_repr() + (f", activation={self.activation}" if self.activation != "none" else "")

    def _get_name(self) -> str:
        return f"Fused{type(self).__name__}"


def _tensor(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray):
        return wrap(value)
    raise TypeError(f"[conv] expected a Tensor or an ndarray, got {type(value).__name__}")


class Conv1d(_Fused, convolution.Conv1d):
    """`nn.Conv1d` for inference: y = g(x ⋆ W + b + residual), with the weights prepared once; see `Conv2d`."""


class Conv2d(_Fused, convolution.Conv2d):
    """`nn.Conv2d` for inference: y = g(x ⋆ W + b + residual), with the weights prepared once.

    The activation g is "none", "relu", "relu6", "hardswish", "silu", "sigmoid", "gelu" (exact), "gelu_tanh", "tanh" or
    "leaky_relu" (of slope 0.01); the residual, the second argument of the call, has the output's shape. Arguments and
    shapes are otherwise those of `nn.Conv2d`, and so is the state. The output has its channels next to each other in
    memory (channels last), whichever way the input lies. With a third argument, `overwrite`, it may take the residual's
    memory: for residuals that nobody needs any more and that are not the input.

    The weights are prepared at the first call, which takes their memory once more, and again after they have changed:
    `load_state_dict`, `to`, in-place operations and assignments are noticed, but not what is written through a NumPy
    view of them. They do not require gradients. Where the input does, and gradients are recorded, the layer computes
    step by step without the prepared weights.

    Raises: ValueError for another activation; RuntimeError when called in training mode.

    >>> import spinetail as st
    >>> conv = st.nn.Conv2d(3, 8, 3, padding=1).eval()
    >>> fused = st.nn.fused.Conv2d.from_conv(conv, "relu")
    >>> x, residual = st.randn(1, 3, 6, 6), st.randn(1, 8, 6, 6)
    >>> st.allclose(fused(x, residual), st.relu(conv(x) + residual), atol=1e-5)
    True
    >>> fused
    FusedConv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), activation=relu)
    """


class Conv3d(_Fused, convolution.Conv3d):
    """`nn.Conv3d` for inference: y = g(x ⋆ W + b + residual), with the weights prepared once; see `Conv2d`."""
