import CSpinetail

/// The two products of a block, over keys or queries of any number.
enum AttentionProduct<E: Real> {
    /// Scores of `count` keys with `vectors` vectors of queries; vectors that see none of a tile's keys are left out.
    /// `largest` is per lane.
    @inline(never)
    static func scores(
        keys: UnsafePointer<E>, keyRow: Int, count: Int, depth: Int, queries: UnsafePointer<E>, vectors: Int,
        out: UnsafeMutablePointer<E>, largest: UnsafeMutablePointer<E>?, band: Band,
        ahead: UnsafeMutablePointer<RowsAhead>? = nil
    ) {
        let step = AttentionBlock<E>.scoreRows
        var k = 0
        while k < count {
            // The last tile overlaps the one before it: the same numbers are written twice.
            if k &+ step > count && count >= step { k = count &- step }
            let tile = k &+ step > count ? 1 : step
            let first = band.firstQuery(k) / E.Lanes.width
            let lane = first &* E.Lanes.width
            let seeing = (band.endQuery(k &+ tile &- 1, vectors &* E.Lanes.width) &+ E.Lanes.width &- 1) / E.Lanes.width
            if first >= seeing {
                k &+= tile
                continue
            }
            if let ahead { ahead.pointee.fetch() }
            let q = queries + lane
            let most = largest.map { $0 + lane }
            let a = keys + k &* keyRow
            let c = out + (k &* AttentionBlock<E>.queries &+ lane)
            if tile == 1 {
                switch seeing &- first {
                case 1:
                    ScoreTile<E, 1, 1>.multiply(depth: depth, keys: a, keyRow: 0, queries: q, out: c, largest: most)
                case 2:
                    ScoreTile<E, 1, 2>.multiply(depth: depth, keys: a, keyRow: 0, queries: q, out: c, largest: most)
                default:
                    ScoreTile<E, 1, 3>.multiply(depth: depth, keys: a, keyRow: 0, queries: q, out: c, largest: most)
                }
                k &+= 1
                continue
            }
            if AttentionBlock<E>.isWide {
                tile8(depth, a, keyRow, q, seeing &- first, c, most)
            } else {
                tile4(depth, a, keyRow, q, seeing &- first, c, most)
            }
            k &+= step
        }
    }

    @inline(__always)
    private static func tile8(
        _ depth: Int, _ keys: UnsafePointer<E>, _ keyRow: Int, _ queries: UnsafePointer<E>, _ vectors: Int,
        _ out: UnsafeMutablePointer<E>, _ largest: UnsafeMutablePointer<E>?
    ) {
        switch vectors {
        case 1:
            ScoreTile<E, 8, 1>.multiply(
                depth: depth, keys: keys, keyRow: keyRow, queries: queries, out: out, largest: largest)
        case 2:
            ScoreTile<E, 8, 2>.multiply(
                depth: depth, keys: keys, keyRow: keyRow, queries: queries, out: out, largest: largest)
        default:
            ScoreTile<E, 8, 3>.multiply(
                depth: depth, keys: keys, keyRow: keyRow, queries: queries, out: out, largest: largest)
        }
    }

    @inline(__always)
    private static func tile4(
        _ depth: Int, _ keys: UnsafePointer<E>, _ keyRow: Int, _ queries: UnsafePointer<E>, _ vectors: Int,
        _ out: UnsafeMutablePointer<E>, _ largest: UnsafeMutablePointer<E>?
    ) {
        switch vectors {
        case 1:
            ScoreTile<E, 4, 1>.multiply(
                depth: depth, keys: keys, keyRow: keyRow, queries: queries, out: out, largest: largest)
        case 2:
            ScoreTile<E, 4, 2>.multiply(
                depth: depth, keys: keys, keyRow: keyRow, queries: queries, out: out, largest: largest)
        default:
            ScoreTile<E, 4, 3>.multiply(
                depth: depth, keys: keys, keyRow: keyRow, queries: queries, out: out, largest: largest)
        }
    }

    /// c = c · factor + a · b for `rows` rows and `columns` (whole vectors) columns; factor nil: c holds nothing yet.
    /// a is a block of scores: its rows are keys or, with `queriesAreRows`, queries.
    @inline(never)
    static func sums(
        rows: Int, columns: Int, depth: Int, a: UnsafePointer<E>, queriesAreRows: Bool, b: UnsafePointer<E>,
        bDepth: Int, c: UnsafeMutablePointer<E>, cRow: Int, factor: UnsafePointer<E>?, band: Band
    ) {
        let stride = AttentionBlock<E>.queries
        var column = 0
        while column < columns {
            let pair = column &+ E.Lanes.width < columns
            var row = 0
            while row < rows {
                let left = rows &- row
                let p = c + (row &* cRow &+ column)
                let panel = b + column
                let rowsHere = Swift.min(left, tileRows(left))
                var work = SumOperands(
                    a: a, aRow: 1, aDepth: stride, b: panel, bDepth: bDepth, c: p, cRow: cRow,
                    factor: factor.map { $0 + row })
                if queriesAreRows {
                    // What all of the tile's queries see, then what only some of them do.
                    let here = band.block(query: row, key: 0)
                    let from = here.firstKey(rowsHere &- 1)
                    let until = here.endKey(0, depth)
                    let end = here.endKey(rowsHere &- 1, depth)
                    work.depth = Swift.max(0, until &- from)
                    work.wedge = here.last >= -1 && until >= from ? end &- until : 0
                    work.a += row &+ from &* stride
                    work.b += from &* bDepth
                    step(left, work, pair)
                    if from > 0 || until &+ work.wedge < end {
                        let some = work.depth &+ work.wedge > 0
                        edges(
                            rowsHere, until: some ? from : depth, from: some ? until &+ work.wedge : depth, depth, here,
                            a + row, panel, bDepth, p, cRow, pair)
                    }
                } else {
                    let from = band.firstQuery(row)
                    work.depth = Swift.max(0, band.endQuery(row &+ rowsHere &- 1, depth) &- from)
                    work.aRow = stride
                    work.aDepth = 1
                    work.a += row &* stride &+ from
                    work.b += from &* bDepth
                    step(left, work, pair)
                }
                row &+= tileRows(left)
            }
            column &+= pair ? 2 &* E.Lanes.width : E.Lanes.width
        }
    }

    /// The keys before `until` and from `from` on, each for the rows of a tile that see it.
    @inline(never)
    private static func edges(
        _ rows: Int, until: Int, from: Int, _ depth: Int, _ band: Band, _ a: UnsafePointer<E>, _ b: UnsafePointer<E>,
        _ bDepth: Int, _ c: UnsafeMutablePointer<E>, _ cRow: Int, _ pair: Bool
    ) {
        var r = 0
        while r < rows {
            let p = c + r &* cRow
            var left = E.Lanes.load(p)
            var right = pair ? E.Lanes.load(p + E.Lanes.width) : left
            let end = band.endKey(r, depth)
            var k = band.firstKey(r)
            while k < end {
                if k == until { k = Swift.max(k, from) }
                if k >= end { break }
                let value = E.Lanes(repeating: a[k &* AttentionBlock<E>.queries &+ r])
                left = E.Lanes.fma(value, E.Lanes.load(b + k &* bDepth), left)
                if pair { right = E.Lanes.fma(value, E.Lanes.load(b + (k &* bDepth &+ E.Lanes.width)), right) }
                k &+= 1
            }
            left.store(p)
            if pair { right.store(p + E.Lanes.width) }
            r &+= 1
        }
    }

    /// Rows of the tile that is used where `left` rows are left.
    @inline(__always) static func tileRows(_ left: Int) -> Int {
        left >= AttentionBlock<E>.outputRows ? AttentionBlock<E>.outputRows : 4
    }

    @inline(__always)
    private static func step(_ left: Int, _ work: SumOperands<E>, _ pair: Bool) {
        if left < AttentionBlock<E>.outputRows {
            if pair {
                SumTile<E, 4, 2>.multiply(work, validRows: left)
            } else {
                SumTile<E, 4, 1>.multiply(work, validRows: left)
            }
        } else if AttentionBlock<E>.isWide {
            if pair {
                SumTile<E, 12, 2>.multiply(work, validRows: 12)
            } else {
                SumTile<E, 12, 1>.multiply(work, validRows: 12)
            }
        } else {
            if pair {
                SumTile<E, 6, 2>.multiply(work, validRows: 6)
            } else {
                SumTile<E, 6, 1>.multiply(work, validRows: 6)
            }
        }
    }
}
