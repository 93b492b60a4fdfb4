import CSpinetail

/// A few rows of A against a B that is too large to come twice and whose rows run along memory: B is streamed once,
/// eight of its rows at a time, into sums that stay in the first-level cache, in memory of their own: C's rows may begin
/// anywhere, so that every store would meet two lines, and at distances that push each other out of the cache.
extension Product {
    static var sweepRows: Int { 64 }

    /// Bytes of B from which the sweep pays. More than 16 rows fill high tiles, whose panels are packed between their steps,
    /// and that is faster unless B comes from memory, which gives long runs faster.
    private var sweepBytes: Int { rows > 16 && Tile<E>.isWide ? 16 << 20 : 1 << 20 }

    /// Numbers of C that are summed at a time. Few rows wait for memory, which gives long runs faster, and their sums may
    /// lie in the second-level cache; those of many share the first-level one with two times eight rows of B.
    private var sweepSums: Int { (rows <= 8 ? 128 << 10 : 20 << 10) / MemoryLayout<E>.size }

    var prefersSweep: Bool {
        if b.columnStride != 1 || rows > Self.sweepRows || depth < 8 || columns < 64 { return false }
        if rows == 1 { return columns >= 256 }
        if rows <= 14 { return columns &* depth > 65_536 }
        return columns &* depth &* MemoryLayout<E>.size > sweepBytes && depth > Self.shallowDepth
    }

    func runSweep() -> Int32 {
        let size = MemoryLayout<E>.size
        let workers = workerLimit()
        let step = sweepColumns(columns, rows: rows, depth: depth, sums: sweepSums, workers: workers)
        // A single row of A is packed as it stands.
        let isPacked = rows == 1 && a.columnStride == 1
        let packedBytes = isPacked ? 0 : roundUp(roundUp(depth, 8) &* rows &* size, 64)
        let sumsRow = step &+ 64 / size
        let sumsBytes = rows &* sumsRow &* size
        guard let scratch = Scratch.take(packedBytes &+ workers &* sumsBytes) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        let packed = scratch.assumingMemoryBound(to: E.self)
        if !isPacked { packSweep(into: packed) }
        let task = SweepColumns(
            product: self, a: isPacked ? a.base : UnsafePointer(packed), sums: scratch + packedBytes,
            sumsRow: sumsRow, columnsPerTask: step)
        return parallel(
            pieces(columns, step), cost: columns &* depth / 64 &* (rows &+ 3), workers: workers, task)
    }

    /// A in groups of eight columns: element (r, k) at [k / 8 · rows · 8 + r · 8 + k % 8].
    private func packSweep(into out: UnsafeMutablePointer<E>) {
        var k = 0
        while k < depth {
            let count = Swift.min(8, depth &- k)
            var r = 0
            while r < rows {
                let from = a.base + (r &* a.rowStride &+ k &* a.columnStride)
                let to = out + (k &* rows &+ r &* 8)
                if count == 8 && a.columnStride == 1 {
                    copyEight(from, to)
                } else {
                    var i = 0
                    while i < count {
                        to[i] = from[i &* a.columnStride]
                        i &+= 1
                    }
                }
                r &+= 1
            }
            k &+= 8
        }
    }

    @inline(__always) private func copyEight(_ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>) {
        let width = E.Lanes.width
        if width > 8 {
            E.Lanes.load(from, count: 8, fill: 0).store(to, count: 8)
        } else {
            var i = 0
            while i < 8 {
                E.Lanes.load(from + i).store(to + i)
                i &+= width
            }
        }
    }
}

/// Columns of a task where `sums` may be summed at a time. No sum depends on it, so the number of threads may decide it:
/// each should get as many as another.
func sweepColumns(_ columns: Int, rows: Int, depth: Int, sums: Int, workers: Int) -> Int {
    let fitting = Swift.min(divide(sums, by: rows), divide(1 << 26, by: rows &* depth))
    let largest = Swift.min(4096, Swift.max(128, fitting & ~31))
    let tasks = roundUp(pieces(columns, largest), workers)
    return Swift.max(64, roundUp(pieces(columns, tasks), 32))
}

private struct SweepColumns<E: Real>: ParallelTask {
    let product: Product<E>
    let a: UnsafePointer<E>
    /// A block for each worker, its rows `sumsRow` apart.
    let sums: UnsafeMutableRawPointer
    let sumsRow: Int
    let columnsPerTask: Int

    func run(_ index: Int, worker: Int) {
        let rows = product.rows
        let first = index &* columnsPerTask
        let count = Swift.min(columnsPerTask, product.columns &- first)
        let mine = (sums + worker &* (rows &* sumsRow &* MemoryLayout<E>.size)).assumingMemoryBound(to: E.self)
        var i = 0
        while i < rows &* sumsRow {
            E.Lanes.zero.store(mine + i)
            i &+= E.Lanes.width
        }
        SweepBlock<Stored<E>>(
            a: a, b: product.b.base + first, bRow: product.b.rowStride, c: mine, cRow: sumsRow, rows: rows,
            columns: count, depth: product.depth
        ).run()
        var r = 0
        while r < rows {
            store(mine + r &* sumsRow, r, first, count)
            r &+= 1
        }
        product.complete(row: 0, column: first, rows: rows, columns: count)
    }

    /// One row of sums into C.
    private func store(_ sums: UnsafePointer<E>, _ row: Int, _ first: Int, _ count: Int) {
        let epilogue = product.epilogue
        let c = product.c + (row &* product.cRow &+ first)
        var i = 0
        while i < count {
            let left = count &- i
            var x = E.Lanes.load(sums + i)
            if product.accumulate { x = x + E.Lanes.loadUpTo(c + i, left) }
            if let values = epilogue.values {
                x =
                    x
                    + (epilogue.bias == .perRow
                        ? E.Lanes(repeating: values[row]) : E.Lanes.loadUpTo(values + (first &+ i), left))
            }
            if epilogue.relu { x = E.Lanes.max(.zero, x) }
            x.storeUpTo(c + i, left)
            i &+= E.Lanes.width
        }
    }
}
