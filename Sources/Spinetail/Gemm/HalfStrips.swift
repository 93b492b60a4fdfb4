import CSpinetail

/// Columns of C that one task computes, with the whole depth, so that B is packed where it is used.
private var stripColumns: Int { 128 }
/// Up to this size each thread widens and packs A for itself: what another one packed would come from its cache, slowly.
private var ownBytes: Int { 1 << 20 }

extension HalfProduct {
    /// A block of rows of A is packed once; then each task multiplies it with a strip of B, panel by panel.
    func runStrips(workers: Int) -> Int32 {
        let cut = HalfCut(rows: rows, depth: depth)
        let isOwn = cut.aFloats &* 4 <= ownBytes
        let each =
            16 &+ (isOwn ? cut.aFloats : 0) &+ 2 &* cut.panelFloats &+ HalfPacking<H>.blockSize &+ cut.sumFloats
        let shared = isOwn ? 0 : cut.aFloats
        guard let scratch = Scratch.take((shared &+ workers &* each) &* 4) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        let packedA = scratch.assumingMemoryBound(to: Float.self)
        var worker = 0
        while worker < workers {
            (scratch + (shared &+ worker &* each) &* 4).storeBytes(of: -1, as: Int.self)
            worker &+= 1
        }
        var row = 0
        while row < rows {
            let count = Swift.min(cut.blockRows, rows &- row)
            let strips = HalfStrips(
                product: self, cut: cut, row: row, rows: count, packedA: packedA, isOwn: isOwn,
                mine: packedA + shared, each: each)
            if !isOwn {
                let pack = PackRows(strips: strips, groups: pieces(count, PackRows<H>.tiles &* cut.height))
                let status = parallel(
                    cut.depthBlocks &* pack.groups, cost: count &* depth / 4, workers: workers, pack)
                if status != Status.ok { return status }
            }
            let status = parallel(
                pieces(columns, stripColumns), cost: (count &+ 16) &* columns / 64 &* depth, workers: workers, strips)
            if status != Status.ok { return status }
            row &+= count
        }
        return Status.ok
    }
}

/// How rows and depth are cut. A packed block of A is meant to stay in the second-level cache with two panels of B.
private struct HalfCut {
    let height: Int
    /// Rows whose float32 copy of A, packed, is kept at a time.
    let blockRows: Int
    /// Depth of a block, and their number.
    let depth: Int
    let depthBlocks: Int
    /// Floats from one packed tile of A to the next, and from one block of depth to the next, of a panel of B.
    let tileFloats: Int
    let aBlock: Int
    let panelFloats: Int
    /// Floats of a strip's sums, tile after tile; where depth is one block a tile's are done with before the next.
    let sumFloats: Int

    init(rows: Int, depth wholeDepth: Int) {
        height = PanelTile<Float>.height(for: rows)
        let fitting = Swift.min(512, Swift.max(1, divide(4 << 20, by: Swift.max(1, wholeDepth))))
        blockRows = roundUp(Swift.min(fitting, rows), height)
        let deepest = Swift.max(384, Swift.min(1024, divide(200 << 10, by: blockRows)))
        depthBlocks = pieces(wholeDepth, deepest)
        depth = depthBlocks <= 1 ? wholeDepth : roundUp(pieces(wholeDepth, depthBlocks), HalfPairs.width)
        tileFloats = roundUp(height &* depth &+ FloatLanes.width, 16)
        aBlock = divide(blockRows, by: height) &* tileFloats
        panelFloats = roundUp(Tile<Float>.columns &* depth &+ FloatLanes.width, 16)
        sumFloats = roundUp(depthBlocks <= 1 ? height &* Tile<Float>.columns : blockRows &* stripColumns, 16)
    }

    var aFloats: Int { aBlock &* depthBlocks }
}

/// Strips of C for a block of rows.
private struct HalfStrips<H: HalfFormat>: ParallelTask {
    let product: HalfProduct<H>
    let cut: HalfCut
    let row: Int
    let rows: Int
    /// Block after block of depth, in each of them panel after panel; where `isOwn`, each worker has it.
    let packedA: UnsafeMutablePointer<Float>
    let isOwn: Bool
    /// Of each worker: the first row of its A, A itself, two panels of B, room for transposing, the strip's sums.
    let mine: UnsafeMutablePointer<Float>
    let each: Int

    func run(_ index: Int, worker: Int) {
        let first = index &* stripColumns
        let columns = Swift.min(stripColumns, product.columns &- first)
        let own = mine + worker &* each
        var panel = own + (16 &+ (isOwn ? cut.aFloats : 0))
        var other = panel + cut.panelFloats
        let block = other + cut.panelFloats
        let sums = block + HalfPacking<H>.blockSize
        let a = isOwn ? own + 16 : packedA
        let number = UnsafeMutableRawPointer(own)
        if isOwn && number.load(as: Int.self) != row {
            var part = 0
            while part < cut.depthBlocks {
                pack(part, tiles: 0, to: pieces(rows, cut.height), into: a, block: block)
                part &+= 1
            }
            number.storeBytes(of: row, as: Int.self)
        }
        var isPacked = false
        var part = 0
        // Without depth, too, there is a block.
        repeat {
            var column = 0
            while column < columns {
                let isLast = column &+ Tile<Float>.columns >= columns
                let one = panelPart(part, column: first &+ column, end: first &+ columns)
                let next = panelPart(
                    isLast ? part &+ 1 : part, column: isLast ? first : first &+ column &+ Tile<Float>.columns,
                    end: first &+ columns)
                if !isPacked {
                    HalfPacking<H>.pack(
                        one.b.transposed, count: one.columns, depth: one.depth, panel: Tile<Float>.columns, into: panel,
                        block: block)
                }
                multiply(a + part &* cut.aBlock, panel, one, part, column: column, first, into: sums, next, other)
                isPacked = next.isCopied
                swap(&panel, &other)
                column &+= Tile<Float>.columns
            }
            part &+= 1
        } while part < cut.depthBlocks
    }

    private func panelPart(_ part: Int, column: Int, end: Int) -> HalfPart<H> {
        HalfPart(product, k: part &* cut.depth, depth: cut.depth, column: column, end: end)
    }

    /// All rows with one panel of B; what is summed to the end is stored from the first-level cache.
    private func multiply(
        _ a: UnsafePointer<Float>, _ panel: UnsafePointer<Float>, _ one: HalfPart<H>, _ part: Int, column: Int,
        _ first: Int, into sums: UnsafeMutablePointer<Float>, _ next: HalfPart<H>,
        _ other: UnsafeMutablePointer<Float>
    ) {
        let height = cut.height
        let depth = one.depth
        let tiles = pieces(rows, height)
        let isLast = part &+ 1 >= cut.depthBlocks
        let place = cut.depthBlocks <= 1 ? 0 : tiles &* column &* height
        var tile = 0
        while tile < tiles {
            let r = tile &* height
            let c = sums + (cut.depthBlocks <= 1 ? 0 : place &+ r &* Tile<Float>.columns)
            let work = PanelWork(
                depth: depth, a: a + tile &* cut.tileFloats, b: panel, c: c, cRow: Tile<Float>.columns,
                validRows: height, validColumns: Tile<Float>.columns, accumulate: part > 0, epilogue: .nothing,
                ahead: HalfAhead<H>(
                    next: next.b, rows: next.isCopied || next.b.columnStride != 1 ? next.depth : 0,
                    columns: next.columns, into: other, tile: tile, tiles: tiles))
            PanelTile<Float>.multiply(work, height: height)
            if isLast {
                product.c.store(
                    c, sumsRow: Tile<Float>.columns, row: row &+ r, column: first &+ column,
                    rows: Swift.min(height, rows &- r), columns: one.columns)
            }
            tile &+= 1
        }
    }

    /// Some tiles of one block of depth of A.
    func pack(
        _ part: Int, tiles first: Int, to end: Int, into out: UnsafeMutablePointer<Float>,
        block: UnsafeMutablePointer<Float>
    ) {
        let k = part &* cut.depth
        var tile = first
        while tile < end {
            let start = tile &* cut.height
            HalfPacking<H>.pack(
                product.a.advanced(rows: row &+ start, columns: k), count: Swift.min(cut.height, rows &- start),
                depth: Swift.min(cut.depth, product.depth &- k), panel: cut.height,
                into: out + (part &* cut.aBlock &+ tile &* cut.tileFloats), block: block)
            tile &+= 1
        }
    }
}

/// A panel of B in one block of depth; none behind the last block.
private struct HalfPart<H: HalfFormat> {
    let b: Matrix<UInt16>
    let depth: Int
    let columns: Int

    init(_ product: HalfProduct<H>, k: Int, depth: Int, column: Int, end: Int) {
        b = product.b.advanced(rows: k, columns: column)
        self.depth = Swift.max(0, Swift.min(depth, product.depth &- k))
        columns = Swift.min(Tile<Float>.columns, end &- column)
    }

    /// Whether the tiles before it widen this panel, or only fetch it.
    @inline(__always) var isCopied: Bool { b.columnStride == 1 && columns == Tile<Float>.columns && depth > 0 }
}

/// Packs A for all threads, a few tiles of one block of depth at a time.
private struct PackRows<H: HalfFormat>: ParallelTask {
    let strips: HalfStrips<H>
    let groups: Int
    static var tiles: Int { 4 }

    func run(_ index: Int, worker: Int) {
        let first = remainder(index, by: groups) &* Self.tiles
        strips.pack(
            divide(index, by: groups), tiles: first,
            to: Swift.min(pieces(strips.rows, strips.cut.height), first &+ Self.tiles), into: strips.packedA,
            block: strips.mine + (worker &* strips.each &+ 16))
    }
}
