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


def least_squares(xs, values, weights, first: int, degree: int) -> list[mp.mpf]:
    """The same by squares, on points that lie as Chebyshev's: nearly as good, and 0 may be inside where first > 0."""
    size = degree - first + 1
    powers = [[w * x**p for x, w in zip(xs, weights, strict=True)] for p in range(first, degree + 1)]
    aims = [w * v for v, w in zip(values, weights, strict=True)]
    system, right = mp.matrix(size, size), mp.matrix(size, 1)
    for row in range(size):
        right[row] = mp.fdot(powers[row], aims)
        for column in range(size):
            system[row, column] = mp.fdot(powers[row], powers[column])
    return list(mp.lu_solve(system, right))


def chebyshev(low, high, count: int) -> list[mp.mpf]:
    return [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * (i + mp.mpf("0.5")) / count) for i in range(count)]


def coefficients(function, weight, xs, degree: int, bits: int, kept=(), solve=remez) -> tuple[list[mp.mpf], mp.mpf]:
    """The rounded coefficients from x^0 on, of which the first may be given, and the largest weighted error."""
    kept = list(kept)
    values = [function(x) for x in xs]
    weights = [weight(x) for x in xs]
    while True:
        rest = [v - horner(kept, x) for v, x in zip(values, xs, strict=True)]
        found = solve(xs, rest, weights, len(kept), degree)
        if len(kept) >= min(REFITTED, degree):
            kept += [rounded(c, bits) for c in found]
            break
        kept.append(rounded(found[0], bits))
    return kept, max(abs(w * (v - horner(kept, x))) for x, v, w in zip(xs, values, weights, strict=True))


def fit(function, weight, low, high, degree: int, bits: int) -> None:
    kept, worst = coefficients(function, weight, chebyshev(mp.mpf(low), mp.mpf(high), GRID), degree, bits)
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


MIDDLE = mp.mpf(4)  # of the map from a to t below


def normal_tail(t):
    """(a + 4) · e^(a²/2) · Φ(-a), Φ the normal distribution function, with t = (a - 4) / (a + 4)"""
    a = MIDDLE * (1 + t) / (1 - t)
    return (a + MIDDLE) * mp.exp(a * a / 2) * mp.erfc(a / mp.sqrt(2)) / 2


def mapped(a):
    """That t of a."""
    return (a - MIDDLE) / (a + MIDDLE)


def sine(t):
    """(sin(r) / r - 1) / t with t = r²"""
    r = mp.sqrt(t)
    return -mp.mpf(1) / 6 if t < mp.mpf("1e-30") else (mp.sin(r) / r - 1) / t


def cosine(t):
    """(cos(r) - 1 + t/2) / t² with t = r²"""
    return mp.mpf(1) / 24 if t < mp.mpf("1e-30") else (mp.cos(mp.sqrt(t)) - 1 + t / 2) / t**2


def gelu(x):
    """x · Φ(x)"""
    return x * mp.erfc(-x / mp.sqrt(2)) / 2


def gelu_slope(x):
    """Φ(x) + x · φ(x)"""
    return mp.erfc(-x / mp.sqrt(2)) / 2 + x * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def gelu_tanh(x):
    """x / (1 + e^-z), z = √(8/π) · (x + 0.044715 x³)"""
    return x / (1 + mp.exp(-rise(x)))


def gelu_tanh_slope(x):
    """1 / (1 + e^-z) + x · z' · e^-z / (1 + e^-z)²"""
    e = mp.exp(-rise(x))
    slope = mp.sqrt(8 / mp.pi) * (1 + 3 * mp.mpf("0.044715") * x**2)
    return (1 + x * slope * e / (1 + e)) / (1 + e)


def rise(x):
    return mp.sqrt(8 / mp.pi) * (x + mp.mpf("0.044715") * x**3)


def tanh(x):
    return mp.tanh(x)


def erf(x):
    return mp.erf(x)


def power(f):
    """(2^f - 1) / f"""
    return mp.log(2) if f == 0 else (mp.mpf(2) ** f - 1) / f


# Tables: 32 segments, one polynomial of x - centre each, for |x - n · step| ≤ step / 2. The first function of a group
# chooses the centres: floats near n · step where its value is a float, nearly. Around 0 the polynomial is erf(x) - x.
GELU_SEGMENTS = [*range(16), *range(-16, 0)]
TABLES = {
    "gelu_tables": (GELU_SEGMENTS, mp.mpf(11) / 32, ((gelu, True, 8), (gelu_slope, False, 8))),
    "gelu_tanh_tables": (GELU_SEGMENTS, mp.mpf(19) / 64, ((gelu_tanh, True, 8), (gelu_tanh_slope, False, 8))),
    "tanh_table": ([*range(32)], mp.mpf(37) / 128, ((tanh, True, 6),)),
    "erf_table": ([*range(32)], mp.mpf(1) / 8, ((erf, True, 6),)),
}


def tables(numbers, step, functions) -> None:
    """Prints rows of one power for each segment, as simd_tables.h has them: the centres, then from power 0 on.

    `functions`: (function, whether its error counts relative to its value, degree).
    """
    columns: list[list] = [[] for _ in functions]
    worst = [mp.mpf(0) for _ in functions]
    first = functions[0][0]
    centres = []
    for n in numbers:
        centre = rounded(n * step, 32)
        spacing = mp.mpf(2) ** (mp.frexp(centre)[1] - 24) if n else 0
        while n and abs(first(centre) / rounded(first(centre), 32) - 1) > mp.mpf(2) ** -30:
            centre = rounded(centre + 37 * spacing, 32)
        centres.append(centre)
        low, high = (n - mp.mpf("0.5001")) * step - centre, (n + mp.mpf("0.5001")) * step - centre
        xs = [x for x in chebyshev(low, high, 200) if x]
        for i, (function, relative, degree) in enumerate(functions):
            kept = [rounded(function(centre), 32)] if relative else []

            def shifted(d, f=function, c=centre):
                return f(c + d) - (d if f is erf and c == 0 else 0)

            def weight(d, f=function, c=centre, r=relative):
                return 1 / abs(f(c + d)) if r else mp.mpf(1)

            row, error = coefficients(shifted, weight, xs, degree, 32, kept, least_squares)
            columns[i].append(row)
            worst[i] = max(worst[i], error)
    for (function, _, _), rows, error in zip(functions, columns, worst, strict=True):
        print(f"{function.__name__}: error {mp.nstr(error * 2**24, 3)} · 2^-24")
        for power in ([centres] if function is first else []) + list(zip(*rows, strict=True)):
            print("    {" + ", ".join(f"{float(c):.8e}f" for c in power) + "},")


HALF_LN2 = mp.log(2) / 2 * mp.mpf("1.0001")
QUARTER = (mp.pi / 4 * mp.mpf("1.0001")) ** 2
JOBS = {
    # name: (function, weight that makes the error relative to the result, low, high, degree for 32 bits, for 64 bits)
    "exponential": (exponential, lambda r: r**2 * mp.exp(-r), -HALF_LN2, HALF_LN2, 4, 9),
    "power": (power, lambda f: f / mp.mpf(2) ** f, 0, 1, 4, 11),
    "logarithm": (logarithm, lambda f: f**3 / mp.log1p(f), -mp.mpf(1) / 3, mp.mpf(1) / 3, 8, 20),
    "erf_near": (erf_near, lambda t: mp.sqrt(t) / mp.erf(mp.sqrt(t)), 0, 1, 6, 12),
    "erf_far": (erf_far, lambda a: a * mp.erfc(a) / mp.erf(a), 1, None, 5, 18),
    "tanh_near": (tanh_near, lambda t: t * mp.sqrt(t) / mp.tanh(mp.sqrt(t)), 0, mp.mpf("0.3025"), 4, 9),
    "normal_tail": (normal_tail, lambda t: 1 / normal_tail(t), -1, None, 11, 23),
    "sine": (sine, lambda t: t * mp.sqrt(t) / mp.sin(mp.sqrt(t)), mp.mpf("1e-20"), QUARTER, 2, 5),
    "cosine": (cosine, lambda t: t**2 / mp.cos(mp.sqrt(t)), mp.mpf("1e-20"), QUARTER, 2, 5),
}
WIDE = ("normal_tail",)  # computed in float64 for float32 too
FAR_ENDS = {
    "erf_far": {32: mp.mpf("3.95"), 64: mp.mpf("6")},
    "normal_tail": {32: mapped(mp.mpf(15)), 64: mapped(mp.mpf(39))},
}


def main(names: list[str]) -> None:
    for name in names or [*JOBS, *TABLES]:
        if name in TABLES:
            tables(*TABLES[name])
            continue
        function, weight, low, high, single, double = JOBS[name]
        for bits, degree in ((32, single), (64, double)):
            end = FAR_ENDS[name][bits] if high is None else high
            print(f"{name} float{bits}: {function.__doc__} on [{mp.nstr(low, 5)}, {mp.nstr(end, 5)}], degree {degree}")
            fit(function, weight, low, end, degree, 64 if name in WIDE else bits)


if __name__ == "__main__":
    main(sys.argv[1:])
