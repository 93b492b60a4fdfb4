import CSpinetail

/// A · B with few rows of A and a B whose columns run along memory: a batch through a linear layer, x · Wᵀ. Packing B
/// would take longer than it saves, so the product is made the other way round, Cᵀ = Bᵀ · Aᵀ: B is read where it stands,
/// one number of each of its columns at a time, A is packed, and blocks of Cᵀ are transposed into C.
extension Product {
    /// Bytes of packed A, which stays in the second-level cache.
    static var standingBytes: Int { 1 << 20 }

    /// Rows of A in a packed panel: one vector, or two.
    var standingPanel: Int { rows <= E.Lanes.width ? E.Lanes.width : Tile<E>.columns }

    var prefersStanding: Bool {
        if b.rowStride != 1 || accumulate || epilogue.bias == .perRow || rows > 256 || depth < 64 { return false }
        let padded = roundUp(rows, standingPanel)
        // Lanes that no row fills are computed in vain. Columns that begin at multiples of a page take lower tiles, which
        // pays for few rows only.
        let fills = rows <= Tile<E>.columns ? rows &* 4 > E.Lanes.width &* 3 : rows &* 8 >= padded &* 7
        return fills && depth >= rows && columns >= 4 &* StandingBlocks<E>.columns
            && padded &* depth &* MemoryLayout<E>.size <= Self.standingBytes && (rows <= 64 || !standsOnPages)
    }

    /// Whether B's columns begin at multiples of a page, and so share sets of the first-level cache.
    fileprivate var standsOnPages: Bool { (b.columnStride &* MemoryLayout<E>.size) & 4095 == 0 }

    func runStanding() -> Int32 {
        let size = MemoryLayout<E>.size
        let blocks = StandingBlocks<E>(product: self)
        let workers = workerLimit()
        let aBytes = roundUp((blocks.paddedRows &* depth &+ Packing<E>.slack) &* size, 64)
        guard let scratch = Scratch.take(aBytes &+ blocks.bytes &* workers) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        let packed = scratch.assumingMemoryBound(to: E.self)
        let pack = PackStanding(product: self, panel: standingPanel, packed: packed)
        var status = parallel(pieces(rows, standingPanel), cost: rows &* depth / 12, pack)
        if status != Status.ok { return status }
        var task = blocks
        task.packed = UnsafePointer(packed)
        task.scratch = scratch + aBytes
        status = parallel(
            pieces(columns, StandingBlocks<E>.columns), cost: rows &* columns &* depth / 56, workers: workers, task)
        return status
    }
}

/// Packs A in panels of `panel` rows.
private struct PackStanding<E: Real>: ParallelTask {
    let product: Product<E>
    let panel: Int
    let packed: UnsafeMutablePointer<E>

    func run(_ index: Int, worker: Int) {
        let first = index &* panel
        Packing<E>.pack(
            product.a.advanced(rows: first, columns: 0), count: Swift.min(panel, product.rows &- first),
            depth: product.depth, panel: panel, into: packed + first &* product.depth)
    }
}

/// A task makes a block of C's columns.
private struct StandingBlocks<E: Real>: ParallelTask {
    let product: Product<E>
    var packed: UnsafePointer<E>
    var scratch: UnsafeMutableRawPointer
    let panel: Int
    let paddedRows: Int
    /// Columns of B in a tile: of those that share a set of the first-level cache no more than it holds, which are eight
    /// lines on some processors.
    let height: Int
    /// Elements before the block: tiles that begin early write there, and edges of C are transposed there.
    let edge: Int
    let bytes: Int

    static var columns: Int { 48 }

    init(product: Product<E>) {
        let size = MemoryLayout<E>.size
        self.product = product
        packed = UnsafePointer(product.c)
        scratch = UnsafeMutableRawPointer(product.c)
        panel = product.standingPanel
        paddedRows = roundUp(product.rows, panel)
        height = !Tile<E>.isWide || product.standsOnPages ? 6 : 12
        edge = Swift.max(paddedRows &* height, E.Lanes.width &* E.Lanes.width)
        bytes = roundUp((paddedRows &* Self.columns &+ edge) &* size, 64)
    }

    func run(_ index: Int, worker: Int) {
        let memory = (scratch + worker &* bytes).assumingMemoryBound(to: E.self)
        let block = memory + edge
        let first = index &* Self.columns
        let count = Swift.min(Self.columns, product.columns &- first)
        var done = 0
        while done < count {
            // The last tile begins early enough to be a whole one: sums that it makes again are the same.
            let start = Swift.min(first &+ done, product.columns &- height)
            let from = start &- first
            let b = product.b.transposed.advanced(rows: start, columns: 0)
            var row = 0
            while row < product.rows {
                multiply(b, row: row, column: start, into: block + (from &* paddedRows &+ row))
                row &+= panel
            }
            done = from &+ height
        }
        store(UnsafePointer(block), first, count, edge: memory)
        product.complete(row: 0, column: first, rows: product.rows, columns: count)
    }

    /// One tile of Cᵀ: some columns of B with a panel of A.
    @inline(never)
    private func multiply(_ b: Matrix<E>, row: Int, column: Int, into c: UnsafeMutablePointer<E>) {
        let work = StandingWork(
            depth: product.depth, a: packed + row &* product.depth, b: b, c: c, cRow: paddedRows,
            bias: product.epilogue.values.map { $0 + column }, floor: product.epilogue.relu ? 0 : nil,
            next: UnsafeRawPointer(b.base + height &* b.rowStride),
            lines: Swift.max(1, (product.depth &* MemoryLayout<E>.size) >> 6))
        let isHigh = Tile<E>.isWide && height == 12
        if panel == E.Lanes.width {
            isHigh ? work.run(StandingTile<E, 12>.self, narrow: true) : work.run(StandingTile<E, 6>.self, narrow: true)
        } else if isHigh || !Tile<E>.isWide {
            work.runWhole()
        } else {
            work.run(StandingTile<E, 6>.self, narrow: false)
        }
    }

    /// Transposes the block into columns `first` ... of C. `edge` has room for what does not fill a vector both ways.
    private func store(_ block: UnsafePointer<E>, _ first: Int, _ count: Int, edge: UnsafeMutablePointer<E>) {
        let width = E.Lanes.width
        var column = 0
        while column < count {
            let valid = Swift.min(width, count &- column)
            var row = 0
            while row < product.rows {
                let from = block + (column &* paddedRows &+ row)
                let to = product.c + (row &* product.cRow &+ first &+ column)
                if valid == width && row &+ width <= product.rows {
                    E.Lanes.transpose(from, stride: paddedRows, valid: width, into: to, outStride: product.cRow)
                } else {
                    E.Lanes.transpose(from, stride: paddedRows, valid: valid, into: edge, outStride: width)
                    let rows = Swift.min(width, product.rows &- row)
                    var r = 0
                    while r < rows {
                        E.Lanes.load(edge + r &* width).storeUpTo(to + r &* product.cRow, valid)
                        r &+= 1
                    }
                }
                row &+= width
            }
            column &+= width
        }
    }
}

/// A tile's operands: `a` is packed, of b some rows run along memory.
struct StandingWork<E: Real> {
    let depth: Int
    let a: UnsafePointer<E>
    let b: Matrix<E>
    let c: UnsafeMutablePointer<E>
    let cRow: Int
    let bias: UnsafePointer<E>?
    let floor: E?
    /// What the next tile reads, fetched line by line: after `lines` of them go on where the next row of b would be.
    let next: UnsafeRawPointer
    let lines: Int

    /// The highest tile, a function of its own that gets by with few registers: otherwise LLVM keeps sums in memory.
    @inline(never) func runWhole() {
        if Tile<E>.isWide {
            run(StandingTile<E, 12>.self, narrow: false)
        } else {
            run(StandingTile<E, 6>.self, narrow: false)
        }
    }

    @inline(__always) func run<let height: Int>(_ tile: StandingTile<E, height>.Type, narrow: Bool) {
        let fetch = Prefetch(first: next, step: 64, segment: lines, jump: b.rowStride &* MemoryLayout<E>.size)
        StandingTile<E, height>.multiply(
            depth: depth, a: b.base, aRow: b.rowStride, b: a, c: c, cRow: cRow, bias: bias, floor: floor,
            prefetch: fetch, narrow: narrow)
    }
}
