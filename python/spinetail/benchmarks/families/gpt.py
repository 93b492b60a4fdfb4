"""A GPT's whole training step beside PyTorch eager with the same model."""

from __future__ import annotations

import numpy as np

from .. import errors
from ..case import Case, Family

SIZES = {"vocab_size": 4096, "block_size": 256, "n_layer": 4, "n_head": 4, "n_embd": 256}


def weights(sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """By GPT-2's names, matrices (outputs, inputs)."""
    random, width = np.random.default_rng(0), sizes["n_embd"]
    found = {"wte.weight": (sizes["vocab_size"], width), "wpe.weight": (sizes["block_size"], width)}
    matrices = {"attn.c_attn": (3, 1), "attn.c_proj": (1, 1), "mlp.c_fc": (4, 1), "mlp.c_proj": (1, 4)}
    for i in range(sizes["n_layer"]):
        for name, (rows, columns) in matrices.items():
            found |= {f"h.{i}.{name}.weight": (rows * width, columns * width), f"h.{i}.{name}.bias": (rows * width,)}
        for name in ("ln_1", "ln_2"):
            found |= {f"h.{i}.{name}.weight": (width,), f"h.{i}.{name}.bias": (width,)}
    found |= {"ln_f.weight": (width,), "ln_f.bias": (width,)}
    ones = {name for name in found if ".ln_" in f".{name}" and name.endswith("weight")}
    return {
        name: np.float32(name in ones) + 0.02 * random.standard_normal(shape, dtype=np.float32)
        for name, shape in found.items()
    }


def forward(np_, w, idx, targets, sizes):
    """The loss in NumPy's words."""
    heads, width, length = sizes["n_head"], sizes["n_embd"], idx.shape[1]

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scale = np_.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return centred / scale * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def split(x):
        return x.reshape(*x.shape[:2], heads, width // heads).swapaxes(1, 2)

    x = w["wte.weight"][idx] + w["wpe.weight"][:length]
    below = np_.tril(np_.ones((length, length), bool))
    for h in (f"h.{i}" for i in range(sizes["n_layer"])):
        q, k, v = (split(part) for part in np_.split(linear(norm(x, f"{h}.ln_1"), f"{h}.attn.c_attn"), 3, -1))
        scores = np_.where(below, q @ k.swapaxes(2, 3) / (width // heads) ** 0.5, -np_.inf)
        powers = np_.exp(scores - scores.max(-1, keepdims=True))
        found = (powers / powers.sum(-1, keepdims=True)) @ v
        x = x + linear(found.swapaxes(1, 2).reshape(x.shape), f"{h}.attn.c_proj")
        y = linear(norm(x, f"{h}.ln_2"), f"{h}.mlp.c_fc")
        y = 0.5 * y * (1 + np_.tanh((2 / np_.pi) ** 0.5 * (y + 0.044715 * y**3)))
        x = x + linear(y, f"{h}.mlp.c_proj")
    logits = norm(x, "ln_f") @ w["wte.weight"].T
    top = logits.max(-1, keepdims=True)
    logs = logits - top - np_.log(np_.exp(logits - top).sum(-1, keepdims=True))
    return -np_.take_along_axis(logs, targets[..., None], -1).mean()


def ours(st, sizes):
    model = st.models.GPT(**sizes)
    state = {f"transformer.{name}": value for name, value in weights(sizes).items()}
    model.load_state_dict(state | {"lm_head.weight": state["transformer.wte.weight"]})
    return model


def pytorchs(torch, sizes):
    """The same model as nanoGPT writes it."""
    nn, F = torch.nn, torch.nn.functional
    width, heads = sizes["n_embd"], sizes["n_head"]

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attn = nn.ModuleDict({"c_attn": nn.Linear(width, 3 * width), "c_proj": nn.Linear(width, width)})
            self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})

        def forward(self, x):
            parts = self.attn["c_attn"](self.ln_1(x)).split(width, 2)
            q, k, v = (y.view(*x.shape[:2], heads, width // heads).transpose(1, 2) for y in parts)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.attn["c_proj"](y.transpose(1, 2).reshape(x.shape))
            return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh"))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte = nn.Embedding(sizes["vocab_size"], width)
            self.wpe = nn.Embedding(sizes["block_size"], width)
            self.h = nn.ModuleList([Block() for _ in range(sizes["n_layer"])])
            self.ln_f = nn.LayerNorm(width)

        def forward(self, idx, targets):
            x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
            for block in self.h:
                x = block(x)
            logits = F.linear(self.ln_f(x), self.wte.weight)
            return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    model = GPT()
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights(sizes).items()})
    return model


def step(make, **options):
    """A program whose output is the first loss; the steps go on from there."""

    def program(torch, idx, targets, sizes):
        model = make(torch, sizes)
        idx, targets = torch.from_numpy(idx), torch.from_numpy(targets)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, **options)

        def run():
            optimizer.zero_grad()
            _, loss = model(idx, targets)
            loss.backward()
            optimizer.step()
            return loss

        return run

    return program


def error(output: np.ndarray, idx: np.ndarray, targets: np.ndarray, sizes: dict[str, int]) -> float:
    exact = forward(np, {name: value.astype(np.float64) for name, value in weights(sizes).items()}, idx, targets, sizes)
    return errors.relative(output, np.asarray(exact))


def case(name: str, batch: int, sizes: dict[str, int], group: str, quick: bool = False) -> Case:
    length, width = sizes["block_size"], sizes["n_embd"]

    def inputs() -> tuple:
        tokens = np.random.default_rng(1).integers(0, sizes["vocab_size"], (batch, length + 1))
        return tokens[:, :-1].copy(), tokens[:, 1:].copy(), sizes

    programs = {"spinetail": step(ours), "torch default": step(pytorchs), "torch fused": step(pytorchs, fused=True)}
    matrices = 12 * sizes["n_layer"] * width**2 + sizes["vocab_size"] * width
    # Forward and twice backward; attention on the triangle, its backward pass as 2.5 forwards.
    flops = 6.0 * batch * length * matrices + 3.5 * 2 * sizes["n_layer"] * batch * width * length * (length + 1)
    return Case(name, inputs, programs, error, flops=flops, bytes=28.0 * matrices, group=group, quick=quick)


SMALL = SIZES | {"vocab_size": 128, "block_size": 32, "n_layer": 2, "n_embd": 64}

FAMILY = Family(
    "GPT training steps",
    [
        case("4 layers of 256, 256 long, batch 8, 4096 tokens", 8, SIZES, "gpt step"),
        case("2 layers of 64, 32 long, batch 4, 128 tokens", 4, SMALL, "gpt steps", quick=True),
    ],
    error="the first loss, relative",
    bound=1e-6,
    note="With the head tied to the embedding, and AdamW.",
)
