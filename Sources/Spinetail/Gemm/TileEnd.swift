import CSpinetail

/// How a tile of sums ends: adds what C holds, applies the epilogue and stores.
struct TileEnd<E: Real> {
    let c: UnsafeMutablePointer<E>
    let cRow: Int
    let validRows: Int
    let validColumns: Int
    let accumulate: Bool
    let epilogue: Epilogue<E>
    /// What is added, in rows of Tile.columns, where it is not what C holds.
    var sums: UnsafePointer<E>? = nil

    @inline(__always)
    func store<let rows: Int>(_ left: InlineArray<rows, E.Lanes>, _ right: InlineArray<rows, E.Lanes>) {
        let width = E.Lanes.width
        let count0 = Swift.min(width, validColumns)
        let count1 = Swift.max(0, Swift.min(width, validColumns &- width))
        var bias0 = E.Lanes.zero
        var bias1 = E.Lanes.zero
        if epilogue.bias == .perColumn, let values = epilogue.values {
            bias0 = E.Lanes.loadUpTo(values, count0)
            if count1 > 0 { bias1 = E.Lanes.loadUpTo(values + width, count1) }
        }
        // max takes its second operand where the first is NaN, so a NaN sum stays NaN; -Inf leaves all as it is.
        let least = E.Lanes(repeating: epilogue.relu ? 0 : -E.infinity)
        // Loops of half the rows: LLVM unrolls each fully, and only then do the sums stay in registers.
        let half = rows >> 1
        if validRows == rows && validColumns >= 2 &* width && epilogue.bias != .perRow {
            if accumulate {
                for r in 0..<half {
                    whole(r, sum(r, 0, left[unchecked: r]), sum(r, 1, right[unchecked: r]), bias0, bias1, least)
                }
                for r in half..<rows {
                    whole(r, sum(r, 0, left[unchecked: r]), sum(r, 1, right[unchecked: r]), bias0, bias1, least)
                }
            } else {
                for r in 0..<half { whole(r, left[unchecked: r], right[unchecked: r], bias0, bias1, least) }
                for r in half..<rows { whole(r, left[unchecked: r], right[unchecked: r], bias0, bias1, least) }
            }
            return
        }
        for r in 0..<half {
            if r < validRows {
                part(r, 0, left[unchecked: r], bias0, least, count0)
                if count1 > 0 { part(r, 1, right[unchecked: r], bias1, least, count1) }
            }
        }
        for r in half..<rows {
            if r < validRows {
                part(r, 0, left[unchecked: r], bias0, least, count0)
                if count1 > 0 { part(r, 1, right[unchecked: r], bias1, least, count1) }
            }
        }
    }

    @inline(__always) private var before: UnsafePointer<E> { sums ?? UnsafePointer(c) }
    @inline(__always) private var beforeRow: Int { sums == nil ? cRow : Tile<E>.columns }

    @inline(__always) private func sum(_ r: Int, _ half: Int, _ x: E.Lanes) -> E.Lanes {
        x + E.Lanes.load(before + (r &* beforeRow &+ half &* E.Lanes.width))
    }

    @inline(__always)
    private func whole(
        _ r: Int, _ x: E.Lanes, _ y: E.Lanes, _ bias0: E.Lanes, _ bias1: E.Lanes, _ least: E.Lanes
    ) {
        let p = c + r &* cRow
        E.Lanes.max(least, x + bias0).store(p)
        E.Lanes.max(least, y + bias1).store(p + E.Lanes.width)
    }

    /// Where the tile reaches over C's end, or rows have a bias each.
    @inline(__always)
    private func part(_ r: Int, _ half: Int, _ sum: E.Lanes, _ bias: E.Lanes, _ least: E.Lanes, _ count: Int) {
        let p = c + (r &* cRow &+ half &* E.Lanes.width)
        var x = sum
        if accumulate { x = x + E.Lanes.loadUpTo(before + (r &* beforeRow &+ half &* E.Lanes.width), count) }
        if epilogue.bias == .perRow, let values = epilogue.values {
            x = x + E.Lanes(repeating: values[r])
        } else {
            x = x + bias
        }
        E.Lanes.max(least, x).storeUpTo(p, count)
    }
}
