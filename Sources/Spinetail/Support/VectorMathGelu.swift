import CSpinetail

// The gates: x times a function that goes from 0 to 1. Below 0 their values are as exact as above, down to the denormals,
// because 1 + erf and 1 + tanh, which cancel there, are not formed.
extension Lanes {
    /// 1 + e⁻ᶻ for -z = n · ln 2 + r, from 2ⁿ and eʳ - 1, with little more than one rounding: what 1 + 2ⁿ loses is kept.
    @inline(__always) private static func onePlus(_ power: Self, _ expm1: Self) -> Self {
        let sum = one + power
        return sum + fma(power, expm1, one - (sum - power))
    }

    /// 2ⁿ and eʳ - 1 for -x = n · ln 2 + r.
    @inline(__always) private static func opposite(_ x: Self) -> (power: Self, expm1: Self) {
        let shifted = fma(x, Self(repeating: -1.44269504088896340736), shift)
        let n = shifted - shift
        let r = fma(n, negate(ln2Low), fma(n, negate(ln2High), negate(x)))
        return (exp2(shifted: shifted), expm1Reduced(r))
    }

    /// The same for z of `geluTanh`.
    @inline(__always) private static func oppositeTanh(_ x: Self) -> (power: Self, expm1: Self) {
        let (n, r) = tanhExponent(x)
        return (exp2(shifted: n + shift), expm1Reduced(r))
    }

    /// `near` where |x| is within the limit. The rest is for the vectors that hold a number beyond, or NaN.
    @inline(__always) private static func within(_ x: Self, _ limit: Scalar, _ near: Self, _ far: Self) -> Self {
        select(lessEqual(abs(x), Self(repeating: limit)), near, far)
    }

    /// For x far from 0, where 1 + eˣ is 1 or eˣ: x, or low · eᶻ with z = n · ln 2 + r below 0. -∞ · 0 is NaN.
    @inline(__always) private static func gatedFar(_ x: Self, _ low: Self, _ n: Self, _ r: Self) -> Self {
        let y = scale(fma(low, expm1Reduced(r), low), n)
        return select(less(zero, x), x, select(less(x, negate(largest)), x - x, y))
    }

    @inline(__always) static func sigmoid(_ x: Self) -> Self {
        let (power, p) = opposite(x)
        let near = one / onePlus(power, p)
        if !anyBeyond(x, gateNear) { return near }
        return within(x, gateNear, near, exp(min(zero, x)))
    }

    @inline(__always) static func silu(_ x: Self) -> Self {
        let (power, p) = opposite(x)
        let near = x / onePlus(power, p)
        if !anyBeyond(x, gateNear) { return near }
        let low = max(gateEnd, x)
        let (_, n, r) = reduce(min(zero, low))
        return within(x, gateNear, near, gatedFar(x, low, n, r))
    }

    /// s + x · s · (1 - s), s = sigmoid(x)
    @inline(__always) static func siluSlope(_ x: Self) -> Self {
        let (power, p) = opposite(x)
        let near = gateSlope(x, power, p)
        if !anyBeyond(x, gateNear) { return near }
        let low = max(exponentialLow, min(zero, x))
        let e = exp(low)
        return within(x, gateNear, near, fma(x, zero, fma(low, e, e)))  // NaN at the infinities
    }

    /// s + xz · s · (1 - s), s = 1 / (1 + e), with e's digits in 1 - s.
    @inline(__always) private static func gateSlope(_ xz: Self, _ power: Self, _ expm1: Self) -> Self {
        let gate = one / fma(power, expm1, one + power)
        let rest = fma(power, expm1, power) * gate
        return gate * fma(xz, rest, one)
    }

    /// tanh GELU and its derivative of each CPU level without tables.
    @inline(__always) static func geluTanhByExponential(_ x: Self) -> Self {
        let (power, p) = oppositeTanh(x)
        let near = x / onePlus(power, p)
        if !anyBeyond(x, geluTanhNear) { return near }
        let low = max(geluTanhEnd, x)
        let (n, r) = tanhExponent(negate(min(zero, low)))
        return within(x, geluTanhNear, near, gatedFar(x, low, n, r))
    }

    @inline(__always) static func geluTanhSlopeByExponential(_ x: Self) -> Self {
        let (power, p) = oppositeTanh(x)
        let near = gateSlope(x * geluTanhRise(x), power, p)
        if !anyBeyond(x, geluTanhNear) { return near }
        let low = max(geluTanhEnd, min(zero, x))
        let (n, r) = tanhExponent(negate(low))
        let e = scale(one + expm1Reduced(r), n)
        return within(x, geluTanhNear, near, fma(x, zero, fma(low * geluTanhRise(low), e, e)))
    }

    /// The derivative of 2 √(2/π) (x + 0.044715 x³).
    @inline(__always) private static func geluTanhRise(_ x: Self) -> Self {
        fma(x * x, Self(repeating: 0.21406444881780073), Self(repeating: 1.5957691216057308))
    }

    /// max(x, 0); NaN at -∞, where GELU is -∞ · 0.
    @inline(__always) static func positivePart(_ x: Self) -> Self {
        let half = Self(repeating: 0.5)
        return fma(half, x, half * abs(x))
    }
}

// float32: float64 lanes carry the exponents -x²/2, whose last digits count for much in the power. Where lanes look up
// tables quickly (simd_tables.h) they serve the middle, and the rest is for the vectors that hold a number beyond.
extension FloatLanes {
    @inline(__always) static func gelu(_ x: Self) -> Self {
        if spinetail_has_tables() == 0 { return narrow(wideGelu(x.low), wideGelu(x.high)) }
        let near = copysign(spinetail_gelu_by_table(x), x)  // a zero keeps its sign
        if !anyBeyond(x, geluTablesEnd) { return near }
        let far = narrow(wideGelu(x.low), wideGelu(x.high))
        return select(lessEqual(abs(x), Self(repeating: geluTablesEnd)), near, far)
    }

    @inline(__always) static func geluSlope(_ x: Self) -> Self {
        if spinetail_has_tables() == 0 { return narrow(wideGeluSlope(x.low), wideGeluSlope(x.high)) }
        let near = spinetail_gelu_slope_by_table(x)
        if !anyBeyond(x, geluTablesEnd) { return near }
        let far = narrow(wideGeluSlope(x.low), wideGeluSlope(x.high))
        return select(lessEqual(abs(x), Self(repeating: geluTablesEnd)), near, far)
    }

    @inline(__always) private static var geluTablesEnd: Float { 5.3 }

    @inline(__always) static func geluTanh(_ x: Self) -> Self {
        if spinetail_has_tables() == 0 { return geluTanhByExponential(x) }
        let near = copysign(spinetail_gelu_tanh_by_table(x), x)
        if !anyBeyond(x, geluTanhTablesEnd) { return near }
        return select(lessEqual(abs(x), Self(repeating: geluTanhTablesEnd)), near, geluTanhByExponential(x))
    }

    @inline(__always) static func geluTanhSlope(_ x: Self) -> Self {
        if spinetail_has_tables() == 0 { return geluTanhSlopeByExponential(x) }
        let near = spinetail_gelu_tanh_slope_by_table(x)
        if !anyBeyond(x, geluTanhTablesEnd) { return near }
        return select(lessEqual(abs(x), Self(repeating: geluTanhTablesEnd)), near, geluTanhSlopeByExponential(x))
    }

    @inline(__always) private static var geluTanhTablesEnd: Float { 4.6 }

    /// R and E with Φ(-a) = R · E, E = exp(-a²/2), for a = |x|: as exact as float32 needs, in float64.
    @inline(__always) private static func wideTail(_ a: DoubleLanes) -> (ratio: DoubleLanes, power: DoubleLanes) {
        let four = DoubleLanes(repeating: 4)
        let inverse = DoubleLanes(repeating: 1) / (a + four)
        let ratio = inverse * normalTail((a - four) * inverse)
        let (shifted, _, r) = DoubleLanes.reduce(a * a * DoubleLanes(repeating: -0.5))
        return (ratio, (DoubleLanes(repeating: 1) + DoubleLanes.expm1Reduced(r)) * DoubleLanes.exp2(shifted: shifted))
    }

    @inline(__always) private static func wideGelu(_ x: DoubleLanes) -> DoubleLanes {
        let a = DoubleLanes.min(DoubleLanes(repeating: 15), DoubleLanes.abs(x))  // at 15 already 0 in float32
        let (ratio, power) = wideTail(a)
        return DoubleLanes.copysign(DoubleLanes.positivePart(x) - a * ratio * power, x)
    }

    @inline(__always) private static func wideGeluSlope(_ x: DoubleLanes) -> DoubleLanes {
        let a = DoubleLanes.min(DoubleLanes(repeating: 15), DoubleLanes.abs(x))
        let (ratio, power) = wideTail(a)
        let d = power * DoubleLanes.fma(a, DoubleLanes(repeating: -0.3989422804014327), ratio)
        let zero = DoubleLanes(repeating: 0)
        let slope = DoubleLanes.select(DoubleLanes.less(x, zero), d, DoubleLanes(repeating: 1) - d)
        return DoubleLanes.fma(x, zero, slope)  // NaN at the infinities, as in PyTorch
    }

    @inline(__always) static func tanhExponent(_ x: Self) -> (n: Self, r: Self) {
        let (lowN, lowR) = wideExponent(x.low)
        let (highN, highR) = wideExponent(x.high)
        return (narrow(lowN, highN), narrow(lowR, highR))
    }

    @inline(__always) private static func wideExponent(_ x: DoubleLanes) -> (n: DoubleLanes, r: DoubleLanes) {
        let slope = DoubleLanes.fma(
            x * x, DoubleLanes(repeating: -0.07135481627260024), DoubleLanes(repeating: -1.5957691216057308))
        let z = x * slope
        let shifted = DoubleLanes.fma(z, DoubleLanes(repeating: 1.44269504088896340736), DoubleLanes.shift)
        let n = shifted - DoubleLanes.shift
        return (n, DoubleLanes.fma(n, DoubleLanes(repeating: -0.6931471805599453), z))
    }
}

// float64: exponents in two parts, rounding errors of products made good.
extension DoubleLanes {
    @inline(__always) static func geluTanh(_ x: Self) -> Self { geluTanhByExponential(x) }
    @inline(__always) static func geluTanhSlope(_ x: Self) -> Self { geluTanhSlopeByExponential(x) }

    /// Φ(-a) = scale((ratio + low) · (1 + p), n), from (a + 4) · e^(a²/2) · Φ(-a), a polynomial of (a - 4) / (a + 4).
    @inline(__always) private static func tail(
        _ a: Self
    ) -> (ratio: Self, low: Self, n: Self, expm1: Self) {
        let one = Self(repeating: 1), four = Self(repeating: 4)
        let sum = a + four
        let part = sum - a
        let carried = (a - (sum - part)) + (four - part)
        let inverse = one / sum
        let back = inverse * sum
        let missing = (one - back) - fma(carried, inverse, spinetail_product_error_f64(inverse, sum, back))
        // t = 1 - 8 / (a + 4), and what it lacks times the polynomial's slope
        let eight = inverse * Self(repeating: 8)
        let t = one - eight
        var slope = fma(t, Self(repeating: 0.2416), Self(repeating: -0.5596))
        slope = fma(fma(slope, t, Self(repeating: 0.7743)), t, Self(repeating: -0.6079))
        let rest = normalTail(t), first = Self(repeating: 0.7552851304157515)
        let bend = rest * t
        let top = first + bend
        let error = (first - top) + bend + spinetail_product_error_f64(rest, t, bend)
        let lost = fma(slope, (one - t) - eight - eight * missing, error)
        let ratio = top * inverse
        let low = fma(ratio, missing, fma(lost, inverse, spinetail_product_error_f64(top, inverse, ratio)))

        let square = a * a
        let half = square * Self(repeating: -0.5)
        let n = fma(half, Self(repeating: 1.44269504088896340736), shift) - shift
        let high = fma(n, negate(ln2High), half)
        let small = fma(spinetail_product_error_f64(a, a, square), Self(repeating: -0.5), n * negate(ln2Low))
        let r = high + small
        return (ratio, low, n, r + fma(r * r, exponentialTail(r), (high - r) + small))
    }

    @inline(__always) static func gelu(_ x: Self) -> Self {
        let a = min(Self(repeating: 39), abs(x))
        let (ratio, low, n, p) = tail(a)
        let w = a * ratio
        let rest = fma(a, low, spinetail_product_error_f64(a, ratio, w))
        return copysign(positivePart(x) - scale(w + fma(w, p, fma(rest, p, rest)), n), x)
    }

    @inline(__always) static func geluSlope(_ x: Self) -> Self {
        let a = min(Self(repeating: 39), abs(x))
        let (ratio, low, n, p) = tail(a)
        let w = fma(a, Self(repeating: -0.3989422804014327), ratio)
        let d = scale(fma(w, p, w + low), n)
        let zero = Self(repeating: 0)
        return fma(x, zero, select(less(x, zero), d, Self(repeating: 1) - d))  // NaN at the infinities
    }

    @inline(__always) static func tanhExponent(_ x: Self) -> (n: Self, r: Self) {
        // z = x · (c₁ + c₃ x²), each step with what it lost
        let c1 = Self(repeating: -1.5957691216057308), c3 = Self(repeating: -0.07135481627260025)
        let square = x * x
        let cube = c3 * square
        let sum = c1 + cube
        let part = sum - c1
        var lost = (c1 - (sum - part)) + (cube - part)
        lost = lost + spinetail_product_error_f64(c3, square, cube)
        lost = lost + fma(c3, spinetail_product_error_f64(x, x, square), Self(repeating: c1Low))
        lost = fma(square, Self(repeating: c3Low), lost)
        let z = x * sum
        lost = fma(x, lost, spinetail_product_error_f64(x, sum, z))
        let n = fma(z, Self(repeating: 1.44269504088896340736), shift) - shift
        let high = fma(n, negate(ln2High), z)
        return (n, high + fma(n, negate(ln2Low), lost))
    }
    // What is left of -√(8/π) and of 0.044715 times it.
    @inline(__always) private static var c1Low: Double { 9.96930880911092e-17 }
    @inline(__always) private static var c3Low: Double { 6.175149918155315e-19 }
}
