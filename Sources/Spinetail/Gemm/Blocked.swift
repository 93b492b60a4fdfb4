import CSpinetail

/// How a large product is cut. Sizes depend on the problem alone, so results do not depend on the number of threads.
struct Blocking<E: Real> {
    static var depth: Int { 384 &* 4 / MemoryLayout<E>.size }
    static var rows: Int { Tile<E>.rows &* (Tile<E>.isWide ? 8 : 20) }
    static var columns: Int { 2048 }
    /// Few blocks of rows leave threads idle, so then a task takes part of the columns only.
    static func columnsPerTask(rowTasks: Int, columns: Int) -> Int {
        rowTasks >= 8 ? columns : roundUp(pieces(columns, 4), 4 &* Tile<E>.columns)
    }
}

/// C = epilogue(A · B), or += when `accumulate`. C's columns are contiguous; A and B may have any strides.
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
}

extension Product {
    /// The packed way: B block by block into shared panels, then tasks over blocks of C.
    func runBlocked() -> Int32 {
        let workers = workerLimit()
        let depthBlock = Swift.min(depth, Blocking<E>.depth)
        let columnBlock = Swift.min(roundUp(columns, Tile<E>.columns), Blocking<E>.columns)
        let rowBlock = Swift.min(roundUp(rows, Tile<E>.rows), Blocking<E>.rows)
        let size = MemoryLayout<E>.size
        let aBytes = roundUp(rowBlock &* depthBlock &* size, 4096) &+ 256
        guard let scratch = Scratch.take(columnBlock &* depthBlock &* size &+ workers &* aBytes &+ 64) else {
            return Status.noMemory
        }
        defer { Scratch.give(scratch) }
        let packedB = scratch.assumingMemoryBound(to: E.self)
        let packedA = scratch + roundUp(columnBlock &* depthBlock &* size, 64)

        var column = 0
        while column < columns {
            let blockColumns = Swift.min(columnBlock, columns &- column)
            var k = 0
            while k < depth {
                let blockDepth = Swift.min(depthBlock, depth &- k)
                let panels = pieces(blockColumns, PackPanels<E>.columnsPerTask)
                let packed = parallel(
                    panels, cost: blockColumns &* blockDepth / 4,
                    PackPanels(
                        b: b.advanced(rows: k, columns: column), depth: blockDepth, columns: blockColumns, out: packedB)
                )
                if packed != Status.ok { return packed }
                let last = k &+ blockDepth >= depth
                var part = self
                part.c = c + column
                part.a = a.advanced(rows: 0, columns: k)
                part.columns = blockColumns
                part.depth = blockDepth
                part.accumulate = accumulate || k > 0
                part.epilogue = last ? epilogue.advanced(rows: 0, columns: column) : .nothing
                let rowTasks = pieces(rows, rowBlock)
                let columnsPerTask = Blocking<E>.columnsPerTask(rowTasks: rowTasks, columns: blockColumns)
                let task = MultiplyBlocks(
                    product: part, packedB: packedB, packedA: packedA, aBytes: aBytes, rowBlock: rowBlock,
                    rowTasks: rowTasks, columnsPerTask: columnsPerTask)
                let tasks = rowTasks &* pieces(blockColumns, columnsPerTask)
                let status = parallel(tasks, cost: rows &* blockColumns / 64 &* blockDepth, workers: workers, task)
                if status != Status.ok { return status }
                k &+= blockDepth
            }
            column &+= blockColumns
        }
        return Status.ok
    }
}

private struct PackPanels<E: Real>: ParallelTask {
    let b: Matrix<E>
    let depth: Int
    let columns: Int
    let out: UnsafeMutablePointer<E>

    static var columnsPerTask: Int { 8 &* Tile<E>.columns }

    func run(_ index: Int, worker: Int) {
        let first = index &* Self.columnsPerTask
        Packing<E>.packColumns(
            b.advanced(rows: 0, columns: first), depth: depth,
            columns: Swift.min(Self.columnsPerTask, columns &- first),
            into: out + first &* depth)
    }
}

private struct MultiplyBlocks<E: Real>: ParallelTask {
    let product: Product<E>
    let packedB: UnsafePointer<E>
    let packedA: UnsafeMutableRawPointer
    let aBytes: Int
    let rowBlock: Int
    let rowTasks: Int
    let columnsPerTask: Int

    init(
        product: Product<E>, packedB: UnsafeMutablePointer<E>, packedA: UnsafeMutableRawPointer, aBytes: Int,
        rowBlock: Int, rowTasks: Int, columnsPerTask: Int
    ) {
        self.product = product
        self.packedB = UnsafePointer(packedB)
        self.packedA = packedA
        self.aBytes = aBytes
        self.rowBlock = rowBlock
        self.rowTasks = rowTasks
        self.columnsPerTask = columnsPerTask
    }

    func run(_ index: Int, worker: Int) {
        let row = remainder(index, by: rowTasks) &* rowBlock
        let column = divide(index, by: rowTasks) &* columnsPerTask
        let rows = Swift.min(rowBlock, product.rows &- row)
        let columns = Swift.min(columnsPerTask, product.columns &- column)
        let panelA = (packedA + worker &* aBytes).assumingMemoryBound(to: E.self)
        Packing<E>.packRows(
            product.a.advanced(rows: row, columns: 0), rows: rows, depth: product.depth, into: panelA)
        multiplyPanels(
            rows: rows, columns: columns, depth: product.depth, a: panelA, b: packedB + column &* product.depth,
            c: product.c + (row &* product.cRow &+ column), cRow: product.cRow, accumulate: product.accumulate,
            epilogue: product.epilogue.advanced(rows: row, columns: column))
    }
}

/// C = A panels · B panels, both packed. The B panel stays in L1 while A's panels stream from L2.
@inline(never)
func multiplyPanels<E: Real>(
    rows: Int, columns: Int, depth: Int, a: UnsafePointer<E>, b: UnsafePointer<E>, c: UnsafeMutablePointer<E>,
    cRow: Int, accumulate: Bool, epilogue: Epilogue<E>
) {
    var column = 0
    while column < columns {
        let bPanel = b + column &* depth
        var row = 0
        while row < rows {
            Tile<E>.multiply(
                depth: depth, a: a + row &* depth, b: bPanel, bDepth: Tile<E>.columns,
                c: c + (row &* cRow &+ column), cRow: cRow, validRows: Swift.min(Tile<E>.rows, rows &- row),
                validColumns: Swift.min(Tile<E>.columns, columns &- column), accumulate: accumulate,
                epilogue: epilogue.advanced(rows: row, columns: column))
            row &+= Tile<E>.rows
        }
        column &+= Tile<E>.columns
    }
}
