import CSpinetail

/// Scores of `rows` keys and `vectors` (1 ... 3) vectors of queries, in registers:
/// out[row][lane] = Σ keys[row][k] · queries[k][lane].
enum ScoreTile<E: Real, let rows: Int, let vectors: Int> {
    /// - keys: element (row, k) at keys[row · keyRow + k]
    /// - queries, out: rows of AttentionBlock.queries lanes
    /// - largest: per lane, raised to the largest score, when given
    @inline(__always)
    static func multiply(
        depth: Int, keys: UnsafePointer<E>, keyRow: Int, queries: UnsafePointer<E>, out: UnsafeMutablePointer<E>,
        largest: UnsafeMutablePointer<E>?
    ) {
        let width = E.Lanes.width
        let stride = AttentionBlock<E>.queries
        var s0 = InlineArray<rows, E.Lanes> { _ in .zero }
        var s1 = InlineArray<rows, E.Lanes> { _ in .zero }
        var s2 = InlineArray<rows, E.Lanes> { _ in .zero }
        let half = rows >> 1
        var key = keys
        var query = queries
        let halved = depth >= leastHalved
        var end = halved ? depth >> 1 : depth
        var k = 0
        while true {
            while k < end {
                let q0 = E.Lanes.load(query)
                let q1 = vectors > 1 ? E.Lanes.load(query + width) : q0
                let q2 = vectors > 2 ? E.Lanes.load(query + 2 &* width) : q0
                // Two short loops: each is unrolled fully, and the sums stay in registers.
                for r in 0..<half {
                    let value = E.Lanes(repeating: key[r &* keyRow])
                    s0[unchecked: r] = E.Lanes.fma(value, q0, s0[unchecked: r])
                    if vectors > 1 { s1[unchecked: r] = E.Lanes.fma(value, q1, s1[unchecked: r]) }
                    if vectors > 2 { s2[unchecked: r] = E.Lanes.fma(value, q2, s2[unchecked: r]) }
                }
                for r in half..<rows {
                    let value = E.Lanes(repeating: key[r &* keyRow])
                    s0[unchecked: r] = E.Lanes.fma(value, q0, s0[unchecked: r])
                    if vectors > 1 { s1[unchecked: r] = E.Lanes.fma(value, q1, s1[unchecked: r]) }
                    if vectors > 2 { s2[unchecked: r] = E.Lanes.fma(value, q2, s2[unchecked: r]) }
                }
                key += 1
                query += stride
                k &+= 1
            }
            if end == depth { break }
            end = depth
            put(&s0, out)
            if vectors > 1 { put(&s1, out + width) }
            if vectors > 2 { put(&s2, out + 2 &* width) }
        }
        if halved {
            add(&s0, out)
            if vectors > 1 { add(&s1, out + width) }
            if vectors > 2 { add(&s2, out + 2 &* width) }
        }
        finish(&s0, out, largest)
        if vectors > 1 { finish(&s1, out + width, largest.map { $0 + width }) }
        if vectors > 2 { finish(&s2, out + 2 &* width, largest.map { $0 + 2 &* width }) }
    }

    /// From this depth on the two halves are summed apart: half as much rounding.
    @inline(__always) private static var leastHalved: Int { 16 }

    /// The sums of a first half wait where the scores are going to be.
    @inline(__always)
    private static func put(_ s: inout InlineArray<rows, E.Lanes>, _ out: UnsafeMutablePointer<E>) {
        for r in 0..<rows {
            s[unchecked: r].store(out + r &* AttentionBlock<E>.queries)
            s[unchecked: r] = .zero
        }
    }

    @inline(__always)
    private static func add(_ s: inout InlineArray<rows, E.Lanes>, _ out: UnsafeMutablePointer<E>) {
        for r in 0..<rows { s[unchecked: r] = s[unchecked: r] + E.Lanes.load(out + r &* AttentionBlock<E>.queries) }
    }

    @inline(__always)
    private static func finish(
        _ s: inout InlineArray<rows, E.Lanes>, _ out: UnsafeMutablePointer<E>, _ largest: UnsafeMutablePointer<E>?
    ) {
        for r in 0..<rows { s[unchecked: r].store(out + r &* AttentionBlock<E>.queries) }
        if let largest {
            var most = E.Lanes.load(largest)
            for r in 0..<rows { most = E.Lanes.max(most, s[unchecked: r]) }
            most.store(largest)
        }
    }
}

/// What a tile of sums reads and writes.
struct SumOperands<E: Real> {
    var depth = 0
    /// How many further rows of b there are, the first for all rows but row 0, the next for all but rows 0 and 1, …
    var wedge = 0
    /// Element (row, k) at a[row · aRow + k · aDepth].
    var a: UnsafePointer<E>
    var aRow: Int
    var aDepth: Int
    /// Rows of vectors, `bDepth` apart.
    var b: UnsafePointer<E>
    var bDepth: Int
    var c: UnsafeMutablePointer<E>
    var cRow: Int
    /// Per row; nil: c holds nothing yet.
    var factor: UnsafePointer<E>?
}

/// `rows` × `vectors` (1 or 2) vectors of sums over a depth: c = c · factor + Σ a[row, k] · b[k]. Outputs are sums over
/// keys, and so are the queries' gradients; keys' and values' gradients are sums over queries.
enum SumTile<E: Real, let rows: Int, let vectors: Int> {
    @inline(__always)
    static func multiply(_ work: SumOperands<E>, validRows: Int) {
        let aRow = work.aRow, aDepth = work.aDepth, bDepth = work.bDepth
        let c = work.c
        let cRow = work.cRow
        let width = E.Lanes.width
        var s0 = InlineArray<rows, E.Lanes> { _ in .zero }
        var s1 = InlineArray<rows, E.Lanes> { _ in .zero }
        let half = rows >> 1
        var a = work.a
        var b = work.b
        var k = 0
        while k < work.depth {
            let b0 = E.Lanes.load(b)
            let b1 = vectors > 1 ? E.Lanes.load(b + width) : b0
            for r in 0..<half {
                let value = E.Lanes(repeating: a[r &* aRow])
                s0[unchecked: r] = E.Lanes.fma(value, b0, s0[unchecked: r])
                if vectors > 1 { s1[unchecked: r] = E.Lanes.fma(value, b1, s1[unchecked: r]) }
            }
            for r in half..<rows {
                let value = E.Lanes(repeating: a[r &* aRow])
                s0[unchecked: r] = E.Lanes.fma(value, b0, s0[unchecked: r])
                if vectors > 1 { s1[unchecked: r] = E.Lanes.fma(value, b1, s1[unchecked: r]) }
            }
            a += aDepth
            b += bDepth
            k &+= 1
        }
        k = 1
        while k <= work.wedge {
            let b0 = E.Lanes.load(b)
            let b1 = vectors > 1 ? E.Lanes.load(b + width) : b0
            for r in 0..<half {
                if r >= k {
                    let value = E.Lanes(repeating: a[r &* aRow])
                    s0[unchecked: r] = E.Lanes.fma(value, b0, s0[unchecked: r])
                    if vectors > 1 { s1[unchecked: r] = E.Lanes.fma(value, b1, s1[unchecked: r]) }
                }
            }
            for r in half..<rows {
                if r >= k {
                    let value = E.Lanes(repeating: a[r &* aRow])
                    s0[unchecked: r] = E.Lanes.fma(value, b0, s0[unchecked: r])
                    if vectors > 1 { s1[unchecked: r] = E.Lanes.fma(value, b1, s1[unchecked: r]) }
                }
            }
            a += aDepth
            b += bDepth
            k &+= 1
        }
        if let factor = work.factor {
            for r in 0..<half {
                if r < validRows { add(&s0, &s1, r, c + r &* cRow, E.Lanes(repeating: factor[r])) }
            }
            for r in half..<rows {
                if r < validRows { add(&s0, &s1, r, c + r &* cRow, E.Lanes(repeating: factor[r])) }
            }
        }
        for r in 0..<half {
            if r < validRows { store(s0, s1, r, c + r &* cRow) }
        }
        for r in half..<rows {
            if r < validRows { store(s0, s1, r, c + r &* cRow) }
        }
    }

    @inline(__always)
    private static func add(
        _ s0: inout InlineArray<rows, E.Lanes>, _ s1: inout InlineArray<rows, E.Lanes>, _ r: Int,
        _ p: UnsafeMutablePointer<E>, _ factor: E.Lanes
    ) {
        s0[unchecked: r] = E.Lanes.fma(E.Lanes.load(p), factor, s0[unchecked: r])
        if vectors > 1 {
            s1[unchecked: r] = E.Lanes.fma(E.Lanes.load(p + E.Lanes.width), factor, s1[unchecked: r])
        }
    }

    @inline(__always)
    private static func store(
        _ s0: InlineArray<rows, E.Lanes>, _ s1: InlineArray<rows, E.Lanes>, _ r: Int, _ p: UnsafeMutablePointer<E>
    ) {
        s0[unchecked: r].store(p)
        if vectors > 1 { s1[unchecked: r].store(p + E.Lanes.width) }
    }
}
