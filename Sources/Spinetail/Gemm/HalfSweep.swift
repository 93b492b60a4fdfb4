import CSpinetail

/// Few rows of A against a B whose rows run along memory: as in Sweep.swift, B is streamed once, widened in registers.
extension HalfProduct {
    private static var sweepRows: Int { 14 }
    private static var columnsPerTask: Int { 1024 }

    var prefersSweep: Bool { b.columnStride == 1 && rows <= Self.sweepRows && depth >= 8 && columns >= 64 }

    func runSweep(workers: Int) -> Int32 {
        let packed = rows &* roundUp(depth, 8)
        let step = Swift.min(Self.columnsPerTask, Swift.max(128, roundUp(pieces(columns, 4), 64)))
        guard let scratch = Scratch.take((packed &+ workers &* rows &* step) &* 4) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        let x = scratch.assumingMemoryBound(to: Float.self)
        var row = 0
        while row < rows {
            var k = 0
            while k < depth {
                let value = a.base[row &* a.rowStride &+ k &* a.columnStride]
                x[(k & ~7) &* rows &+ row &* 8 &+ (k & 7)] = H.float(value)
                k &+= 1
            }
            row &+= 1
        }
        return parallel(
            pieces(columns, step), cost: columns &* depth / 24 &* (rows &+ 2), workers: workers,
            HalfSweepColumns(product: self, x: UnsafePointer(x), columnsPerTask: step, sums: x + packed))
    }
}

private struct HalfSweepColumns<H: HalfFormat>: ParallelTask {
    let product: HalfProduct<H>
    let x: UnsafePointer<Float>
    let columnsPerTask: Int
    /// A block for each worker.
    let sums: UnsafeMutablePointer<Float>

    func run(_ index: Int, worker: Int) {
        let rows = product.rows
        let first = index &* columnsPerTask
        let count = Swift.min(columnsPerTask, product.columns &- first)
        let mine = sums + worker &* rows &* columnsPerTask
        var i = 0
        while i < rows &* columnsPerTask {
            FloatLanes(repeating: 0).store(mine + i)
            i &+= FloatLanes.width
        }
        SweepBlock<H>(
            a: x, b: product.b.base + first, bRow: product.b.rowStride, c: mine, cRow: columnsPerTask, rows: rows,
            columns: count, depth: product.depth
        ).run()
        product.c.store(mine, sumsRow: columnsPerTask, row: 0, column: first, rows: rows, columns: count)
    }
}
