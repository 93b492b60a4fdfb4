import CSpinetail

extension ResamplingAxis {
    /// Output row `row` of `count` columns from rows of x, the first of which is `first`.
    @inline(__always)
    func down(_ x: UnsafePointer<E>, _ first: Int, _ count: Int, _ row: Int, _ y: UnsafeMutablePointer<E>) {
        guard let places = self.places, let weights = self.weights else {
            copyRow(x + (row &- first) &* count, y, count)
            return
        }
        if weights[row] == 0 { return fill(y, count, 0) }
        if taps == 1 && weights[row] == 1 {
            copyRow(x + (Int(places[row]) &- first) &* count, y, count)
        } else if taps == 2 {
            down(x, first, count, places + row, weights + row, 2, y)
        } else if taps == 4 {
            down(x, first, count, places + row, weights + row, 4, y)
        } else {
            down(x, first, count, places + row, weights + row, taps, y)
        }
    }

    @inline(__always)
    private func down(
        _ x: UnsafePointer<E>, _ first: Int, _ count: Int, _ places: UnsafePointer<Int32>, _ weights: UnsafePointer<E>,
        _ taps: Int, _ y: UnsafeMutablePointer<E>
    ) {
        let width = E.Lanes.width
        let n = output
        var i = 0
        while i &+ 4 &* width <= count {
            let weight = Strip<E.Lanes>(repeating: weights[0])
            var total = weight * Strip<E.Lanes>.load(x + ((Int(places[0]) &- first) &* count &+ i))
            var t = 1
            while t < taps {
                total = .fma(
                    Strip<E.Lanes>(repeating: weights[t &* n]),
                    .load(x + ((Int(places[t &* n]) &- first) &* count &+ i)), total)
                t &+= 1
            }
            total.store(y + i)
            i &+= 4 &* width
        }
        while i < count {
            let some = Swift.min(width, count &- i)
            var total =
                E.Lanes(repeating: weights[0]) * part(x + ((Int(places[0]) &- first) &* count &+ i), some)
            var t = 1
            while t < taps {
                total = .fma(
                    E.Lanes(repeating: weights[t &* n]),
                    part(x + ((Int(places[t &* n]) &- first) &* count &+ i), some), total)
                t &+= 1
            }
            if some == width { total.store(y + i) } else { total.store(y + i, count: some) }
            i &+= width
        }
    }

    @inline(__always) private func part(_ p: UnsafePointer<E>, _ count: Int) -> E.Lanes {
        count == E.Lanes.width ? .load(p) : .load(p, count: count, fill: 0)
    }
}
