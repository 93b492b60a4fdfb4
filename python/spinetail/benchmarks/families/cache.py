"""One token against a cache of keys and values that are narrower than float32, beside our own float32 cache."""

from __future__ import annotations

import numpy as np

from .. import errors
from ..case import Case, Family


def contestant(dtype):
    """A cache of `dtype`, filled; each call is one token's attention to it."""

    def program(torch, q, k, v, stored):
        cache = torch.nn.KVCache(k.shape[0], k.shape[1], k.shape[3], dtype=dtype or stored)
        cache.append(k, v)
        return lambda: cache.attend(q)

    return program


def error(output, q, k, v, stored) -> float:
    """Of the first head, against float64 with the numbers that are stored."""
    from spinetail.nn import KVCache

    cache = KVCache(1, 1, k.shape[3], dtype=stored)
    k, v = (x[0, 0].astype(np.float64) for x in cache.append(k[:1, :1], v[:1, :1]))
    scores = q[0, 0].astype(np.float64) @ k.T / q.shape[-1] ** 0.5
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return errors.relative(output[0, 0], powers @ v / powers.sum(-1, keepdims=True))


def case(stored: str, keys: int, heads: int = 32, key_heads: int = 32, width: int = 128) -> Case:
    def inputs() -> tuple:
        rng = np.random.default_rng(0)
        sizes = ((heads, 1), (key_heads, keys), (key_heads, keys))
        return (*(rng.standard_normal((1, *size, width), dtype=np.float32) for size in sizes), stored)

    number = width + 4 if stored == "int8" else 2 * width
    shared = "" if heads == key_heads else f", {key_heads} key heads"
    return Case(
        f"{stored}: one token of {keys}, {heads} heads of {width}{shared}",
        inputs,
        {"spinetail": contestant(None), "spinetail float32": contestant("float32")},
        error,
        flops=4.0 * heads * width * keys,
        bytes=2.0 * key_heads * keys * number,
        group=f"cache {stored}",
        quick=keys == 512,
    )


FAMILY = Family(
    "Caches of keys and values",
    [
        *(case(stored, keys) for stored in ("bfloat16", "float16", "int8") for keys in (512, 2048, 8192)),
        *(case(stored, 4096, key_heads=8) for stored in ("bfloat16", "int8")),
    ],
    error="of the first head's output against float64 with the stored numbers, relative to its largest",
    bound=2e-6,
    rivals=("spinetail float32",),
    note="The ratio is against our own cache of float32: 2 and 3.9 are what fewer bytes allow for bfloat16 and int8.",
)
