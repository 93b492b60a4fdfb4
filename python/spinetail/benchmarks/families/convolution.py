"""Convolutions of known networks: forward layer by layer, 3×3, depthwise, small ones, with their gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import errors, programs
from ..case import Case, Family

FILTERS = 4  #: of the first image, whose error is looked at


@dataclass(frozen=True)
class Layer:
    """A square convolution of square images, with padding that keeps their size (up to the stride) if not given."""

    channels: int
    filters: int
    size: int
    kernel: int = 3
    stride: int = 1
    groups: int = 1
    padding: int | None = None

    @property
    def margin(self) -> int:
        return self.kernel // 2 if self.padding is None else self.padding

    @property
    def output(self) -> int:
        return (self.size + 2 * self.margin - self.kernel) // self.stride + 1

    @property
    def name(self) -> str:
        step = f"/{self.stride}" if self.stride > 1 else ""
        return f"{self.kernel}×{self.kernel}{step} {self.channels}→{self.filters} {self.size}²"


def torch_function(layer: Layer):
    options = {"stride": layer.stride, "padding": layer.margin, "groups": layer.groups}
    return lambda torch, x, w: torch.nn.functional.conv2d(x, w, None, **options)


def jax_function(layer: Layer):
    def function(jax, x, w):
        sides = [(layer.margin, layer.margin)] * 2
        stride = (layer.stride, layer.stride)
        return jax.lax.conv_general_dilated(x, w, stride, sides, feature_group_count=layer.groups)

    return function


def prepared(layer: Layer):
    """Ours with weights prepared once, for images with channels last."""

    def program(st, x, w):
        sizes = (layer.channels, layer.filters, layer.kernel, layer.stride, layer.margin)
        conv = st.nn.fused.Conv2d(*sizes, groups=layer.groups, bias=False).eval()
        conv.load_state_dict({"weight": w})
        x = st.from_numpy(programs.turned(x))

        def run():
            return conv(x)

        run.context = st.inference_mode
        return run

    return program


def exact(layer: Layer, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The first image's first filters in float64."""
    m, s, n = layer.margin, layer.stride, layer.output
    w = w[:FILTERS].astype(np.float64)
    x = np.pad(x[0, : w.shape[1] * (FILTERS if layer.groups > 1 else 1)].astype(np.float64), ((0, 0), (m, m), (m, m)))
    y = np.zeros((len(w), n, n))
    for i in range(layer.kernel):
        for j in range(layer.kernel):
            seen = x[:, i : i + s * (n - 1) + 1 : s, j : j + s * (n - 1) + 1 : s]
            if layer.groups > 1:  # depthwise: a filter for each channel
                y += w[:, 0, i, j, None, None] * seen
            else:
                y += np.tensordot(w[:, :, i, j], seen, 1)
    return y


def case(
    layer: Layer, batch: int, group: str, train: bool = False, quick: bool = False, prefix: str = "", last: bool = False
) -> Case:
    """Inference, or with `train` gradients. With `last` our weights are not prepared, only the layout is the best."""

    def inputs() -> tuple:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((batch, layer.channels, layer.size, layer.size), dtype=np.float32)
        w = rng.standard_normal(
            (layer.filters, layer.channels // layer.groups, layer.kernel, layer.kernel), dtype=np.float32
        )
        if not train:
            return x, w
        return x, w, rng.standard_normal((batch, layer.filters, layer.output, layer.output), dtype=np.float32)

    def error(output: np.ndarray, x: np.ndarray, w: np.ndarray, d: np.ndarray | None = None) -> float:
        if d is None:
            return errors.relative(output[0, :FILTERS], exact(layer, x, w))
        return errors.relative(output[0, :1], input_gradient(layer, w, d)[:1])

    if train:
        same = programs.gradients(torch_function(layer), 2)
        own = {"spinetail": same, "torch": same, "torch channels-last": programs.channels_last(same)}
        own["jax"] = programs.jax_gradient(jax_function(layer), 2)
    else:
        same = programs.forward(torch_function(layer))
        turned = programs.channels_last(same)
        own = {"spinetail": turned} if last else {"spinetail": prepared(layer), "spinetail unprepared": same}
        if (layer.groups > 1 or group == "conv small") and not last:  # planes by themselves are the better layout here
            own = {"spinetail": same, "spinetail prepared": prepared(layer)}
        own.update({"torch": same, "torch channels-last": turned})
        pads, stride = [layer.margin] * 4, [layer.stride] * 2
        own["onnxruntime"] = programs.onnx_program(
            "Conv", constants=1, kernel_shape=[layer.kernel] * 2, pads=pads, strides=stride, group=layer.groups
        )
        own["jax"] = programs.jax_program(jax_function(layer))
    reads = batch * layer.channels * layer.size**2
    writes = batch * layer.filters * layer.output**2
    weights = layer.filters * layer.channels // layer.groups * layer.kernel**2
    flops = 2.0 * writes * weights / layer.filters * (3 if train else 1)
    moved = 4.0 * (reads + writes + weights) * (3 if train else 1)
    title = f"{prefix}{layer.name}, batch {batch}" + (" train" if train else "")
    return Case(title, inputs, own, error, flops=flops, bytes=moved, group=group, quick=quick)


def input_gradient(layer: Layer, w: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The first image's, for the first channel alone."""
    m, s, n = layer.margin, layer.stride, layer.output
    w, d = w[:, :1].astype(np.float64), d[0].astype(np.float64)
    if layer.groups > 1:
        w, d = w[:1], d[:1]
    whole = np.zeros((1, layer.size + 2 * m, layer.size + 2 * m))
    for i in range(layer.kernel):
        for j in range(layer.kernel):
            part = np.tensordot(w[:, :, i, j], d, (0, 0))
            whole[:, i : i + s * (n - 1) + 1 : s, j : j + s * (n - 1) + 1 : s] += part
    return whole[:, m : m + layer.size, m : m + layer.size]


def bottlenecks() -> list[Layer]:
    """ResNet-50's convolutions, each shape once."""
    layers = [Layer(3, 64, 224, 7, 2), Layer(64, 64, 56, 1), Layer(64, 64, 56), Layer(64, 256, 56, 1)]
    layers += [Layer(256, 64, 56, 1)]
    for width, size in ((128, 56), (256, 28), (512, 14)):
        half = size // 2
        layers += [Layer(2 * width, width, size, 1), Layer(width, width, size, 3, 2), Layer(width, 4 * width, half, 1)]
        layers += [Layer(2 * width, 4 * width, size, 1, 2), Layer(4 * width, width, half, 1), Layer(width, width, half)]
    return layers


def basics(size: int) -> list[Layer]:
    """ResNet-18's convolutions, for images of 224 or, with the small stem, of 32."""
    layers = [Layer(3, 64, 224, 7, 2)] if size == 224 else [Layer(3, 64, size)]
    size = 56 if size == 224 else size
    layers += [Layer(64, 64, size)]
    for width in (128, 256, 512):
        layers += [Layer(width // 2, width, size, 3, 2), Layer(width // 2, width, size, 1, 2)]
        size //= 2
        layers += [Layer(width, width, size)]
    return layers


RESNET50 = bottlenecks()
SQUARE = [layer for layer in RESNET50 if layer.kernel == 3 and layer.stride == 1]
VGG = [Layer(64, 64, 224), Layer(64, 128, 112), Layer(256, 256, 56), Layer(512, 512, 28)]
DEPTHWISE = [
    Layer(c, c, n, 3, s, groups=c)
    for c, n, s in (
        (32, 112, 1),
        (96, 112, 2),
        (144, 56, 1),
        (144, 56, 2),
        (192, 28, 1),
        (192, 28, 2),
        (384, 14, 1),
        (576, 14, 2),
        (960, 7, 1),
    )
]
SMALL = [
    Layer(1, 6, 28, 5),
    Layer(6, 16, 14, 5, padding=0),
    Layer(1, 32, 28),
    Layer(1, 16, 8),
    Layer(16, 32, 8),
]

#: 1×1, 3×3 with stride 1 and 2, the first layer, depthwise.
LAST = [
    Layer(256, 64, 56, 1),
    Layer(64, 64, 56),
    Layer(256, 256, 14),
    Layer(128, 128, 56, 3, 2),
    Layer(3, 64, 224, 7, 2),
    Layer(144, 144, 56, groups=144),
    Layer(144, 144, 56, 3, 2, groups=144),
]

FAMILY = Family(
    "Convolution",
    [
        *(case(x, b, "conv resnet50", quick=x.size == 28 and b == 1) for b in (1, 16) for x in RESNET50),
        *(case(x, b, "conv 3×3", prefix="square ", quick=x.size == 56) for b in (1, 16) for x in SQUARE),
        *(case(x, 1, "conv 3×3", prefix="VGG ") for x in VGG),
        *(case(x, b, "conv depthwise", prefix="depthwise ", quick=x.size == 56) for b in (1, 16) for x in DEPTHWISE),
        *(case(x, b, "conv small", prefix="small ", quick=x.size == 8) for b in (1, 16) for x in SMALL),
        *(case(x, b, "conv channels-last", prefix="channels-last ", last=True) for b in (1, 16) for x in LAST),
        *(
            case(x, b, "conv train", train=True, quick=x.size == 8)
            for b in (1, 16)
            for size in (32, 224)
            for x in basics(size)
        ),
    ],
    error="of the first image's first four filters, relative to the largest; with gradients, the input's gradient",
    bound=1e-5,
    rivals=("torch", "torch channels-last", "onnxruntime", "jax"),
    note="Forward passes are inference: spinetail is `nn.fused.Conv2d`, weights prepared once, with channels last, as "
    "onnxruntime prepares its constants; spinetail unprepared is `conv2d` with channels first. Depthwise, small and "
    "with gradients spinetail is `conv2d` with channels first, in the group channels-last `conv2d` with channels last. "
    "JAX has channels first.",
)
