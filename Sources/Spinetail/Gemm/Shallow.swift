import CSpinetail

/// Products of little depth and a large C, such as the gradient of a layer's weights from a batch of rows. Writing C is
/// much of the work: tiles follow each other along C's rows, and each fetches the lines that the next one writes. B is
/// read where it stands, and A is packed tile by tile.
extension Product {
    static var shallowDepth: Int { 256 }

    var prefersShallow: Bool {
        let volume = rows &* columns &* depth
        return b.columnStride == 1 && !accumulate && rows >= 8 && depth >= 4 && depth <= Self.shallowDepth
            && columns >= 4 &* Tile<E>.columns && volume > (depth < 64 ? 65_536 : 1 << 22)
    }

    /// A C that leaves the near cache, whatever else fits there (1024×64×1024 read in place 1140 µs, here 922).
    var prefersWriting: Bool {
        prefersShallow && depth <= 128 && rows &* columns &* MemoryLayout<E>.size > 1 << 20
    }

    func runShallow() -> Int32 {
        let height = ShallowTiles<E>.height(for: rows)
        let tiles = pieces(rows, height)
        let volume = rows &* columns &* depth
        let together = Swift.max(1, divide(Swift.min(1 << 20, volume / 8), by: height &* columns &* depth))
        let bytes = roundUp((height &* depth &+ Packing<E>.slack) &* MemoryLayout<E>.size, 64)
        let workers = workerLimit()
        guard let scratch = Scratch.take(bytes &* workers) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        let task = ShallowTiles(product: self, height: height, tilesPerTask: together, scratch: scratch, bytes: bytes)
        return parallel(pieces(tiles, together), cost: volume / 56 &+ rows &* columns / 6, workers: workers, task)
    }
}

private struct ShallowTiles<E: Real>: ParallelTask {
    let product: Product<E>
    let height: Int
    let tilesPerTask: Int
    let scratch: UnsafeMutableRawPointer
    let bytes: Int

    /// The height that cuts the rows into as few tiles as the highest one, or the next that there is.
    static func height(for rows: Int) -> Int {
        let even = pieces(rows, pieces(rows, Tile<E>.rows))
        if !Tile<E>.isWide { return even <= 4 ? 4 : 6 }
        return even <= 8 ? 8 : even <= 10 ? 10 : even <= 12 ? 12 : 14
    }

    func run(_ index: Int, worker: Int) {
        let packed = (scratch + worker &* bytes).assumingMemoryBound(to: E.self)
        var row = index &* tilesPerTask &* height
        let end = Swift.min(product.rows, row &+ tilesPerTask &* height)
        while row < end {
            let valid = Swift.min(height, end &- row)
            Packing<E>.pack(
                product.a.advanced(rows: row, columns: 0), count: valid, depth: product.depth, panel: height,
                into: packed)
            var column = 0
            while column < product.columns {
                let count = Swift.min(Tile<E>.columns, product.columns &- column)
                multiply(packed, row: row, column: column, rows: valid, columns: count)
                product.complete(row: row, column: column, rows: valid, columns: count)
                column &+= count
            }
            row &+= height
        }
    }

    @inline(never)
    private func multiply(_ packed: UnsafePointer<E>, row: Int, column: Int, rows: Int, columns: Int) {
        let work = ShallowWork(product: product, a: packed, row: row, column: column, rows: rows, columns: columns)
        if Tile<E>.isWide {
            switch height {
            case 14: if work.isWhole { work.runWhole() } else { work.run(RegisterTile<E, 14>.self) }
            case 12: work.run(RegisterTile<E, 12>.self)
            case 10: work.run(RegisterTile<E, 10>.self)
            default: work.run(RegisterTile<E, 8>.self)
            }
        } else if height == 6 {
            work.run(RegisterTile<E, 6>.self)
        } else {
            work.run(RegisterTile<E, 4>.self)
        }
    }
}

private struct ShallowWork<E: Real> {
    let product: Product<E>
    let a: UnsafePointer<E>
    let row: Int
    let column: Int
    let rows: Int
    let columns: Int

    var isWhole: Bool {
        columns == Tile<E>.columns && rows == ShallowTile<E>.rows && product.epilogue.bias == .none
            && !product.epilogue.relu
    }

    /// The lines of C to the right, which the next tile writes, or those below at the end of the rows.
    @inline(__always) private var next: Prefetch {
        let size = MemoryLayout<E>.size
        let last = column &+ columns >= product.columns
        let place = last ? (row &+ rows) &* product.cRow : row &* product.cRow &+ column &+ columns
        return Prefetch(
            first: UnsafeRawPointer(product.c + place), step: product.cRow &* size, segment: rows, jump: 64)
    }

    @inline(__always) func runWhole() {
        ShallowTile<E>.multiply(
            depth: product.depth, a: a, b: product.b.base + column, bDepth: product.b.rowStride,
            c: product.c + (row &* product.cRow &+ column), cRow: product.cRow, prefetch: next)
    }

    @inline(__always) func run<let height: Int>(_ tile: RegisterTile<E, height>.Type) {
        if columns == Tile<E>.columns {
            multiply(tile, next)
        } else if columns <= E.Lanes.width {
            multiply(tile, narrow: true)
        } else {
            multiply(tile)
        }
    }

    @inline(__always) private func multiply<let height: Int>(
        _ tile: RegisterTile<E, height>.Type, _ prefetch: Prefetch? = nil, narrow: Bool = false
    ) {
        RegisterTile<E, height>.multiply(
            depth: product.depth, a: a, aRow: 1, aDepth: height, b: product.b.base + column,
            bDepth: product.b.rowStride, c: product.c + (row &* product.cRow &+ column), cRow: product.cRow,
            validRows: rows, validColumns: columns, accumulate: false,
            epilogue: product.epilogue.advanced(rows: row, columns: column), paddedB: false, narrow: narrow,
            prefetch: prefetch)
    }
}
