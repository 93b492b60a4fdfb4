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

    /// (tanh(x) / x - 1) / t of t = x² for |x| ≤ 0.55.
    static func tanhNear(_ t: Self) -> Self

    /// eˣ is 0 below the one and infinite above the other.
    static var exponentialLow: Self { get }
    static var exponentialHigh: Self { get }
    /// expm1 is -1 at and below this.
    static var belowOne: Self { get }
    /// ln 2 in two parts; products of the first with whole numbers are exact.
    static var ln2High: Self { get }
    static var ln2Low: Self { get }
    /// Up to here expm1(x) = log1p(x) = x; from `huge` on log1p(x) = log(x).
    static var tiny: Self { get }
    static var huge: Self { get }
    static var smallestNormal: Self { get }
    static var denormalScale: Self { get }
    static var denormalExponent: Self { get }
    /// erf is 1 from here on.
    static var erfIsOne: Self { get }
}

/// Elementary functions, one vector at a time: straight-line code, no calls, no branches. NaN gives NaN, infinities and
/// signed zeros give what C's functions give, denormals count. Errors are at most 1 unit in the last place for exp and
/// log, 2 for the others, 2.3 for sigmoid (the tests measure them), without fused multiply-add as well.
extension Lanes {
    @inline(__always) static var one: Self { Self(repeating: 1) }

    /// n and r with x = n · ln 2 + r and |r| ≤ ln 2 / 2.
    @inline(__always) private static func reduce(_ x: Self) -> (n: Self, r: Self) {
        let n = round(x * Self(repeating: 1.44269504088896340736))
        return (n, fma(n, negate(ln2Low), fma(n, negate(ln2High), x)))
    }

    /// eʳ - 1 for a reduced r.
    @inline(__always) private static func expm1Reduced(_ r: Self) -> Self { fma(r * r, exponentialTail(r), r) }

    /// n and eʳ - 1 where r's own rounding error is made good: for functions that go on computing with the result.
    @inline(__always) private static func reduceExactly(_ x: Self) -> (n: Self, expm1: Self) {
        let n = round(x * Self(repeating: 1.44269504088896340736))
        let high = fma(n, negate(ln2High), x)
        let r = fma(n, negate(ln2Low), high)
        let low = fma(n, negate(ln2Low), high - r)
        return (n, r + fma(r * r, exponentialTail(r), low))
    }

    @inline(__always) static func exp(_ x: Self) -> Self {
        let (n, r) = reduce(max(exponentialLow, min(exponentialHigh, x)))
        return scale(one + expm1Reduced(r), n)
    }

    /// eˣ for x ≤ 0, as softmax and sigmoid need it.
    @inline(__always) static func expNonPositive(_ x: Self) -> Self {
        let (n, r) = reduce(max(exponentialLow, x))
        return scale(one + expm1Reduced(r), n)
    }

    @inline(__always) static func expm1(_ x: Self) -> Self {
        let (n, p) = reduceExactly(max(belowOne, min(exponentialHigh, x)))
        // Half of the result first: 2ⁿ itself may overflow where the result does not.
        let half = exp2Whole(n - one)
        let y = fma(half, p, half - Self(repeating: 0.5))
        return select(lessEqual(abs(x), tiny), x, y + y)
    }

    @inline(__always) static func tanh(_ x: Self) -> Self {
        let a = abs(x)
        let t = x * x
        let near = fma(a * t, tanhNear(t), a)
        // 1 - 2e / (1 + e) with e = exp(-2a): where tanh is above 1/2 the quotient's errors weigh little
        let (n, p) = reduceExactly(max(belowOne, negate(a + a)))
        let power = exp2Whole(n)
        let e = fma(power, p, power)
        let far = one - (e + e) / (one + e)
        return copysign(select(less(a, Self(repeating: 0.55)), near, far), x)
    }

    @inline(__always) static func sigmoid(_ x: Self) -> Self {
        let (n, p) = reduceExactly(max(exponentialLow, negate(abs(x))))
        let e = scale(one + p, n)
        return select(less(x, zero), e, one) / (one + e)
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
        let e = expNonPositive(negate(abs(x)))  // in (0, 1]: 1 + e needs no care for its edges
        let k = exponent(one + e)
        let power = exp2Whole(negate(k))
        return max(zero, x) + logReduced(fma(e, power, power - one), k)
    }

    @inline(__always) static func erf(_ x: Self) -> Self {
        let a = abs(x)
        let near = fma(x, erfNear(x * x), x)
        let b = min(erfIsOne, a)
        let (n, r) = reduce(negate(b * erfFar(b)))
        let power = exp2Whole(n)
        let far = one - fma(power, expm1Reduced(r), power)
        return select(less(a, one), near, copysign(far, x))
    }
}
