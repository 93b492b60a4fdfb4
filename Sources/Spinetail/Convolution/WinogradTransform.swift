import CSpinetail

/// The linear maps of F(4×4, 3×3): a tile of 4×4 results from 6×6 pixels takes 36 multiplications instead of 144. The
/// points are 0, ±1, ±2 and ∞; each map is applied along one axis and then along the other.
/// Source: Lavin, Gray: Fast Algorithms for Convolutional Neural Networks, arXiv 1509.09308.
enum WinogradTransform<E: Real> {
    typealias Six = (E.Lanes, E.Lanes, E.Lanes, E.Lanes, E.Lanes, E.Lanes)

    /// Pixels.
    @inline(__always) static func input(_ d: Six) -> Six {
        let four = E.Lanes(repeating: 4)
        let five = E.Lanes(repeating: -5)
        let two = E.Lanes(repeating: 2)
        let even = E.Lanes.fma(E.Lanes(repeating: -4), d.2, d.4)
        let odd = E.Lanes.fma(E.Lanes(repeating: -4), d.1, d.3)
        let evenOuter = d.4 - d.2
        let oddOuter = (d.3 - d.1) * two
        return (
            E.Lanes.fma(four, d.0, E.Lanes.fma(five, d.2, d.4)), even + odd, even - odd, evenOuter + oddOuter,
            evenOuter - oddOuter, E.Lanes.fma(four, d.1, E.Lanes.fma(five, d.3, d.5))
        )
    }

    /// Weights.
    @inline(__always) static func filter(_ g0: E.Lanes, _ g1: E.Lanes, _ g2: E.Lanes) -> Six {
        let sixth = E.Lanes(repeating: 1 / 6)
        let even = E.Lanes.negate((g0 + g2) * sixth)
        let odd = g1 * sixth
        let evenOuter = E.Lanes.fma(g0, E.Lanes(repeating: 1 / 24), g2 * sixth)
        let oddOuter = g1 * E.Lanes(repeating: 1 / 12)
        return (
            g0 * E.Lanes(repeating: 0.25), even - odd, even + odd, evenOuter + oddOuter, evenOuter - oddOuter, g2
        )
    }

    /// Products.
    @inline(__always) static func output(_ m: Six) -> (E.Lanes, E.Lanes, E.Lanes, E.Lanes) {
        let sum = m.1 + m.2
        let difference = m.1 - m.2
        let sumOuter = m.3 + m.4
        let differenceOuter = m.3 - m.4
        return (
            m.0 + sum + sumOuter, E.Lanes.fma(E.Lanes(repeating: 2), differenceOuter, difference),
            E.Lanes.fma(E.Lanes(repeating: 4), sumOuter, sum),
            E.Lanes.fma(E.Lanes(repeating: 8), differenceOuter, difference) + m.5
        )
    }
}
