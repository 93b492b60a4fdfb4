"""ResNet-50 in words that each library says in its own way, its weights, and its float64 reference in NumPy."""

from __future__ import annotations

from zlib import crc32

import numpy as np

EPS = 1e-5


def network(do, x):
    """The network in the words of `do`: conv (with its norm, named by the pair), relu, add, pool, head."""
    x = do.pool(do.relu(do.conv(x, "conv1", "bn1", 2)))
    for group, count in enumerate((3, 4, 6, 3), 1):
        for i in range(count):
            block, stride = f"layer{group}.{i}", 2 if i == 0 and group > 1 else 1
            y = do.relu(do.conv(x, f"{block}.conv1", f"{block}.bn1"))
            y = do.relu(do.conv(y, f"{block}.conv2", f"{block}.bn2", stride))
            y = do.conv(y, f"{block}.conv3", f"{block}.bn3")
            if i == 0:
                x = do.conv(x, f"{block}.downsample.0", f"{block}.downsample.1", stride)
            x = do.relu(do.add(y, x))
    return do.head(x)


def shapes() -> dict[str, tuple[int, ...]]:
    """Of all weights, by torchvision's names."""
    found: dict[str, tuple[int, ...]] = {}

    def conv(name: str, norm: str, outputs: int, inputs: int, kernel: int) -> None:
        found[f"{name}.weight"] = (outputs, inputs, kernel, kernel)
        found.update({f"{norm}.{kind}": (outputs,) for kind in ("weight", "bias", "running_mean", "running_var")})

    conv("conv1", "bn1", 64, 3, 7)
    channels = 64
    for group, count in enumerate((3, 4, 6, 3), 1):
        width = 32 << group
        for i in range(count):
            block = f"layer{group}.{i}"
            conv(f"{block}.conv1", f"{block}.bn1", width, channels, 1)
            conv(f"{block}.conv2", f"{block}.bn2", width, width, 3)
            conv(f"{block}.conv3", f"{block}.bn3", 4 * width, width, 1)
            if i == 0:
                conv(f"{block}.downsample.0", f"{block}.downsample.1", 4 * width, channels, 1)
            channels = 4 * width
    return found | {"fc.weight": (1000, 2048), "fc.bias": (1000,)}


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Drawn from the name, so that all libraries have the same."""
    random = np.random.default_rng(crc32(name.encode()))
    if len(shape) > 1:
        return random.standard_normal(shape, dtype=np.float32) * np.float32((2 / np.prod(shape[1:])) ** 0.5)
    if name.endswith(("bias", "mean")):
        return random.standard_normal(shape, dtype=np.float32) * np.float32(0.1)
    return random.uniform(0.5, 1.0, shape).astype(np.float32)


def weights() -> dict[str, np.ndarray]:
    return {name: weight(name, shape) for name, shape in shapes().items()}


def folded() -> dict[str, np.ndarray]:
    """Weights and biases of the convolutions with their norms folded in, in float64; and the head's."""
    w, found = weights(), {}
    for name in [name.removesuffix(".weight") for name, value in w.items() if value.ndim == 4]:
        head, _, last = name.rpartition(".")
        norm = f"{head}.1" if last == "0" else f"{head}.bn{last[-1]}".lstrip(".")
        mean, variance = (w[f"{norm}.running_{kind}"].astype(np.float64) for kind in ("mean", "var"))
        scale = w[f"{norm}.weight"] / np.sqrt(variance + EPS)
        found[f"{name}.weight"] = w[f"{name}.weight"] * scale[:, None, None, None]
        found[f"{name}.bias"] = w[f"{norm}.bias"] - mean * scale
    return found | {name: w[name].astype(np.float64) for name in ("fc.weight", "fc.bias")}


class Plain:
    """NumPy's words, in float64, for one image (C, H, W)."""

    def __init__(self) -> None:
        self.w = folded()

    def conv(self, x, name, norm, stride=1):
        w = self.w[f"{name}.weight"]
        k = w.shape[-1]
        n = (x.shape[-1] - 1) // stride + 1
        x = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
        y = np.zeros((len(w), n * n))
        for i in range(k):
            for j in range(k):
                seen = x[:, i : i + stride * (n - 1) + 1 : stride, j : j + stride * (n - 1) + 1 : stride]
                y += w[:, :, i, j] @ seen.reshape(len(x), -1)
        return y.reshape(-1, n, n) + self.w[f"{name}.bias"][:, None, None]

    def relu(self, x):
        return np.maximum(x, 0)

    def add(self, x, y):
        return x + y

    def pool(self, x):
        x, n = np.pad(x, ((0, 0), (1, 1), (1, 1))), (x.shape[-1] - 1) // 2 + 1  # zeros: what enters is not negative
        parts = [x[:, i : i + 2 * n - 1 : 2, j : j + 2 * n - 1 : 2] for i in range(3) for j in range(3)]
        return np.max(parts, axis=0)

    def head(self, x):
        return (self.w["fc.weight"] @ x.mean((1, 2)) + self.w["fc.bias"])[None]


def exact(x: np.ndarray) -> np.ndarray:
    """The scores of one image (C, H, W)."""
    scores: np.ndarray = network(Plain(), x.astype(np.float64))
    return scores
