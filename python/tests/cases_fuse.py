"""Models that `fuse` is tested with, and what is asked of the outcome."""

from __future__ import annotations

import numpy as np

import spinetail as st
from spinetail import nn

F = nn.functional
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def ready(model):
    """Evaluation mode, with statistics as after training."""
    rng = np.random.default_rng(0)
    for module in model.modules():
        if isinstance(module, NORMS) and module.running_mean is not None:
            module.running_mean.copy_(st.from_numpy(rng.normal(size=module.num_features) * 0.2))
            module.running_var.copy_(st.from_numpy(rng.uniform(0.5, 2.0, module.num_features)))
    return model.eval()


def same(model, fused, x):
    wanted, found = model(x).detach().numpy(), fused(x).detach().numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


class Ways(nn.Module):
    """Norms that must stay, each for its reason, and one that need not."""

    def __init__(self):
        super().__init__()
        self.read_twice, self.norm_a = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.between, self.norm_b = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.run_twice, self.norm_c, self.norm_d = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.tied, self.norm_e = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.other = nn.Conv2d(3, 3, 1)
        self.other.weight = self.tied.weight
        self.without, self.norm_f = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)
        self.two, self.three, self.norm_g = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.good, self.norm_h = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.hooked, self.norm_i = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.hooked.register_forward_hook(lambda module, inputs, output: output * 2)
        self.last, self.norm_j = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.rows, self.norm_k = nn.Linear(3, 3), nn.BatchNorm1d(3)

    def forward(self, x):
        y = self.read_twice(x)
        x = self.norm_a(y) + y
        x = self.norm_b(F.relu(self.between(x), inplace=True))
        x = self.norm_d(self.run_twice(self.norm_c(self.run_twice(x))))
        x = self.other(self.norm_e(self.tied(x)))
        x = self.norm_f(self.without(x))
        x = self.norm_g(self.two(x)) + self.norm_g(self.three(x))
        x = self.norm_h(self.good(x))
        x = self.norm_i(self.hooked(x))
        y = self.last(x)
        return y, self.norm_j(y), self.norm_k(self.rows(x[0]))
