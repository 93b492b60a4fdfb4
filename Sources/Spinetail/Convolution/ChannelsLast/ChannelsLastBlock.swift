import CSpinetail

/// How the product is cut. The depth is cut by the problem alone, so no sum depends on the number of threads.
struct ChannelsLastCut<E: Real> {
    let pitch: Int  // elements from one packed pixel to the next
    let depth: Int  // of a block
    let depthBlocks: Int
    let block: Int  // pixels
    let blocks: Int
    let panels: Int
    let parts: Int  // tasks that share the filters of a block
    let panelElements: Int
    /// Whether pixels are rows of the product as they stand, and not packed.
    let isStanding: Bool
    /// Or in a copy of some rows of the image with its margins, of `line` elements each.
    let strip: ChannelsLastStrip?

    /// Packed pixels of a block, and the depth whose weights stay in the second-level cache.
    private static var blockBytes: Int { 512 << 10 }
    /// A result that is larger does not stay in the second-level cache.
    static var farBytes: Int { 512 << 10 }
    private static var depthBytes: Int { 4096 }

    init(_ job: ChannelsLast<E>, _ workers: Int) {
        let size = MemoryLayout<E>.size
        let highest = DirectPanel<E>.highest
        isStanding = job.isPointwise && remainder(job.sourceChannels &* size, by: 4096) != 0
        strip = isStanding ? nil : ChannelsLastStrip(job)
        pitch =
            isStanding
            ? job.sourceChannels
            : strip.map { $0.step } ?? roundUp(Swift.max(1, job.depth), 64 / size) &+ 64 / size
        depthBlocks = strip == nil ? Swift.max(1, pieces(job.depth, Self.depthBytes / size)) : 1
        depth = pieces(job.depth, depthBlocks)
        panels = pieces(job.rows, Tile<E>.columns)
        panelElements = job.depth &* Tile<E>.columns
        let fitting = divide(Self.blockBytes, by: Swift.max(1, pitch &* size &* highest)) &* highest
        let most = Swift.min(job.pixels, Swift.max(4 &* highest, Swift.min(8 &* highest, fitting)))
        var count = pieces(job.pixels, most)
        if count > 1 { count = Swift.max(count, Swift.min(roundUp(count, 4), job.pixels / highest)) }
        block = strip.map { $0.rows &* job.grid.w } ?? pieces(job.pixels, count)
        blocks = strip.map { job.images &* pieces(job.grid.h, $0.rows) } ?? pieces(job.pixels, block)
        // Each part packs all pixels, so there are no more than the threads need.
        let wanted = workers == 1 ? 1 : 2 &* workers
        parts = Swift.max(1, Swift.min(panels, pieces(wanted, Swift.max(1, blocks &* job.groups))))
    }
}

extension ChannelsLast {
    func runBlocks() -> Int32 {
        let size = MemoryLayout<E>.size
        let workers = workerLimit()
        let cut = ChannelsLastCut(self, workers)
        let spanBytes = roundUp(Swift.max(1, tapCount) &* MemoryLayout<Span>.stride, 64)
        let weightBytes = prepared == nil ? roundUp(packedElements &* size, 4096) : 0
        let packed = cut.isStanding ? 0 : cut.strip.map { $0.sourceRows &* $0.line } ?? cut.block &* cut.pitch
        let workerBytes = roundUp((packed &+ cut.block &* Tile<E>.columns) &* size, 4096) &+ spanBytes &+ 128
        guard let memory = Scratch.take(weightBytes &+ workers &* workerBytes) else { return Status.noMemory }
        defer { Scratch.give(memory) }
        let weights = memory.assumingMemoryBound(to: E.self)
        if prepared == nil {
            let status = packWeights(into: weights, workers: workers)
            if status != Status.ok { return status }
        }
        return parallel(
            groups &* cut.blocks &* cut.parts, cost: pixels &* resultChannels &* (depth &+ 16) / 56, workers: workers,
            ChannelsLastBlock(
                job: self, cut: cut, weights: prepared ?? UnsafePointer(weights), scratch: memory + weightBytes,
                workerBytes: workerBytes, spanBytes: spanBytes))
    }
}

/// One block of pixels, packed, by some panels of filters.
private struct ChannelsLastBlock<E: Real>: ParallelTask {
    let job: ChannelsLast<E>
    let cut: ChannelsLastCut<E>
    let weights: UnsafePointer<E>
    let scratch: UnsafeMutableRawPointer
    let workerBytes: Int
    let spanBytes: Int

    func run(_ index: Int, worker: Int) {
        let part = remainder(index, by: cut.parts)
        let rest = divide(index, by: cut.parts)
        let number = remainder(rest, by: cut.blocks)
        let group = divide(rest, by: cut.blocks)
        let memory = scratch + worker &* workerBytes
        var first = number &* cut.block
        var count = Swift.min(cut.block, job.pixels &- first)
        let tile = (memory + spanBytes).assumingMemoryBound(to: E.self)
        let packed = tile + cut.block &* Tile<E>.columns
        var pixels = job.source + (first &* job.sourceChannels &+ group &* job.channels)
        if let strip = cut.strip {
            let strips = pieces(job.grid.h, strip.rows)
            let image = divide(number, by: strips)
            let h = remainder(number, by: strips) &* strip.rows
            let rows = Swift.min(strip.rows, job.grid.h &- h)
            first = (image &* job.grid.h &+ h) &* job.grid.w
            count = rows &* job.grid.w
            job.copyRows(strip, image: image, h: h, rows: rows, into: packed)
            pixels = UnsafePointer(packed)
        } else if !cut.isStanding {
            let spans = memory.assumingMemoryBound(to: Span.self)
            let spanCount = job.listSpans(from: 0, to: job.depth, group: group, into: spans)
            job.pack(first: first, count: count, spans, spanCount, into: packed, pitch: cut.pitch)
            pixels = UnsafePointer(packed)
        }
        let end = divide((part &+ 1) &* cut.panels, by: cut.parts)
        var panel = divide(part &* cut.panels, by: cut.parts)
        while panel < end {
            let column = group &* job.rows &+ panel &* Tile<E>.columns
            let columns = Swift.min(Tile<E>.columns, job.rows &- panel &* Tile<E>.columns)
            let b = weights + (group &* cut.panels &+ panel) &* cut.panelElements
            if job.isNatural {
                let c = job.result + (first &* job.resultChannels &+ column)
                if let strip = cut.strip {
                    var done = 0
                    while done < count {
                        multiply(
                            pixels + divide(done, by: job.grid.w) &* job.step.h &* strip.line, b,
                            into: c + done &* job.resultChannels, job.resultChannels, job.grid.w, column: column,
                            columns)
                        done &+= job.grid.w
                    }
                } else {
                    multiply(pixels, b, into: c, job.resultChannels, count, column: column, columns)
                }
                finish(c, first: first, count: count, column: column, columns)
            } else {
                multiply(pixels, b, into: tile, Tile<E>.columns, count, column: column, columns)
                scatter(tile, first: first, count: count, column: column, columns)
            }
            panel &+= 1
        }
    }

    /// All pixels by one panel, block of depth after block of depth.
    private func multiply(
        _ a: UnsafePointer<E>, _ b: UnsafePointer<E>, into c: UnsafeMutablePointer<E>, _ cRow: Int, _ count: Int,
        column: Int, _ columns: Int
    ) {
        var epilogue = Epilogue<E>.nothing
        epilogue.relu = job.relu
        if let bias = job.bias {
            epilogue.bias = .perColumn
            epilogue.values = bias + column
        }
        let fetchesC =
            job.isNatural
            && (job.residual != nil || job.pixels &* cRow &* MemoryLayout<E>.size > ChannelsLastCut<E>.farBytes)
        let narrow = columns <= E.Lanes.width
        let rows = RowCut(
            count, highest: narrow ? DirectPanel<E>.highestNarrow : DirectPanel<E>.highest)
        var d = 0
        while d < cut.depthBlocks {
            let k = d &* cut.depth
            let depth = Swift.min(cut.depth, job.depth &- k)
            let ahead = b + (k &+ depth) &* Tile<E>.columns
            var strip = DirectPanel<E>(
                depth: depth, a: a + k, aRow: cut.pitch, aDepth: 1, b: b + k &* Tile<E>.columns,
                bRow: Tile<E>.columns, c: c, cRow: cRow, columns: columns, accumulate: d > 0 || job.residual != nil,
                epilogue: d &+ 1 == cut.depthBlocks ? epilogue : .nothing, fetches: true, ahead: ahead,
                aheadEnd: ahead + depth &* Tile<E>.columns)
            strip.fetchesC = d == 0 && fetchesC
            if let rows = cut.strip {
                strip.segment = rows.segment
                strip.jump = rows.jump
            }
            if d &+ 1 == cut.depthBlocks { strip.most = job.most }
            if d == 0, let residual = job.residual { strip.apart = residual - UnsafePointer(job.result) }
            strip.run(rows, copy: nil)
            d &+= 1
        }
    }

    /// What is left to do to results that stand in their place.
    private func finish(_ c: UnsafeMutablePointer<E>, first: Int, count: Int, column: Int, _ columns: Int) {
        job.finish?.apply(
            to: c, cRow: job.resultChannels, row: first, column: column, rows: count, columns: columns)
    }

    private func scatter(_ tile: UnsafePointer<E>, first: Int, count: Int, column: Int, _ columns: Int) {
        var w = remainder(first, by: job.grid.w)
        var line = divide(first, by: job.grid.w)
        var done = 0
        while done < count {
            let h = remainder(line, by: job.grid.h)
            let plane = divide(line, by: job.grid.h)
            let d = remainder(plane, by: job.grid.d)
            let to = job.result + (job.place(divide(plane, by: job.grid.d), d, h, w) &+ column)
            let some = Swift.min(job.grid.w &- w, count &- done)
            var i = 0
            while i < some {
                copyRow(
                    tile + (done &+ i) &* Tile<E>.columns, to + i &* job.resultStep.w &* job.resultChannels, columns)
                i &+= 1
            }
            done &+= some
            w = 0
            line &+= 1
        }
    }
}
