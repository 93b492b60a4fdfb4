"""Products in bfloat16, everything else in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ..nn import Linear
from ..nn.convolution import _Convolution

ROUNDED = (Linear, _Convolution)


@contextmanager
def bfloat16(model: Any, enabled: bool = True) -> Iterator[None]:
    """While inside, the linear and convolution layers of `model` round their inputs and weights to bfloat16.

    Products are summed in float32 and their results rounded once; layers give float32, and gradients arrive in float32
    at the weights, which stay float32 as does the optimizer's state. bfloat16 has float32's range, so the loss needs no
    scaling. What is saved for the backward pass takes half the memory. Backward may run inside or outside.

    >>> import spinetail as st
    >>> layer = st.nn.Linear(1, 1, bias=False)
    >>> _ = st.nn.init.constant_(layer.weight, 1.001)
    >>> with st.train.bfloat16(layer):
    ...     layer(st.ones(1, 1)).item()
    1.0
    """
    layers = [m for m in model.modules() if isinstance(m, ROUNDED) and "forward" not in m.__dict__] if enabled else []
    for layer in layers:
        layer.__dict__["forward"] = partial(_rounded, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.__dict__["forward"]


def _rounded(layer: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    """The layer's own forward on rounded values, which stand in for its parameters meanwhile."""
    own = {name: parameter for name, parameter in layer._parameters.items() if parameter is not None}
    layer.__dict__.update({name: parameter.bfloat16() for name, parameter in own.items()})
    try:
        return type(layer).forward(layer, input.bfloat16(), *args, **kwargs).float()
    finally:
        layer.__dict__.update(own)
