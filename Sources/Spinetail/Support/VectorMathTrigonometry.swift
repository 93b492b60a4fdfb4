import CSpinetail

// x = k · π/2 + r: then sine and cosine of x are those of r, exchanged where k is odd, with a sign.
extension Lanes {
    @inline(__always) static func sin(_ x: Self) -> Self {
        let (turns, r) = quarterTurns(x)
        return turned(turns, r)
    }

    @inline(__always) static func cos(_ x: Self) -> Self {
        let (turns, r) = quarterTurns(x)
        return turned(turns + one, r)
    }

    @inline(__always) private static func turned(_ turns: Self, _ r: Self) -> Self {
        let t = r * r
        let sine = copysign(fma(r * t, sineTail(t), r), r)
        let cosine = fma(t, fma(t, cosineTail(t), Self(repeating: -0.5)), one)
        return turn(select(odd(turns), cosine, sine), turns)
    }
}

extension FloatLanes {
    /// What leaves no fraction to a sum with it.
    @inline(__always) private static var whole: Self { Self(repeating: 12_582_912) }
    /// Up to here three parts of π/2 are enough.
    @inline(__always) private static var near: Float { 65_536 }

    @inline(__always) static func quarterTurns(_ x: Self) -> (turns: Self, r: Self) {
        if spinetail_has_fma() == 0 { return wideTurns(x) }
        let turns = fma(x, Self(repeating: 0.6366197723675814), whole)
        let k = turns - whole
        // The first difference is exact. All parts are positive, so that -0 stays.
        var r = fma(k, Self(repeating: -1.570796251296997), x)
        r = fma(k, Self(repeating: -7.549789415861596e-08), r)
        r = fma(k, Self(repeating: -5.390302529957765e-15), r)
        if !anyBeyond(x, near) { return (turns, r) }
        let (farTurns, farR) = wideTurns(x)
        let within = lessEqual(abs(x), Self(repeating: near))
        return (select(within, turns, farTurns), select(within, r, farR))
    }

    @inline(__always) private static func wideTurns(_ x: Self) -> (turns: Self, r: Self) {
        let (low, lowR) = DoubleLanes.quarterTurns(x.low)
        let (high, highR) = DoubleLanes.quarterTurns(x.high)
        return (narrow(low - DoubleLanes.whole, high - DoubleLanes.whole) + whole, narrow(lowR, highR))
    }
}

extension DoubleLanes {
    /// What leaves no fraction to a sum with it.
    @inline(__always) fileprivate static var whole: Self { Self(repeating: 6_755_399_441_055_744) }
    /// Up to here k · π/2 is exact in its two upper parts of 33 bits each (Cody and Waite).
    @inline(__always) private static var near: Double { 1_048_576 }

    @inline(__always) static func quarterTurns(_ x: Self) -> (turns: Self, r: Self) {
        var turns = fma(x, Self(repeating: 0.6366197723675814), whole)
        let k = turns - whole
        let first = fma(k, Self(repeating: -1.5707963267341256), x)
        let second = fma(k, Self(repeating: -6.077100506303966e-11), first)
        let lost = fma(k, Self(repeating: -6.077100506303966e-11), first - second)
        var r = second + fma(k, Self(repeating: -2.0222662487959506e-21), lost)
        // a zero keeps its sign
        r = select(equal(x, Self(repeating: 0)), x, r)
        if anyBeyond(x, near) {
            var i: Int64 = 0
            while i < Int64(truncatingIfNeeded: width) {
                let value = spinetail_element_f64(x, i)
                if value.magnitude > near && value.magnitude <= Double.greatestFiniteMagnitude {
                    let (count, rest) = hugeTurns(value)
                    turns = spinetail_with_element_f64(turns, i, count + 6_755_399_441_055_744)
                    r = spinetail_with_element_f64(r, i, rest)
                }
                i &+= 1
            }
        }
        return (turns, r)
    }
}

/// k modulo 4 and r for one finite number of at least 2²⁰ (Payne and Hanek 1983): of 2/π only the 192 bits count that
/// stand between 2¹ and some 2⁻¹³⁷ in the product; those above make whole turns.
@inline(never) private func hugeTurns(_ x: Double) -> (k: Double, r: Double) {
    let mantissa = (x.bitPattern & 0xF_FFFF_FFFF_FFFF) | 0x10_0000_0000_0000
    let exponent = Int64(truncatingIfNeeded: (x.bitPattern >> 52) & 0x7FF) &- 1075  // x = mantissa · 2^exponent
    let skipped = exponent &+ 62
    let word = skipped >> 6
    let bit = UInt64(truncatingIfNeeded: skipped & 63)
    let high = window(word, bit).multipliedFullWidth(by: mantissa)
    let middle = window(word &+ 1, bit).multipliedFullWidth(by: mantissa)
    let low = window(word &+ 2, bit).multipliedFullWidth(by: mantissa)
    let second = middle.low.addingReportingOverflow(low.high)
    let top = high.low &+ middle.high &+ (second.overflow ? 1 : 0)
    // 2 bits of quarter turns, then the fraction, taken as a signed number of 128 bits
    var upper = (top << 2) | (second.partialValue >> 62)
    var lower = (second.partialValue << 2) | (low.low >> 62)
    let negative = upper >> 63 != 0
    var turns = Double((top >> 62) &+ (negative ? 1 : 0))
    if negative {
        lower = 0 &- lower
        upper = ~upper &+ (lower == 0 ? 1 : 0)
    }
    // the fraction's first 64 bits that are not leading zeros (no float64 has 64 of them)
    let zeros = UInt64(truncatingIfNeeded: upper.leadingZeroBitCount)
    let bits = zeros == 0 ? upper : (upper << (zeros & 63)) | (lower >> ((64 &- zeros) & 63))
    let unit = Double(bitPattern: (959 &- zeros) << 52)  // 2^(-64 - zeros)
    let coarse = Double(bits & ~0x7FF), fine = Double(bits & 0x7FF)
    var r = coarse * 1.5707963267948966
    let lanes = DoubleLanes(repeating: coarse)
    let error = spinetail_product_error_f64(
        lanes, DoubleLanes(repeating: 1.5707963267948966), DoubleLanes(repeating: r))
    let small = coarse * 6.123233995736766e-17 + fine * 1.5707963267948966
    r = (r + (spinetail_element_f64(error, 0) + small)) * unit
    if negative != (x < 0) { r = 0 - r }
    if x < 0 { turns = 0 - turns }
    return (turns, r)
}

/// 64 bits of 2/π from a bit within a word on.
@inline(__always) private func window(_ word: Int64, _ bit: UInt64) -> UInt64 {
    let first = spinetail_two_over_pi(word)
    return bit == 0 ? first : (first << bit) | (spinetail_two_over_pi(word &+ 1) >> (64 &- bit))
}
