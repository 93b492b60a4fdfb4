"""Writes nn.npz, the golden values of modules, with PyTorch: `python make_nn.py`, in an environment that has it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from nn_cases import CASES, STEPS, build, inputs, masks


def compute(name: str) -> dict[str, np.ndarray]:
    kind, arguments, keywords, _, call = CASES[name]
    torch.manual_seed(1)
    module = build(torch.nn, kind, arguments, keywords).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, dtype=torch.float64).mul(0.5).round(decimals=3))
    found = {f"state/{key}": value.numpy().copy() for key, value in module.state_dict().items()}
    given = []
    for value in inputs(name):
        if isinstance(value, str):
            given.append(given[-1])
            continue
        tensor = torch.from_numpy(value)
        given.append(tensor.requires_grad_() if tensor.is_floating_point() else tensor)
    options = {key: torch.from_numpy(masks()[v]) if isinstance(v, str) else v for key, v in call.items()}
    for _ in range(STEPS):
        module.zero_grad()
        for tensor in given:
            tensor.grad = None
        output = module(*given, **options)
        output, weights = output if isinstance(output, tuple) else (output, None)
        direction = torch.linspace(-1, 1, output.numel(), dtype=torch.float64).reshape(output.shape)
        total = (output * direction).sum()
        if weights is not None:
            direction = torch.linspace(1, 2, weights.numel(), dtype=torch.float64).reshape(weights.shape)
            total = total + (weights * direction).sum()
        total.backward()
    found["output"] = output.detach().numpy()
    if weights is not None:
        found["weights"] = weights.detach().numpy()
    for i, tensor in enumerate(given):
        if tensor.grad is not None and not (i and given[i - 1] is tensor):
            found[f"input/{i}"] = tensor.grad.numpy()
    for key, parameter in module.named_parameters():
        found[f"grad/{key}"] = parameter.grad.numpy()
    for key, buffer in module.named_buffers():
        found[f"after/{key}"] = buffer.numpy()
    output = module.eval()(*given, **options)
    found["eval"] = (output[0] if isinstance(output, tuple) else output).detach().numpy()
    found["repr"] = repr(module)
    return found


if __name__ == "__main__":
    layout, numbers = {}, []  # one array for all: an entry of its own for each would make the file three times as large
    for name in CASES:
        values = compute(name)
        layout[name] = {"repr": values.pop("repr"), "shapes": {key: value.shape for key, value in values.items()}}
        numbers += [np.asarray(value, np.float64).reshape(-1) for value in values.values()]
    text = json.dumps({"torch": torch.__version__, "cases": layout})
    path = Path(__file__).with_name("nn.npz")
    np.savez_compressed(path, layout=np.array(text), numbers=np.concatenate(numbers))
