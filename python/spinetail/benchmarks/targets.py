"""What the ratios are to be: the best peer's time over ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """At least so much, as a geometric mean over a group of cases and for the worst of them."""

    title: str
    geomean: float
    worst: float | None = None


TARGETS = {
    "gemm": Target("large and model-shaped matrix products", 1.0, 0.9),
    "small gemm": Target("small, skinny and batched matrix products, one row, MNIST-sized layers", 1.5, 1.0),
    "pointwise": Target("softmax, log-softmax, cross-entropy, norms, GELU, SiLU, tanh", 1.3, 1.0),
    "half": Target("bfloat16 products against our own float32", 1.6, 1.3),
    "attention forward": Target("attention without a mask: BERT, ViT, Stable Diffusion", 1.2, 1.0),
    "attention causal": Target("causal attention: GPT-2 and Llama, 128 to 4096 long", 1.7, 1.15),
    "attention train": Target("causal attention, forward and backward", 2.0, 1.4),
    "attention decode": Target("attention of one query to a cache of 512 to 8192 keys", 1.2, 1.0),
    "step 1": Target("a training step at batch 1", 12.0),
    "step 64": Target("a training step at batch 64", 1.5),
    "gpt step": Target("a training step of a GPT of 4 layers", 1.4),
    "conv resnet50": Target("convolutions of ResNet-50", 1.2, 0.95),
    "conv 3×3": Target("3×3 convolutions with stride 1 and at least 64 channels", 1.5, 1.2),
    "conv depthwise": Target("depthwise convolutions of MobileNetV2", 1.3, 1.0),
    "conv small": Target("convolutions of small images and few channels", 1.5, 1.0),
    "conv train": Target("convolutions of ResNet-18, forward and backward", 1.1, 0.9),
    "pooling": Target("pooling and interpolation, forward and backward", 1.3, 1.0),
    "cnn step": Target("a training step of the small CNN, batch 64", 1.5),
    "transforms": Target("crop, flip and normalise a batch of images", 2.0, 2.0),
    "resnet50": Target("ResNet-50, one image of 224×224", 1.15),
    "optimizers large": Target("steps of 24 × 1M parameters, against PyTorch's best", 1.05, 1.05),
    "optimizers large default": Target("steps of 24 × 1M parameters, against PyTorch's default", 2.5, 2.5),
    "optimizers BERT": Target("steps of BERT's 200 tensors, against PyTorch's best", 1.1, 1.1),
    "optimizers BERT default": Target("steps of BERT's 200 tensors, against PyTorch's default", 2.5, 2.5),
    "optimizers small": Target("steps of LeNet's 10 tensors and of 1000 tensors of 64", 5.0, 5.0),
    "optimizers clipping": Target("Adam with clipping by the global norm", 1.5, 1.5),
    "threads": Target("more threads against one", 1.85, 1.85),
}


def verdict(line: Mapping[str, Any]) -> str:
    """ "met" or what missed, for one line of a summary; nothing where there is no target."""
    target = TARGETS.get(line["group"])
    if target is None:
        return ""
    missed = []
    if line["geomean"] < target.geomean:
        missed.append(f"geomean < {target.geomean:g}")
    if target.worst is not None and line["worst"] < target.worst:
        missed.append(f"worst < {target.worst:g}")
    return f"missed: {', '.join(missed)}" if missed else "met"
