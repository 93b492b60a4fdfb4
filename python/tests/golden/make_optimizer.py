"""Makes optimizer.npz with PyTorch: the parameters after 1, 2, 10 and 100 steps of each case, in float64."""

from pathlib import Path

import numpy as np
import torch
from optimizer_cases import CASES, LBFGS, STEPS, gradient, learning_rate, rosenbrock, start

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
for case, (options, calls) in LBFGS.items():
    x = torch.tensor([-1.2, 1.0, -0.5, 0.8, 1.5, 0.1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([x], **options)
    path = []

    def closure(x=x, optimizer=optimizer):
        optimizer.zero_grad()
        loss = rosenbrock(x)
        loss.backward()
        return loss

    for _ in range(calls):
        optimizer.step(closure)
        path.append(np.append(x.detach().numpy(), optimizer.state[x]["func_evals"]))
    result[case] = np.array(path)
np.savez_compressed(Path(__file__).with_name("optimizer.npz"), **result)
