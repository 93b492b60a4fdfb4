"""Makes torch_zip.pt, torch_legacy.pt and torch_untyped.pt. Run with PyTorch.

They are what torch.save writes, now and before version 1.6, and with a younger protocol and a dtype without a storage.
"""

from __future__ import annotations

import os
from collections import Counter, OrderedDict

import torch


def contents() -> dict:
    """Tensors of every dtype and layout that can be read, a model, an optimizer and plain values."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.arange(12.0).reshape(4, 3)).square().sum().backward()
        optimizer.step()
    names = "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()
    base = torch.arange(24.0).reshape(2, 3, 4)
    return {
        "model": model.state_dict(),
        "output": model.eval()(torch.arange(12.0).reshape(4, 3)).detach(),
        "optimizer": optimizer.state_dict(),
        "dtypes": {name: (torch.arange(6) % 3).to(getattr(torch, name)) for name in names},
        "layouts": [
            base,
            base.mT,
            base[1, ::2, 1:],
            base[:0],
            base[0, 0, 0],
            torch.ones(1).expand(2, 3),
            base.flatten(),
        ],
        "parameter": torch.nn.Parameter(torch.tensor([1.5, -2.0])),
        "values": (
            1,
            -2,
            2**40,
            2.5,
            "text",
            "ünïcødé",
            None,
            True,
            False,
            b"bytes",
            torch.Size([2, 3]),
            torch.float16,
        ),
        "more": {"set": {1, 2}, "counter": Counter("aab"), 3: OrderedDict([("b", 1), ("a", [])]), (1, "k"): ()},
        "device": torch.device("cpu"),
    }


if __name__ == "__main__":
    folder = os.path.dirname(__file__)
    torch.save(contents(), os.path.join(folder, "torch_zip.pt"))
    old = contents()
    torch.save(old, os.path.join(folder, "torch_legacy.pt"), _use_new_zipfile_serialization=False)
    torch.save({"u": torch.arange(3).to(torch.uint16)}, os.path.join(folder, "torch_untyped.pt"), pickle_protocol=4)
