"""Makes normalization.npz with PyTorch in float64: outputs, gradients and running statistics of each case."""

from pathlib import Path

import numpy as np
import torch
from normalization_cases import CASES, arrays

result = {"torch": np.array(torch.__version__)}
for case, (name, _, options, _) in CASES.items():
    x, values, grad = arrays(case)
    x = torch.tensor(x, requires_grad=True)
    values = {
        n: None if v is None else torch.tensor(v, requires_grad=n in ("weight", "bias")) for n, v in values.items()
    }
    y = getattr(torch.nn.functional, name)(x, **values, **options)
    y.backward(torch.tensor(grad))
    result[f"{case}/output"] = y.detach().numpy()
    result[f"{case}/input"] = x.grad.numpy()
    for n, v in values.items():
        if v is not None:
            result[f"{case}/{n}"] = (v.grad if v.requires_grad else v).numpy()
np.savez_compressed(Path(__file__).with_name("normalization.npz"), **result)
