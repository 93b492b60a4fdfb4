import CSpinetail

/// Short rows are reduced a block at a time, as many as a vector has lanes: each row to one vector, and then these
/// vectors, by shuffles that halve their number, to one whose lanes are the rows' results.
struct RowBlock<V: Lanes> {
    /// Longer rows have so much to do that each may as well add up its own lanes.
    static var longest: Int { 4096 }
    let vectors: UnsafeMutablePointer<V.Scalar>
    let n: Int
    /// Elements that the first vector of a row takes, so that whole ones follow.
    let head: Int
    private let there: V.Mask

    /// The memory takes `width` vectors.
    @inline(__always) init(_ scratch: UnsafeMutableRawPointer, _ n: Int) {
        vectors = scratch.assumingMemoryBound(to: V.Scalar.self)
        self.n = n
        let rest = remainder(n, by: V.width)
        head = rest == 0 ? V.width : rest
        there = V.less(V.ramp, V(repeating: V.Scalar(head)))
        memset(scratch, 0, V.width &* V.width &* MemoryLayout<V.Scalar>.stride)
    }

    /// The head of the row at p, `fill` after it.
    @inline(__always) func first(_ p: UnsafePointer<V.Scalar>, _ limit: UnsafePointer<V.Scalar>, _ fill: V.Scalar) -> V
    {
        // The next rows follow, so that a whole vector may be read everywhere but at the end.
        limit - p >= V.width ? first(V.load(p), V(repeating: fill)) : V.load(p, count: head, fill: fill)
    }
    @inline(__always) func first(_ row: V, _ fill: V) -> V { V.select(there, row, fill) }

    /// Lane r of the result is what `join` makes of the lanes of vector r.
    @inline(__always) func merged(_ join: (V, V) -> V) -> V {
        var half = V.width >> 1
        while half > 0 {
            var i = 0
            while i < half {
                let a = V.load(vectors + i &* V.width), b = V.load(vectors + (i &+ half) &* V.width)
                join(V.zipLow(a, b), V.zipHigh(a, b)).store(vectors + i &* V.width)
                i &+= 1
            }
            half >>= 1
        }
        return V.load(vectors)
    }
}
