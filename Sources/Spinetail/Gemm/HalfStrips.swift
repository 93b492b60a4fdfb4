import CSpinetail

/// Columns of C that one task computes, with the whole depth, so that B is packed where it is used.
private var stripColumns: Int { 128 }
private var stripDepth: Int { 384 }
/// Up to this size each thread widens and packs A for itself: what another one packed would come from its cache, slowly.
private var ownBytes: Int { 1 << 20 }

extension HalfProduct {
    /// Rows whose float32 copy of A, packed, is kept at a time.
    private func blockRows(_ height: Int) -> Int {
        let fitting = Swift.min(512, Swift.max(1, divide(4 << 20, by: Swift.max(1, depth))))
        return roundUp(Swift.min(fitting, rows), height)
    }

    /// A block of rows of A is packed once; then each task multiplies it with a strip of B, panel by panel.
    func runStrips(workers: Int) -> Int32 {
        let height = PanelTile<Float>.height(for: rows)
        let blockRows = blockRows(height)
        let width = FloatLanes.width
        let aBlock = roundUp(blockRows &* Swift.min(stripDepth, depth) &+ width, 16)
        let aFloats = aBlock &* pieces(depth, stripDepth)
        let isOwn = aFloats &* 4 <= ownBytes
        let panelFloats = roundUp(Tile<Float>.columns &* Swift.min(stripDepth, depth) &+ width, 16)
        let each =
            16 &+ (isOwn ? aFloats : 0) &+ 2 &* panelFloats &+ HalfPacking<H>.blockSize
            &+ roundUp(blockRows &* stripColumns, 16)
        let shared = isOwn ? 0 : aFloats
        guard let scratch = Scratch.take((shared &+ workers &* each) &* 4) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        let packedA = scratch.assumingMemoryBound(to: Float.self)
        var worker = 0
        while worker < workers {
            (scratch + (shared &+ worker &* each) &* 4).storeBytes(of: -1, as: Int.self)
            worker &+= 1
        }
        var row = 0
        while row < rows {
            let count = Swift.min(blockRows, rows &- row)
            let strips = HalfStrips(
                product: self, height: height, row: row, rows: count, packedA: packedA, aBlock: aBlock,
                aFloats: aFloats, isOwn: isOwn, mine: packedA + shared, each: each, panelFloats: panelFloats)
            if !isOwn {
                let status = parallel(
                    pieces(depth, stripDepth), cost: count &* depth / 4, workers: workers, PackRows(strips: strips))
                if status != Status.ok { return status }
            }
            let status = parallel(
                pieces(columns, stripColumns), cost: (count &+ 16) &* columns / 64 &* depth, workers: workers, strips)
            if status != Status.ok { return status }
            row &+= count
        }
        return Status.ok
    }
}

/// Strips of C for a block of rows.
private struct HalfStrips<H: HalfFormat>: ParallelTask {
    let product: HalfProduct<H>
    let height: Int
    let row: Int
    let rows: Int
    /// Block after block of depth, `aBlock` apart, in each of them panel after panel; where `isOwn`, each worker has it.
    let packedA: UnsafeMutablePointer<Float>
    let aBlock: Int
    let aFloats: Int
    let isOwn: Bool
    /// Of each worker: the first row of its A, A itself, two panels of B, room for transposing, the strip's sums.
    let mine: UnsafeMutablePointer<Float>
    let each: Int
    let panelFloats: Int

    func run(_ index: Int, worker: Int) {
        let first = index &* stripColumns
        let columns = Swift.min(stripColumns, product.columns &- first)
        let own = mine + worker &* each
        var panel = own + (16 &+ (isOwn ? aFloats : 0))
        var other = panel + panelFloats
        let block = other + panelFloats
        let sums = block + HalfPacking<H>.blockSize
        let a = isOwn ? own + 16 : packedA
        let number = UnsafeMutableRawPointer(own)
        if isOwn && number.load(as: Int.self) != row {
            pack(into: a, block: block)
            number.storeBytes(of: row, as: Int.self)
        }
        if product.depth == 0 { clear(sums) }
        var isPacked = false
        var k = 0
        while k < product.depth {
            let depth = Swift.min(stripDepth, product.depth &- k)
            var column = 0
            while column < columns {
                let isLast = column &+ Tile<Float>.columns >= columns
                let part = HalfPart(product, k: k, column: first &+ column, end: first &+ columns)
                let next = HalfPart(
                    product, k: isLast ? k &+ depth : k,
                    column: isLast ? first : first &+ column &+ Tile<Float>.columns, end: first &+ columns)
                if !isPacked {
                    HalfPacking<H>.pack(
                        part.b.transposed, count: part.columns, depth: depth, panel: Tile<Float>.columns, into: panel,
                        block: block)
                }
                multiply(
                    a + divide(k, by: stripDepth) &* aBlock, panel, depth: depth, into: sums + column, add: k > 0,
                    next: next, other)
                isPacked = next.isCopied
                swap(&panel, &other)
                column &+= Tile<Float>.columns
            }
            k &+= depth
        }
        product.c.store(sums, sumsRow: stripColumns, row: row, column: first, rows: rows, columns: columns)
    }

    /// All rows with one panel of B.
    private func multiply(
        _ a: UnsafePointer<Float>, _ panel: UnsafePointer<Float>, depth: Int, into sums: UnsafeMutablePointer<Float>,
        add: Bool, next: HalfPart<H>, _ other: UnsafeMutablePointer<Float>
    ) {
        let tiles = pieces(rows, height)
        var tile = 0
        while tile < tiles {
            let r = tile &* height
            let work = PanelWork(
                depth: depth, a: a + r &* depth, b: panel, c: sums + r &* stripColumns, cRow: stripColumns,
                validRows: Swift.min(height, rows &- r), validColumns: Tile<Float>.columns, accumulate: add,
                epilogue: .nothing,
                ahead: HalfAhead<H>(
                    next: next.b, rows: next.isCopied || next.b.columnStride != 1 ? next.depth : 0,
                    columns: next.columns, into: other, tile: tile, tiles: tiles))
            PanelTile<Float>.multiply(work, height: height)
            tile &+= 1
        }
    }

    func pack(into out: UnsafeMutablePointer<Float>, block: UnsafeMutablePointer<Float>) {
        var index = 0
        while index &* stripDepth < product.depth {
            pack(index, into: out, block: block)
            index &+= 1
        }
    }

    /// One block of depth of A.
    func pack(_ index: Int, into out: UnsafeMutablePointer<Float>, block: UnsafeMutablePointer<Float>) {
        let k = index &* stripDepth
        HalfPacking<H>.pack(
            product.a.advanced(rows: row, columns: k), count: rows, depth: Swift.min(stripDepth, product.depth &- k),
            panel: height, into: out + index &* aBlock, block: block)
    }

    private func clear(_ sums: UnsafeMutablePointer<Float>) {
        var i = 0
        while i < rows &* stripColumns {
            sums[i] = 0
            i &+= 1
        }
    }
}

/// A panel of B in one block of depth; none behind the last block.
private struct HalfPart<H: HalfFormat> {
    let b: Matrix<UInt16>
    let depth: Int
    let columns: Int

    init(_ product: HalfProduct<H>, k: Int, column: Int, end: Int) {
        b = product.b.advanced(rows: k, columns: column)
        depth = Swift.max(0, Swift.min(stripDepth, product.depth &- k))
        columns = Swift.min(Tile<Float>.columns, end &- column)
    }

    /// Whether the tiles before it widen this panel, or only fetch it.
    @inline(__always) var isCopied: Bool { b.columnStride == 1 && columns == Tile<Float>.columns && depth > 0 }
}

private struct PackRows<H: HalfFormat>: ParallelTask {
    let strips: HalfStrips<H>

    func run(_ index: Int, worker: Int) {
        strips.pack(index, into: strips.packedA, block: strips.mine + (worker &* strips.each &+ 16))
    }
}
