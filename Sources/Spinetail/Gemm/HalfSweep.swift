import CSpinetail

/// Some rows of A against a B whose rows run along memory: as in Sweep.swift, B is streamed once, widened in registers.
extension HalfProduct {
    private static var sweepRows: Int { 48 }

    var prefersSweep: Bool { b.columnStride == 1 && rows <= Self.sweepRows && depth >= 8 && columns >= 64 }

    func runSweep(workers: Int) -> Int32 {
        // A few rows are bound by sums, which then stay in the first-level cache.
        let step = sweepColumns(
            columns, rows: rows, depth: depth, sums: (rows <= 2 ? 32 : 7) << 10, workers: workers)
        var task = HalfSweepColumns(product: self, columnsPerTask: step)
        guard let scratch = Scratch.take(workers &* task.each &* 4) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        task.scratch = scratch.assumingMemoryBound(to: Float.self)
        var worker = 0
        while worker < workers {
            (scratch + worker &* task.each &* 4).storeBytes(of: 0, as: Int.self)
            worker &+= 1
        }
        return parallel(
            pieces(columns, step), cost: columns &* depth / 24 &* (rows &+ 2), workers: workers, task)
    }

    /// A row of A in groups of eight, as Sweep.swift packs it.
    fileprivate func widen(_ row: Int, into out: UnsafeMutablePointer<Float>) {
        let from = a.base + row &* a.rowStride
        var k = 0
        while k < depth {
            let to = out + k &* rows
            let count = Swift.min(8, depth &- k)
            var i = 0
            if a.columnStride == 1 {
                while i < count {
                    let some = Swift.min(FloatLanes.width, count &- i)
                    H.load(from + (k &+ i), count: some).store(to + i, count: some)
                    i &+= FloatLanes.width
                }
            } else {
                while i < count {
                    to[i] = H.float(from[(k &+ i) &* a.columnStride])
                    i &+= 1
                }
            }
            k &+= 8
        }
    }
}

/// Each worker widens A for itself: what another one wrote would come from its cache, slowly.
private struct HalfSweepColumns<H: HalfFormat>: ParallelTask {
    let product: HalfProduct<H>
    let columnsPerTask: Int
    /// From one row of sums to the next: never a multiple of a page.
    let sumsRow: Int
    let packed: Int
    /// Floats of a worker: whether it has A, A itself, sums.
    let each: Int
    var scratch: UnsafeMutablePointer<Float>

    init(product: HalfProduct<H>, columnsPerTask: Int) {
        self.product = product
        self.columnsPerTask = columnsPerTask
        sumsRow = columnsPerTask &+ 16
        packed = roundUp(product.rows &* roundUp(product.depth, 8) &+ FloatLanes.width, 16)
        each = 16 &+ packed &+ product.rows &* sumsRow
        scratch = product.c.base.assumingMemoryBound(to: Float.self)
    }

    func run(_ index: Int, worker: Int) {
        let rows = product.rows
        let first = index &* columnsPerTask
        let count = Swift.min(columnsPerTask, product.columns &- first)
        let own = scratch + worker &* each
        let x = own + 16
        let mine = x + packed
        let isPacked = UnsafeMutableRawPointer(own)
        if isPacked.load(as: Int.self) == 0 {
            var row = 0
            while row < rows {
                product.widen(row, into: x + row &* 8)
                row &+= 1
            }
            isPacked.storeBytes(of: 1, as: Int.self)
        }
        var i = 0
        while i < rows &* sumsRow {
            FloatLanes(repeating: 0).store(mine + i)
            i &+= FloatLanes.width
        }
        SweepBlock<H>(
            a: x, b: product.b.base + first, bRow: product.b.rowStride, c: mine, cRow: sumsRow, rows: rows,
            columns: count, depth: product.depth
        ).run()
        if H.isSplit && SweepBlock<H>.isPair { join(mine, count) }
        product.c.store(mine, sumsRow: sumsRow, row: 0, column: first, rows: rows, columns: count)
    }

    /// Brings sums of pairs' first and second numbers into the order of columns.
    private func join(_ sums: UnsafeMutablePointer<Float>, _ count: Int) {
        var row = 0
        while row < product.rows {
            var i = 0
            while i < count {
                let p = sums + (row &* sumsRow &+ i)
                let first = FloatLanes.load(p)
                let second = FloatLanes.load(p + FloatLanes.width)
                spinetail_zip_low_f32(first, second).store(p)
                spinetail_zip_high_f32(first, second).store(p + FloatLanes.width)
                i &+= HalfPairs.width
            }
            row &+= 1
        }
    }
}
