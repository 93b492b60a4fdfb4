enum Vectors<let count: Int> {}

/// The elements that a window sees: how many along each axis, how far apart they lie in memory, and in places.
struct WindowElements<E: Real> {
    let counts: Space
    let steps: Space
    let places: (d: E, h: E, w: E)

    /// Of `vectors` vectors of windows from `start` on the maxima, and with `places` where they are: the first of the
    /// largest, counted from the window's first. A single vector may have less than all lanes. Returns the sum, which is NaN
    /// where an element is, and for opposite infinities.
    @inline(__always)
    func maxima<let vectors: Int>(
        _ some: Vectors<vectors>.Type, _ start: UnsafePointer<E>, _ valid: Int, places labels: Bool,
        _ best: inout InlineArray<vectors, E.Lanes>, _ at: inout InlineArray<vectors, E.Lanes>
    ) -> E.Lanes {
        let width = E.Lanes.width
        var sum = E.Lanes.zero
        for i in 0..<vectors {
            best[unchecked: i] = load(start + i &* width, vectors == 1 ? valid : width)
            at[unchecked: i] = .zero
        }
        var (layer, layerPlace) = (start, E(0))
        var d = 0
        while d < counts.d {
            var (line, linePlace) = (layer, layerPlace)
            var h = 0
            while h < counts.h {
                var (p, place) = (line, linePlace)
                var w = 0
                while w < counts.w {
                    let here = E.Lanes(repeating: place)
                    for i in 0..<vectors {
                        let value = load(p + i &* width, vectors == 1 ? valid : width)
                        if labels {
                            at[unchecked: i] = E.Lanes.select(
                                E.Lanes.less(best[unchecked: i], value), here, at[unchecked: i])
                        }
                        best[unchecked: i] = E.Lanes.max(value, best[unchecked: i])
                        sum = sum + value
                    }
                    p += steps.w
                    place = place + places.w
                    w &+= 1
                }
                line += steps.h
                linePlace = linePlace + places.h
                h &+= 1
            }
            layer += steps.d
            layerPlace = layerPlace + places.d
            d &+= 1
        }
        return sum
    }

    @inline(__always) private func load(_ p: UnsafePointer<E>, _ valid: Int) -> E.Lanes {
        valid == E.Lanes.width ? .load(p) : .load(p, count: valid, fill: 0 - E.infinity)
    }
}
