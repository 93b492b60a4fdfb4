"""Makes scheduler.npz with PyTorch: the rates of both groups after each epoch, and momenta where they change."""

from pathlib import Path

import numpy as np
import torch
from scheduler_cases import (
    CASES,
    COMPOSED,
    CYCLES,
    EPOCHS,
    PLATEAU,
    RATES,
    RESUME_AT,
    RESUMED,
    WARMUP,
    value,
)

S = torch.optim.lr_scheduler


def optimizer(name="SGD"):
    return getattr(torch.optim, name)([{"params": [torch.zeros(1)], "lr": rate} for rate in RATES], lr=0.1)


def run(o, s):
    rows = []
    for epoch in range(EPOCHS + 1):
        if epoch:
            o.step()
            s.step()
        momenta = [g["betas"][0] if "betas" in g else g["momentum"] for g in o.param_groups]
        rows.append([*s.get_last_lr(), *momenta])
    return np.array(rows, float)


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
for case, (kind, name, options) in CYCLES.items():
    o = optimizer(kind)
    result[case] = run(o, getattr(S, name)(o, **options))
for case, make in COMPOSED.items():
    o = optimizer()
    result[case] = run(o, make(S, o))[:, :2]
for case in RESUMED:
    name, options = CASES[case]
    for last in RESUME_AT:
        o = optimizer()
        for group, rate in zip(o.param_groups, (0.25, 0.75), strict=True):
            group["initial_lr"] = rate
        result[f"resumed_{case}_{last}"] = run(o, getattr(S, name)(o, last_epoch=last, **options))[:9, :2]
for case in ("restarts", "restarts_longer"):
    o = optimizer()
    s = S.CosineAnnealingWarmRestarts(o, **CASES[case][1])
    rates = []
    for i in range(40):
        s.step(i * 0.6)
        rates.append(s.get_last_lr())
    s.step()
    result[f"fractions_{case}"] = np.array([*rates, s.get_last_lr()])
o = optimizer()
warm, total = WARMUP["warmup_iters"], WARMUP["total_iters"]
parts = [
    S.LinearLR(o, WARMUP["start_factor"], total_iters=warm),
    S.CosineAnnealingLR(o, total - warm, WARMUP["eta_min"]),
]
result["warmup"] = run(o, S.SequentialLR(o, parts, [warm]))[: total + 1, :2]
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
