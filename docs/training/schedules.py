"""Draws schedules.png: the rate of every schedule over 60 steps."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import spinetail as st

STEPS = 60
S = st.optim.lr_scheduler
SCHEDULES = {
    "StepLR(step_size=15, gamma=0.5)": lambda o: S.StepLR(o, 15, 0.5),
    "MultiStepLR([10, 20, 45], gamma=0.5)": lambda o: S.MultiStepLR(o, [10, 20, 45], 0.5),
    "ExponentialLR(gamma=0.95)": lambda o: S.ExponentialLR(o, 0.95),
    "PolynomialLR(50, power=2)": lambda o: S.PolynomialLR(o, 50, 2.0),
    "ConstantLR(0.25, 15)": lambda o: S.ConstantLR(o, 0.25, 15),
    "LinearLR(0.1, 1, 30)": lambda o: S.LinearLR(o, 0.1, 1.0, 30),
    "LambdaLR(1 / (1 + t / 10))": lambda o: S.LambdaLR(o, lambda t: 1 / (1 + t / 10)),
    "MultiplicativeLR(0.8 every third step)": lambda o: S.MultiplicativeLR(o, lambda t: 1.0 if t % 3 else 0.8),
    "CosineAnnealingLR(30)": lambda o: S.CosineAnnealingLR(o, 30),
    "CosineAnnealingWarmRestarts(8, 2)": lambda o: S.CosineAnnealingWarmRestarts(o, 8, 2),
    "WarmupCosine(10, 55)": lambda o: S.WarmupCosine(o, 10, 55),
    "OneCycleLR(1, 60)": lambda o: S.OneCycleLR(o, 1.0, STEPS),
    'CyclicLR(0.1, 1, 8, mode="triangular2")': lambda o: S.CyclicLR(o, 0.1, 1.0, 8, mode="triangular2"),
    "ReduceLROnPlateau(patience=4, factor=0.5)": lambda o: S.ReduceLROnPlateau(o, factor=0.5, patience=4),
    "ChainedScheduler: Constant, Exponential": lambda o: S.ChainedScheduler(
        [S.ConstantLR(o, 0.3, 10), S.ExponentialLR(o, 0.96)]
    ),
    "SequentialLR: Linear, Step": lambda o: S.SequentialLR(
        o, [S.LinearLR(o, 0.1, 1.0, 12), S.StepLR(o, 12, 0.5)], [12]
    ),
    "SWALR(0.3, anneal_epochs=30)": lambda o: st.optim.swa_utils.SWALR(o, 0.3, 30),
}


def trajectory(make) -> tuple[list[float], list[float]]:
    """The rates and momenta of the steps."""
    optimizer = st.optim.SGD([np.zeros(1)], lr=1.0, momentum=0.9)
    schedule = make(optimizer)
    rates, momenta = [], []
    for step in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step([np.zeros(1)])
        if isinstance(schedule, S.ReduceLROnPlateau):
            schedule.step(math.exp(-step / 6) + 0.02 * math.cos(step))
        else:
            schedule.step()
    return rates, momenta


def main() -> None:
    """Draw all of them."""
    figure, axes = plt.subplots(6, 3, figsize=(10, 11), sharex=True, sharey=True, layout="constrained")
    for axis, (name, make) in zip(axes.flat, SCHEDULES.items(), strict=False):
        rates, momenta = trajectory(make)
        axis.plot(rates, color="#1f5f8b", lw=1.5, label="learning rate")
        if len(set(momenta)) > 1:
            axis.plot(momenta, color="#c05a2b", lw=1, ls="--", label="momentum")
        axis.set_title(name, fontsize=8)
        axis.grid(alpha=0.3, lw=0.5)
        axis.tick_params(labelsize=7)
    for axis in axes.flat[len(SCHEDULES) :]:
        axis.axis("off")
    handles, labels = axes.flat[list(SCHEDULES).index("OneCycleLR(1, 60)")].get_legend_handles_labels()
    axes.flat[-1].legend(handles, labels, loc="center", frameon=False)
    figure.supxlabel("step", fontsize=9)
    figure.savefig(Path(__file__).with_name("schedules.png"), dpi=70)


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
