"""Writes tensor.npz: what PyTorch makes of the expressions. Run it with a Python that has PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tensor_expressions import EXPRESSIONS, REPRS, inputs


def weights(shape) -> np.ndarray:
    """The gradient that is sent into an output, the same in the maker and in the test."""
    return (np.arange(int(np.prod(shape)), dtype=np.float64) % 7 * 0.25 - 0.6).reshape(shape)


def flatten(value) -> list:
    return [x for v in value for x in flatten(v)] if isinstance(value, (tuple, list)) else [value]


def main() -> None:
    stored: dict[str, np.ndarray] = {}
    for number, expression in enumerate(EXPRESSIONS):
        names = {n: torch.tensor(v, requires_grad=v.dtype.kind == "f") for n, v in inputs().items()}
        outputs = flatten(eval(expression, {"t": torch, **names}))
        for place, output in enumerate(outputs):
            if isinstance(output, torch.Tensor):
                stored[f"{number}.{place}"] = output.detach().numpy()
            else:
                stored[f"{number}.{place}"] = np.array(str(output) if isinstance(output, torch.dtype) else output)
        tracked = [o for o in outputs if isinstance(o, torch.Tensor) and o.requires_grad]
        if tracked:
            try:
                torch.autograd.backward(tracked, [torch.tensor(weights(o.shape)).to(o.dtype) for o in tracked])
            except RuntimeError as error:
                print(f"no gradient: {expression}: {error}")
                stored[f"{number}.none"] = np.array(True)
            for name, tensor in names.items():
                if tensor.grad is not None:
                    stored[f"{number}.{name}"] = tensor.grad.numpy(force=True)
    stored["expressions"] = np.array("\n".join(EXPRESSIONS))
    stored["reprs"] = np.array([repr(eval(text, {"t": torch})).replace("torch.", "spinetail.") for text in REPRS])
    np.savez_compressed(Path(__file__).with_name("tensor.npz"), **stored)
    print(f"{len(EXPRESSIONS)} expressions, {len(stored)} arrays, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
