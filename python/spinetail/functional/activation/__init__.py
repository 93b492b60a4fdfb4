"""Activation functions and softmax, for Tensors and ndarrays."""

from ..pointwise import sigmoid, tanh
from .exponential import celu, celu_, elu, elu_, selu, selu_
from .gate import gelu, glu, hardswish, mish, silu
from .logistic import hardsigmoid, logsigmoid, softplus, softsign
from .rectifier import (
    hardtanh,
    hardtanh_,
    leaky_relu,
    leaky_relu_,
    prelu,
    relu,
    relu6,
    relu_,
    threshold,
    threshold_,
)
from .shrinkage import hardshrink, softshrink, tanhshrink
from .softmax import log_softmax, softmax, softmin
from .softmax_dropout import softmax_dropout

__all__ = [
    "celu",
    "celu_",
    "elu",
    "elu_",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "leaky_relu",
    "leaky_relu_",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "softmax",
    "softmax_dropout",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
]
