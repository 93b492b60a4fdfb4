import CSpinetail

/// Products whose operands both run along depth in memory (x · Wᵀ, a linear layer's forward) and that are small or flat:
/// inner products of rows with rows, several at a time, without packing.
extension Product {
    static var dotRows: Int { 32 }
    static var dotColumns: Int { 64 }

    var prefersDots: Bool {
        b.rowStride == 1 && a.columnStride == 1
            && (rows <= 7 || columns <= 3 || columns <= 16 && rows <= 128 && depth >= 256
                || rows <= 16 && columns &* depth > 131_072 && !prefersStanding)
    }

    /// Few columns and much depth, B's rows along memory: sums over depth fill the lanes that so few columns leave empty.
    var prefersTurnedDots: Bool {
        columns <= 8 && rows >= 64 && depth >= 256 && depth <= 4096 && a.columnStride == 1 && b.columnStride == 1
    }

    /// The same with B's columns copied to run along depth, each a line of the cache longer than a power of two may be.
    func runTurnedDots() -> Int32 {
        let line = 64 / MemoryLayout<E>.size
        let step = roundUp(depth, line) &+ line
        guard let scratch = Scratch.take(columns &* step &* MemoryLayout<E>.size) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        let turned = scratch.assumingMemoryBound(to: E.self)
        var k = 0
        while k < depth {
            var column = 0
            while column < columns {
                turned[column &* step &+ k] = b.base[k &* b.rowStride &+ column]
                column &+= 1
            }
            k &+= 1
        }
        var product = self
        product.b = Matrix(base: UnsafePointer(turned), rowStride: 1, columnStride: step)
        return product.runDots()
    }

    func runDots() -> Int32 {
        let volume = rows &* columns &* depth
        let task = DotBlocks(product: self, rowTasks: pieces(rows, Self.dotRows))
        if volume <= 65_536 {
            dots(rows: 0, to: rows, columns: 0, to: columns)
            return Status.ok
        }
        // One row reads every weight once, at the speed of memory; more rows find it in the cache.
        let cost = columns &* depth / 48 &* (rows &+ 5)
        return parallel(task.rowTasks &* pieces(columns, Self.dotColumns), cost: cost, task)
    }

    @inline(never)
    func dots(rows firstRow: Int, to lastRow: Int, columns first: Int, to last: Int) {
        var column = first
        while column < last {
            let valid = Swift.min(4, last &- column)
            var row = firstRow
            while row < lastRow {
                let left = lastRow &- row
                if left >= 6 && Tile<E>.isWide {
                    DotTile<E, 6>.multiply(self, row: row, column: column, validColumns: valid)
                    row &+= 6
                } else if left >= 4 && Tile<E>.isWide {
                    DotTile<E, 4>.multiply(self, row: row, column: column, validColumns: valid)
                    row &+= 4
                } else if left >= 2 {
                    DotTile<E, 2>.multiply(self, row: row, column: column, validColumns: valid)
                    row &+= 2
                } else {
                    DotTile<E, 1>.multiply(self, row: row, column: column, validColumns: valid)
                    row &+= 1
                }
            }
            column &+= 4
        }
        complete(row: firstRow, column: first, rows: lastRow &- firstRow, columns: last &- first)
    }
}

private struct DotBlocks<E: Real>: ParallelTask {
    let product: Product<E>
    let rowTasks: Int

    func run(_ index: Int, worker: Int) {
        let row = remainder(index, by: rowTasks) &* Product<E>.dotRows
        let column = divide(index, by: rowTasks) &* Product<E>.dotColumns
        product.dots(
            rows: row, to: Swift.min(product.rows, row &+ Product<E>.dotRows), columns: column,
            to: Swift.min(product.columns, column &+ Product<E>.dotColumns))
    }
}

/// `rows` × 4 inner products at once; a missing column repeats the last one and is not stored.
private enum DotTile<E: Real, let rows: Int> {
    @inline(__always)
    static func multiply(_ p: Product<E>, row: Int, column: Int, validColumns: Int) {
        let a = p.a.base + row &* p.a.rowStride
        let aRow = p.a.rowStride
        let step = p.b.columnStride
        let b0 = p.b.base + column &* step
        let b1 = b0 + (validColumns > 1 ? step : 0)
        let b2 = b0 + (validColumns > 2 ? 2 &* step : 0)
        let b3 = b0 + (validColumns > 3 ? 3 &* step : 0)
        var s0 = InlineArray<rows, E.Lanes>(repeating: .zero)
        var s1 = InlineArray<rows, E.Lanes>(repeating: .zero)
        var s2 = InlineArray<rows, E.Lanes>(repeating: .zero)
        var s3 = InlineArray<rows, E.Lanes>(repeating: .zero)
        let width = E.Lanes.width
        var k = 0
        while k &+ width <= p.depth {
            let v0 = E.Lanes.load(b0 + k)
            let v1 = E.Lanes.load(b1 + k)
            let v2 = E.Lanes.load(b2 + k)
            let v3 = E.Lanes.load(b3 + k)
            for r in 0..<rows {
                let x = E.Lanes.load(a + (r &* aRow &+ k))
                s0[unchecked: r] = E.Lanes.fma(x, v0, s0[unchecked: r])
                s1[unchecked: r] = E.Lanes.fma(x, v1, s1[unchecked: r])
                s2[unchecked: r] = E.Lanes.fma(x, v2, s2[unchecked: r])
                s3[unchecked: r] = E.Lanes.fma(x, v3, s3[unchecked: r])
            }
            k &+= width
        }
        if k < p.depth {
            let left = p.depth &- k
            let v0 = E.Lanes.load(b0 + k, count: left, fill: 0)
            let v1 = E.Lanes.load(b1 + k, count: left, fill: 0)
            let v2 = E.Lanes.load(b2 + k, count: left, fill: 0)
            let v3 = E.Lanes.load(b3 + k, count: left, fill: 0)
            for r in 0..<rows {
                let x = E.Lanes.load(a + (r &* aRow &+ k), count: left, fill: 0)
                s0[unchecked: r] = E.Lanes.fma(x, v0, s0[unchecked: r])
                s1[unchecked: r] = E.Lanes.fma(x, v1, s1[unchecked: r])
                s2[unchecked: r] = E.Lanes.fma(x, v2, s2[unchecked: r])
                s3[unchecked: r] = E.Lanes.fma(x, v3, s3[unchecked: r])
            }
        }
        let part = p.epilogue.advanced(rows: row, columns: column)
        for r in 0..<rows {
            let c = p.c + ((row &+ r) &* p.cRow &+ column)
            store(c, s0[unchecked: r].sum(), r, 0, p.accumulate, part)
            if validColumns > 1 { store(c + 1, s1[unchecked: r].sum(), r, 1, p.accumulate, part) }
            if validColumns > 2 { store(c + 2, s2[unchecked: r].sum(), r, 2, p.accumulate, part) }
            if validColumns > 3 { store(c + 3, s3[unchecked: r].sum(), r, 3, p.accumulate, part) }
        }
    }

    @inline(__always)
    private static func store(
        _ c: UnsafeMutablePointer<E>, _ sum: E, _ row: Int, _ column: Int, _ accumulate: Bool, _ epilogue: Epilogue<E>
    ) {
        var value = accumulate ? c.pointee + sum : sum
        if let bias = epilogue.values { value = value + bias[epilogue.bias == .perRow ? row : column] }
        if epilogue.relu && value < 0 { value = 0 }
        c.pointee = value
    }
}
