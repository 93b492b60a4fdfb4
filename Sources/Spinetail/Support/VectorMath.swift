import CSpinetail

/// What differs between the element types: fitted polynomials and limits (VectorMathFloat.swift, VectorMathDouble.swift).
protocol VectorMath {
    /// (eʳ - 1 - r) / r² for |r| ≤ ln 2 / 2.
    static func exponentialTail(_ r: Self) -> Self
    /// (log(1 + f) - f + f²/2) / f³ for |f| ≤ 1/3.
    static func logarithmTail(_ f: Self) -> Self
    /// erf(x) / x - 1 of t = x² ≤ 1.
    static func erfNear(_ t: Self) -> Self
    /// -log(erfc(a)) / a for 1 ≤ a ≤ erfIsOne.
    static func erfFar(_ a: Self) -> Self
    /// (sin(r) / r - 1) / t and (cos(r) - 1 + t/2) / t² of t = r² for |r| ≤ π / 4.
    static func sineTail(_ t: Self) -> Self
    static func cosineTail(_ t: Self) -> Self
    /// k and r with x = k · π / 2 + r and |r| ≤ π / 4; k in the last bits of a number that has no fraction.
    static func quarterTurns(_ x: Self) -> (turns: Self, r: Self)
    /// n and r with -2 √(2/π) (x + 0.044715 x³) = n · ln 2 + r.
    static func tanhExponent(_ x: Self) -> (n: Self, r: Self)
    static func tanh(_ x: Self) -> Self
    static func erf(_ x: Self) -> Self
    /// 2ᵗ for `exp2Low` ≤ t ≤ 100, with a relative error of 2 eps; something else for less.
    static func exp2(_ t: Self) -> Self
    /// (tanh(x) / x - 1) / t of t = x² for |x| ≤ 0.55.
    static func tanhNear(_ t: Self) -> Self
    /// x · Φ(x), Φ the normal distribution function, and its derivative.
    static func gelu(_ x: Self) -> Self
    static func geluSlope(_ x: Self) -> Self
    /// x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))) and its derivative.
    static func geluTanh(_ x: Self) -> Self
    static func geluTanhSlope(_ x: Self) -> Self

    /// eˣ is 0 below the one and infinite above the other.
    static var exponentialLow: Self { get }
    static var exponentialHigh: Self { get }
    /// x · eˣ is 0 below the first, tanh GELU below the second.
    static var gateEnd: Self { get }
    static var geluTanhEnd: Self { get }
    /// expm1 is -1 at and below this.
    static var belowOne: Self { get }
    /// ln 2 in two parts; products of the first with whole numbers are exact.
    static var ln2High: Self { get }
    static var ln2Low: Self { get }
    /// Up to here expm1(x) = log1p(x) = x; from `huge` on log1p(x) = log(x).
    static var tiny: Self { get }
    static var huge: Self { get }
    static var smallestNormal: Self { get }
    static var largest: Self { get }
    static var denormalScale: Self { get }
    static var denormalExponent: Self { get }
    /// erf is 1 from here on.
    static var erfIsOne: Self { get }
}

/// Elementary functions, one vector at a time: straight-line code, no calls. NaN gives NaN, infinities and signed zeros
/// give what C's functions give, denormals count. Errors are at most 1.1 units in the last place for exp and log, 2 for
/// the others, without fused multiply-add as well (the tests measure them).
extension Lanes {
    @inline(__always) static var one: Self { Self(repeating: 1) }

    /// n and r with x = n · ln 2 + r and |r| ≤ ln 2 / 2, and n + `shift`, from which `exp2(shifted:)` makes 2ⁿ.
    @inline(__always) static func reduce(_ x: Self) -> (shifted: Self, n: Self, r: Self) {
        let shifted = fma(x, Self(repeating: 1.44269504088896340736), shift)
        let n = shifted - shift
        return (shifted, n, fma(n, negate(ln2Low), fma(n, negate(ln2High), x)))
    }

    /// eʳ - 1 for a reduced r.
    @inline(__always) static func expm1Reduced(_ r: Self) -> Self { fma(r * r, exponentialTail(r), r) }

    /// The same where r's own rounding error is made good: for functions that go on computing with the result.
    @inline(__always) static func reduceExactly(_ x: Self) -> (shifted: Self, n: Self, expm1: Self) {
        let shifted = fma(x, Self(repeating: 1.44269504088896340736), shift)
        let n = shifted - shift
        let high = fma(n, negate(ln2High), x)
        let r = fma(n, negate(ln2Low), high)
        let low = fma(n, negate(ln2Low), high - r)
        return (shifted, n, r + fma(r * r, exponentialTail(r), low))
    }

    @inline(__always) static func exp(_ x: Self) -> Self {
        expBelow(min(exponentialHigh, x))
    }

    /// eˣ for x ≤ 0, as softmax and sigmoid need it.
    @inline(__always) static func expNonPositive(_ x: Self) -> Self {
        expBelow(x)
    }

    /// eˣ up to exponentialHigh. Where it is 0, so is its argument: processors take a hundred times as long over results
    /// that are too small, and rows of logits are full of -∞.
    @inline(__always) private static func expBelow(_ x: Self) -> Self {
        let none = less(x, exponentialLow)
        let (_, n, r) = reduce(select(none, zero, x))
        return select(none, zero, scale(one + expm1Reduced(r), n))
    }

    /// eˣ for |x| ≤ gateNear.
    @inline(__always) static func expNear(_ x: Self) -> Self {
        let (shifted, _, r) = reduce(x)
        let power = exp2(shifted: shifted)
        return fma(power, expm1Reduced(r), power)
    }

    @inline(__always) static func expm1(_ x: Self) -> Self {
        let (_, n, p) = reduceExactly(max(belowOne, min(exponentialHigh, x)))
        // Half of the result first: 2ⁿ itself may overflow where the result does not.
        let half = exp2Whole(n - one)
        let y = fma(half, p, half - Self(repeating: 0.5))
        return select(lessEqual(abs(x), tiny), x, y + y)
    }

    /// tanh of each CPU level without tables.
    @inline(__always) static func tanhByExponential(_ x: Self) -> Self {
        // a polynomial near 0, and 1 - 2e / (1 + e) with e = exp(-2|x|) beyond, where the quotient's errors weigh little
        let a = abs(x)
        let t = a * a
        let (shifted, _, p) = reduceExactly(max(belowOne, a * Self(repeating: -2)))
        let power = exp2(shifted: shifted)
        let e = fma(power, p, power)
        let far = one - (e + e) / (one + e)
        return copysign(select(less(a, Self(repeating: 0.55)), fma(a * t, tanhNear(t), a), far), x)
    }

    /// log(1 + f) + k · ln 2 for |f| ≤ 1/3.
    @inline(__always) private static func logReduced(_ f: Self, _ k: Self) -> Self {
        let bend = f * f * fma(f, logarithmTail(f), Self(repeating: -0.5))
        return fma(k, ln2High, f + fma(k, ln2Low, bend))
    }

    @inline(__always) static func log(_ x: Self) -> Self {
        let small = less(x, smallestNormal)
        let normal = select(small, x * denormalScale, x)
        let k = exponent(normal) - select(small, denormalExponent, zero)
        return logLimits(x, logReduced(mantissa(normal) - one, k))
    }

    @inline(__always) static func log1p(_ x: Self) -> Self {
        let u = one + x
        let k = exponent(u)
        // f of the exact 1 + x = (1 + f) · 2ᵏ: x · 2⁻ᵏ and 2⁻ᵏ - 1 lose nothing that matters.
        let power = exp2Whole(negate(k))
        let f = select(less(x, huge), fma(x, power, power - one), mantissa(u) - one)
        return select(lessEqual(abs(x), tiny), x, logLimits(u, logReduced(f, k)))
    }

    /// log(1 + eˣ)
    @inline(__always) static func softplus(_ x: Self) -> Self {
        let (_, n, p) = reduceExactly(max(exponentialLow, negate(abs(x))))
        // e in (0, 1] and what its rounding lost: 1 + e needs no care for its edges
        let rounded = one + p
        let e = scale(rounded, n), lost = scale(p - (rounded - one), n)
        let k = exponent(one + e)
        let power = exp2Whole(negate(k))
        let f = fma(e, power, power - one)
        let bend = fma(f * f, fma(f, logarithmTail(f), Self(repeating: -0.5)), lost * power)
        return max(zero, x) + fma(k, ln2High, f + fma(k, ln2Low, bend))
    }

    /// erf of each CPU level without tables.
    @inline(__always) static func erfByExponential(_ x: Self) -> Self {
        let a = abs(x)
        let near = fma(x, erfNear(x * x), x)
        let b = min(erfIsOne, a)
        let (shifted, _, r) = reduce(negate(b * erfFar(b)))
        let power = exp2(shifted: shifted)
        let far = one - fma(power, expm1Reduced(r), power)
        return select(less(a, one), near, copysign(far, x))
    }
}
