import CSpinetail

/// Convolution as a matrix product whose right operand is never formed as a whole:
/// result[row, pixel] = g(bias[row] + Σ over channels and taps of weights[row, channel, tap] · source[channel, pixel seen
/// through the tap]). The forward convolution is one such product, the gradient to the input one for each phase of the
/// stride. The pixels are packed a panel at a time, straight from the source.
struct Correlation<E: Real> {
    var source: Source<E>
    var images: Int
    var grid: Space  // pixels of one image
    var taps: UnsafePointer<Tap>
    var tapCount: Int
    var groups: Int
    var channels: Int  // of one group
    var rows: Int  // of one group
    var weights: Weights<E>
    var result: UnsafeMutablePointer<E>
    var resultImage: Int
    var resultRow: Int
    var resultStep: Space  // elements of the result per pixel
    var bias: UnsafePointer<E>?
    var relu: Bool
}

extension Correlation {
    func run() -> Int32 {
        if images == 0 || grid.count == 0 || rows == 0 || groups == 0 { return Status.ok }
        let workers = workerLimit()
        let cut = CorrelationCut(self)
        let weightBytes = roundUp(groups &* cut.rowPanels &* cut.weightElements &* MemoryLayout<E>.size, 64)
        guard let scratch = Scratch.take(weightBytes &+ workers &* cut.workerBytes &+ 64) else {
            return Status.noMemory
        }
        defer { Scratch.give(scratch) }
        let packed = scratch.assumingMemoryBound(to: E.self)
        let depth = tapCount &* channels
        let status = parallel(
            groups &* cut.rowPanels, cost: groups &* rows &* depth / 4,
            PackWeights(
                weights: weights, taps: taps, tapCount: tapCount, channels: channels, rows: rows, height: cut.height,
                panelElements: cut.weightElements, out: packed))
        if status != Status.ok { return status }
        let pixels = images &* grid.count
        return parallel(
            groups &* cut.rowBlocks &* cut.panelGroups,
            cost: pixels &* groups &* (rows &* Swift.max(1, depth) / 64 &+ (rows &+ depth) / 16), workers: workers,
            CorrelateBlock(
                job: self, cut: cut, weights: UnsafePointer(packed), scratch: scratch + weightBytes))
    }

    /// Whether a result's pixels follow each other in memory as they do in the grid.
    @inline(__always) var isNatural: Bool {
        resultStep.w == 1 && resultStep.h == grid.w && (resultStep.d == grid.h &* grid.w || grid.d == 1)
    }
}

/// How a correlation is cut. The depth is cut by the problem alone, so no sum depends on the number of threads. A block of
/// weights may be larger than the second-level cache: it is read once for each panel of pixels, which takes less time than
/// to pack the panel again for the next block.
struct CorrelationCut<E: Real> {
    let height: Int
    let rowPanels: Int
    let panelsPerBlock: Int
    let rowBlocks: Int
    /// Elements from one packed panel of weights to the next.
    let weightElements: Int
    let channels: Int  // of one block of depth
    let depthBlocks: Int
    /// Whether panels cross from one image into the next, which wastes no columns, but needs a buffer for the results.
    let across: Bool
    let panels: Int
    let panelsPerGroup: Int
    let panelGroups: Int
    // Offsets in a worker's memory.
    let runOffset: Int
    let pieceOffset: Int
    let sumOffset: Int
    let tileOffset: Int
    let workerBytes: Int

    private static var blockBytes: Int { 2304 << 10 }
    private static var mostPanels: Int { 16 }

    init(_ job: Correlation<E>) {
        let size = MemoryLayout<E>.size
        let columns = Tile<E>.columns
        let pixels = job.grid.count
        let depth = job.tapCount &* job.channels
        height = job.rows <= 4 ? 4 : PanelTile<E>.height(for: job.rows)
        rowPanels = pieces(job.rows, height)
        weightElements = roundUp(depth &* height &+ Packing<E>.slack, 64 / size)
        depthBlocks = Swift.max(1, Swift.min(pieces(depth, 4096 / size), job.channels))
        channels = pieces(job.channels, depthBlocks)
        let blockDepth = Swift.max(1, channels &* job.tapCount)
        across =
            job.images > 1 && (!job.isNatural || (remainder(pixels, by: columns) != 0 && pixels < 16 &* columns))
        panels = across ? pieces(job.images &* pixels, columns) : job.images &* pieces(pixels, columns)
        let fitting = Swift.max(1, divide(Self.blockBytes, by: blockDepth &* height &* size))
        // Enough tasks for the threads' balance; where panels are few, of fewer rows each.
        let columnTasks = job.groups &* pieces(panels, Swift.min(Self.mostPanels, pieces(panels &* job.groups, 8)))
        let work = job.images &* pixels &* job.rows &* job.groups &* Swift.max(1, depth)
        let wanted =
            work > 4_000_000 ? Swift.min(Swift.max(1, divide(8, by: columnTasks)), Swift.max(1, rowPanels / 3)) : 1
        let blocks = Swift.max(pieces(rowPanels, fitting), wanted)
        panelsPerBlock = pieces(rowPanels, blocks)
        rowBlocks = pieces(rowPanels, panelsPerBlock)
        let group = Swift.max(1, Swift.min(Self.mostPanels, pieces(panels &* job.groups &* rowBlocks, 8)))
        panelsPerGroup = pieces(panels, pieces(panels, group))
        panelGroups = pieces(panels, panelsPerGroup)
        let tile = height &* columns &* size
        runOffset = roundUp((blockDepth &* columns &+ Packing<E>.slack) &* size, 64)
        pieceOffset = runOffset &+ roundUp(columns &* MemoryLayout<Run>.stride, 64)
        sumOffset = pieceOffset &+ roundUp(Source<E>.pieceBytes(taps: job.tapCount), 64)
        tileOffset = sumOffset &+ (depthBlocks > 1 ? panelsPerGroup &* panelsPerBlock &* tile : 0)
        workerBytes = roundUp(tileOffset &+ tile, 64) &+ 64
    }
}
