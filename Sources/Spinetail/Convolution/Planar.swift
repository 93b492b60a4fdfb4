import CSpinetail

/// Convolution of one or two spatial axes that reads the pixels where they stand in padded planes, so that none is packed
/// for each tap. Where the stride is more than 1, rows and columns that share their remainder by it have a plane of their
/// own; along a plane's rows all results of a strip lie at one distance from what a tap sees, so tiles run through the rows
/// without minding their ends. What they compute in the margins between the rows is left out.
struct Planar<E: Real> {
    let shape: ConvolutionShape
    let source: UnsafePointer<E>
    let weights: Weights<E>
    let result: UnsafeMutablePointer<E>
    let bias: UnsafePointer<E>?
    let relu: Bool

    @inline(__always) var reachH: Int { divide((shape.kernel.h &- 1) &* shape.dilation.h, by: shape.stride.h) }
    @inline(__always) var reachW: Int { divide((shape.kernel.w &- 1) &* shape.dilation.w, by: shape.stride.w) }
    @inline(__always) var phases: Int { shape.stride.h &* shape.stride.w }
    @inline(__always) var planeWidth: Int { shape.output.w &+ reachW }
    @inline(__always) var depth: Int { shape.groupChannels &* shape.kernel.count }
    /// Whether results are taken one after the other from whatever rows, which takes masked loads; else rows with their
    /// margins are.
    @inline(__always) var isDense: Bool { Tile<E>.isWide && 2 &* shape.output.w >= E.Lanes.width }
}

extension ConvolutionShape {
    /// Few channels and filters: packing would take as long as the product.
    func prefersPlanar<E: Real>(_ type: E.Type) -> Bool {
        if Tile<E>.isWide && groupFilters > 64 && groupChannels >= 16 { return false }
        return kernel.count > 1 && kernel.d == 1 && input.d == 1 && output.d == 1 && padding.d == 0 && stride.d == 1
            && stride.largest <= 4 && groupChannels > 0 && groupChannels &* kernel.count <= 1024
            && (kernel.w &- 1) &* dilation.w <= output.w && (kernel.h &- 1) &* dilation.h <= 4096
    }
}

extension Planar {
    private static var stripBytes: Int { 384 << 10 }

    func run() -> Int32 {
        let images = shape.images
        if images == 0 || shape.output.count == 0 || shape.filters == 0 { return Status.ok }
        let size = MemoryLayout<E>.size
        let rows = shape.groupFilters
        let height = PlanarTile<E>.height(for: rows, dense: isDense)
        let rowPanels = pieces(rows, height)
        let weightElements = roundUp(depth &* height &+ Packing<E>.slack, 64 / size)
        // Strips of rows whose planes stay in the cache, enough of them for the threads.
        let rowBytes = shape.groupChannels &* phases &* planeWidth &* size
        let fitting = Swift.max(4, divide(Self.stripBytes, by: rowBytes) &- reachH)
        var strips = pieces(shape.output.h, fitting)
        if images &* shape.groups &* strips < 8 && shape.work > 2_000_000 {
            strips = Swift.max(strips, Swift.min(pieces(8, images &* shape.groups), pieces(shape.output.h, 4)))
        }
        let strip = pieces(shape.output.h, strips)
        let planeElements = roundUp((strip &+ reachH) &* planeWidth, 16)
        let workers = workerLimit()
        let weightBytes = roundUp(shape.groups &* rowPanels &* weightElements &* size, 64)
        let offsetBytes = roundUp(depth &* MemoryLayout<Int>.size, 64)
        let planeBytes = (shape.groupChannels &* phases &* planeElements &+ 4 &* Tile<E>.columns) &* size
        let workerBytes = roundUp(planeBytes &+ height &* Tile<E>.columns &* size, 4096) &+ 192
        guard let memory = Scratch.take(weightBytes &+ offsetBytes &+ workers &* workerBytes &+ 64) else {
            return Status.noMemory
        }
        defer { Scratch.give(memory) }
        let packed = memory.assumingMemoryBound(to: E.self)
        let offsets = (memory + weightBytes).assumingMemoryBound(to: Int.self)
        listOffsets(planeElements, into: offsets)
        let pack = PackWeights(
            weights: weights, taps: nil, tapCount: shape.kernel.count, channels: shape.groupChannels, rows: rows,
            height: height, panelElements: weightElements, out: packed)
        var status = parallel(shape.groups &* rowPanels, cost: shape.filters &* depth / 4, pack)
        if status != Status.ok { return status }
        let tasks = images &* shape.groups &* pieces(shape.output.h, strip)
        status = parallel(
            tasks, cost: shape.work / 64 &+ images &* shape.output.count &* (shape.filters &+ shape.channels) / 16,
            workers: workers,
            PlanarStrip(
                job: self, height: height, rowPanels: rowPanels, weightElements: weightElements, strip: strip,
                strips: pieces(shape.output.h, strip), planeElements: planeElements,
                weights: UnsafePointer(packed), offsets: UnsafePointer(offsets),
                scratch: memory + weightBytes + offsetBytes, workerBytes: workerBytes, tileOffset: planeBytes))
        return status
    }

    /// Where each channel's taps begin in the planes.
    private func listOffsets(_ planeElements: Int, into offsets: UnsafeMutablePointer<Int>) {
        let taps = shape.kernel.count
        var k = 0
        var i = 0
        while i < shape.kernel.h {
            let h = i &* shape.dilation.h
            var j = 0
            while j < shape.kernel.w {
                let w = j &* shape.dilation.w
                var at = h &* planeWidth &+ w
                if phases > 1 {
                    let phase = remainder(h, by: shape.stride.h) &* shape.stride.w &+ remainder(w, by: shape.stride.w)
                    at =
                        phase &* planeElements &+ divide(h, by: shape.stride.h) &* planeWidth
                        &+ divide(w, by: shape.stride.w)
                }
                (offsets + k).initialize(to: at)
                k &+= 1
                j &+= 1
            }
            i &+= 1
        }
        // Those of other channels are a channel's planes further on.
        while k < depth {
            (offsets + k).initialize(to: offsets[k &- taps] &+ phases &* planeElements)
            k &+= 1
        }
    }
}

/// A strip of rows of one group of one image.
private struct PlanarStrip<E: Real>: ParallelTask {
    let job: Planar<E>
    let height: Int
    let rowPanels: Int
    let weightElements: Int
    let strip: Int
    let strips: Int
    let planeElements: Int
    let weights: UnsafePointer<E>
    let offsets: UnsafePointer<Int>
    let scratch: UnsafeMutableRawPointer
    let workerBytes: Int
    let tileOffset: Int

    func run(_ index: Int, worker: Int) {
        let shape = job.shape
        let first = remainder(index, by: strips) &* strip
        let rows = Swift.min(strip, shape.output.h &- first)
        let rest = divide(index, by: strips)
        let image = divide(rest, by: shape.groups)
        let group = remainder(rest, by: shape.groups)
        let memory = scratch + worker &* workerBytes
        let planes = memory.assumingMemoryBound(to: E.self)
        let tile = (memory + roundUp(tileOffset, 64)).assumingMemoryBound(to: E.self)
        bring(image: image, group: group, first: first, rows: rows, into: planes)
        let width = job.planeWidth
        let area = shape.output.h &* shape.output.w
        // The last row's margin is left out; tiles may reach into what lies behind it.
        let dense = job.isDense
        let end = dense ? rows &* shape.output.w : (rows &- 1) &* width &+ shape.output.w
        let step = PlanarTile<E>.columns(height)
        let multiplier = PlanarTile<E>(
            height: height, depth: job.depth, offsets: offsets, cRow: dense ? area : Tile<E>.columns, relu: job.relu)
        var position = 0
        while position < end {
            let columns =
                dense
                ? PlanarColumns(UnsafePointer(planes), position, width: shape.output.w, gap: job.reachW)
                : PlanarColumns(UnsafePointer(planes) + position)
            var panel = 0
            while panel < rowPanels {
                let row = panel &* height
                let valid = Swift.min(height, shape.groupFilters &- row)
                let filter = group &* shape.groupFilters &+ row
                let to = job.result + ((image &* shape.filters &+ filter) &* area &+ first &* shape.output.w)
                multiplier.multiply(
                    weights + (group &* rowPanels &+ panel) &* weightElements, columns, dense ? to + position : tile,
                    rows: valid, columns: dense ? Swift.min(step, end &- position) : step,
                    bias: job.bias.map { $0 + filter })
                if !dense { store(tile, rows: valid, position: position, end: end, to: to) }
                panel &+= 1
            }
            position &+= step
        }
    }

    /// What of a tile lies inside the rows.
    @inline(__always)
    private func store(
        _ tile: UnsafePointer<E>, rows: Int, position: Int, end: Int, to target: UnsafeMutablePointer<E>
    ) {
        let width = job.planeWidth
        let shape = job.shape
        let last = Swift.min(end, position &+ Tile<E>.columns)
        var row = divide(position, by: width)
        var from = position
        while from < last {
            let line = row &* width
            let to = Swift.min(last, line &+ shape.output.w)
            if from < to {
                var p = tile + (from &- position)
                var q = target + (row &* shape.output.w &+ from &- line)
                var r = 0
                while r < rows {
                    copyRow(p, q, to &- from)
                    p += Tile<E>.columns
                    q += shape.output.h &* shape.output.w
                    r &+= 1
                }
            }
            row &+= 1
            from = row &* width
        }
    }

    /// The planes of a strip, zeros outside the image.
    private func bring(image: Int, group: Int, first: Int, rows: Int, into planes: UnsafeMutablePointer<E>) {
        let shape = job.shape
        let width = job.planeWidth
        let area = shape.input.h &* shape.input.w
        // Tiles read on into the next plane, and behind the last one.
        fill(planes, shape.groupChannels &* job.phases &* planeElements &+ 4 &* Tile<E>.columns, 0)
        var phase = 0
        while phase < job.phases {
            let h = divide(phase, by: shape.stride.w) &- shape.padding.h
            let w = remainder(phase, by: shape.stride.w) &- shape.padding.w
            // Columns w, w + stride, … and rows likewise, of which begin ..< stop are inside.
            let (begin, stop) = inside(w, shape.stride.w, shape.input.w, width)
            let (top, bottom) = inside(
                first &* shape.stride.h &+ h, shape.stride.h, shape.input.h, rows &+ job.reachH)
            var from =
                job.source
                + ((image &* shape.groups &+ group) &* shape.groupChannels &* area
                    &+ ((first &+ top) &* shape.stride.h &+ h) &* shape.input.w &+ w &+ begin &* shape.stride.w)
            var plane = planes + (phase &* planeElements &+ top &* width &+ begin)
            var c = 0
            while c < shape.groupChannels {
                var p = from
                var line = plane
                var r = top
                while r < bottom {
                    // The next channel's: planes are so far apart that the processor does not foresee them.
                    spinetail_prefetch(p + area)
                    spinetail_prefetch(p + (area &+ E.Lanes.width))
                    spinetail_prefetch(p + (area &+ 2 &* E.Lanes.width))
                    bringRow(p, line, stop &- begin)
                    p += shape.stride.h &* shape.input.w
                    line += width
                    r &+= 1
                }
                from += area
                plane += job.phases &* planeElements
                c &+= 1
            }
            phase &+= 1
        }
    }

    /// The first and the end of `count` positions start, start + step, … that lie in 0 ..< extent.
    @inline(__always)
    private func inside(_ start: Int, _ step: Int, _ extent: Int, _ count: Int) -> (Int, Int) {
        let first = Swift.min(count, start < 0 ? pieces(0 &- start, step) : 0)
        let left = extent &- start
        return (first, Swift.max(first, left <= 0 ? 0 : Swift.min(count, pieces(left, step))))
    }

    /// Where vectors are wide, a row's last one writes zeros behind it, where the next rows are not yet written.
    @inline(__always)
    private func bringRow(_ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>, _ count: Int) {
        let lanes = E.Lanes.width
        if job.shape.stride.w > 1 { return pickRow(from, to, count, step: job.shape.stride.w) }
        if !Tile<E>.isWide || job.phases > 1 { return copyRow(from, to, count) }
        var i = 0
        while i &+ lanes <= count {
            E.Lanes.load(from + i).store(to + i)
            i &+= lanes
        }
        if i < count { E.Lanes.load(from + i, count: count &- i, fill: 0).store(to + i) }
    }
}
