import CSpinetail

/// Packs one panel of pixels after the other and multiplies it by the rows of one block of one group, block of depth after
/// block of depth.
struct CorrelateBlock<E: Real>: ParallelTask {
    let job: Correlation<E>
    let cut: CorrelationCut<E>
    let weights: UnsafePointer<E>
    let scratch: UnsafeMutableRawPointer

    func run(_ index: Int, worker: Int) {
        let first = remainder(index, by: cut.panelGroups) &* cut.panelsPerGroup
        let rest = divide(index, by: cut.panelGroups)
        let block = remainder(rest, by: cut.rowBlocks)
        let group = divide(rest, by: cut.rowBlocks)
        let memory = scratch + worker &* cut.workerBytes
        var d = 0
        while d < cut.depthBlocks {
            var panel = first
            while panel < Swift.min(cut.panels, first &+ cut.panelsPerGroup) {
                multiply(panel, number: panel &- first, group: group, block: block, d: d, memory)
                panel &+= 1
            }
            d &+= 1
        }
    }

    /// One panel of pixels, all rows of the block.
    private func multiply(
        _ panel: Int, number: Int, group: Int, block: Int, d: Int, _ memory: UnsafeMutableRawPointer
    ) {
        let columns = Tile<E>.columns
        let packed = memory.assumingMemoryBound(to: E.self)
        let runs = (memory + cut.runOffset).assumingMemoryBound(to: Run.self)
        let (pixel, count) = span(panel)
        let runCount = Grid(extent: job.grid).list(first: pixel, count: count, into: runs)
        let channel = d &* cut.channels
        let channels = Swift.min(cut.channels, job.channels &- channel)
        let depth = channels &* job.tapCount
        job.source.pack(
            runs, runCount, columns: count, taps: job.taps, tapCount: job.tapCount,
            firstChannel: group &* job.channels &+ channel, channels: channels, pieces: memory + cut.pieceOffset,
            into: packed)

        let isLast = d &+ 1 == cut.depthBlocks
        let tile = cut.height &* columns
        let sums = (memory + cut.sumOffset).assumingMemoryBound(to: E.self) + number &* cut.panelsPerBlock &* tile
        let buffer = (memory + cut.tileOffset).assumingMemoryBound(to: E.self)
        let place = runs.pointee
        let direct = isLast && job.isNatural && place.image == runs[runCount &- 1].image
        let offset =
            place.image &* job.resultImage &+ place.pixel.d &* job.resultStep.d &+ place.pixel.h &* job.resultStep.h
            &+ place.pixel.w
        var t = 0
        while t < Swift.min(cut.panelsPerBlock, cut.rowPanels &- block &* cut.panelsPerBlock) {
            let rowPanel = block &* cut.panelsPerBlock &+ t
            let row = rowPanel &* cut.height
            let validRows = Swift.min(cut.height, job.rows &- row)
            let target = job.result + (group &* job.rows &+ row) &* job.resultRow
            var epilogue = Epilogue<E>.nothing
            if isLast {
                epilogue.relu = job.relu
                if let bias = job.bias {
                    epilogue.bias = .perRow
                    epilogue.values = bias + (group &* job.rows &+ row)
                }
            }
            let a =
                weights
                + ((group &* cut.rowPanels &+ rowPanel) &* cut.weightElements
                    &+ channel &* job.tapCount &* cut.height)
            let waiting = sums + t &* tile
            PanelTile<E>.multiply(
                PanelWork(
                    depth: depth, a: a, b: packed, c: direct ? target + offset : isLast ? buffer : waiting,
                    cRow: direct ? job.resultRow : columns, validRows: isLast ? validRows : cut.height,
                    validColumns: direct ? count : columns, accumulate: d > 0, epilogue: epilogue,
                    ahead: PanelAhead(first: a, step: 0, segment: 1, jump: 0, count: 0),
                    sums: isLast && d > 0 ? UnsafePointer(waiting) : nil),
                height: cut.height)
            if isLast && !direct { scatter(buffer, runs, runCount, rows: validRows, to: target) }
            t &+= 1
        }
    }

    /// The pixels, counted through all images, that a panel holds.
    @inline(__always)
    private func span(_ panel: Int) -> (first: Int, count: Int) {
        let columns = Tile<E>.columns
        let pixels = job.grid.count
        if cut.across {
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
                    spread(from, to, run.count, step: step.w)
                }
                from += Tile<E>.columns
                to += job.resultRow
                r &+= 1
            }
            i &+= 1
        }
    }

    /// to[j · step] = from[j]; what lies between is left as it is, which belongs to phases that run before or after.
    @inline(__always)
    private func spread(_ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>, _ count: Int, step: Int) {
        var j = 0
        let half = E.Lanes.width / 2
        if step == 2 && Tile<E>.isWide {
            // Half a vector at a time, and the last one alone: behind it may be the array's end.
            while j &+ half < count {
                let x = E.Lanes.loadUpTo(from + j, half)
                let p = to + 2 &* j
                E.Lanes.zipLow(x, x).loaded(p, bits: 0xaaaa_aaaa).store(p)
                j &+= half
            }
        }
        while j < count {
            to[j &* step] = from[j]
            j &+= 1
        }
    }
}
