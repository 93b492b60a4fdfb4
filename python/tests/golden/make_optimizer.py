"""Makes optimizer.npz with PyTorch: the parameters after 1, 2, 10 and 100 steps of each case, in float64."""

from pathlib import Path

import numpy as np
import torch
from optimizer_cases import CASES, STEPS, gradient, learning_rate, start

result = {"torch": np.array(torch.__version__)}
for case, (name, options) in CASES.items():
    parameters = [torch.tensor(p, requires_grad=True) for p in start()]
    optimizer = getattr(torch.optim, name)(parameters, **options)
    rate = optimizer.param_groups[0]["lr"]
    for step in range(1, STEPS + 1):
        optimizer.param_groups[0]["lr"] = learning_rate(rate, step)
        for i, p in enumerate(parameters):
            p.grad = torch.tensor(gradient(p.detach().numpy(), i, step))
        optimizer.step()
        if step in (1, 2, 10, STEPS):
            result[f"{case}/{step}"] = np.concatenate([p.detach().numpy().reshape(-1) for p in parameters])
np.savez_compressed(Path(__file__).with_name("optimizer.npz"), **result)
