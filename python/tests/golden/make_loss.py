"""Makes loss.npz with PyTorch: value and gradients of each case, in float64."""

import warnings
from pathlib import Path

import numpy as np
import torch
from loss_cases import CASES, incoming

warnings.simplefilter("ignore")
values = []
for function, arrays, options, gradients in CASES:
    tensors = [torch.tensor(a, requires_grad=i in gradients) for i, a in enumerate(arrays)]
    options = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    value = getattr(torch.nn.functional, function)(*tensors, **options)
    value.backward(torch.tensor(incoming(tuple(value.shape))))
    values += [value.detach().numpy(), *(tensors[i].grad.numpy() for i in gradients)]
np.savez_compressed(
    Path(__file__).with_name("loss.npz"),
    torch=np.array(torch.__version__),
    flat=np.concatenate([v.reshape(-1) for v in values]),
    shapes=np.array([str(v.shape) for v in values]),
)
