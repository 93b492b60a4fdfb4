import CSpinetail

/// The gradient to the input where it has fewer rows than the output's has depth, or the stride would leave places
/// between a product's results: what each tap adds, weightsᵀ · doutput, is a product whose depth is the filters alone, so
/// that little is packed for many rows, (channel, tap). A block of it stays in the cache until it is summed up where the
/// taps meet. For one or two spatial axes.
struct Folded<E: Real> {
    let shape: ConvolutionShape
    let result: UnsafeMutablePointer<E>
    let source: UnsafePointer<E>
    let weight: UnsafePointer<E>
    let bias: UnsafePointer<E>?
    let relu: Bool

    @inline(__always) var taps: Int { shape.kernel.count }
    @inline(__always) var filters: Int { shape.groupFilters }
    @inline(__always) var channels: Int { shape.groupChannels }
}

extension ConvolutionShape {
    var prefersFolded: Bool {
        kernel.count > 1 && kernel.d == 1 && input.d == 1 && output.d == 1 && padding.d == 0 && stride.d == 1
            && stride.largest <= 8 && filters > 0 && kernel.count <= 128 && foldedHalo <= 64
            && kernel.count &* (5 &* foldedHalo &+ 1) &* output.w <= 1 << 17 && input.w <= 1 << 13
            && (stride.largest > 1 || 2 &* groupChannels <= groupFilters)
    }

    /// Rows of the output that two neighbouring strips of the input both are seen by.
    fileprivate var foldedHalo: Int { divide((kernel.h &- 1) &* dilation.h, by: stride.h) }
}

/// How the work is cut: blocks of channels by strips of one image's rows or by some images.
struct FoldedCut<E: Real> {
    let height: Int
    let channels: Int  // of a block
    let channelBlocks: Int
    let images: Int
    let imageBlocks: Int
    let strip: Int  // rows of the result
    let strips: Int
    let depth: Int  // filters at a time
    let rows: Int  // (channel, tap) of a block, up to whole tiles
    let pitch: Int  // from one of them to the next
    // Offsets in a worker's memory.
    let runOffset: Int
    let pieceOffset: Int
    let sumOffset: Int
    let lineOffset: Int
    let workerBytes: Int

    private static var blockBytes: Int { 1 << 20 }

    init(_ job: Folded<E>) {
        let shape = job.shape
        let size = MemoryLayout<E>.size
        let taps = job.taps
        let pixels = shape.output.h &* shape.output.w
        let halo = shape.foldedHalo
        // Where an image has to be cut in strips, fewer channels make longer ones: some rows are made for two of them.
        var most = Swift.max(1, divide(256, by: taps))
        if Swift.min(most, job.channels) &* taps &* pixels &* size > Self.blockBytes {
            let long = divide(Self.blockBytes, by: taps &* (5 &* halo &+ 1) &* shape.output.w &* size)
            most = Swift.max(1, Swift.min(divide(96, by: taps), long))
        }
        let large = shape.work > 1_000_000
        if large { most = Swift.min(most, Swift.max(1, pieces(job.channels &* shape.images &* shape.groups, 4))) }
        channels = Self.even(job.channels, most: most, taps: taps)
        channelBlocks = pieces(job.channels, channels)
        height = PanelTile<E>.height(for: channels &* taps)
        rows = roundUp(channels &* taps, height)
        let fitting = Swift.max(1, divide(Self.blockBytes, by: rows &* size))
        let fittingRows = Swift.max(1, divide(fitting, by: shape.output.w) &- halo)
        if pixels <= fitting {
            strip = shape.input.h
            images = Swift.max(1, Swift.min(shape.images, divide(Swift.min(fitting, 512), by: pixels)))
        } else {
            images = 1
            strip = Swift.max(1, pieces(shape.input.h, pieces(shape.output.h, fittingRows)))
        }
        strips = pieces(shape.input.h, strip)
        imageBlocks = pieces(shape.images, images)
        let sourceRows = strips == 1 ? shape.output.h : pieces(strip, shape.stride.h) &+ halo &+ 1
        pitch = roundUp(images &* sourceRows &* shape.output.w, Tile<E>.columns) &+ E.Lanes.width
        let depthBlocks = pieces(job.filters, 4096 / size)
        depth = pieces(job.filters, depthBlocks)
        runOffset = roundUp((depth &* Tile<E>.columns &+ Packing<E>.slack) &* size, 64)
        pieceOffset = runOffset &+ roundUp(Tile<E>.columns &* MemoryLayout<Run>.stride, 64)
        sumOffset = pieceOffset &+ roundUp(Source<E>.pieceBytes(taps: 1), 64)
        lineOffset = sumOffset &+ roundUp(rows &* pitch &* size, 64)
        let line = roundUp(pieces(shape.input.w, shape.stride.w), E.Lanes.width)
        workerBytes =
            roundUp(
                lineOffset &+ shape.stride.w &* line &* size &+ FoldedSteps<E>.bytes(shape, rows: strip), 4096) &+ 192
    }

    /// How many channels a block has so that tiles waste least.
    private static func even(_ channels: Int, most: Int, taps: Int) -> Int {
        var best = most
        var least = Int.max
        var some = Swift.min(channels, most)
        while some > 0 && 2 &* some > Swift.min(channels, most) {
            let height = PanelTile<E>.height(for: some &* taps)
            let last = remainder(channels &- 1, by: some) &+ 1
            let blocks = divide(channels &- last, by: some)
            let cost = (blocks &* pieces(some &* taps, height) &+ pieces(last &* taps, height)) &* (height &+ 1)
            if cost < least {
                least = cost
                best = some
            }
            some &-= 1
        }
        return best
    }
}

extension Folded {
    func run() -> Int32 {
        if shape.images == 0 || channels == 0 || shape.input.count == 0 { return Status.ok }
        let cut = FoldedCut(self)
        let workers = workerLimit()
        let panels = divide(cut.rows, by: cut.height)
        let panelElements = roundUp(filters &* cut.height &+ Packing<E>.slack, 64 / MemoryLayout<E>.size)
        let blocks = shape.groups &* cut.channelBlocks
        let weightBytes = roundUp(blocks &* panels &* panelElements &* MemoryLayout<E>.size, 4096)
        guard let memory = Scratch.take(weightBytes &+ workers &* cut.workerBytes) else { return Status.noMemory }
        defer { Scratch.give(memory) }
        let packed = memory.assumingMemoryBound(to: E.self)
        let status = parallel(
            blocks, cost: shape.filters &* channels &* taps / 8,
            PackFolded(job: self, cut: cut, panels: panels, panelElements: panelElements, out: packed))
        if status != Status.ok { return status }
        return parallel(
            blocks &* cut.imageBlocks &* cut.strips, cost: shape.work / 50, workers: workers,
            FoldBlock(
                job: self, cut: cut, panels: panels, panelElements: panelElements, weights: UnsafePointer(packed),
                scratch: memory + weightBytes))
    }
}

/// Rows (channel, tap) of one block of channels of one group, filters along the depth.
private struct PackFolded<E: Real>: ParallelTask {
    let job: Folded<E>
    let cut: FoldedCut<E>
    let panels: Int
    let panelElements: Int
    let out: UnsafeMutablePointer<E>

    func run(_ index: Int, worker: Int) {
        let group = divide(index, by: cut.channelBlocks)
        let channel = remainder(index, by: cut.channelBlocks) &* cut.channels
        let row = job.channels &* job.taps
        let rows = Swift.min(cut.channels, job.channels &- channel) &* job.taps
        if rows <= 0 { return }
        Packing<E>.pack(
            Matrix(
                base: job.weight + (group &* job.filters &* row &+ channel &* job.taps), rowStride: 1, columnStride: row
            ),
            count: rows, depth: job.filters, panel: cut.height, distance: panelElements,
            into: out + index &* panels &* panelElements)
    }
}

private struct FoldBlock<E: Real>: ParallelTask {
    let job: Folded<E>
    let cut: FoldedCut<E>
    let panels: Int
    let panelElements: Int
    let weights: UnsafePointer<E>
    let scratch: UnsafeMutableRawPointer

    func run(_ index: Int, worker: Int) {
        let shape = job.shape
        let memory = scratch + worker &* cut.workerBytes
        let strip = remainder(index, by: cut.strips)
        var rest = divide(index, by: cut.strips)
        let image = remainder(rest, by: cut.imageBlocks) &* cut.images
        rest = divide(rest, by: cut.imageBlocks)
        let group = divide(rest, by: cut.channelBlocks)
        let channel = remainder(rest, by: cut.channelBlocks) &* cut.channels
        let channels = Swift.min(cut.channels, job.channels &- channel)
        let images = Swift.min(cut.images, shape.images &- image)
        let first = strip &* cut.strip
        let end = Swift.min(shape.input.h, first &+ cut.strip)
        if channels <= 0 || first >= end { return }
        // The rows of the output that these of the input are seen by.
        let reach = (shape.kernel.h &- 1) &* shape.dilation.h
        let top = Swift.min(
            shape.output.h, pieces(Swift.max(0, first &+ shape.padding.h &- reach), shape.stride.h))
        let bottom = Swift.max(
            top, Swift.min(shape.output.h, divide(end &- 1 &+ shape.padding.h, by: shape.stride.h) &+ 1))
        let sums = (memory + cut.sumOffset).assumingMemoryBound(to: E.self)
        if bottom > top {
            multiply(
                weights + rest &* panels &* panelElements, group: group, image: image, images: images, top: top,
                rows: bottom &- top, channels: channels, memory, into: sums)
        }
        let steps = FoldedSteps<E>(
            shape, memory + cut.lineOffset, pitch: cut.pitch, first: first, end: end, top: top, bottom: bottom)
        var i = 0
        while i < images {
            let planes =
                job.result
                + ((image &+ i) &* shape.channels &+ group &* job.channels &+ channel) &* shape.input.count
            steps.fold(
                sums + i &* (bottom &- top) &* shape.output.w, channels: channels,
                bias: job.bias.map { $0 + (group &* job.channels &+ channel) }, relu: job.relu, into: planes)
            i &+= 1
        }
    }

    /// sums[(channel · taps + tap) · pitch + pixel]
    private func multiply(
        _ a: UnsafePointer<E>, group: Int, image: Int, images: Int, top: Int, rows: Int, channels: Int,
        _ memory: UnsafeMutableRawPointer, into sums: UnsafeMutablePointer<E>
    ) {
        let shape = job.shape
        let area = shape.output.count
        let columns = Tile<E>.columns
        let packed = memory.assumingMemoryBound(to: E.self)
        let runs = (memory + cut.runOffset).assumingMemoryBound(to: Run.self)
        let extent = Space(1, rows, shape.output.w)
        let source = Source<E>(
            base: job.source
                + ((image &* shape.filters &+ group &* job.filters) &* area &+ top &* shape.output.w),
            image: shape.filters &* area, channel: area, extent: extent, step: .ones)
        let pixels = images &* extent.count
        let height = cut.height
        var tap = Tap(offset: Space(0, 0, 0), place: 0)
        var d = 0
        while d < job.filters {
            let depth = Swift.min(cut.depth, job.filters &- d)
            var pixel = 0
            while pixel < pixels {
                let count = Swift.min(columns, pixels &- pixel)
                let runCount = Grid(extent: extent).list(first: pixel, count: count, into: runs)
                withUnsafePointer(to: &tap) {
                    source.pack(
                        runs, runCount, columns: count, taps: $0, tapCount: 1, firstChannel: d, channels: depth,
                        pieces: memory + cut.pieceOffset, into: packed)
                }
                var row = 0
                var panel = a + d &* height
                while row < channels &* job.taps {
                    PanelTile<E>.multiply(
                        PanelWork(
                            depth: depth, a: panel, b: packed, c: sums + (row &* cut.pitch &+ pixel), cRow: cut.pitch,
                            validRows: height, validColumns: columns, accumulate: d > 0, epilogue: .nothing,
                            ahead: PanelAhead(first: panel, step: 0, segment: 1, jump: 0, count: 0)),
                        height: height)
                    row &+= height
                    panel += panelElements
                }
                pixel &+= columns
            }
            d &+= depth
        }
    }
}
