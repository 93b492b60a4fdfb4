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
}

extension ConvolutionShape {
    /// Few channels: packing them would take as long as the product.
    var prefersPlanar: Bool {
        kernel.count > 1 && kernel.d == 1 && input.d == 1 && output.d == 1 && padding.d == 0 && stride.d == 1
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
        let height = rows <= 4 ? 4 : rows <= 6 ? 6 : PanelTile<E>.height(for: rows)
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
        var k = 0
        var c = 0
        while c < shape.groupChannels {
            var i = 0
            while i < shape.kernel.h {
                let h = i &* shape.dilation.h
                var j = 0
                while j < shape.kernel.w {
                    let w = j &* shape.dilation.w
                    let phase =
                        remainder(h, by: shape.stride.h) &* shape.stride.w &+ remainder(w, by: shape.stride.w)
                    (offsets + k).initialize(
                        to: (c &* phases &+ phase) &* planeElements &+ divide(h, by: shape.stride.h) &* planeWidth
                            &+ divide(w, by: shape.stride.w))
                    k &+= 1
                    j &+= 1
                }
                i &+= 1
            }
            c &+= 1
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
        // The last row's margin is left out; tiles may reach into what lies behind it.
        let end = (rows &- 1) &* width &+ shape.output.w
        let area = shape.output.h &* shape.output.w
        var position = 0
        while position < end {
            var panel = 0
            while panel < rowPanels {
                let row = panel &* height
                let valid = Swift.min(height, shape.groupFilters &- row)
                let filter = group &* shape.groupFilters &+ row
                var epilogue = Epilogue<E>.nothing
                epilogue.relu = job.relu
                if let bias = job.bias {
                    epilogue.bias = .perRow
                    epilogue.values = bias + filter
                }
                PlanarTile<E>.multiply(
                    height: height, depth: job.depth,
                    a: weights + (group &* rowPanels &+ panel) &* weightElements, b: UnsafePointer(planes) + position,
                    offsets: offsets, c: tile, validRows: valid, epilogue: epilogue)
                store(
                    tile, rows: valid, position: position, end: end,
                    to: job.result + ((image &* shape.filters &+ filter) &* area &+ first &* shape.output.w))
                panel &+= 1
            }
            position &+= Tile<E>.columns
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
        var c = 0
        while c < shape.groupChannels {
            let from = job.source + ((image &* shape.groups &+ group) &* shape.groupChannels &+ c) &* area
            var phase = 0
            while phase < job.phases {
                let plane = planes + (c &* job.phases &+ phase) &* planeElements
                let h = divide(phase, by: shape.stride.w) &- shape.padding.h
                let w = remainder(phase, by: shape.stride.w) &- shape.padding.w
                // Columns w, w + stride, … of which begin ..< stop are inside.
                let begin = Swift.min(width, w < 0 ? pieces(0 &- w, shape.stride.w) : 0)
                let inside = shape.input.w &- w
                let stop = Swift.max(begin, inside <= 0 ? 0 : Swift.min(width, pieces(inside, shape.stride.w)))
                var r = 0
                while r < rows &+ job.reachH {
                    let y = (first &+ r) &* shape.stride.h &+ h
                    let line = plane + r &* width
                    if y < 0 || y >= shape.input.h {
                        fill(line, width, 0)
                    } else {
                        fill(line, begin, 0)
                        let p = from + (y &* shape.input.w &+ w &+ begin &* shape.stride.w)
                        if shape.stride.w == 1 {
                            copyRow(p, line + begin, stop &- begin)
                        } else {
                            pickRow(p, line + begin, stop &- begin, step: shape.stride.w)
                        }
                        fill(line + stop, width &- stop, 0)
                    }
                    r &+= 1
                }
                // Tiles read on into the next plane, and behind the last one.
                phase &+= 1
            }
            c &+= 1
        }
        fill(planes + shape.groupChannels &* job.phases &* planeElements, 4 &* Tile<E>.columns, 0)
    }
}
