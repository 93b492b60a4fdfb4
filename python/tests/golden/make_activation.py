"""Makes activation.npz with PyTorch: values and gradients of each case, in float64."""

from pathlib import Path

import numpy as np
import torch
from activation_cases import CASES, GRADIENT, inputs, shaped

result = {"torch": np.array(torch.__version__)}
for name, variants in CASES.items():
    for number, options in enumerate(variants):
        for kind, array in inputs().items():
            x = torch.tensor(shaped(name, array), requires_grad=True)
            y = getattr(torch.nn.functional, name)(x, **options)
            y.backward(torch.tensor(GRADIENT[: y.numel()]))
            result[f"{name}/{number}/{kind}"] = np.stack([y.detach().numpy(), x.grad.numpy()[: y.numel()]])
            if name == "glu":
                result[f"{name}/{number}/{kind}/rest"] = x.grad.numpy()[y.numel() :]
np.savez_compressed(Path(__file__).with_name("activation.npz"), **result)
