"""Linear layers."""

from __future__ import annotations

from math import sqrt
from typing import Any

from ..autograd import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter, unset

__all__ = ["Bilinear", "Identity", "Linear"]


class Identity(Module):
    """Gives back its input, whatever arguments it was made with.

    >>> import spinetail as st
    >>> st.nn.Identity(54, unused=True)(st.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """A linear layer: y = x · Wᵀ + b.

    Shapes: input (*, i), output (*, o), `weight` (o, i), `bias` (o,), with i = in_features and o = out_features.
    Both start from U(-1/√i, 1/√i). Raises: ValueError for negative sizes.

    >>> import spinetail as st
    >>> layer = st.nn.Linear(20, 30)
    >>> layer(st.ones(128, 20)).shape == (128, 30)
    True
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        if in_features < 0 or out_features < 0:
            raise ValueError(f"[Linear] sizes cannot be negative, but got ({in_features}, {out_features})")
        self.in_features = in_features
        self.out_features = out_features
        self.weight = unset((out_features, in_features), device, dtype)
        if bias:
            self.bias = unset((out_features,), device, dtype)
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new starting values."""
        init.kaiming_uniform_(self.weight, a=sqrt(5))
        if self.bias is not None:
            bound = 1 / sqrt(self.in_features) if self.in_features else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """A bilinear layer: y_k = x₁ᵀ · W_k · x₂ + b_k.

    Shapes: inputs (*, i) and (*, j), output (*, o), `weight` (o, i, j), `bias` (o,). Both start from U(-1/√i, 1/√i).

    >>> import spinetail as st
    >>> st.nn.Bilinear(2, 3, 4)(st.ones(5, 2), st.ones(5, 3)).shape == (5, 4)
    True
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"[Bilinear] in1_features must be greater than 0, but got {in1_features}")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = unset((out_features, in1_features, in2_features), device, dtype)
        if bias:
            self.bias = unset((out_features,), device, dtype)
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new starting values."""
        bound = 1 / sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )
