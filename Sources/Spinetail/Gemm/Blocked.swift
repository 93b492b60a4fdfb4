import CSpinetail

/// C = epilogue(A · B), or += when `accumulate`, then `finish`. C's columns are contiguous; A and B may have any strides.
struct Product<E: Real> {
    var rows: Int
    var columns: Int
    var depth: Int
    var a: Matrix<E>
    var b: Matrix<E>
    var c: UnsafeMutablePointer<E>
    var cRow: Int
    var accumulate: Bool
    var epilogue: Epilogue<E>
    var finish: Finish<E>? = nil

    /// What is left to do for a block of finished sums.
    @inline(__always) func complete(row: Int, column: Int, rows: Int, columns: Int) {
        if let finish {
            finish.apply(
                to: c + (row &* cRow &+ column), cRow: cRow, row: row, column: column, rows: rows, columns: columns)
        }
    }
}

extension Product {
    /// The packed way. A task takes a block of rows and a group of B's panels. It packs its block of A for itself, for what
    /// another thread packed would come slowly from that thread's cache, and multiplies one packed panel of B after the
    /// other with it; meanwhile the tiles copy or fetch the next panel.
    func runBlocked() -> Int32 {
        var workers = workerLimit()
        let cut = Blocking<E>(rows: rows, columns: columns, depth: depth, workers: workers)
        workers = Swift.min(workers, cut.tasks)
        let sumBytes = accumulate ? 0 : cut.sumBytes
        guard let scratch = Scratch.take(workers &* cut.workerBytes &+ sumBytes) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        var worker = 0
        while worker < workers {
            (scratch + worker &* cut.workerBytes).storeBytes(of: -1, as: Int.self)
            worker &+= 1
        }
        let sums = (scratch + workers &* cut.workerBytes).assumingMemoryBound(to: E.self)
        var task = MultiplyBlocks(
            product: self, cut: cut, scratch: scratch, sums: sumBytes == 0 ? nil : sums, d: 0)
        while task.d < cut.depthBlocks {
            let cost = cut.tiles &* cut.height &* cut.depth(ofBlock: task.d) / 64 &* columns
            let status = parallel(cut.tasks, cost: cost, workers: workers, task)
            if status != Status.ok { return status }
            task.d &+= 1
        }
        return Status.ok
    }
}

private struct MultiplyBlocks<E: Real>: ParallelTask {
    let product: Product<E>
    let cut: Blocking<E>
    let scratch: UnsafeMutableRawPointer
    /// Where sums wait for the last block of depth, each tile's in one piece: C's rows begin anywhere, so that every access
    /// meets two lines, and at distances that share the cache's sets.
    let sums: UnsafeMutablePointer<E>?
    /// The block of depth.
    var d: Int

    func run(_ index: Int, worker: Int) {
        let block = cut.block(ofTask: index)
        let first = cut.group(ofTask: index) &* cut.columns
        let last = Swift.min(product.columns, first &+ cut.columns)
        let own = scratch + worker &* cut.workerBytes
        let a = (own + 64).assumingMemoryBound(to: E.self)
        var panel = a + cut.tilesPerBlock &* cut.tileElements
        var other = panel + cut.panelElements
        var isPacked = false
        let number = block &* cut.depthBlocks &+ d
        if own.load(as: Int.self) != number {
            packRows(block, into: a)
            own.storeBytes(of: number, as: Int.self)
        }
        var column = first
        while column < last {
            let part = PanelPart(task: self, block: block, column: column, last: last)
            let next = PanelPart(task: self, block: block, column: column &+ Tile<E>.columns, last: last)
            if !isPacked { part.pack(into: panel) }
            part.multiply(a, by: panel, next: next, into: other)
            isPacked = next.isCopied
            swap(&panel, &other)
            column &+= Tile<E>.columns
        }
    }

    /// The tiles of one block of rows and one of depth.
    private func packRows(_ block: Int, into out: UnsafeMutablePointer<E>) {
        let row = block &* cut.tilesPerBlock &* cut.height
        Packing<E>.pack(
            product.a.advanced(rows: row, columns: d &* cut.depth),
            count: Swift.min(cut.tiles(ofBlock: block) &* cut.height, product.rows &- row),
            depth: cut.depth(ofBlock: d), panel: cut.height, distance: cut.tileElements, into: out)
    }
}

/// A panel of B, for one block of depth and one of rows.
private struct PanelPart<E: Real> {
    let task: MultiplyBlocks<E>
    let block: Int
    let column: Int
    let columns: Int
    /// Where the block's depth begins, in the whole product, and its length.
    let k: Int
    let depth: Int

    /// Behind `last` a panel has no columns.
    init(task: MultiplyBlocks<E>, block: Int, column: Int, last: Int) {
        self.task = task
        self.block = block
        self.column = column
        columns = Swift.max(0, Swift.min(Tile<E>.columns, last &- column))
        k = task.d &* task.cut.depth
        depth = task.cut.depth(ofBlock: task.d)
    }

    @inline(__always) var matrix: Matrix<E> { task.product.b.advanced(rows: k, columns: column) }

    /// Whether the tiles of the panel before copy this one, or only fetch it.
    @inline(__always) var isCopied: Bool { task.product.b.columnStride == 1 && columns == Tile<E>.columns }
    @inline(__always) var isFetched: Bool {
        columns > 0 && task.product.b.columnStride != 1 && task.product.b.rowStride == 1
    }

    func pack(into panel: UnsafeMutablePointer<E>) {
        Packing<E>.packColumns(matrix, depth: depth, columns: columns, into: panel)
    }

    /// All tiles of the task's rows with the panel.
    func multiply(
        _ a: UnsafePointer<E>, by panel: UnsafePointer<E>, next: PanelPart, into other: UnsafeMutablePointer<E>
    ) {
        let cut = task.cut
        let product = task.product
        let tiles = cut.tiles(ofBlock: block)
        let last = k &+ depth >= cut.wholeDepth
        let comes = next.isCopied || next.isFetched ? next.depth : 0
        var t = 0
        while t < tiles {
            let row = (block &* cut.tilesPerBlock &+ t) &* cut.height
            let valid = Swift.min(cut.height, product.rows &- row)
            let place = divide(column, by: Tile<E>.columns) &* cut.tiles &+ block &* cut.tilesPerBlock &+ t
            var sums = task.sums.map { $0 + place &* cut.sumElements }
            let waits = sums != nil && !last
            var c = product.c + (row &* product.cRow &+ column)
            if let waiting = sums, waits {
                c = waiting
                sums = nil
            }
            let work = PanelWork(
                depth: depth, a: a + t &* cut.tileElements, b: panel, c: c,
                cRow: waits ? Tile<E>.columns : product.cRow, validRows: waits ? cut.height : valid,
                validColumns: waits ? Tile<E>.columns : columns, accumulate: product.accumulate || k > 0,
                epilogue: last ? product.epilogue.advanced(rows: row, columns: column) : .nothing,
                ahead: PanelAhead(
                    next: next.matrix, rows: comes, columns: next.columns, into: other, tile: t, tiles: tiles),
                sums: UnsafePointer(sums))
            PanelTile<E>.multiply(work, height: cut.height)
            if last { product.complete(row: row, column: column, rows: valid, columns: columns) }
            t &+= 1
        }
    }
}
