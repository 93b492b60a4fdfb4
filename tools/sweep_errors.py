"""Measures how far the elementary functions are from the truth, over the whole range of float32 and of float64.

float32: every `--step`-th of all 2³² bit patterns (1 takes all), against NumPy and SciPy in float64. float64: random
bit patterns and numbers where functions bend, against long double, GELU against mpmath. Prints a table in Markdown.

    python tools/sweep_errors.py [--step 61] [name ...]

SPINETAIL_CPU_LEVEL chooses the kernels. Needs SciPy, and mpmath for GELU in float64.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import special

from spinetail._native import level
from spinetail.ops import activation as ops

CHUNK = 1 << 16  # so that its arrays stay in the cache
WIDE = np.longdouble


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def silu(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, x * e, x) / (1 + e)


def gelu_tanh(x):
    a = np.minimum(np.abs(x), 40)
    e = np.exp(-np.sqrt(8 / np.pi) * (a + 0.044715 * a**3))
    return np.where(x < 0, x * e, x) / (1 + e)


# name → reference in the argument's own, wider type
FUNCTIONS = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "logsigmoid": lambda x: -softplus(-x),
    "erf": special.erf,
    "gelu": lambda x: x * special.erfc(x * -np.sqrt(0.5)) / 2,
    "gelu_tanh": gelu_tanh,
    "silu": silu,
    "sin": np.sin,
    "cos": np.cos,
    "rsqrt": lambda x: 1 / np.sqrt(x),
}
PARAMETERS = {"softplus": (1.0, np.inf), "gelu_tanh": ("tanh",)}
NARROW = ("erf", "gelu", "gelu_tanh")  # SciPy knows no long double, and cubes need more digits than it has


def ours(name: str, x: np.ndarray) -> np.ndarray:
    return getattr(ops, name.removesuffix("_tanh"))(x, *PARAMETERS.get(name, ()))


def ulps(result: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Errors in units in the last place; 0 where both are NaN, infinite where only one is, or where limits differ."""
    largest = np.finfo(result.dtype).max
    bounded = np.minimum(np.abs(expected), largest).astype(result.dtype)
    error = np.abs(result.astype(expected.dtype) - expected) / np.spacing(bounded).astype(expected.dtype)
    beyond = np.abs(expected) > largest
    error[beyond] = np.where(np.abs(result[beyond]) >= largest, 0, np.inf)
    missing = np.isnan(expected)
    error[missing] = np.where(np.isnan(result[missing]), 0, np.inf)
    return np.where(np.isnan(error), np.inf, error)


def worst32(name: str, step: int) -> tuple[int, float, float]:
    count, worst, place = 0, 0.0, 0.0
    for start in range(0, 1 << 32, CHUNK * step):
        bits = np.arange(start, min(start + CHUNK * step, 1 << 32), step, dtype=np.uint64).astype(np.uint32)
        x = bits.view(np.float32)
        error = ulps(ours(name, x), FUNCTIONS[name](x.astype(np.float64)))
        i = error.argmax()
        count += x.size
        if error[i] > worst:
            worst, place = float(error[i]), float(x[i])
    return count, worst, place


def samples64(count: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    bits = rng.integers(0, 1 << 64, count, dtype=np.uint64).view(np.float64)
    ranges = [rng.uniform(-a, a, count) for a in (1, 3, 20, 750)]
    return np.concatenate([bits, *ranges, rng.choice([-1, 1], count) * np.exp(rng.uniform(-30, 7, count))])


def worst64(name: str, step: int) -> tuple[int, float, float]:
    if name in NARROW:
        x = samples64(1 << 12)
        x = x[np.abs(x) < 1e3]
        error = exact(name, x)
    else:
        x = samples64((1 << 24) // step)
        error = ulps(ours(name, x), FUNCTIONS[name](x.astype(WIDE)))
    i = error.argmax()
    return x.size, float(error[i]), float(x[i])


def exact(name: str, x: np.ndarray) -> np.ndarray:
    """Errors against 60 digits."""
    import mpmath as mp

    mp.mp.dps = 60
    inner, third = mp.sqrt(8 / mp.pi), mp.mpf("0.044715")
    reference = {
        "erf": mp.erf,
        "gelu": lambda v: v * mp.erfc(-v / mp.sqrt(2)) / 2,
        "gelu_tanh": lambda v: v / (1 + mp.exp(-inner * (v + third * v**3))),
    }[name]
    true = [reference(mp.mpf(float(v))) for v in x]
    unit = np.spacing(np.abs(np.array([float(t) for t in true])))
    pairs = zip(ours(name, x), true, unit, strict=True)
    return np.array([float(abs(mp.mpf(float(r)) - t) / mp.mpf(float(u))) for r, t, u in pairs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="functions (default: all)")
    parser.add_argument("--step", type=int, default=61, help="every so-many-th float32 (default: 61)")
    parser.add_argument("--only", choices=("float32", "float64"), help="one of the types")
    options = parser.parse_args()
    print(f"Level {level}\n\n| function | type | inputs | worst, ULP | at |\n|---|---|---|---|---|")
    with np.errstate(all="ignore"):
        for name in options.names or FUNCTIONS:
            for dtype, worst in (("float32", worst32), ("float64", worst64)):
                if options.only in (None, dtype):
                    count, error, place = worst(name, options.step)
                    print(f"| {name} | {dtype} | {count:,} | {error:.3f} | {place!r} |", flush=True)


if __name__ == "__main__":
    main()
