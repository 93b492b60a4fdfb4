import CSpinetail

/// A direct product of a block of rows in one thread: what does not change from panel to panel of B, and from one small
/// product of a batch to the next.
struct DirectPass<E: Real> {
    let product: Product<E>
    let row: Int
    let rows: Int
    var a: Matrix<E>
    var b: Matrix<E>
    var c: UnsafeMutablePointer<E>
    let epilogue: Epilogue<E>
    /// What tiles cannot do in registers.
    var late: Finish<E>?
    let copies: Bool
    /// Whether tiles ask for what the next one reads, and where the next product's B begins, from this one's.
    var fetches: Bool
    var bNext = 0
    /// Rows are cut alike in all panels but the last, which may be narrow.
    let cut: RowCut
    let narrowCut: RowCut

    /// From this depth and so many rows on a panel of B is copied: read again and again, vectors that lie across two lines
    /// of the cache cost more (128³: 26.3 → 24.6 µs).
    static var copiedDepth: Int { 96 }
    static var copiedRows: Int { 48 }
    /// A larger A comes from beyond the near caches, and so do the operands of a batch that are larger together.
    static var nearBytes: Int { 256 << 10 }
    static var nearBatchBytes: Int { 1280 << 10 }

    init(_ product: Product<E>, rows first: Int, to end: Int) {
        self.product = product
        row = first
        rows = end &- first
        a = product.a.advanced(rows: first, columns: 0)
        b = product.b
        c = product.c + first &* product.cRow
        if product.epilogue.bias == .perRow {
            late = Finish(product.epilogue)
            epilogue = .nothing
        } else {
            late = product.finish
            epilogue = product.epilogue.advanced(rows: first, columns: 0)
        }
        let depth = product.depth
        copies = b.columnStride == 1 && depth >= Self.copiedDepth && rows >= Self.copiedRows
        fetches = a.columnStride == 1 && depth <= 512 && product.rows &* depth &* MemoryLayout<E>.size > Self.nearBytes
        let highest = DirectPanel<E>.highest
        cut = RowCut(rows, highest: product.rowsCollide ? Swift.min(8, highest) : highest)
        let narrow = DirectPanel<E>.highestNarrow
        narrowCut = RowCut(rows, highest: product.rowsCollide ? Swift.min(8, narrow) : narrow)
    }

    func run(columns first: Int, to last: Int, panel: UnsafeMutablePointer<E>?) {
        let depth = product.depth
        var column = first
        while column < last {
            let valid = Swift.min(Tile<E>.columns, last &- column)
            var part = b.advanced(rows: 0, columns: column)
            if b.columnStride != 1, let panel {
                Packing<E>.packColumns(part, depth: depth, columns: valid, into: panel)
                part = Matrix(base: UnsafePointer(panel), rowStride: Tile<E>.columns, columnStride: 1)
            }
            var strip = strip(of: part, column: column, columns: valid)
            let narrow = valid <= E.Lanes.width
            strip.run(narrow ? narrowCut : cut, copy: copies && !narrow ? panel : nil)
            if let late {
                late.apply(
                    to: c + column, cRow: product.cRow, row: row, column: column, rows: rows, columns: valid)
            }
            column &+= valid
        }
    }

    @inline(__always) private func strip(of b: Matrix<E>, column: Int, columns: Int) -> DirectPanel<E> {
        // Each panel asks for its share of the next product's B.
        let ahead = self.b.base + (bNext &+ column &* product.depth)
        return DirectPanel<E>(
            depth: product.depth, a: a.base, aRow: a.rowStride, aDepth: a.columnStride, b: b.base, bRow: b.rowStride,
            c: c + column, cRow: product.cRow, columns: columns, accumulate: product.accumulate,
            epilogue: epilogue.advanced(rows: 0, columns: column), fetches: fetches, ahead: ahead,
            aheadEnd: bNext == 0 ? ahead : ahead + columns &* product.depth)
    }

    /// `count` products whose operands lie `aStep`, `bStep` and `cStep` elements apart, without anything late.
    mutating func run(
        products count: Int, aStep: Int, bStep: Int, cStep: Int, panel: UnsafeMutablePointer<E>?
    ) {
        let columns = product.columns
        let narrow = columns <= E.Lanes.width
        if b.columnStride == 1 && columns <= Tile<E>.columns && (narrow ? narrowCut : cut).isOne {
            var strip = strip(of: b, column: 0, columns: columns)
            return strip.run(rows: rows, products: count, aStep: aStep, bStep: bStep, cStep: cStep)
        }
        if b.rowStride == columns && fetches { bNext = bStep }
        var left = count
        while left > 0 {
            run(columns: 0, to: columns, panel: panel)
            a.base += aStep
            b.base += bStep
            c += cStep
            left &-= 1
        }
    }
}

/// Rows in as few tiles as `highest` allows, whose heights differ by one at most: `higher` tiles of height + 1, then
/// `others` of height.
struct RowCut {
    let height: Int
    let higher: Int
    let others: Int

    init(_ rows: Int, highest: Int) {
        let tiles = pieces(rows, highest)
        height = divide(rows, by: tiles)
        higher = rows &- height &* tiles
        others = tiles &- higher
    }

    @inline(__always) var isOne: Bool { higher &+ others == 1 }
}
