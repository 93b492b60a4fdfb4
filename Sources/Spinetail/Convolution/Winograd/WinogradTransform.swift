import CSpinetail

/// The linear maps of F(4×4, 3×3) and F(2×2, 3×3): a tile of 4×4 results from 6×6 pixels takes 36 multiplications instead of
/// 144, one of 2×2 from 4×4 16 instead of 36. The points are 0, ±1, ∞ and, with a span of 6, ±2; each map is applied along one
/// axis and then along the other. With a span of 4 the last two of six numbers are zeros that nobody looks at.
/// Source: Lavin, Gray: Fast Algorithms for Convolutional Neural Networks, arXiv 1509.09308.
enum WinogradTransform<E: Real, let span: Int> {
    typealias Six = (E.Lanes, E.Lanes, E.Lanes, E.Lanes, E.Lanes, E.Lanes)

    @inline(__always) static var zeros: Six { (.zero, .zero, .zero, .zero, .zero, .zero) }

    /// Pixels.
    @inline(__always) static func input(_ d: Six) -> Six {
        if span == 4 { return (d.0 - d.2, d.1 + d.2, d.2 - d.1, d.1 - d.3, .zero, .zero) }
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
        if span == 4 {
            let half = E.Lanes(repeating: 0.5)
            let even = (g0 + g2) * half
            let odd = g1 * half
            return (g0, even + odd, even - odd, g2, .zero, .zero)
        }
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
        if span == 4 { return (m.0 + m.1 + m.2, m.1 - m.2 - m.3, .zero, .zero) }
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

    /// As many vectors as the span has, `step` elements apart.
    @inline(__always) static func put(_ x: Six, _ out: UnsafeMutablePointer<E>, _ step: Int) {
        x.0.store(out)
        x.1.store(out + step)
        x.2.store(out + 2 &* step)
        x.3.store(out + 3 &* step)
        if span == 4 { return }
        x.4.store(out + 4 &* step)
        x.5.store(out + 5 &* step)
    }

    @inline(__always) static func take(_ from: UnsafePointer<E>, _ step: Int) -> Six {
        (
            E.Lanes.load(from), E.Lanes.load(from + step), E.Lanes.load(from + 2 &* step),
            E.Lanes.load(from + 3 &* step), span == 4 ? .zero : E.Lanes.load(from + 4 &* step),
            span == 4 ? .zero : E.Lanes.load(from + 5 &* step)
        )
    }
}
