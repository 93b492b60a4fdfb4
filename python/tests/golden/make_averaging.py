"""Makes averaging.npz with PyTorch: averaged weights, statistics of batch norms, rates of SWALR."""

from pathlib import Path

import numpy as np
import torch
from averaging_cases import CASES, RATES, UPDATES, batches, net, values

A = torch.optim.swa_utils
result = {"torch": np.array(torch.__version__)}


def update(model, step):
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter.copy_(torch.from_numpy(values(parameter.shape, i, step)))
    model.train()
    model(torch.from_numpy(batches()[step % 3]))


def flat(model):
    return np.concatenate([np.ravel(value.numpy()).astype(float) for value in model.state_dict().values()])


for case, options in CASES.items():
    model = net(torch.nn).double()
    update(model, 0)
    averaged = A.AveragedModel(model, **options(A))
    for step in range(1, UPDATES):
        update(model, step)
        averaged.update_parameters(model)
    result[case] = flat(averaged)
    averaged.eval()
    A.update_bn([torch.from_numpy(x) for x in batches()], averaged)
    result[f"{case}_norm"] = flat(averaged)
for case, options in RATES.items():
    o = torch.optim.SGD([{"params": [torch.zeros(1)], "lr": rate} for rate in (0.5, 2.0)])
    s = A.SWALR(o, **options)
    rows = [s.get_last_lr()]
    for _ in range(12):
        o.step()
        s.step()
        rows.append(s.get_last_lr())
    result[f"rate_{case}"] = np.array(rows)
np.savez_compressed(Path(__file__).with_name("averaging.npz"), **result)
