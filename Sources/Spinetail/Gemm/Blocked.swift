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
    /// The packed way. A is packed in tiles of rows. A task takes a block of rows and a group of B's panels, and multiplies
    /// one panel after the other, all of it in its cache, with all its rows; meanwhile the tiles fetch the next panel.
    /// Panels are packed beforehand where several blocks of rows share them, else by the task.
    func runBlocked() -> Int32 {
        let workers = workerLimit()
        let cut = Blocking<E>(rows: rows, columns: columns, depth: depth)
        let size = MemoryLayout<E>.size
        let blocksAtOnce = Swift.min(cut.rowBlocks, cut.rowBlocksAtOnce)
        let depthsAtOnce = Swift.min(cut.depthBlocks, cut.depthBlocksAtOnce)
        let whole = roundUp(columns, Tile<E>.columns)
        let columnsAtOnce = cut.sharesB ? Swift.min(whole, cut.columnsAtOnce(depths: depthsAtOnce)) : whole
        let aBytes = blocksAtOnce &* cut.tilesPerBlock &* depthsAtOnce &* cut.tileElements &* size
        let panelBytes = roundUp(cut.depth &* Tile<E>.columns &* size, 64) &+ 64
        let bBytes = cut.sharesB ? columnsAtOnce &* depthsAtOnce &* cut.depth &* size : workers &* panelBytes
        guard let scratch = Scratch.take(aBytes &+ bBytes) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        var task = MultiplyBlocks(
            product: self, cut: cut, packedA: scratch.assumingMemoryBound(to: E.self), packedB: scratch + aBytes,
            panelBytes: panelBytes)
        while task.firstDepth < cut.depthBlocks {
            task.depths = Swift.min(depthsAtOnce, cut.depthBlocks &- task.firstDepth)
            task.firstBlock = 0
            while task.firstBlock < cut.rowBlocks {
                let blocks = Swift.min(blocksAtOnce, cut.rowBlocks &- task.firstBlock)
                let tiles = Swift.min(blocks &* cut.tilesPerBlock, cut.tiles &- task.firstBlock &* cut.tilesPerBlock)
                let volume = tiles &* cut.height &* task.depths &* cut.depth
                let packed = parallel(tiles, cost: volume / 4, PackTiles(task: task, tiles: tiles))
                if packed != Status.ok { return packed }
                task.firstColumn = 0
                while task.firstColumn < columns {
                    task.columns = Swift.min(columnsAtOnce, columns &- task.firstColumn)
                    let status = task.runGroups(blocks: blocks, volume: volume, workers: workers)
                    if status != Status.ok { return status }
                    task.firstColumn &+= task.columns
                }
                task.firstBlock &+= blocks
            }
            task.firstDepth &+= task.depths
        }
        return Status.ok
    }
}

/// Packs eight panels of B for one block of depth.
private struct PackPanels<E: Real>: ParallelTask {
    let task: MultiplyBlocks<E>

    static var columns: Int { 8 &* Tile<E>.columns }

    func run(_ index: Int, worker: Int) {
        let d = remainder(index, by: task.depths)
        let first = divide(index, by: task.depths) &* Self.columns
        let k = (task.firstDepth &+ d) &* task.cut.depth
        Packing<E>.packColumns(
            task.product.b.advanced(rows: k, columns: task.firstColumn &+ first), depth: task.depthOfBlock(d),
            columns: Swift.min(Self.columns, task.columns &- first), into: task.sharedPanel(d, first))
    }
}

/// Packs one tile of A's rows, all blocks of depth.
private struct PackTiles<E: Real>: ParallelTask {
    let task: MultiplyBlocks<E>
    let tiles: Int

    func run(_ index: Int, worker: Int) {
        let cut = task.cut
        let tile = task.firstBlock &* cut.tilesPerBlock &+ index
        let row = tile &* cut.height
        var d = 0
        while d < task.depths {
            let k = (task.firstDepth &+ d) &* cut.depth
            Packing<E>.pack(
                task.product.a.advanced(rows: row, columns: k),
                count: Swift.min(cut.height, task.product.rows &- row),
                depth: Swift.min(cut.depth, cut.wholeDepth &- k),
                panel: cut.height, into: task.tile(d, index))
            d &+= 1
        }
    }
}

private struct MultiplyBlocks<E: Real>: ParallelTask {
    let product: Product<E>
    let cut: Blocking<E>
    let packedA: UnsafeMutablePointer<E>
    let packedB: UnsafeMutableRawPointer
    let panelBytes: Int
    var firstBlock = 0
    var firstDepth = 0
    var depths = 0
    var firstColumn = 0
    var columns = 0

    init(
        product: Product<E>, cut: Blocking<E>, packedA: UnsafeMutablePointer<E>, packedB: UnsafeMutableRawPointer,
        panelBytes: Int
    ) {
        self.product = product
        self.cut = cut
        self.packedA = packedA
        self.packedB = packedB
        self.panelBytes = panelBytes
    }

    /// A tile of packed A, counted from the first row block and the first block of depth that are packed now.
    @inline(__always) func tile(_ depthBlock: Int, _ tile: Int) -> UnsafeMutablePointer<E> {
        packedA + (tile &* Swift.min(cut.depthBlocks, cut.depthBlocksAtOnce) &+ depthBlock) &* cut.tileElements
    }

    @inline(__always) func depthOfBlock(_ d: Int) -> Int {
        Swift.min(cut.depth, cut.wholeDepth &- (firstDepth &+ d) &* cut.depth)
    }

    /// The shared packed panel of a column, counted from the first one.
    @inline(__always) func sharedPanel(_ d: Int, _ column: Int) -> UnsafeMutablePointer<E> {
        packedB.assumingMemoryBound(to: E.self)
            + (d &* roundUp(columns, Tile<E>.columns) &* cut.depth &+ column &* depthOfBlock(d))
    }

    func runGroups(blocks: Int, volume: Int, workers: Int) -> Int32 {
        if cut.sharesB {
            let tasks = pieces(columns, PackPanels<E>.columns) &* depths
            let packed = parallel(tasks, cost: columns / 4 &* depths &* cut.depth, PackPanels(task: self))
            if packed != Status.ok { return packed }
        }
        return parallel(
            blocks &* pieces(columns, cut.columns), cost: volume / 64 &* columns, workers: workers, self)
    }

    func run(_ index: Int, worker: Int) {
        let groups = pieces(columns, cut.columns)
        let block = divide(index, by: groups)
        let firstTile = block &* cut.tilesPerBlock
        let tiles = Swift.min(cut.tilesPerBlock, cut.tiles &- firstBlock &* cut.tilesPerBlock &- firstTile)
        let first = remainder(index, by: groups) &* cut.columns
        let last = Swift.min(columns, first &+ cut.columns)
        let row = (firstBlock &* cut.tilesPerBlock &+ firstTile) &* cut.height
        let own = (packedB + worker &* panelBytes).assumingMemoryBound(to: E.self)
        var d = 0
        while d < depths {
            let k = (firstDepth &+ d) &* cut.depth
            let depth = depthOfBlock(d)
            var column = first
            while column < last {
                let count = Swift.min(Tile<E>.columns, last &- column)
                let more = column &+ Tile<E>.columns < last
                let b = product.b.advanced(rows: k, columns: firstColumn &+ column)
                var panel = own
                var next = product.b.advanced(
                    rows: more ? k : k &+ depth, columns: firstColumn &+ (more ? column &+ Tile<E>.columns : first))
                if cut.sharesB {
                    panel = sharedPanel(d, column)
                    // As a matrix whose rows are lines of memory.
                    let following = UnsafePointer(panel + Tile<E>.columns &* depth)
                    next = Matrix(base: following, rowStride: Tile<E>.columns, columnStride: 1)
                } else {
                    Packing<E>.packColumns(b, depth: depth, columns: count, into: panel)
                }
                multiply(
                    tile(d, firstTile), tiles, panel, depth: depth, row: row, column: firstColumn &+ column,
                    columns: count, k: k, next: next)
                column &+= Tile<E>.columns
            }
            d &+= 1
        }
    }

    /// One panel of B with all tiles of the task's rows.
    @inline(__always)
    private func multiply(
        _ a: UnsafeMutablePointer<E>, _ tiles: Int, _ b: UnsafeMutablePointer<E>, depth: Int, row: Int, column: Int,
        columns: Int, k: Int, next: Matrix<E>
    ) {
        let stride = Swift.min(cut.depthBlocks, cut.depthBlocksAtOnce) &* cut.tileElements
        let last = k &+ depth >= cut.wholeDepth
        var t = 0
        while t < tiles {
            let first = row &+ t &* cut.height
            let valid = Swift.min(cut.height, product.rows &- first)
            PanelTile<E>.multiply(
                height: cut.height, depth: depth, a: a + t &* stride, b: b,
                c: product.c + (first &* product.cRow &+ column), cRow: product.cRow, validRows: valid,
                validColumns: columns, accumulate: product.accumulate || k > 0,
                epilogue: last ? product.epilogue.advanced(rows: first, columns: column) : .nothing,
                prefetch: prefetch(next, depth: depth, tile: t))
            if last { product.complete(row: first, column: column, rows: valid, columns: columns) }
            t &+= 1
        }
    }

    /// The first two tiles fetch a half of the next panel each.
    @inline(__always)
    private func prefetch(_ next: Matrix<E>, depth: Int, tile: Int) -> Prefetch {
        let width = E.Lanes.width
        let size = MemoryLayout<E>.size
        if tile < 2 && next.columnStride == 1 {
            return Prefetch(
                first: UnsafeRawPointer(next.base + tile &* width), step: next.rowStride &* size, segment: depth,
                jump: 0)
        }
        if tile < 2 && next.rowStride == 1 {
            return Prefetch(
                first: UnsafeRawPointer(next.base + tile &* width &* next.columnStride),
                step: MemoryLayout<E.Lanes>.size,
                segment: Swift.max(1, divide(depth, by: width)), jump: next.columnStride &* size)
        }
        return Prefetch(first: UnsafeRawPointer(packedA), step: 0, segment: depth, jump: 0)
    }
}
