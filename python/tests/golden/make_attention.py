"""Makes attention.npz with PyTorch: results and gradients of scaled_dot_product_attention in float64."""

from pathlib import Path

import numpy as np
import torch

rng = np.random.default_rng(0)
CASES = {  # heads, key heads, queries, keys, width, value width, mask, causal, scale
    "plain": (2, 2, 5, 7, 4, 4, None, False, 0.5),
    "values": (2, 2, 5, 7, 4, 3, None, False, 0.5),
    "causal": (2, 2, 6, 6, 4, 4, None, True, 0.5),
    "causal_wide": (1, 1, 2, 3, 4, 4, None, True, 0.5),
    "causal_tall": (1, 1, 5, 2, 4, 4, None, True, 0.5),
    "grouped": (4, 2, 5, 7, 4, 4, None, False, 0.5),
    "boolean": (2, 2, 5, 7, 4, 4, "bool", False, 0.5),
    "additive": (2, 2, 5, 7, 4, 4, "float", False, 0.5),
    "hidden": (1, 1, 3, 4, 4, 4, "hidden", False, 0.5),
    "scaled": (2, 1, 5, 7, 4, 4, None, False, -1.25),
}
result = {"torch": np.array(torch.__version__)}
for name, (heads, groups, queries, keys, width, values, kind, causal, scale) in CASES.items():
    q = torch.from_numpy(rng.standard_normal((2, heads, queries, width))).requires_grad_()
    k = torch.from_numpy(rng.standard_normal((2, groups, keys, width))).requires_grad_()
    v = torch.from_numpy(rng.standard_normal((2, groups, keys, values))).requires_grad_()
    mask = None
    if kind == "bool":
        mask = torch.from_numpy(rng.random((queries, keys)) > 0.3)
    elif kind == "float":
        mask = torch.from_numpy(rng.standard_normal((2, 1, queries, keys))).requires_grad_()
    elif kind == "hidden":
        mask = torch.tensor([[True, False, True, True], [False] * 4, [False, True, False, False]])
    out = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, mask, is_causal=causal, scale=scale, enable_gqa=heads != groups
    )
    dout = torch.from_numpy(rng.standard_normal(out.shape))
    out.backward(dout)
    case = {"q": q, "k": k, "v": v, "out": out, "dout": dout, "dq": q.grad, "dk": k.grad, "dv": v.grad}
    if mask is not None:
        case["mask"] = mask
        if mask.grad is not None:
            case["dmask"] = mask.grad
    result |= {f"{name}.{key}": value.detach().numpy() for key, value in case.items()}
    result |= {f"{name}.causal": causal, f"{name}.scale": scale, f"{name}.gqa": heads != groups}
np.savez_compressed(Path(__file__).with_name("attention.npz"), **result)
