import CSpinetail

/// Products too small to pay for packing A, and tall ones with few columns: A is read where it stands. So is B where its
/// rows run along memory; otherwise one panel of it after the other is transposed into scratch.
extension Product {
    /// Rows × columns × depth below which packing A costs more than it brings.
    static var directVolume: Int { 6_500_000 }

    var prefersDirect: Bool {
        let size = MemoryLayout<E>.size
        if columns &* depth &* size > 512 << 10 || depth > 4096 { return rows <= 7 && b.columnStride == 1 }
        let volume = rows &* columns &* depth
        if volume <= 64 &* 64 &* 64 { return true }
        // With few columns packing A would take longer than the product itself.
        if columns <= E.Lanes.width { return true }
        if rowsCollide { return false }
        return volume <= Self.directVolume || columns <= Tile<E>.columns
    }

    /// Few sums over a great depth: blocks of depth whose part of B stays in the cache.
    var prefersDeep: Bool { rows <= 64 && columns <= 64 && depth > 4096 && b.columnStride == 1 }

    func runDeep() -> Int32 {
        var part = self
        part.depth = 1024
        part.epilogue = .nothing
        part.finish = nil
        var k = 0
        while k < depth {
            if k &+ part.depth >= depth {
                part.depth = depth &- k
                part.epilogue = epilogue
                part.finish = finish
            }
            part.a = a.advanced(rows: 0, columns: k)
            part.b = b.advanced(rows: k, columns: 0)
            let status = part.runDirect()
            if status != Status.ok { return status }
            part.accumulate = true
            k &+= part.depth
        }
        return Status.ok
    }

    /// Rows of A at multiples of 2 KiB push each other out of the first-level cache, unless few are read at a time.
    @inline(__always) var rowsCollide: Bool {
        (a.rowStride &* MemoryLayout<E>.size) & 2047 == 0 && a.rowStride != 0 && depth >= 64
    }

    func runDirect() -> Int32 {
        let volume = rows &* columns &* depth
        let plan = DirectBlocks(product: self, whole: volume <= 262_144)
        let workers = plan.tasks == 1 ? 1 : workerLimit()
        let bytes = b.columnStride == 1 ? 0 : plan.panelBytes
        guard let scratch = Scratch.take(bytes &* workers) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        if plan.tasks == 1 {
            direct(rows: 0, to: rows, columns: 0, to: columns, panel: scratch.assumingMemoryBound(to: E.self))
            return Status.ok
        }
        return parallel(
            plan.tasks, cost: volume / 48 &+ rows &* columns / 6, workers: workers,
            DirectTask(plan: plan, scratch: scratch, bytes: bytes))
    }

    /// A block of C, in this thread. `panel` holds depth × Tile.columns elements and Packing's slack where B's rows do
    /// not run along memory.
    func direct(
        rows first: Int, to end: Int, columns firstColumn: Int, to lastColumn: Int, panel: UnsafeMutablePointer<E>
    ) {
        var column = firstColumn
        while column < lastColumn {
            let valid = Swift.min(Tile<E>.columns, lastColumn &- column)
            var part = b.advanced(rows: 0, columns: column)
            if b.columnStride != 1 {
                Packing<E>.packColumns(part, depth: depth, columns: valid, into: panel)
                part = Matrix(base: UnsafePointer(panel), rowStride: Tile<E>.columns, columnStride: 1)
            }
            var row = first
            while row < end {
                let height = DirectTile<E>.height(for: rowsCollide ? Swift.min(8, end &- row) : end &- row)
                DirectTile<E>.multiply(self, b: part, row: row, column: column, height: height, columns: valid)
                row &+= height
            }
            complete(row: first, column: column, rows: end &- first, columns: valid)
            column &+= valid
        }
    }
}

/// The cut of a direct product into tasks.
struct DirectBlocks<E: Real> {
    let product: Product<E>
    let rows: Int
    let columns: Int
    let rowTasks: Int
    let tasks: Int

    init(product: Product<E>, whole: Bool) {
        self.product = product
        rows = whole ? product.rows : Swift.min(product.rows, 9 &* Tile<E>.rows)
        let panels = pieces(product.columns, Tile<E>.columns)
        columns = whole ? product.columns : pieces(panels, 8) &* Tile<E>.columns
        rowTasks = pieces(product.rows, rows)
        tasks = rowTasks &* pieces(product.columns, columns)
    }

    var panelBytes: Int {
        roundUp((product.depth &* Tile<E>.columns &+ Packing<E>.slack) &* MemoryLayout<E>.size, 64) &+ 64
    }
}

private struct DirectTask<E: Real>: ParallelTask {
    let plan: DirectBlocks<E>
    let scratch: UnsafeMutableRawPointer
    let bytes: Int

    func run(_ index: Int, worker: Int) {
        let row = remainder(index, by: plan.rowTasks) &* plan.rows
        let column = divide(index, by: plan.rowTasks) &* plan.columns
        plan.product.direct(
            rows: row, to: Swift.min(plan.product.rows, row &+ plan.rows), columns: column,
            to: Swift.min(plan.product.columns, column &+ plan.columns),
            panel: (scratch + worker &* bytes).assumingMemoryBound(to: E.self))
    }
}

/// Register tiles that read A where it stands, in two widths.
private enum DirectTile<E: Real> {
    /// The next tile's rows, so that the rest is cut evenly.
    @inline(__always) static func height(for rows: Int) -> Int {
        if rows <= 4 { return rows == 3 ? 2 : rows }
        if !Tile<E>.isWide { return rows >= 6 ? 6 : 4 }
        let even = rows <= 12 ? rows : pieces(rows, pieces(rows, 13))
        return even >= 10 ? even : even >= 8 ? 8 : even >= 6 ? 6 : 4
    }

    @inline(never)
    static func multiply(_ p: Product<E>, b: Matrix<E>, row: Int, column: Int, height: Int, columns: Int) {
        let work = DirectWork(p: p, b: b, row: row, column: column, columns: columns)
        switch height {
        case 1: work.run(RegisterTile<E, 1>.self)
        case 2: work.run(RegisterTile<E, 2>.self)
        case 4: work.run(RegisterTile<E, 4>.self)
        case 6: work.run(RegisterTile<E, 6>.self)
        default:
            if Tile<E>.isWide {
                switch height {
                case 8: work.run(RegisterTile<E, 8>.self)
                case 10: work.run(RegisterTile<E, 10>.self)
                case 11: work.run(RegisterTile<E, 11>.self)
                case 12: work.run(RegisterTile<E, 12>.self)
                default: work.run(RegisterTile<E, 13>.self)
                }
            }
        }
    }
}

private struct DirectWork<E: Real> {
    let p: Product<E>
    let b: Matrix<E>
    let row: Int
    let column: Int
    let columns: Int

    @inline(__always) func run<let rows: Int>(_ tile: RegisterTile<E, rows>.Type) {
        if columns <= E.Lanes.width { multiply(tile, narrow: true) } else { multiply(tile, narrow: false) }
    }

    @inline(__always) private func multiply<let rows: Int>(_ tile: RegisterTile<E, rows>.Type, narrow: Bool) {
        RegisterTile<E, rows>.multiply(
            depth: p.depth, a: p.a.base + row &* p.a.rowStride, aRow: p.a.rowStride, aDepth: p.a.columnStride,
            b: b.base, bDepth: b.rowStride, c: p.c + (row &* p.cRow &+ column), cRow: p.cRow, validRows: rows,
            validColumns: columns, accumulate: p.accumulate, epilogue: p.epilogue.advanced(rows: row, columns: column),
            paddedB: columns == Tile<E>.columns, narrow: narrow)
    }
}
