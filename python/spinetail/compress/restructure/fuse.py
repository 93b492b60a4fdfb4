"""Batch norms folded into the layers in front of them, and convolutions prepared for inference."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from ... import nn
from ...evaluate.running import arguments
from ...nn import Module
from ...nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval
from .pairs import CONVOLUTIONS, Uses, followed, neighbours, plain, put
from .prepare import prepare as _prepare

__all__ = ["fuse"]

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fuse(model: Module, example: Any = None, prepare: bool = False) -> Module:
    """A new model in which each batch norm is folded into the convolution or linear layer in front; `model` is kept.

    weight · s and (bias - mean) · s + shift, s = scale / √(variance + eps), take the place of the layer's weight and
    bias, and `nn.Identity` that of the norm, so that all other paths stay. The results are the same up to rounding.

    With an `example` (an input, or a tuple of them) the model runs once, and pairs are read from the recorded graph: a
    norm of what a layer put out, and that nothing else reads. Without one they are the neighbours in each
    `nn.Sequential`. Norms without running statistics, layers and norms that are used twice, and layers with hooks or
    shared weights are left alone.

    With `prepare` the new model is for inference alone: `nn.fused` layers, whose weights are prepared once and do not
    require gradients, take the places of `nn.Conv1d`, `Conv2d` and `Conv3d`, under the same paths and keys of the
    state. An activation that alone reads a convolution, found as the norms are, becomes part of it, and `nn.Identity`
    takes its place. From the first convolution on, images have their channels next to each other (channels last). Then
    every module with a method `to_fused()`, parts before wholes, is asked for what takes its place, often itself with
    changes: so a block of one's own can give its last convolution the residual, the second argument of the layer's
    call, as the blocks of `models.resnet50` and `models.mobilenet_v2` do. Modules with hooks are not asked. Without
    `prepare` the new model can still be trained.

    Raises: ValueError for a model, or a part of one, in training mode: its norms would go on with each batch's values.
    Source: Jacob et al., Quantization and training of neural networks (2017), section 3.2, for the formula.

    >>> import spinetail as st
    >>> model = st.nn.Sequential(st.nn.Conv2d(3, 8, 3, bias=False), st.nn.BatchNorm2d(8), st.nn.ReLU()).eval()
    >>> fused = st.compress.restructure.fuse(model)
    >>> x = st.randn(1, 3, 6, 6)
    >>> fused[1], st.allclose(fused(x), model(x), atol=1e-5)
    (Identity(), True)
    >>> st.compress.restructure.fuse(model, prepare=True)
    Sequential(
      (0): FusedConv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), activation=relu)
      (1): Identity()
      (2): Identity()
    )
    """
    if not isinstance(model, Module):
        raise TypeError(f"[fuse] expected a Module, but got {type(model).__name__}")
    for path, module in model.named_modules():
        if module.training:
            where = f"its module {path!r} is" if path else "it is"
            raise ValueError(f"[fuse] expected a model in evaluation mode, but {where} training: call model.eval()")
    fused, inputs = deepcopy(model), None if example is None else arguments("fuse", example)
    uses = Uses(fused)
    for layer, norm in neighbours(fused) if inputs is None else followed(fused, inputs, ("batch_norm",)):
        if uses.once(layer, norm) and uses.own(layer) and _fit(layer, norm):
            _fold(fused, layer, norm)
    return _prepare(fused, inputs) if prepare else fused


def _fit(layer: Any, norm: Any) -> bool:
    """Whether the layer can take the norm into itself."""
    if not (isinstance(norm, NORMS) and plain(norm) and norm.running_mean is not None and plain(layer)):
        return False
    if isinstance(layer, CONVOLUTIONS):
        return layer.out_channels == norm.num_features and layer.rank + 2 in norm.ranks
    return isinstance(layer, nn.Linear) and layer.out_features == norm.num_features and 2 in norm.ranks


def _fold(model: Module, layer: Any, norm: Any) -> None:
    if isinstance(layer, nn.Linear):
        fused = fuse_linear_bn_eval(layer, norm)
    else:
        fused = fuse_conv_bn_eval(layer, norm, layer.transposed)
    put(model, {id(layer): fused, id(norm): nn.Identity().eval()})
