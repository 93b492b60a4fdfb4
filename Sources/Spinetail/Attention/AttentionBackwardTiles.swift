import CSpinetail

/// The sizes that the backward pass cuts a head into: some blocks of queries, prepared together so that sums over
/// queries are long, against fewer keys than the forward pass takes, a number that all tiles divide.
enum BackwardBlock<E: Real> {
    @inline(__always) static var blocks: Int { 4 }
    @inline(__always) static var queries: Int { blocks &* AttentionBlock<E>.queries }
    @inline(__always) static var keys: Int { 120 }
    /// A panel is two vectors of columns of some rows, one row after another whatever the array's strides are.
    @inline(__always) static var panel: Int { 2 &* E.Lanes.width }
    /// Elements between the scores of a block and those of the next: a tile may read a few keys beyond the last.
    static func elements(keys: Int) -> Int {
        (roundUp(keys, E.Lanes.width) &+ AttentionBlock<E>.outputRows) &* AttentionBlock<E>.queries &+ 16
    }
}

/// The sums of the backward pass, of scores (blocks of keys × AttentionBlock.queries) and rows of vectors.
enum GradientProduct<E: Real> {
    /// c[key] += Σ a[key, query] · b[query]: what keys and values get from all `queries` that see them.
    /// - a: blocks `aBlock` apart
    /// - b: panels of `bRows` rows
    @inline(never)
    static func overQueries(
        keys: Int, columns: Int, queries: Int, a: UnsafePointer<E>, aBlock: Int, b: UnsafePointer<E>, bRows: Int,
        c: UnsafeMutablePointer<E>, band: Band
    ) {
        let most = AttentionBlock<E>.outputRows
        var column = 0
        while column < columns {
            let pair = column &+ E.Lanes.width < columns
            var row = 0
            while row < keys {
                let rows = Swift.min(keys &- row, keys &- row < most ? 4 : most)
                let depth = Depth(
                    from: band.firstQuery(row), until: band.endQuery(row &+ rows &- 1, queries), aBlock: aBlock,
                    bRow: BackwardBlock<E>.panel)
                let p = a + row &* AttentionBlock<E>.queries
                let q = c + (row &* columns &+ column)
                let panel = b + column &* bRows
                if rows < most {
                    if pair {
                        GradientTile<E, 4, 2, 1>.add(depth, p, panel, q, columns, rows)
                    } else {
                        GradientTile<E, 4, 1, 1>.add(depth, p, panel, q, columns, rows)
                    }
                } else if AttentionBlock<E>.isWide {
                    if pair {
                        GradientTile<E, 12, 2, 1>.add(depth, p, panel, q, columns, 12)
                    } else {
                        GradientTile<E, 12, 1, 1>.add(depth, p, panel, q, columns, 12)
                    }
                } else if pair {
                    GradientTile<E, 6, 2, 1>.add(depth, p, panel, q, columns, 6)
                } else {
                    GradientTile<E, 6, 1, 1>.add(depth, p, panel, q, columns, 6)
                }
                row &+= rows
            }
            column &+= BackwardBlock<E>.panel
        }
    }

    /// c[query] += Σ a[key, query] · b[key] for one block of queries. Tiles take all keys that any of their queries
    /// sees, with scores of 0 where one does not, unless queries are to be kept `apart`: with keys that are not finite.
    @inline(never)
    static func overKeys(
        queries: Int, columns: Int, keys: Int, a: UnsafePointer<E>, b: UnsafePointer<E>, bRow: Int,
        c: UnsafeMutablePointer<E>, band: Band, apart: Bool
    ) {
        let most = AttentionBlock<E>.outputRows
        var column = 0
        while column < columns {
            let pair = column &+ E.Lanes.width < columns
            var row = 0
            while row < queries {
                let rows = apart ? 1 : Swift.min(queries &- row, queries &- row < most ? 4 : most)
                let depth = Depth(
                    from: band.firstKey(row), until: band.endKey(row &+ rows &- 1, keys), aBlock: 0, bRow: bRow)
                let p = a + row
                let q = c + (row &* columns &+ column)
                let panel = b + column
                if rows < most {
                    if pair {
                        GradientTile<E, 4, 2, 0>.add(depth, p, panel, q, columns, rows)
                    } else {
                        GradientTile<E, 4, 1, 0>.add(depth, p, panel, q, columns, rows)
                    }
                } else if AttentionBlock<E>.isWide {
                    if pair {
                        GradientTile<E, 12, 2, 0>.add(depth, p, panel, q, columns, 12)
                    } else {
                        GradientTile<E, 12, 1, 0>.add(depth, p, panel, q, columns, 12)
                    }
                } else if pair {
                    GradientTile<E, 6, 2, 0>.add(depth, p, panel, q, columns, 6)
                } else {
                    GradientTile<E, 6, 1, 0>.add(depth, p, panel, q, columns, 6)
                }
                row &+= rows
            }
            column &+= BackwardBlock<E>.panel
        }
    }
}

/// What a tile sums over: some of the queries, or some of the keys.
private struct Depth {
    var from: Int
    var until: Int
    /// Elements from one block of queries to the next.
    var aBlock: Int
    var bRow: Int
}

/// `rows` × `vectors` (1 or 2) vectors of sums, in registers from the first to the last of the depth: of queries, going
/// on from one block of them to the next, or of one block's keys. Strides are constants, so that the loop is nothing
/// but loads and multiply-adds.
private enum GradientTile<E: Real, let rows: Int, let vectors: Int, let overQueries: Int> {
    /// c[row] += Σ a[row, k] · b[k], for `valid` rows of a tile of 4, else for all.
    @inline(never)
    static func add(
        _ depth: Depth, _ a: UnsafePointer<E>, _ b: UnsafePointer<E>, _ c: UnsafeMutablePointer<E>, _ cRow: Int,
        _ valid: Int
    ) {
        let lanes = AttentionBlock<E>.queries
        let aRow = overQueries == 1 ? lanes : 1
        let aDepth = overQueries == 1 ? 1 : lanes
        let width = E.Lanes.width
        let half = rows >> 1
        var k = depth.from
        if k >= depth.until { return }
        var s0 = InlineArray<rows, E.Lanes> { _ in .zero }
        var s1 = InlineArray<rows, E.Lanes> { _ in .zero }
        var number = overQueries == 1 ? k / lanes : 0
        var b = b + k &* depth.bRow
        while k < depth.until {
            let start = number &* lanes
            let end = overQueries == 1 ? Swift.min(depth.until, start &+ lanes) : depth.until
            var a = a + (number &* depth.aBlock &+ (k &- start) &* aDepth)
            while k < end {
                let b0 = E.Lanes.load(b)
                let b1 = vectors > 1 ? E.Lanes.load(b + width) : b0
                // Two short loops: each is unrolled fully, and the sums stay in registers.
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
                b += depth.bRow
                k &+= 1
            }
            number &+= 1
        }
        for r in 0..<half { end(r, c, cRow, valid, s0[unchecked: r], s1[unchecked: r]) }
        for r in half..<rows { end(r, c, cRow, valid, s0[unchecked: r], s1[unchecked: r]) }
    }

    @inline(__always)
    private static func end(
        _ r: Int, _ c: UnsafeMutablePointer<E>, _ cRow: Int, _ valid: Int, _ s0: E.Lanes, _ s1: E.Lanes
    ) {
        if rows <= 4 && r >= valid { return }
        let p = c + r &* cRow
        (E.Lanes.load(p) + s0).store(p)
        if vectors > 1 { (E.Lanes.load(p + E.Lanes.width) + s1).store(p + E.Lanes.width) }
    }
}
