"""Fits the polynomials of Sources/Spinetail/Support/VectorMath{Float,Double}.swift and prints their coefficients.

Each is the minimax polynomial (Remez exchange on a dense grid, 60 digits) for a weighted error; the lowest
coefficients are rounded to the target format one by one and the rest fitted again, so that rounding them costs nothing.
Needs mpmath.

    python tools/fit_polynomials.py [name ...]
"""

from __future__ import annotations

import struct
import sys

import mpmath as mp

mp.mp.dps = 60
GRID = 1200
REFITTED = 4  # so many of the lowest coefficients are rounded before the others are fitted


def rounded(value: mp.mpf, bits: int) -> mp.mpf:
    """The nearest float32 or float64."""
    nearest = float(mp.mpf(value))
    if bits == 32:
        nearest = struct.unpack("f", struct.pack("f", nearest))[0]
    return mp.mpf(nearest)


def horner(coefficients: list[mp.mpf], x: mp.mpf) -> mp.mpf:
    total = mp.mpf(0)
    for c in reversed(coefficients):
        total = total * x + c
    return total


def remez(xs, values, weights, first: int, degree: int) -> list[mp.mpf]:
    """Coefficients of x^first ... x^degree that minimise max |weight · (value - polynomial)| over the grid."""
    unknowns = degree - first + 1
    last = len(xs) - 1
    points = [round(last * (1 - mp.cos(mp.pi * i / unknowns)) / 2) for i in range(unknowns + 1)]
    for _ in range(30):
        system, right = mp.matrix(unknowns + 1), mp.matrix(unknowns + 1, 1)
        for row, p in enumerate(points):
            for column in range(unknowns):
                system[row, column] = xs[p] ** (first + column)
            system[row, unknowns] = (-1) ** row / weights[p]
            right[row] = values[p]
        solution = mp.lu_solve(system, right)
        level = abs(solution[unknowns])
        found = [solution[i] for i in range(unknowns)]
        errors = [w * (v - horner(found, x) * x**first) for x, v, w in zip(xs, values, weights, strict=True)]
        # One extremum for each run of equal sign; drop from the ends while there are too many.
        extrema: list[int] = []
        for i, e in enumerate(errors):
            if extrema and (e > 0) == (errors[extrema[-1]] > 0):
                if abs(e) > abs(errors[extrema[-1]]):
                    extrema[-1] = i
            else:
                extrema.append(i)
        while len(extrema) > unknowns + 1:
            extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
        worst = max(abs(e) for e in errors)
        if len(extrema) < unknowns + 1 or worst <= level * mp.mpf("1.01"):
            break
        points = extrema
    return found


def fit(function, weight, low, high, degree: int, bits: int) -> None:
    low, high = mp.mpf(low), mp.mpf(high)
    xs = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * (i + mp.mpf("0.5")) / GRID) for i in range(GRID)]
    values = [function(x) for x in xs]
    weights = [weight(x) for x in xs]
    kept: list[mp.mpf] = []
    while True:
        rest = [v - horner(kept, x) for v, x in zip(values, xs, strict=True)]
        found = remez(xs, rest, weights, len(kept), degree)
        if len(kept) == min(REFITTED, degree):
            kept += [rounded(c, bits) for c in found]
            break
        kept.append(rounded(found[0], bits))
    worst = max(abs(w * (v - horner(kept, x))) for x, v, w in zip(xs, values, weights, strict=True))
    ulp = mp.mpf(2) ** (-24 if bits == 32 else -53)
    print(f"    weighted error {mp.nstr(worst, 3)}, {mp.nstr(worst / ulp, 3)} half units in the last place")
    for power, c in reversed(list(enumerate(kept))):
        print(f"    {power:3d}  {float(c)!r}")


def exponential(r):
    """(e^r - 1 - r) / r²"""
    return mp.mpf(1) / 2 if r == 0 else (mp.expm1(r) - r) / r**2


def logarithm(f):
    """(log(1 + f) - f + f²/2) / f³"""
    return mp.mpf(1) / 3 if abs(f) < mp.mpf("1e-20") else (mp.log1p(f) - f + f**2 / 2) / f**3


def erf_near(t):
    """erf(x) / x - 1 with t = x²"""
    x = mp.sqrt(t)
    return mp.erf(x) / x - 1


def erf_far(a):
    """-log(erfc(a)) / a"""
    return -mp.log(mp.erfc(a)) / a


def tanh_near(t):
    """(tanh(x) / x - 1) / t with t = x²"""
    if t == 0:
        return mp.mpf(-1) / 3
    x = mp.sqrt(t)
    return (mp.tanh(x) / x - 1) / t


HALF_LN2 = mp.log(2) / 2 * mp.mpf("1.0001")
JOBS = {
    # name: (function, weight that makes the error relative to the result, low, high, degree for 32 bits, for 64 bits)
    "exponential": (exponential, lambda r: r**2 * mp.exp(-r), -HALF_LN2, HALF_LN2, 4, 9),
    "logarithm": (logarithm, lambda f: f**3 / mp.log1p(f), -mp.mpf(1) / 3, mp.mpf(1) / 3, 8, 20),
    "erf_near": (erf_near, lambda t: mp.sqrt(t) / mp.erf(mp.sqrt(t)), 0, 1, 6, 12),
    "erf_far": (erf_far, lambda a: a * mp.erfc(a) / mp.erf(a), 1, None, 5, 18),
    "tanh_near": (tanh_near, lambda t: t * mp.sqrt(t) / mp.tanh(mp.sqrt(t)), 0, mp.mpf("0.3025"), 4, 9),
}
FAR_ENDS = {32: mp.mpf("3.95"), 64: mp.mpf("6")}


def main(names: list[str]) -> None:
    for name in names or JOBS:
        function, weight, low, high, single, double = JOBS[name]
        for bits, degree in ((32, single), (64, double)):
            end = FAR_ENDS[bits] if high is None else high
            print(f"{name} float{bits}: {function.__doc__} on [{mp.nstr(low, 5)}, {mp.nstr(end, 5)}], degree {degree}")
            fit(function, weight, low, end, degree, bits)


if __name__ == "__main__":
    main(sys.argv[1:])
