"""Writes models.npz with PyTorch: GPT-2 and BERT from its functions, as transformers has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from models_cases import HEADS, LAYERS, WIDTH, bert, gpt2, segments_and_padding, tokens


def attend(q, k, v, **options):
    split = [x.reshape(*x.shape[:2], HEADS, -1).transpose(1, 2) for x in (q, k, v)]
    return F.scaled_dot_product_attention(*split, **options).transpose(1, 2).flatten(2)


def run_gpt2() -> dict[str, np.ndarray]:
    w = {name: torch.from_numpy(value).requires_grad_() for name, value in gpt2().items()}
    idx, targets = map(torch.from_numpy, tokens())

    def norm(x, name):
        return F.layer_norm(x, (WIDTH,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-5)

    def product(x, name):
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["wte.weight"][idx] + w["wpe.weight"][: idx.shape[1]]
    for i in range(LAYERS):
        parts = product(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn").split(WIDTH, 2)
        x = x + product(attend(*parts, is_causal=True), f"h.{i}.attn.c_proj")
        hidden = F.gelu(product(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc"), approximate="tanh")
        x = x + product(hidden, f"h.{i}.mlp.c_proj")
    logits = norm(x, "ln_f") @ w["wte.weight"].T
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    grads = {f"gpt2/grad/{name}": w[name].grad for name in ("wte.weight", "wpe.weight", "h.0.attn.c_attn.weight")}
    return {"gpt2/logits": logits, "gpt2/loss": loss, **grads}


def run_bert() -> dict[str, np.ndarray]:
    w = {name: torch.from_numpy(value) for name, value in bert().items()}
    idx = torch.from_numpy(tokens()[0])
    segments, padding = map(torch.from_numpy, segments_and_padding())

    def norm(x, name):
        return F.layer_norm(x, (WIDTH,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-12)

    def product(x, name):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    embedded = ("word", idx), ("position", torch.arange(idx.shape[1])), ("token_type", segments)
    x = norm(sum(w[f"embeddings.{kind}_embeddings.weight"][i] for kind, i in embedded), "embeddings.LayerNorm")
    for layer in (f"encoder.layer.{i}" for i in range(LAYERS)):
        parts = [product(x, f"{layer}.attention.self.{part}") for part in ("query", "key", "value")]
        found = attend(*parts, attn_mask=~padding[:, None, None])
        x = norm(x + product(found, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        hidden = F.gelu(product(x, f"{layer}.intermediate.dense"))
        x = norm(x + product(hidden, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    kept = (~padding).double()[..., None]
    mean = (x * kept).sum(1) / kept.sum(1)
    return {"bert/output": x, "bert/cls": torch.tanh(product(x[:, 0], "pooler.dense")), "bert/mean": mean}


if __name__ == "__main__":
    values = run_gpt2() | run_bert()
    path = Path(__file__).with_name("models.npz")
    np.savez_compressed(path, **{name: value.detach().numpy() for name, value in values.items()})
