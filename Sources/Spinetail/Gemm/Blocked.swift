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
    /// one packed panel after the other, all of it in its cache, with all its rows; meanwhile the tiles copy or fetch the
    /// next panel.
    func runBlocked() -> Int32 {
        let workers = workerLimit()
        let cut = Blocking<E>(rows: rows, columns: columns, depth: depth, workers: workers)
        let size = MemoryLayout<E>.size
        let blocksAtOnce = Swift.min(cut.rowBlocks, cut.rowBlocksAtOnce)
        let depthsAtOnce = Swift.min(cut.depthBlocks, cut.depthBlocksAtOnce)
        let aBytes = blocksAtOnce &* cut.tilesPerBlock &* depthsAtOnce &* cut.tileElements &* size
        let panelBytes = roundUp((cut.depth &* Tile<E>.columns &+ Packing<E>.slack) &* size, 64) &+ 64
        guard let scratch = Scratch.take(aBytes &+ 2 &* workers &* panelBytes) else { return Status.noMemory }
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
                let status = parallel(
                    blocks &* pieces(columns, cut.columns), cost: volume / 64 &* columns, workers: workers, task)
                if status != Status.ok { return status }
                task.firstBlock &+= blocks
            }
            task.firstDepth &+= task.depths
        }
        return Status.ok
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

    func run(_ index: Int, worker: Int) {
        let groups = pieces(product.columns, cut.columns)
        let block = divide(index, by: groups)
        let first = remainder(index, by: groups) &* cut.columns
        let last = Swift.min(product.columns, first &+ cut.columns)
        let own = packedB + 2 &* worker &* panelBytes
        var panel = own.assumingMemoryBound(to: E.self)
        var other = (own + panelBytes).assumingMemoryBound(to: E.self)
        var isPacked = false
        var d = 0
        while d < depths {
            var column = first
            while column < last {
                let more = column &+ Tile<E>.columns < last
                let part = PanelPart(task: self, block: block, d: d, column: column, last: last)
                let next = PanelPart(
                    task: self, block: block, d: more ? d : d &+ 1, column: more ? column &+ Tile<E>.columns : first,
                    last: last)
                if !isPacked { part.pack(into: panel) }
                part.multiply(by: panel, next: next, into: other)
                isPacked = next.isCopied
                swap(&panel, &other)
                column &+= Tile<E>.columns
            }
            d &+= 1
        }
    }
}

/// A panel of B, for one block of depth and one of rows.
private struct PanelPart<E: Real> {
    let task: MultiplyBlocks<E>
    let block: Int
    let d: Int
    let column: Int
    let columns: Int
    /// Where the depth begins, in the whole product, and its length; 0 behind the last block.
    let k: Int
    let depth: Int

    init(task: MultiplyBlocks<E>, block: Int, d: Int, column: Int, last: Int) {
        self.task = task
        self.block = block
        self.d = d
        self.column = column
        columns = Swift.min(Tile<E>.columns, last &- column)
        k = (task.firstDepth &+ d) &* task.cut.depth
        depth = d < task.depths ? task.depthOfBlock(d) : 0
    }

    @inline(__always) var matrix: Matrix<E> { task.product.b.advanced(rows: k, columns: column) }

    /// Whether the tiles of the panel before copy this one.
    @inline(__always) var isCopied: Bool {
        task.product.b.columnStride == 1 && columns == Tile<E>.columns
    }

    /// Whether they only fetch it.
    @inline(__always) var isFetched: Bool { task.product.b.columnStride != 1 && task.product.b.rowStride == 1 }

    func pack(into panel: UnsafeMutablePointer<E>) {
        Packing<E>.packColumns(matrix, depth: depth, columns: columns, into: panel)
    }

    /// The panel with all tiles of the task's rows.
    func multiply(by panel: UnsafeMutablePointer<E>, next: PanelPart, into other: UnsafeMutablePointer<E>) {
        let cut = task.cut
        let product = task.product
        let firstTile = block &* cut.tilesPerBlock
        let tiles = Swift.min(cut.tilesPerBlock, cut.tiles &- task.firstBlock &* cut.tilesPerBlock &- firstTile)
        let row = (task.firstBlock &* cut.tilesPerBlock &+ firstTile) &* cut.height
        let last = k &+ depth >= cut.wholeDepth
        let comes = next.isCopied || next.isFetched ? next.depth : 0
        var t = 0
        while t < tiles {
            let first = row &+ t &* cut.height
            let valid = Swift.min(cut.height, product.rows &- first)
            PanelTile<E>.multiply(
                height: cut.height, depth: depth, a: task.tile(d, firstTile &+ t), b: panel,
                c: product.c + (first &* product.cRow &+ column), cRow: product.cRow, validRows: valid,
                validColumns: columns, accumulate: product.accumulate || k > 0,
                epilogue: last ? product.epilogue.advanced(rows: first, columns: column) : .nothing,
                ahead: PanelAhead(
                    next: next.matrix, rows: comes, columns: next.columns, into: other, tile: t, tiles: tiles,
                    depth: depth))
            if last { product.complete(row: first, column: column, rows: valid, columns: columns) }
            t &+= 1
        }
    }
}
