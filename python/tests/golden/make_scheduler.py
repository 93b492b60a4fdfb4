"""Makes scheduler.npz with PyTorch: the rates of both groups after each epoch."""

from pathlib import Path

import numpy as np
import torch
from scheduler_cases import CASES, EPOCHS, PLATEAU, RATES, value


def optimizer():
    return torch.optim.SGD([{"params": [torch.zeros(1)], "lr": rate} for rate in RATES])


result = {"torch": np.array(torch.__version__)}
for case, (name, options) in CASES.items():
    o = optimizer()
    s = getattr(torch.optim.lr_scheduler, name)(o, **options)
    rates = [s.get_last_lr()]
    for _ in range(EPOCHS):
        o.step()
        s.step()
        rates.append(s.get_last_lr())
    result[case] = np.array(rates, float)
for case, options in PLATEAU.items():
    o = optimizer()
    s = torch.optim.lr_scheduler.ReduceLROnPlateau(o, **options)
    rates = []
    for epoch in range(EPOCHS):
        s.step(value(epoch))
        rates.append([g["lr"] for g in o.param_groups])
    result[f"plateau_{case}"] = np.array(rates, float)
o = optimizer()
first = torch.optim.lr_scheduler.LinearLR(o)
second = torch.optim.lr_scheduler.ExponentialLR(o, 0.9)
rates = []
for _ in range(EPOCHS):
    o.step()
    first.step()
    second.step()
    rates.append([g["lr"] for g in o.param_groups])
result["chained"] = np.array(rates, float)
np.savez_compressed(Path(__file__).with_name("scheduler.npz"), **result)
