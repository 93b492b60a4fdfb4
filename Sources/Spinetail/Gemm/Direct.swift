import CSpinetail

/// Products too small, or with too few rows, to pay for packing: B's rows are read where they stand.
extension Product {
    /// Rows × columns × depth below which packing costs more than it brings.
    static var directVolume: Int { 96 &* 96 &* 96 }
    static var directRows: Int { 8 }
    static var directColumns: Int { 256 }

    var prefersDirect: Bool {
        b.columnStride == 1 && (rows <= Self.directRows || rows &* columns &* depth <= Self.directVolume)
    }

    func runDirect() -> Int32 {
        let volume = rows &* columns &* depth
        if volume <= 65_536 {
            direct(from: 0, to: columns)
            return Status.ok
        }
        return parallel(pieces(columns, Self.directColumns), cost: volume / 32, DirectColumns(product: self))
    }

    /// Columns first ..< last of C, in this thread.
    @inline(never)
    func direct(from first: Int, to last: Int) {
        var row = 0
        while row < rows {
            let left = rows &- row
            let step = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1
            var column = first
            while column < last {
                let valid = Swift.min(Tile<E>.columns, last &- column)
                switch step {
                case 8: strip(RegisterTile<E, 8>.self, row, column, valid)
                case 4: strip(RegisterTile<E, 4>.self, row, column, valid)
                case 2: strip(RegisterTile<E, 2>.self, row, column, valid)
                default: strip(RegisterTile<E, 1>.self, row, column, valid)
                }
                column &+= Tile<E>.columns
            }
            row &+= step
        }
    }

    @inline(__always)
    private func strip<let height: Int>(_ tile: RegisterTile<E, height>.Type, _ row: Int, _ column: Int, _ valid: Int) {
        let part = epilogue.advanced(rows: row, columns: column)
        let from = a.advanced(rows: row, columns: 0)
        let to = c + (row &* cRow &+ column)
        if valid == Tile<E>.columns {
            RegisterTile<E, height>.multiply(
                depth: depth, a: from.base, aRow: a.rowStride, aDepth: a.columnStride, b: b.base + column,
                bDepth: b.rowStride, c: to, cRow: cRow, validRows: height, validColumns: Tile<E>.columns,
                accumulate: accumulate, epilogue: part)
        } else {
            RegisterTile<E, height>.multiply(
                depth: depth, a: from.base, aRow: a.rowStride, aDepth: a.columnStride, b: b.base + column,
                bDepth: b.rowStride, c: to, cRow: cRow, validRows: height, validColumns: valid,
                accumulate: accumulate, epilogue: part, paddedB: false)
        }
    }
}

private struct DirectColumns<E: Real>: ParallelTask {
    let product: Product<E>

    func run(_ index: Int, worker: Int) {
        let first = index &* Product<E>.directColumns
        product.direct(from: first, to: Swift.min(product.columns, first &+ Product<E>.directColumns))
    }
}
