import CSpinetail

/// Products too small to pay for packing A, and tall ones with few columns: A is read where it stands. So is B where its
/// rows run along memory; otherwise one panel of it after the other is transposed into scratch.
extension Product {
    /// Rows × columns × depth below which packing A costs more than it brings.
    static var directVolume: Int { 6_500_000 }

    /// Rows × columns × depth below which another thread would not pay.
    static var aloneVolume: Int { 393_216 }

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

    /// Operands that fit into a common second-level cache are read where they stand at almost full speed.
    var prefersNear: Bool {
        b.columnStride == 1 && rows > 16 && depth >= 64 && depth <= 1024 && !rowsCollide && !prefersWriting
            && depth &* (rows &+ columns) &* MemoryLayout<E>.size <= 896 << 10
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
        let alone = volume <= Self.aloneVolume
        if alone && b.columnStride == 1 && (depth < DirectPass<E>.copiedDepth || columns <= E.Lanes.width) {
            direct(rows: 0, to: rows, columns: 0, to: columns, panel: nil)
            return Status.ok
        }
        let workers = alone ? 1 : workerLimit()
        let plan = DirectBlocks(product: self, workers: workers)
        guard let scratch = Scratch.take(plan.panelBytes &* workers) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        if plan.tasks == 1 {
            direct(rows: 0, to: rows, columns: 0, to: columns, panel: scratch.assumingMemoryBound(to: E.self))
            return Status.ok
        }
        return parallel(
            plan.tasks, cost: volume / 72 &+ rows &* columns / 6, workers: workers,
            DirectTask(plan: plan, scratch: scratch))
    }

    /// A block of C, in this thread. `panel` holds a panel of B (see `DirectBlocks.panelBytes`); without it B's rows must
    /// run along memory.
    func direct(
        rows first: Int, to end: Int, columns firstColumn: Int, to lastColumn: Int, panel: UnsafeMutablePointer<E>?
    ) {
        DirectPass(self, rows: first, to: end).run(columns: firstColumn, to: lastColumn, panel: panel)
    }
}

/// The cut of a direct product into tasks. No sum depends on it.
struct DirectBlocks<E: Real> {
    let product: Product<E>
    let rows: Int
    let columns: Int
    let rowTasks: Int
    let tasks: Int

    init(product: Product<E>, workers: Int) {
        self.product = product
        // Threads that split the columns write to the same line of C in every row, and wait for each other's.
        let shares = product.rows >= 24 &* workers && workers > 1 ? workers : 1
        let blocks = pieces(product.rows, 12 &* Tile<E>.rows)
        rows = pieces(product.rows, roundUp(blocks, shares))
        rowTasks = pieces(product.rows, rows)
        let panels = pieces(product.columns, Tile<E>.columns)
        let groups = workers == shares ? 1 : Swift.min(panels, pieces(4 &* workers, rowTasks))
        columns = pieces(panels, groups) &* Tile<E>.columns
        tasks = rowTasks &* pieces(product.columns, columns)
    }

    var panelBytes: Int {
        roundUp((product.depth &* Tile<E>.columns &+ Packing<E>.slack) &* MemoryLayout<E>.size, 64) &+ 64
    }
}

private struct DirectTask<E: Real>: ParallelTask {
    let plan: DirectBlocks<E>
    let scratch: UnsafeMutableRawPointer

    func run(_ index: Int, worker: Int) {
        let row = remainder(index, by: plan.rowTasks) &* plan.rows
        let column = divide(index, by: plan.rowTasks) &* plan.columns
        plan.product.direct(
            rows: row, to: Swift.min(plan.product.rows, row &+ plan.rows), columns: column,
            to: Swift.min(plan.product.columns, column &+ plan.columns),
            panel: (scratch + worker &* plan.panelBytes).assumingMemoryBound(to: E.self))
    }
}
