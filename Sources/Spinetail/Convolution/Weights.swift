import CSpinetail

/// Register tiles of several heights, so that few rows, or a number of rows just above a multiple, waste little.
enum TileHeight<E: Real> {
    /// The height that covers `rows` at the least cost.
    static func best(for rows: Int) -> Int {
        if !Tile<E>.isWide { return cheapest(rows, 6, 4, 4, 4, 4) }
        return cheapest(rows, 14, 13, 11, 8, 4)
    }

    private static func cheapest(_ rows: Int, _ a: Int, _ b: Int, _ c: Int, _ d: Int, _ e: Int) -> Int {
        var best = a
        if cost(rows, b) < cost(rows, best) { best = b }
        if cost(rows, c) < cost(rows, best) { best = c }
        if cost(rows, d) < cost(rows, best) { best = d }
        if cost(rows, e) < cost(rows, best) { best = e }
        return best
    }

    private static func cost(_ rows: Int, _ height: Int) -> Int { pieces(rows, height) &* (10 &* height &+ 7) }

    /// c = epilogue(a · b), operands packed: a in `height` rows, b in Tile.columns columns.
    @inline(never)
    static func multiply(
        height: Int, depth: Int, a: UnsafePointer<E>, b: UnsafePointer<E>, c: UnsafeMutablePointer<E>, cRow: Int,
        validRows: Int, validColumns: Int, epilogue: Epilogue<E>
    ) {
        switch height {
        case 14:
            if Tile<E>.isWide {
                multiply(Height<14>(), depth, a, b, c, cRow, validRows, validColumns, epilogue)
            }
        case 13:
            if Tile<E>.isWide {
                multiply(Height<13>(), depth, a, b, c, cRow, validRows, validColumns, epilogue)
            }
        case 11:
            if Tile<E>.isWide {
                multiply(Height<11>(), depth, a, b, c, cRow, validRows, validColumns, epilogue)
            }
        case 8:
            if Tile<E>.isWide {
                multiply(Height<8>(), depth, a, b, c, cRow, validRows, validColumns, epilogue)
            }
        case 6:
            if !Tile<E>.isWide {
                multiply(Height<6>(), depth, a, b, c, cRow, validRows, validColumns, epilogue)
            }
        default: multiply(Height<4>(), depth, a, b, c, cRow, validRows, validColumns, epilogue)
        }
    }

    /// A height that the compiler knows.
    struct Height<let rows: Int> {}

    @inline(__always)
    private static func multiply<let rows: Int>(
        _ height: Height<rows>, _ depth: Int, _ a: UnsafePointer<E>, _ b: UnsafePointer<E>,
        _ c: UnsafeMutablePointer<E>, _ cRow: Int, _ validRows: Int, _ validColumns: Int, _ epilogue: Epilogue<E>
    ) {
        RegisterTile<E, rows>.multiply(
            depth: depth, a: a, aRow: 1, aDepth: rows, b: b, bDepth: Tile<E>.columns, c: c, cRow: cRow,
            validRows: validRows, validColumns: validColumns, accumulate: false, epilogue: epilogue)
    }
}

/// The weights as a product's left operand: element (row, channel, tap) of a group at
/// base[group · groupStride + row · rowStride + channel · channelStride + tap.place].
struct Weights<E: Real> {
    var base: UnsafePointer<E>
    var groupStride: Int
    var rowStride: Int
    var channelStride: Int
}

/// Packs one panel of `height` rows of one group: out[(tap · channels + channel) · height + row], zeros below the last.
struct PackWeights<E: Real>: ParallelTask {
    let weights: Weights<E>
    let taps: UnsafePointer<Tap>
    let tapCount: Int
    let channels: Int
    let rows: Int
    let height: Int
    let out: UnsafeMutablePointer<E>

    func run(_ index: Int, worker: Int) {
        let panels = pieces(rows, height)
        let group = divide(index, by: panels)
        let first = remainder(index, by: panels) &* height
        let depth = tapCount &* channels
        let panel = out + index &* depth &* height
        var r = 0
        while r < height {
            let row = first &+ r
            if row < rows {
                let from = weights.base + (group &* weights.groupStride &+ row &* weights.rowStride)
                var t = 0
                while t < tapCount {
                    var p = from + taps[t].place
                    var q = panel + (t &* channels &* height &+ r)
                    var c = 0
                    while c < channels {
                        q.pointee = p.pointee
                        p += weights.channelStride
                        q += height
                        c &+= 1
                    }
                    t &+= 1
                }
            } else {
                var k = 0
                while k < depth {
                    panel[k &* height &+ r] = 0
                    k &+= 1
                }
            }
            r &+= 1
        }
    }
}
