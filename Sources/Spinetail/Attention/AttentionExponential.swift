import CSpinetail

/// Scores are kept in units of ln 2, so that the softmax needs powers of two: the queries are multiplied by log₂ e as
/// they are packed.
enum PowerOfTwo<E: Real> {
    @inline(__always) static var log2e: Double { 1.442695040888963407 }
    @inline(__always) static var ln2: Double { 0.693147180559945309 }

    /// 2ᵗ for t ≤ 0; 0 below the normal numbers, NaN for NaN. Within 2 units in the last place.
    @inline(__always) static func of(_ t: E.Lanes) -> E.Lanes {
        if MemoryLayout<E>.size == 4 {
            let low = E.Lanes(repeating: E.Lanes.exp2Low)
            return E.Lanes.select(E.Lanes.less(t, low), .zero, E.Lanes.exp2(t))
        }
        let n = E.Lanes.round(t)
        let power = polynomial(t - n) * E.Lanes.exp2Whole(n)
        let lowest: E = -1022
        return E.Lanes.select(E.Lanes.less(t, E.Lanes(repeating: lowest)), .zero, power)
    }

    /// 2ᶠ for |f| ≤ 1/2, from a fit at Chebyshev nodes: relative error 8e-18 before rounding.
    @inline(__always) private static func polynomial(_ f: E.Lanes) -> E.Lanes {
        var p = step(E.Lanes(repeating: E(4.4549605981865183938e-10)), f, 7.0725859492692236999e-9)
        p = step(p, f, 1.0178062445845773521e-7)
        p = step(p, f, 1.3215442587921689653e-6)
        p = step(p, f, 0.000015252733829836118394)
        p = step(p, f, 0.00015403530441736050155)
        p = step(p, f, 0.001333355814641693531)
        p = step(p, f, 0.0096181291076068885273)
        p = step(p, f, 0.055504108664821594339)
        p = step(p, f, 0.2402265069591009822)
        p = step(p, f, 0.69314718055994530942)
        return step(p, f, 1)
    }

    @inline(__always) private static func step(_ p: E.Lanes, _ f: E.Lanes, _ c: Double) -> E.Lanes {
        E.Lanes.fma(p, f, E.Lanes(repeating: E(c)))
    }
}
