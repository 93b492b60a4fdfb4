import CSpinetail

/// Convolution as a matrix product whose right operand is never formed as a whole:
/// result[row, pixel] = g(bias[row] + Σ over taps and channels of weights[row, channel, tap] · source[channel, pixel seen
/// through the tap]). The forward convolution is one such product, the gradient to the input one for each phase of the
/// stride. Blocks of pixels are packed in L2-sized pieces, straight from the source.
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
    private static var blockBytes: Int { 512 << 10 }
    private static var mostPanels: Int { 16 }

    func run() -> Int32 {
        let pixels = grid.count
        if images == 0 || pixels == 0 || rows == 0 || groups == 0 { return Status.ok }
        let columns = Tile<E>.columns
        let depth = tapCount &* channels
        let height = TileHeight<E>.best(for: rows)
        let rowPanels = pieces(rows, height)
        let natural =
            resultStep.w == 1 && resultStep.h == grid.w && (resultStep.d == grid.h &* grid.w || grid.d == 1)
        // Panels that cross from one image into the next waste no columns, but are stored by way of a buffer.
        let across = images > 1 && (!natural || (remainder(pixels, by: columns) != 0 && pixels < 16 &* columns))
        let panels = across ? pieces(images &* pixels, columns) : images &* pieces(pixels, columns)
        let panelBytes = Swift.max(1, depth &* columns &* MemoryLayout<E>.size)
        var block = Swift.min(divide(Self.blockBytes, by: panelBytes), Self.mostPanels, pieces(panels &* groups, 8))
        block = Swift.max(1, block)
        let blocks = pieces(panels, block)
        let work = images &* pixels &* rows &* groups &* Swift.max(1, depth)
        var rowParts = 1
        if blocks &* groups < 8 && work > 4_000_000 {
            rowParts = Swift.max(1, Swift.min(rowPanels / 3, pieces(8, blocks &* groups)))
        }

        let workers = workerLimit()
        let weightBytes = roundUp(groups &* rowPanels &* height &* depth &* MemoryLayout<E>.size, 64)
        let packedBytes = roundUp(block &* panelBytes, 64)
        let runBytes = roundUp(block &* columns &* MemoryLayout<Run>.stride, 64)
        let tileBytes = 14 &* columns &* MemoryLayout<E>.size
        let workerBytes = packedBytes &+ runBytes &+ roundUp(block &* 8, 64) &+ tileBytes &+ 64
        guard let scratch = Scratch.take(weightBytes &+ workers &* workerBytes) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        let packed = scratch.assumingMemoryBound(to: E.self)
        let status = parallel(
            groups &* rowPanels, cost: groups &* rows &* depth,
            PackWeights(
                weights: weights, taps: taps, tapCount: tapCount, channels: channels, rows: rows, height: height,
                out: packed))
        if status != Status.ok { return status }
        return parallel(
            groups &* rowParts &* blocks, cost: work / 64 &+ images &* pixels &* groups &* (rows &+ depth) / 16,
            workers: workers,
            CorrelateBlock(
                job: self, height: height, rowPanels: rowPanels, rowParts: rowParts, panels: panels, block: block,
                blocks: blocks, across: across, direct: natural && !across, packedWeights: UnsafePointer(packed),
                scratch: scratch + weightBytes, workerBytes: workerBytes, runOffset: packedBytes,
                countOffset: packedBytes &+ runBytes, tileOffset: packedBytes &+ runBytes &+ roundUp(block &* 8, 64)))
    }
}

/// Packs a block of pixels and multiplies it by the rows of one part of one group.
private struct CorrelateBlock<E: Real>: ParallelTask {
    let job: Correlation<E>
    let height: Int
    let rowPanels: Int
    let rowParts: Int
    let panels: Int
    let block: Int
    let blocks: Int
    let across: Bool
    let direct: Bool
    let packedWeights: UnsafePointer<E>
    let scratch: UnsafeMutableRawPointer
    let workerBytes: Int
    let runOffset: Int
    let countOffset: Int
    let tileOffset: Int

    func run(_ index: Int, worker: Int) {
        let firstPanel = remainder(index, by: blocks) &* block
        let part = remainder(divide(index, by: blocks), by: rowParts)
        let group = divide(index, by: blocks &* rowParts)
        let count = Swift.min(block, panels &- firstPanel)
        let mine = scratch + worker &* workerBytes
        let packed = mine.assumingMemoryBound(to: E.self)
        let runs = (mine + runOffset).assumingMemoryBound(to: Run.self)
        let runCounts = (mine + countOffset).assumingMemoryBound(to: Int.self)
        let columns = Tile<E>.columns
        let depth = job.tapCount &* job.channels

        var source = job.source
        source.base += group &* job.channels &* source.channel
        var p = 0
        while p < count {
            let pixels = span(firstPanel &+ p)
            let runCount = Grid(extent: job.grid).list(
                first: pixels.first, count: pixels.count, into: runs + p &* columns)
            runCounts[p] = runCount
            var t = 0
            while t < job.tapCount {
                source.gather(
                    runs + p &* columns, runCount, columns: pixels.count, tap: job.taps[t], firstChannel: 0,
                    channels: job.channels, into: packed + (p &* depth &+ t &* job.channels) &* columns, row: columns)
                t &+= 1
            }
            p &+= 1
        }

        var panel = divide(part &* rowPanels, by: rowParts)
        let lastPanel = divide((part &+ 1) &* rowPanels, by: rowParts)
        while panel < lastPanel {
            let row = panel &* height
            var epilogue = Epilogue<E>.nothing
            epilogue.relu = job.relu
            if let bias = job.bias {
                epilogue.bias = .perRow
                epilogue.values = bias + (group &* job.rows &+ row)
            }
            let validRows = Swift.min(height, job.rows &- row)
            let a = packedWeights + (group &* rowPanels &+ panel) &* height &* depth
            let target = job.result + (group &* job.rows &+ row) &* job.resultRow
            p = 0
            while p < count {
                let pixels = span(firstPanel &+ p)
                if direct {
                    let place = runs[p &* columns]
                    let offset =
                        place.image &* job.resultImage &+ place.pixel.d &* job.resultStep.d
                        &+ place.pixel.h &* job.resultStep.h &+ place.pixel.w
                    TileHeight<E>.multiply(
                        height: height, depth: depth, a: a, b: packed + p &* depth &* columns, c: target + offset,
                        cRow: job.resultRow, validRows: validRows, validColumns: pixels.count, epilogue: epilogue)
                } else {
                    let tile = (mine + tileOffset).assumingMemoryBound(to: E.self)
                    TileHeight<E>.multiply(
                        height: height, depth: depth, a: a, b: packed + p &* depth &* columns, c: tile, cRow: columns,
                        validRows: validRows, validColumns: columns, epilogue: epilogue)
                    scatter(tile, runs + p &* columns, runCounts[p], rows: validRows, to: target)
                }
                p &+= 1
            }
            panel &+= 1
        }
    }

    /// The pixels, counted through all images, that a panel holds.
    @inline(__always)
    private func span(_ panel: Int) -> (first: Int, count: Int) {
        let columns = Tile<E>.columns
        let pixels = job.grid.count
        if across {
            let first = panel &* columns
            return (first, Swift.min(columns, job.images &* pixels &- first))
        }
        let perImage = pieces(pixels, columns)
        let inImage = remainder(panel, by: perImage) &* columns
        return (divide(panel, by: perImage) &* pixels &+ inImage, Swift.min(columns, pixels &- inImage))
    }

    private func scatter(
        _ tile: UnsafePointer<E>, _ runs: UnsafePointer<Run>, _ runCount: Int, rows: Int,
        to target: UnsafeMutablePointer<E>
    ) {
        let step = job.resultStep
        var i = 0
        while i < runCount {
            let run = runs[i]
            var from = tile + run.first
            var to =
                target
                + (run.image &* job.resultImage &+ run.pixel.d &* step.d &+ run.pixel.h &* step.h
                    &+ run.pixel.w &* step.w)
            var r = 0
            while r < rows {
                if step.w == 1 {
                    copyRow(from, to, run.count)
                } else {
                    var j = 0
                    while j < run.count {
                        to[j &* step.w] = from[j]
                        j &+= 1
                    }
                }
                from += Tile<E>.columns
                to += job.resultRow
                r &+= 1
            }
            i &+= 1
        }
    }
}
