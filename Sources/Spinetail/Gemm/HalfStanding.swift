import CSpinetail

/// A batch against a layer's weights, as in Standing.swift: Cᵀ = Bᵀ · Aᵀ. A few columns of B at a time are widened into a
/// block of float32, without being transposed: first numbers of pairs apart from second ones, an order of depth in which
/// A is packed, too.
extension HalfProduct {
    fileprivate static var standingColumns: Int { 48 }

    var prefersStanding: Bool {
        if b.rowStride != 1 || rows > 256 || depth < 64 || depth < rows { return false }
        let padded = roundUp(rows, Tile<Float>.columns)
        // Lanes that no row fills are computed in vain.
        return rows &* 8 >= padded &* 7 && columns >= 4 &* Self.standingColumns
            && padded &* depth &* 4 <= Product<Float>.standingBytes
    }

    func runStanding(workers: Int) -> Int32 {
        let task = HalfStanding(product: self)
        guard let scratch = Scratch.take((task.aFloats &+ workers &* task.each) &* 4) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        var run = task
        run.packed = scratch.assumingMemoryBound(to: Float.self)
        run.mine = run.packed + task.aFloats
        let status = parallel(
            pieces(rows, Tile<Float>.columns), cost: rows &* depth / 8, workers: workers, PackHalfStanding(of: run))
        if status != Status.ok { return status }
        return parallel(
            pieces(columns, Self.standingColumns), cost: rows &* columns &* depth / 56, workers: workers, run)
    }
}

/// A task makes some columns of C.
private struct HalfStanding<H: HalfFormat>: ParallelTask {
    let product: HalfProduct<H>
    let paddedRows: Int
    let paddedDepth: Int
    /// From one widened column to the next: never a multiple of a page.
    let columnStep: Int
    let aFloats: Int
    /// Floats of a worker: widened columns, sums of Cᵀ, the same transposed.
    let each: Int
    var packed: UnsafeMutablePointer<Float>
    var mine: UnsafeMutablePointer<Float>

    static var height: Int { Tile<Float>.isWide ? 12 : 6 }
    private var sumsAt: Int { Self.height &* columnStep }
    private var rowsAt: Int { sumsAt &+ HalfProduct<H>.standingColumns &* paddedRows }

    init(product: HalfProduct<H>) {
        self.product = product
        paddedRows = roundUp(product.rows, Tile<Float>.columns)
        paddedDepth = roundUp(product.depth, HalfPairs.width)
        columnStep = paddedDepth &+ 16
        aFloats = paddedRows &* paddedDepth
        let block = 2 &* HalfProduct<H>.standingColumns &* paddedRows
        each = roundUp(
            Swift.max(Self.height &* columnStep &+ block, PackHalfStanding<H>.floats) &+ FloatLanes.width, 16)
        packed = product.c.base.assumingMemoryBound(to: Float.self)
        mine = packed
    }

    func run(_ index: Int, worker: Int) {
        let first = index &* HalfProduct<H>.standingColumns
        let count = Swift.min(HalfProduct<H>.standingColumns, product.columns &- first)
        let wide = mine + worker &* each
        var done = 0
        while done < count {
            let b = product.b.advanced(rows: 0, columns: first &+ done)
            var column = 0
            while column < Self.height {
                // Where there is no column more, the last one is repeated.
                let from = Swift.min(column, count &- done &- 1) &* b.columnStride
                product.split(b.base + from, into: wide + column &* columnStep)
                column &+= 1
            }
            var row = 0
            while row < product.rows {
                multiply(wide, row: row, next: b.advanced(rows: 0, columns: Self.height), column: done)
                row &+= Tile<Float>.columns
            }
            done &+= Self.height
        }
        store(wide, first, count)
    }

    /// One tile of Cᵀ: some columns of B with a panel of A; it fetches the columns that are `next`.
    private func multiply(_ wide: UnsafeMutablePointer<Float>, row: Int, next: Matrix<UInt16>, column: Int) {
        StandingWork(
            depth: paddedDepth, a: packed + row &* paddedDepth,
            b: Matrix(base: wide, rowStride: columnStep, columnStride: 1),
            c: wide + (sumsAt &+ column &* paddedRows &+ row), cRow: paddedRows, bias: nil, floor: nil,
            next: UnsafeRawPointer(next.base), lines: Int.max
        ).runWhole()
    }

    private func store(_ wide: UnsafeMutablePointer<Float>, _ first: Int, _ count: Int) {
        let width = FloatLanes.width
        let step = HalfProduct<H>.standingColumns
        let sums = wide + sumsAt
        let out = wide + rowsAt
        var column = 0
        while column < step {
            var row = 0
            while row < paddedRows {
                FloatLanes.transpose(
                    sums + (column &* paddedRows &+ row), stride: paddedRows, valid: width,
                    into: out + (row &* step &+ column), outStride: step)
                row &+= width
            }
            column &+= width
        }
        product.c.store(out, sumsRow: step, row: 0, column: first, rows: product.rows, columns: count)
    }
}

/// Packs A in panels of Tile.columns rows, widened, in the order of `split`.
private struct PackHalfStanding<H: HalfFormat>: ParallelTask {
    let standing: HalfStanding<H>

    init(of standing: HalfStanding<H>) { self.standing = standing }

    private static var stepFloats: Int { roundUp(HalfPairs.width &* Tile<Float>.columns &+ FloatLanes.width, 16) }
    /// What a worker needs.
    static var floats: Int { stepFloats &+ HalfPacking<H>.blockSize }

    func run(_ index: Int, worker: Int) {
        let width = FloatLanes.width
        let columns = Tile<Float>.columns
        let product = standing.product
        let step = standing.mine + worker &* standing.each
        let block = step + Self.stepFloats
        let first = index &* columns
        let out = standing.packed + first &* standing.paddedDepth
        var k = 0
        while k < product.depth {
            let steps = Swift.min(HalfPairs.width, product.depth &- k)
            HalfPacking<H>.pack(
                product.a.advanced(rows: first, columns: k), count: Swift.min(columns, product.rows &- first),
                depth: steps, panel: columns, into: step, block: block)
            var i = 0
            while i < HalfPairs.width {
                let to = out + (k &+ (i & 1) &* width &+ (i >> 1)) &* columns
                let from = step + i &* columns
                let none = FloatLanes(repeating: 0)
                (i < steps ? FloatLanes.load(from) : none).store(to)
                (i < steps ? FloatLanes.load(from + width) : none).store(to + width)
                i &+= 1
            }
            k &+= HalfPairs.width
        }
    }
}
