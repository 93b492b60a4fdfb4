"""How to make and call each module: the contract tests enrol every class of `spinetail.nn` by this table."""

from __future__ import annotations

import numpy as np

import spinetail as st
import spinetail.nn as nn


def real(*shape):
    """Numbers away from 0, where activations have kinks."""

    def make():
        values = np.random.default_rng(sum(shape) + len(shape)).normal(size=shape)
        return values + np.sign(values) * 0.1

    return make


def unit(*shape):
    return lambda: np.random.default_rng(1).uniform(0.1, 0.9, shape)


def signs(*shape):
    return lambda: np.sign(np.random.default_rng(2).normal(size=shape))


def classes(count, *shape):
    return lambda: np.random.default_rng(3).integers(0, count, shape)


def log_probabilities(*shape):
    def make():
        values = np.exp(np.random.default_rng(4).normal(size=shape))
        return np.log(values / values.sum(-1, keepdims=True))

    return make


def probabilities(*shape):
    return lambda: np.exp(log_probabilities(*shape)())


def places(*shape):
    """Every second place of each plane of values that are unpooled."""
    count = int(np.prod(shape[2:]))
    return lambda: np.broadcast_to(2 * np.arange(count).reshape(shape[2:]), shape).copy()


X = real(3, 4)
SEQUENCE, IMAGE, VOLUME = real(2, 4, 7), real(2, 4, 6, 5), real(1, 4, 4, 5, 6)
POINTWISE = (3, 4)

#: name -> (arguments, keywords, inputs, shape of the (first) output)
CASES: dict[str, tuple] = {
    "Identity": ((), {}, [X], (3, 4)),
    "Linear": ((4, 5), {}, [X], (3, 5)),
    "Bilinear": ((4, 3, 2), {}, [X, unit(3, 3)], (3, 2)),
    "Flatten": ((), {}, [IMAGE], (2, 120)),
    "Unflatten": ((1, (2, 2)), {}, [X], (3, 2, 2)),
    "PReLU": ((), {}, [X], POINTWISE),
    "Softmax": ((1,), {}, [X], POINTWISE),
    "Softmin": ((1,), {}, [X], POINTWISE),
    "LogSoftmax": ((1,), {}, [X], POINTWISE),
    "Softmax2d": ((), {}, [IMAGE], (2, 4, 6, 5)),
    "GLU": ((), {}, [X], (3, 2)),
    "Threshold": ((0.05, 2.0), {}, [X], POINTWISE),
    "LayerNorm": ((4,), {}, [X], POINTWISE),
    "RMSNorm": ((4,), {}, [X], POINTWISE),
    "GroupNorm": ((2, 4), {}, [IMAGE], (2, 4, 6, 5)),
    "BatchNorm1d": ((4,), {}, [SEQUENCE], (2, 4, 7)),
    "BatchNorm2d": ((4,), {}, [IMAGE], (2, 4, 6, 5)),
    "BatchNorm3d": ((4,), {}, [VOLUME], (1, 4, 4, 5, 6)),
    "InstanceNorm1d": ((4,), {"affine": True}, [SEQUENCE], (2, 4, 7)),
    "InstanceNorm2d": ((4,), {}, [IMAGE], (2, 4, 6, 5)),
    "InstanceNorm3d": ((4,), {"track_running_stats": True}, [VOLUME], (1, 4, 4, 5, 6)),
    "MultiheadAttention": ((4, 2), {}, [real(5, 3, 4), real(6, 3, 4), real(6, 3, 4)], (5, 3, 4)),
    "TransformerEncoderLayer": ((4, 2, 6), {"dropout": 0.0}, [real(3, 2, 4)], (3, 2, 4)),
    "TransformerDecoderLayer": ((4, 2, 6), {"dropout": 0.0}, [real(3, 2, 4), real(2, 2, 4)], (3, 2, 4)),
    "Transformer": ((4, 2, 1, 1, 6), {"dropout": 0.0}, [real(3, 2, 4), real(2, 2, 4)], (2, 2, 4)),
    "SinusoidalPositionalEncoding": ((4,), {}, [real(3, 2, 4)], (3, 2, 4)),
    "LearnedPositionalEncoding": ((4, 5), {"batch_first": True}, [real(3, 2, 4)], (3, 2, 4)),
    "RotaryEmbedding": ((4,), {}, [real(2, 3, 6)], (2, 3, 6)),
    "Embedding": ((7, 3), {"padding_idx": 6}, [classes(6, 2, 5)], (2, 5, 3)),
    "Conv1d": ((4, 6, 3), {"padding": 1}, [SEQUENCE], (2, 6, 7)),
    "Conv2d": ((4, 6, (3, 2)), {"stride": 2, "groups": 2}, [IMAGE], (2, 6, 2, 2)),
    "Conv3d": ((4, 2, 2), {"dilation": 2, "bias": False}, [VOLUME], (1, 2, 2, 3, 4)),
    "ConvTranspose1d": ((4, 2, 3), {"stride": 2, "output_padding": 1}, [SEQUENCE], (2, 2, 16)),
    "ConvTranspose2d": ((4, 6, 3), {"groups": 2, "padding": 1}, [IMAGE], (2, 6, 6, 5)),
    "ConvTranspose3d": ((4, 2, 2), {}, [VOLUME], (1, 2, 5, 6, 7)),
    "MaxPool1d": ((2,), {}, [SEQUENCE], (2, 4, 3)),
    "MaxPool2d": ((2,), {"ceil_mode": True}, [IMAGE], (2, 4, 3, 3)),
    "MaxPool3d": ((2,), {}, [VOLUME], (1, 4, 2, 2, 3)),
    "AvgPool1d": ((3,), {"stride": 1, "padding": 1}, [SEQUENCE], (2, 4, 7)),
    "AvgPool2d": ((2,), {}, [IMAGE], (2, 4, 3, 2)),
    "AvgPool3d": ((2,), {"divisor_override": 3}, [VOLUME], (1, 4, 2, 2, 3)),
    "AdaptiveAvgPool1d": ((3,), {}, [SEQUENCE], (2, 4, 3)),
    "AdaptiveAvgPool2d": (((None, 2),), {}, [IMAGE], (2, 4, 6, 2)),
    "AdaptiveAvgPool3d": ((2,), {}, [VOLUME], (1, 4, 2, 2, 2)),
    "AdaptiveMaxPool1d": ((3,), {}, [SEQUENCE], (2, 4, 3)),
    "AdaptiveMaxPool2d": (((3, 2),), {}, [IMAGE], (2, 4, 3, 2)),
    "AdaptiveMaxPool3d": ((2,), {}, [VOLUME], (1, 4, 2, 2, 2)),
    "LPPool1d": ((2, 3), {"stride": 1}, [SEQUENCE], (2, 4, 5)),
    "LPPool2d": ((4.0, (2, 3)), {"ceil_mode": True}, [IMAGE], (2, 4, 3, 2)),
    "LPPool3d": ((float("inf"), 2), {}, [VOLUME], (1, 4, 2, 2, 3)),
    "MaxUnpool1d": ((2,), {}, [real(2, 3, 4), places(2, 3, 4)], (2, 3, 8)),
    "MaxUnpool2d": ((2,), {"stride": 1}, [real(2, 3, 1, 4), places(2, 3, 1, 4)], (2, 3, 2, 5)),
    "MaxUnpool3d": ((2,), {"padding": (0, 0, 1)}, [real(1, 2, 1, 2, 3), places(1, 2, 1, 2, 3)], (1, 2, 2, 4, 4)),
    "PixelShuffle": ((2,), {}, [IMAGE], (2, 1, 12, 10)),
    "PixelUnshuffle": ((2,), {}, [real(2, 3, 4, 6)], (2, 12, 2, 3)),
    "ChannelShuffle": ((2,), {}, [IMAGE], (2, 4, 6, 5)),
    "Upsample": ((), {"scale_factor": 2, "mode": "bilinear"}, [IMAGE], (2, 4, 12, 10)),
    "UpsamplingNearest2d": ((3,), {}, [IMAGE], (2, 4, 3, 3)),
    "UpsamplingBilinear2d": ((), {"scale_factor": 2}, [IMAGE], (2, 4, 12, 10)),
    "Unfold": ((2,), {"padding": 1}, [IMAGE], (2, 16, 42)),
    "Fold": (((3, 4), 2), {}, [real(2, 8, 6)], (2, 2, 3, 4)),
    "Dropout1d": ((), {}, [SEQUENCE], (2, 4, 7)),
    "Dropout2d": ((), {}, [IMAGE], (2, 4, 6, 5)),
    "Dropout3d": ((), {}, [VOLUME], (1, 4, 4, 5, 6)),
    "FeatureAlphaDropout": ((), {}, [IMAGE], (2, 4, 6, 5)),
    "CrossEntropyLoss": ((), {"label_smoothing": 0.1}, [X, classes(4, 3)], ()),
    "NLLLoss": ((), {}, [log_probabilities(3, 4), classes(4, 3)], ()),
    "BCELoss": ((), {}, [unit(3, 4), unit(3, 4)], ()),
    "BCEWithLogitsLoss": ((), {}, [X, unit(3, 4)], ()),
    "KLDivLoss": ((), {"reduction": "batchmean"}, [log_probabilities(3, 4), probabilities(3, 4)], ()),
    "PoissonNLLLoss": ((), {}, [X, unit(3, 4)], ()),
    "GaussianNLLLoss": ((), {}, [X, signs(3, 4), unit(3, 4)], ()),
    "HingeEmbeddingLoss": ((), {}, [X, signs(3, 4)], ()),
    "MarginRankingLoss": ((), {"margin": 0.3}, [real(4), unit(4), signs(4)], ()),
    "CosineEmbeddingLoss": ((), {}, [X, unit(3, 4), signs(3)], ()),
    "SoftMarginLoss": ((), {}, [X, signs(3, 4)], ()),
    "TripletMarginLoss": ((), {}, [X, unit(3, 4), log_probabilities(3, 4)], ()),
    "TripletMarginWithDistanceLoss": ((), {}, [X, unit(3, 4), log_probabilities(3, 4)], ()),
}
for _name in ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"):
    CASES[_name] = ((), {"reduction": "sum"}, [X, unit(3, 4)], ())

#: Modules that are made without arguments and keep the shape of whatever they are given.
for _name in (
    "ReLU ReLU6 LeakyReLU ELU CELU SELU GELU SiLU Mish Sigmoid LogSigmoid Tanh Tanhshrink Softsign Softplus Softshrink "
    "Hardshrink Hardtanh Hardsigmoid Hardswish Dropout AlphaDropout"
).split():
    CASES[_name] = ((), {}, [X], POINTWISE)

for _kind in ("ZeroPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "CircularPad"):
    _value = (0.5,) if _kind == "ConstantPad" else ()
    CASES[f"{_kind}1d"] = (((1, 2), *_value), {}, [SEQUENCE], (2, 4, 10))
    CASES[f"{_kind}2d"] = (((1, 2, 0, 3), *_value), {}, [IMAGE], (2, 4, 9, 8))
    CASES[f"{_kind}3d"] = ((1, *_value), {}, [VOLUME], (1, 4, 6, 7, 8))

#: Containers have tests of their own.
CONTAINERS = {"Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict"}
CONTAINERS |= {"TransformerEncoder", "TransformerDecoder"}


def classes_of_nn() -> list[str]:
    """The names of all public module classes."""
    found = [name for name, value in vars(nn).items() if isinstance(value, type) and issubclass(value, nn.Module)]
    return sorted(set(found) - CONTAINERS)


def make(name: str, dtype=None) -> tuple:
    """(module, inputs as tensors, shape of the output); float64 inputs and parameters with that dtype."""
    arguments, keywords, inputs, shape = CASES[name]
    st.manual_seed(0)
    module = getattr(nn, name)(*arguments, **keywords)
    if dtype is not None:
        module = module.to(dtype)
    tensors = []
    for function in inputs:
        array = np.asarray(function())
        if array.dtype == np.float64:
            array = array.astype((dtype or st.float32).numpy)
        tensors.append(st.from_numpy(array))
    return module, tensors, shape
