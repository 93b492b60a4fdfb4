import CSpinetail

/// A run of keys or values of one head where they stand, and as many numbers for each query that sees all of them.
struct DecodeBlock {
    let rows: UnsafeRawPointer
    /// Elements from one row to the next.
    let row: Int
    let count: Int
    let width: Int
    /// Scores, which become weights: `blockKeys` for each query.
    let scores: UnsafeMutableRawPointer
    let queries: Int
    /// What is read next, `bytes` in each row, which is asked for row by row meanwhile: memory has no pause.
    let next: UnsafeRawPointer
    let nextRow: Int
    let bytes: Int

    @inline(__always) func fetch(_ row: Int) {
        var p = next + row &* nextRow
        let end = p + bytes
        while p < end {
            spinetail_prefetch(p)
            p += 64
        }
    }
}

/// Queries against keys and weights against values. A block is read once for all of its queries, which are few enough
/// for their sums to stay in registers.
enum DecodeProducts<S: SweepSource> {
    typealias E = S.Sum
    typealias Lanes = S.Sum.Lanes

    /// scores[r · blockKeys + k] = query r · key k; queries are padded with zeros to whole vectors. What is written behind
    /// the last key is arbitrary.
    @inline(never)
    static func scores(_ block: DecodeBlock, queries: UnsafePointer<E>) {
        switch block.queries {
        case 1: scores(block, queries, InlineArray<1, Lanes>(repeating: .zero))
        case 2: scores(block, queries, InlineArray<2, Lanes>(repeating: .zero))
        default: if AttentionBlock<E>.isWide { scores(block, queries, InlineArray<4, Lanes>(repeating: .zero)) }
        }
    }

    @inline(__always)
    private static func scores<let rows: Int>(
        _ block: DecodeBlock, _ queries: UnsafePointer<E>, _ zeros: InlineArray<rows, Lanes>
    ) {
        let keys = block.rows.assumingMemoryBound(to: S.Number.self)
        let scores = block.scores.assumingMemoryBound(to: E.self)
        let queryRow = roundUp(block.width, Lanes.width)
        var k = 0
        while k < block.count {
            // Where fewer than four keys are left, the last one is repeated.
            let left = block.count &- k
            let a = keys + k &* block.row
            let b = a + (left > 1 ? block.row : 0)
            let c = b + (left > 2 ? block.row : 0)
            let d = c + (left > 3 ? block.row : 0)
            var s0 = zeros
            var s1 = zeros
            var s2 = zeros
            var s3 = zeros
            for r in 0..<4 { block.fetch(k &+ r) }
            var i = 0
            while i &+ Lanes.width <= block.width {
                add(
                    S.load(a + i), S.load(b + i), S.load(c + i), S.load(d + i), queries + i, queryRow, &s0, &s1, &s2,
                    &s3)
                i &+= Lanes.width
            }
            if i < block.width {
                let left = block.width &- i
                add(
                    S.load(a + i, count: left), S.load(b + i, count: left), S.load(c + i, count: left),
                    S.load(d + i, count: left), queries + i, queryRow, &s0, &s1, &s2, &s3)
            }
            for r in 0..<rows {
                Lanes.storeSums(
                    scores + (r &* AttentionDecode<E>.blockKeys &+ k), s0[unchecked: r], s1[unchecked: r],
                    s2[unchecked: r], s3[unchecked: r])
            }
            k &+= 4
        }
    }

    /// A vector of each of four keys times that of each query.
    @inline(__always)
    private static func add<let rows: Int>(
        _ a: Lanes, _ b: Lanes, _ c: Lanes, _ d: Lanes, _ queries: UnsafePointer<E>, _ queryRow: Int,
        _ s0: inout InlineArray<rows, Lanes>, _ s1: inout InlineArray<rows, Lanes>,
        _ s2: inout InlineArray<rows, Lanes>, _ s3: inout InlineArray<rows, Lanes>
    ) {
        for r in 0..<rows {
            let q = Lanes.load(queries + r &* queryRow)
            s0[unchecked: r] = Lanes.fma(q, a, s0[unchecked: r])
            s1[unchecked: r] = Lanes.fma(q, b, s1[unchecked: r])
            s2[unchecked: r] = Lanes.fma(q, c, s2[unchecked: r])
            s3[unchecked: r] = Lanes.fma(q, d, s3[unchecked: r])
        }
    }

    /// Each query's values = values · factor + Σ weights[k] · rows[k]; what the queries keep is `state` apart.
    @inline(never)
    static func sums(_ block: DecodeBlock, states: UnsafeMutablePointer<E>, state: Int) {
        let whole = block.width &- remainder(block.width, by: Lanes.width)
        var i = 0
        while i < block.width {
            let left = whole &- i
            switch block.queries {
            case 1 where left >= 8 &* Lanes.width: i = DecodeSums<S, 1, 8>.add(block, i, states, state)
            case 1 where left >= 2 &* Lanes.width: i = DecodeSums<S, 1, 2>.add(block, i, states, state)
            case 1: i = DecodeSums<S, 1, 1>.add(block, i, states, state)
            case 2 where left >= 4 &* Lanes.width: i = DecodeSums<S, 2, 4>.add(block, i, states, state)
            case 2: i = DecodeSums<S, 2, 1>.add(block, i, states, state)
            default:
                if !AttentionBlock<E>.isWide { return }
                i =
                    left >= 4 &* Lanes.width
                    ? DecodeSums<S, 4, 4>.add(block, i, states, state)
                    : DecodeSums<S, 4, 1>.add(block, i, states, state)
            }
        }
    }
}

/// The sums of some queries and some whole vectors of values, or of a last one that is not whole.
private enum DecodeSums<S: SweepSource, let rows: Int, let vectors: Int> {
    typealias E = S.Sum
    typealias Lanes = S.Sum.Lanes

    /// Where the next vectors begin.
    @inline(__always)
    static func add(_ block: DecodeBlock, _ first: Int, _ states: UnsafeMutablePointer<E>, _ state: Int) -> Int {
        var s = InlineArray<rows, InlineArray<vectors, Lanes>>(repeating: InlineArray(repeating: .zero))
        var p = block.rows.assumingMemoryBound(to: S.Number.self) + first
        let weights = block.scores.assumingMemoryBound(to: E.self)
        let left = block.width &- first
        let isWhole = vectors > 1 || left >= Lanes.width
        var k = 0
        while k < block.count {
            var x = InlineArray<vectors, Lanes>(repeating: .zero)
            for v in 0..<vectors {
                x[unchecked: v] = isWhole ? S.load(p + v &* Lanes.width) : S.load(p, count: left)
            }
            for r in 0..<rows {
                let weight = Lanes(repeating: weights[r &* AttentionDecode<E>.blockKeys &+ k])
                for v in 0..<vectors {
                    s[unchecked: r][unchecked: v] = Lanes.fma(weight, x[unchecked: v], s[unchecked: r][unchecked: v])
                }
            }
            if first == 0 { block.fetch(k) }
            p += block.row
            k &+= 1
        }
        for r in 0..<rows {
            let row = DecodeRow<E>(states + r &* state)
            let factor = Lanes.load(row.factor)
            for v in 0..<vectors {
                let out = row.values + (first &+ v &* Lanes.width)
                Lanes.fma(Lanes.load(out), factor, s[unchecked: r][unchecked: v]).store(out)
            }
        }
        return first &+ vectors &* Lanes.width
    }
}
