"""Tensors, the tape, and what is built on it."""

from __future__ import annotations

from .engine import grad
from .function import Function
from .hooks import RemovableHandle
from .mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .tape import Node, like, record, record_many, unbroadcast, view, wrap
from .tensor import Tensor, make, method

__all__ = [
    "Function",
    "Node",
    "RemovableHandle",
    "Tensor",
    "Variable",
    "backward",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "like",
    "make",
    "method",
    "no_grad",
    "record",
    "record_many",
    "set_grad_enabled",
    "unbroadcast",
    "view",
    "wrap",
]


def Variable(data: Tensor, requires_grad: bool = False) -> Tensor:
    """The tensor itself, with `requires_grad` set: the older spelling of PyTorch scripts."""
    return data.requires_grad_() if requires_grad else data


def backward(
    tensors, grad_tensors=None, retain_graph=None, create_graph=False, grad_variables=None, inputs=None
) -> None:
    """Add the gradients of `tensors` to `.grad` of the leaves they depend on (or of `inputs` only).

    >>> import spinetail as st
    >>> w = st.ones(2, requires_grad=True)
    >>> st.autograd.backward([(w * 2).sum(), w * 3], [None, st.ones(2)])
    >>> w.grad
    tensor([5., 5.])
    """
    outputs = (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)
    given = grad_tensors if grad_tensors is not None else grad_variables
    gradients = (given,) if given is None or isinstance(given, Tensor) else tuple(given)
    if given is None:
        gradients = (None,) * len(outputs)
    if len(gradients) != len(outputs):
        raise RuntimeError(f"[backward] got {len(outputs)} tensors and {len(gradients)} gradients")
    engine.backward(outputs, gradients, retain_graph, create_graph, inputs)


from . import engine  # noqa: E402


def __getattr__(name: str):
    if name in ("gradcheck", "gradgradcheck", "GradcheckError"):
        from . import checks

        return getattr(checks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
