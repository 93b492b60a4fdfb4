import CSpinetail

/// C = f(A · B + bias) for A and B of 16-bit numbers, summed in float32 and rounded once. A and B may have any strides.
struct HalfProduct<H: HalfFormat> {
    var rows: Int
    var columns: Int
    var depth: Int
    var a: Matrix<UInt16>
    var b: Matrix<UInt16>
    var c: HalfOutput<H>
}

extension HalfProduct {
    /// The whole product. `workers` bounds the threads, and with them the scratch.
    func run(workers: Int = workerLimit()) -> Int32 {
        var product = self
        if depth == 1 { product.a.columnStride = 1 }
        if depth == 1 { product.b.rowStride = 1 }
        if product.prefersDots { return product.runDots(workers: workers) }
        if product.prefersSweep { return product.runSweep(workers: workers) }
        if columns <= 4 && rows > columns {
            let swapped = product.transposed
            if swapped.prefersDots { return swapped.runDots(workers: workers) }
        }
        return product.runStrips(workers: workers)
    }

    /// Cᵀ = Bᵀ · Aᵀ.
    var transposed: HalfProduct {
        HalfProduct(rows: columns, columns: rows, depth: depth, a: b.transposed, b: a.transposed, c: c.transposed)
    }
}

/// Columns of C that one task computes, with the whole depth, so that B is packed where it is used.
private var stripColumns: Int { 128 }
private var stripDepth: Int { 384 }

extension HalfProduct {
    /// Rows whose float32 copy of A, packed, is kept at a time.
    private func blockRows(_ height: Int) -> Int {
        let fitting = Swift.min(512, Swift.max(1, divide(4 << 20, by: Swift.max(1, depth))))
        return roundUp(Swift.min(fitting, rows), height)
    }

    /// A block of rows of A is packed once; then each task packs B's part for a strip of C, block by block of depth, and
    /// multiplies at once.
    private func runStrips(workers: Int) -> Int32 {
        let height = PanelTile<Float>.height(for: rows)
        let blockRows = blockRows(height)
        let width = FloatLanes.width
        let aBlock = roundUp(blockRows &* Swift.min(stripDepth, depth) &+ width, 16)
        let aFloats = aBlock &* pieces(depth, stripDepth)
        let bFloats = roundUp(stripColumns &* Swift.min(stripDepth, depth) &+ width, 16)
        let block = HalfPacking<H>.blockSize
        let each = bFloats &+ block &+ roundUp(blockRows &* stripColumns, 16)
        guard let scratch = Scratch.take((aFloats &+ workers &* each) &* 4) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        let packedA = scratch.assumingMemoryBound(to: Float.self)
        var row = 0
        while row < rows {
            let count = Swift.min(blockRows, rows &- row)
            let strips = HalfStrips(
                product: self, height: height, row: row, rows: count, packedA: packedA, aBlock: aBlock,
                mine: packedA + aFloats,
                each: each,
                bFloats: bFloats)
            var status = parallel(
                pieces(depth, stripDepth), cost: count &* depth / 4, workers: workers, PackRows(strips: strips))
            if status != Status.ok { return status }
            status = parallel(
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
    /// Block after block of depth, `aBlock` apart, in each of them panel after panel.
    let packedA: UnsafeMutablePointer<Float>
    let aBlock: Int
    let mine: UnsafeMutablePointer<Float>
    let each: Int
    let bFloats: Int

    func run(_ index: Int, worker: Int) {
        let column = index &* stripColumns
        let columns = Swift.min(stripColumns, product.columns &- column)
        let packedB = mine + worker &* each
        let block = packedB + bFloats
        let sums = block + HalfPacking<H>.blockSize
        var k = 0
        if product.depth == 0 { clear(sums) }
        while k < product.depth {
            let depth = Swift.min(stripDepth, product.depth &- k)
            let following = k &+ depth < product.depth
            let next = product.b.advanced(
                rows: following ? k &+ depth : 0, columns: following ? column : column &+ stripColumns)
            HalfPacking<H>.pack(
                product.b.advanced(rows: k, columns: column).transposed, count: columns, depth: depth,
                panel: Tile<Float>.columns, into: packedB, block: block)
            multiply(
                a: packedA + divide(k, by: stripDepth) &* aBlock, b: packedB, depth: depth, columns: columns,
                into: sums, add: k > 0, next: next)
            k &+= depth
        }
        product.c.store(sums, sumsRow: stripColumns, row: row, column: column, rows: rows, columns: columns)
    }
}

extension HalfStrips {
    @inline(__always)
    private func multiply(
        a: UnsafeMutablePointer<Float>, b: UnsafeMutablePointer<Float>, depth: Int, columns: Int,
        into sums: UnsafeMutablePointer<Float>, add: Bool, next: Matrix<UInt16>
    ) {
        var column = 0
        while column < columns {
            var r = 0
            while r < rows {
                let work = PanelWork(
                    depth: depth, a: a + r &* depth, b: b + column &* depth,
                    c: sums + (r &* stripColumns &+ column), cRow: stripColumns,
                    validRows: Swift.min(height, rows &- r), validColumns: Tile<Float>.columns, accumulate: add,
                    epilogue: .nothing,
                    ahead: ahead(next.advanced(rows: 0, columns: column), depth, first: r == 0))
                PanelTile<Float>.multiply(work, height: height)
                r &+= height
            }
            column &+= Tile<Float>.columns
        }
    }

    /// The first tile of a panel fetches what the panel's columns hold next. Two numbers take the room of one sum.
    @inline(__always) private func ahead(_ m: Matrix<UInt16>, _ depth: Int, first: Bool) -> PanelAhead<Float> {
        let base = UnsafeRawPointer(m.base).assumingMemoryBound(to: Float.self)
        let alongColumns = m.columnStride != 1
        let count = first && (m.rowStride == 1 || !alongColumns) ? (alongColumns ? Tile<Float>.columns / 2 : 1) : 0
        let lines = pieces(depth, 2 &* Tile<Float>.columns)
        return alongColumns
            ? PanelAhead(
                first: base, step: Tile<Float>.columns, segment: lines, jump: m.columnStride / 2,
                count: 2 &* count &* lines, depth: depth)
            : PanelAhead(
                first: base, step: m.rowStride / 2, segment: Int.max, jump: 0, count: count &* depth, depth: depth)
    }

    private func clear(_ sums: UnsafeMutablePointer<Float>) {
        var i = 0
        while i < rows &* stripColumns {
            sums[i] = 0
            i &+= 1
        }
    }
}

private struct PackRows<H: HalfFormat>: ParallelTask {
    let strips: HalfStrips<H>

    func run(_ index: Int, worker: Int) {
        let k = index &* stripDepth
        HalfPacking<H>.pack(
            strips.product.a.advanced(rows: strips.row, columns: k), count: strips.rows,
            depth: Swift.min(stripDepth, strips.product.depth &- k), panel: strips.height,
            into: strips.packedA + index &* strips.aBlock, block: strips.mine + worker &* strips.each)
    }
}
