"""Looking for NaN and infinities before they spread."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd import Tensor
from ..nn.utils import get_total_norm


def check_finite(model: Any, loss: Any = None, where: str = "") -> None:
    """Raise FloatingPointError if the loss or a gradient is not finite, naming the parameters; call it before the step.

    One fused sweep over the gradients; only where it finds something are they looked at one by one. `where` begins the
    message.

    >>> import spinetail as st
    >>> model = st.nn.Linear(2, 1)
    >>> model(st.tensor([[1.0, float("nan")]])).sum().backward()
    >>> st.train.check_finite(model)
    Traceback (most recent call last):
        ...
    FloatingPointError: the gradient of 'weight' has 1 of 2 elements that are not finite (the first is nan)
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.grad is not None]
    value = 0.0 if loss is None else float(loss)
    gradients = [parameter.grad for _, parameter in named]
    if math.isfinite(value) and (not gradients or math.isfinite(float(get_total_norm(gradients)))):
        return
    found = [f"the loss is {value}"] if not math.isfinite(value) else []
    # A parameter that is bad itself is the cause, gradients are what follows from it.
    for what, tensors in (("parameter", model.named_parameters()), ("gradient of", ((n, p.grad) for n, p in named))):
        found += [f"the {what} {name!r} has {text}" for name, tensor in tensors if (text := _bad(tensor))]
    if found:
        more = f"; and {len(found) - 4} more" if len(found) > 4 else ""
        raise FloatingPointError((f"{where}: " if where else "") + "; ".join(found[:4]) + more)


def _bad(tensor: Tensor) -> str:
    array = tensor._array
    wrong = ~np.isfinite(array)
    count = int(np.count_nonzero(wrong))
    return f"{count} of {array.size} elements that are not finite (the first is {array[wrong][0]})" if count else ""
