"""ResNet-50's inference beside PyTorch in both layouts, with folded norms and compiled, onnxruntime and JAX."""

from __future__ import annotations

import numpy as np

from .. import errors, programs, resnet
from ..case import Case, Family


def ours(prepare: bool):
    """The program for us: norms folded, and with `prepare` also the weights prepared and sums and maxima joined."""

    def program(st, x):
        model = st.models.resnet50()
        model.load_state_dict({name: st.from_numpy(value) for name, value in resnet.weights().items()}, strict=False)
        x = st.from_numpy(x)
        model = st.compress.restructure.fuse(model.eval(), x, prepare=prepare)

        def run():
            return model(x)

        run.context = st.inference_mode
        return run

    return program


def pytorchs(layout: str = "contiguous_format", fold: bool = False, compiled: bool = False):
    """The program for PyTorch, which writes sums and rectified values into their inputs, as torchvision does."""

    def program(torch, x):
        F = torch.nn.functional
        form = getattr(torch, layout)
        values = {name: np.asarray(v, np.float32) for name, v in resnet.folded().items()} if fold else resnet.weights()

        class Words(torch.nn.Module):
            def __init__(self):
                super().__init__()
                for name, value in values.items():
                    tensor = torch.from_numpy(value)
                    tensor = tensor.contiguous(memory_format=form) if tensor.ndim == 4 else tensor
                    self.register_buffer(name.replace(".", "_"), tensor)

            def get(self, name):
                return getattr(self, name.replace(".", "_"), None)

            def conv(self, x, name, norm, stride=1):
                w = self.get(f"{name}.weight")
                y = F.conv2d(x, w, self.get(f"{name}.bias"), stride, w.shape[-1] // 2)
                if fold:
                    return y
                mean, variance = self.get(f"{norm}.running_mean"), self.get(f"{norm}.running_var")
                return F.batch_norm(
                    y, mean, variance, self.get(f"{norm}.weight"), self.get(f"{norm}.bias"), eps=resnet.EPS
                )

            def relu(self, x):
                return F.relu_(x)

            def add(self, x, y):
                return x.add_(y)

            def pool(self, x):
                return F.max_pool2d(x, 3, 2, 1)

            def head(self, x):
                return F.linear(F.adaptive_avg_pool2d(x, 1).flatten(1), self.fc_weight, self.fc_bias)

            def forward(self, x):
                return resnet.network(self, x)

        model, x = Words().eval(), torch.from_numpy(x).contiguous(memory_format=form)
        if compiled:
            import torch._inductor.config

            torch._inductor.config.freezing = True
            model = torch.compile(model)

        def run():
            return model(x)

        run.context = torch.no_grad if compiled else torch.inference_mode  # freezing asks for no_grad
        return run

    return program


def onnx(runtime, x):
    """A graph of the folded network."""
    from onnx import helper, numpy_helper

    values = {name: value.astype(np.float32) for name, value in resnet.folded().items()}
    nodes = []

    def node(operator, *inputs, **attributes):
        name = f"y{len(nodes)}"
        nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    class Words:
        def conv(self, x, name, norm, stride=1):
            k = values[f"{name}.weight"].shape[-1]
            sizes = {"kernel_shape": [k, k], "pads": [k // 2] * 4, "strides": [stride] * 2}
            return node("Conv", x, f"{name}.weight", f"{name}.bias", **sizes)

        def relu(self, x):
            return node("Relu", x)

        def add(self, x, y):
            return node("Add", x, y)

        def pool(self, x):
            return node("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2])

        def head(self, x):
            return node("Gemm", node("Flatten", node("GlobalAveragePool", x)), "fc.weight", "fc.bias", transB=1)

    last = resnet.network(Words(), "x")
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        nodes,
        "resnet50",
        [helper.make_tensor_value_info("x", kind, x.shape)],
        [helper.make_tensor_value_info(last, kind, None)],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    session = programs.session(runtime, graph)
    return lambda: session.run(None, {"x": x})[0]


def jax_words(jax, x):
    values = {name: value.astype(np.float32) for name, value in resnet.folded().items()}

    class Words:
        def conv(self, x, name, norm, stride=1):
            w, b = values[f"{name}.weight"], values[f"{name}.bias"]
            sides = [(w.shape[-1] // 2,) * 2] * 2
            return jax.lax.conv_general_dilated(x, w, (stride, stride), sides) + b[:, None, None]

        def relu(self, x):
            return jax.numpy.maximum(x, 0)

        def add(self, x, y):
            return x + y

        def pool(self, x):
            sides = ((0, 0), (0, 0), (1, 1), (1, 1))
            return jax.lax.reduce_window(x, -np.inf, jax.lax.max, (1, 1, 3, 3), (1, 1, 2, 2), sides)

        def head(self, x):
            return x.mean((2, 3)) @ values["fc.weight"].T + values["fc.bias"]

    return resnet.network(Words(), x)


#: PyTorch's ways beside the plain one.
KINDS = {
    "channels-last": {"layout": "channels_last"},
    "folded": {"fold": True},
    "folded channels-last": {"layout": "channels_last", "fold": True},
    "compiled": {"fold": True, "compiled": True},
}


def case(size: int, group: str, quick: bool = False) -> Case:
    def inputs() -> tuple:
        return (np.random.default_rng(0).standard_normal((1, 3, size, size), dtype=np.float32),)

    def error(output: np.ndarray, x: np.ndarray) -> float:
        return errors.relative(output, resnet.exact(x[0]))

    own = {
        "spinetail": ours(prepare=True),
        "spinetail folded": ours(prepare=False),
        "torch": pytorchs(),
        **{f"torch {kind}": pytorchs(**options) for kind, options in KINDS.items()},
        "onnxruntime": onnx,
        "jax": programs.jax_program(jax_words),
    }
    flops = 8.18e9 * (size / 224) ** 2
    name = f"ResNet-50, one image of {size}×{size}"
    return Case(name, inputs, own, error, flops=flops, bytes=102e6, group=group, quick=quick)


FAMILY = Family(
    "Whole networks",
    [case(224, "resnet50"), case(64, "small resnet50", quick=True)],
    error="of the scores, relative to the largest",
    bound=1e-5,
    rivals=("torch", *(f"torch {kind}" for kind in KINDS), "onnxruntime", "jax"),
    note="One seeded set of weights. spinetail is `fuse(model, x, prepare=True)`: norms folded, as for onnxruntime and "
    "JAX, weights prepared once, sums and ReLU joined to the convolutions, and images with channels last inside; "
    "spinetail folded is without `prepare`, channels first.",
)
