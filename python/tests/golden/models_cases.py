"""Weights and tokens of a small GPT-2 and BERT by transformers' names: for make_models.py and the models' tests."""

from __future__ import annotations

import numpy as np

WIDTH, HEADS, LAYERS, TOKENS, LENGTH = 12, 3, 2, 17, 8


def _draw(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: random.normal(size=shape) * 0.3 for name, shape in shapes.items()}


def gpt2() -> dict[str, np.ndarray]:
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (TOKENS, WIDTH), "wpe.weight": (LENGTH, WIDTH)}
    for i in range(LAYERS):
        for name, inputs, outputs in (
            ("attn.c_attn", WIDTH, 3 * WIDTH),
            ("attn.c_proj", WIDTH, WIDTH),
            ("mlp.c_fc", WIDTH, 4 * WIDTH),
            ("mlp.c_proj", 4 * WIDTH, WIDTH),
        ):
            shapes |= {f"h.{i}.{name}.weight": (inputs, outputs), f"h.{i}.{name}.bias": (outputs,)}
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"h.{i}.{norm}.weight": (WIDTH,), f"h.{i}.{norm}.bias": (WIDTH,)}
    return _draw(shapes | {"ln_f.weight": (WIDTH,), "ln_f.bias": (WIDTH,)}, 1)


def bert() -> dict[str, np.ndarray]:
    start = "embeddings"
    shapes: dict[str, tuple[int, ...]] = {
        f"{start}.word_embeddings.weight": (TOKENS, WIDTH),
        f"{start}.position_embeddings.weight": (LENGTH, WIDTH),
        f"{start}.token_type_embeddings.weight": (2, WIDTH),
        f"{start}.LayerNorm.weight": (WIDTH,),
        f"{start}.LayerNorm.bias": (WIDTH,),
    }
    for i in range(LAYERS):
        for name, inputs, outputs in (
            *((f"attention.self.{part}", WIDTH, WIDTH) for part in ("query", "key", "value")),
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", WIDTH, 4 * WIDTH),
            ("output.dense", 4 * WIDTH, WIDTH),
        ):
            layer = f"encoder.layer.{i}.{name}"
            shapes |= {f"{layer}.weight": (outputs, inputs), f"{layer}.bias": (outputs,)}
        for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"encoder.layer.{i}.{norm}.{kind}": (WIDTH,) for kind in ("weight", "bias")}
    return _draw(shapes | {"pooler.dense.weight": (WIDTH, WIDTH), "pooler.dense.bias": (WIDTH,)}, 2)


def tokens() -> tuple[np.ndarray, np.ndarray]:
    """Tokens and those that follow, (2, LENGTH)."""
    found = np.random.default_rng(3).integers(0, TOKENS, (2, LENGTH + 1))
    return found[:, :-1], found[:, 1:]


def segments_and_padding() -> tuple[np.ndarray, np.ndarray]:
    places = np.arange(LENGTH)
    return np.tile(places // 3 % 2, (2, 1)), places >= np.array([[LENGTH], [5]])
