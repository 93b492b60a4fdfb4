import CSpinetail

@c @implementation
public func spinetail_convolution_backward_weight(
    _ dweight: Descriptor, _ doutput: Descriptor, _ input: Descriptor,
    _ parameters: UnsafePointer<spinetail_convolution>
) -> spinetail_status {
    var shape = ConvolutionShape()
    let status = shape.read(output: doutput, 2, input: input, 3, weight: dweight, 1, parameters, 4, exact: false)
    if status != Status.ok { return status }
    if dweight.holds(Float.self) { return backwardWeight(Float.self, shape, dweight, doutput, input) }
    if dweight.holds(Double.self) { return backwardWeight(Double.self, shape, dweight, doutput, input) }
    return Status.dtype(1)
}

private func backwardWeight<E: Real>(
    _ type: E.Type, _ given: ConvolutionShape, _ dweight: Descriptor, _ doutput: Descriptor, _ input: Descriptor
) -> Int32 {
    guard let dw = dweight.pointer(E.self) else { return Status.ok }
    guard let dy = doutput.pointer(E.self), let x = input.pointer(E.self) else {
        fill(dw, dweight.count, 0)
        return Status.ok
    }
    if given.channelsLast {
        return given.weightGradientChannelsLast(dweight: dw, doutput: UnsafePointer(dy), input: UnsafePointer(x))
    }
    if given.isDepthwise {
        return DepthwiseWeights<E>(shape: given, dweight: dw, doutput: UnsafePointer(dy), input: UnsafePointer(x)).run()
    }
    if given.isFew(upTo: 256) {
        return given.backwardWeightFew(dweight: dw, doutput: UnsafePointer(dy), input: UnsafePointer(x))
    }
    let shape = given.flattened
    guard let memory = Scratch.take(shape.kernel.count &* MemoryLayout<Tap>.stride) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let taps = memory.assumingMemoryBound(to: Tap.self)
    shape.listTaps(into: taps)
    return WeightGradient<E>(
        shape: shape, taps: taps, dweight: dw, doutput: UnsafePointer(dy), input: UnsafePointer(x)
    ).run()
}

/// dweight as a product with the pixels of all images for its depth: its rows are (tap, channel), gathered from the input
/// as they lie, and its columns filters, transposed from doutput. Chunks of pixels go to a few partial sums, whose number
/// depends on the shape alone.
struct WeightGradient<E: Real> {
    let shape: ConvolutionShape
    let taps: UnsafePointer<Tap>
    let dweight: UnsafeMutablePointer<E>
    let doutput: UnsafePointer<E>
    let input: UnsafePointer<E>
}

/// Pixels taken at a time, and the distance between two rows of them, which keeps 14 rows apart in the cache.
private let chunkPixels = 256
private let chunkRow = 272

extension WeightGradient {
    func run() -> Int32 {
        let size = MemoryLayout<E>.size
        let depth = shape.kernel.count &* shape.groupChannels
        let height = TileHeight<E>.best(for: depth)
        let rowPanels = pieces(depth, height)
        let columnPanels = pieces(shape.groupFilters, Tile<E>.columns)
        let partial = rowPanels &* height &* columnPanels &* Tile<E>.columns
        let partialBytes = Swift.max(1, shape.groups &* partial &* size)
        let chunks = pieces(shape.images &* shape.output.count, chunkPixels)
        let parts = Swift.max(1, Swift.min(8, chunks, divide(4 << 20, by: partialBytes)))
        let tasksWanted = Swift.max(8, shape.work >> 28)
        let rowParts = Swift.max(1, Swift.min(pieces(tasksWanted, shape.groups &* parts), rowPanels / 4))

        let workers = workerLimit()
        let runBytes = roundUp(chunkPixels &* MemoryLayout<Run>.stride, 64)
        let gatherBytes = 14 &* chunkRow &* size
        let taps = roundUp(shape.kernel.count, 128)
        let workerBytes = Swift.max(
            runBytes &+ gatherBytes &+ columnPanels &* Tile<E>.columns &* chunkPixels &* size,
            taps &* Tile<E>.columns &* size)
        let sumBytes = roundUp(parts &* partialBytes, 64)
        guard let scratch = Scratch.take(sumBytes &+ workers &* workerBytes) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        let sums = scratch.assumingMemoryBound(to: E.self)
        let status = parallel(
            shape.groups &* parts &* rowParts, cost: shape.work / 50, workers: workers,
            SumChunks(
                job: self, depth: depth, height: height, rowPanels: rowPanels, columnPanels: columnPanels,
                partial: partial, chunks: chunks, parts: parts, rowParts: rowParts, sums: sums,
                scratch: scratch + sumBytes, workerBytes: workerBytes, gatherOffset: runBytes,
                columnOffset: runBytes &+ gatherBytes))
        if status != Status.ok { return status }
        let channels = Swift.max(1, divide(128, by: shape.kernel.count))
        return parallel(
            shape.groups &* columnPanels &* pieces(shape.groupChannels, channels),
            cost: shape.filters &* depth &* parts,
            CombineParts(
                job: self, depth: depth, columnPanels: columnPanels, partial: partial, parts: parts,
                sums: UnsafePointer(sums), channelsAtOnce: channels, scratch: scratch + sumBytes,
                workerBytes: workerBytes))
    }
}

private struct SumChunks<E: Real>: ParallelTask {
    let job: WeightGradient<E>
    let depth: Int
    let height: Int
    let rowPanels: Int
    let columnPanels: Int
    let partial: Int
    let chunks: Int
    let parts: Int
    let rowParts: Int
    let sums: UnsafeMutablePointer<E>
    let scratch: UnsafeMutableRawPointer
    let workerBytes: Int
    let gatherOffset: Int
    let columnOffset: Int

    func run(_ index: Int, worker: Int) {
        let rowPart = remainder(index, by: rowParts)
        let part = remainder(divide(index, by: rowParts), by: parts)
        let group = divide(index, by: rowParts &* parts)
        let mine = scratch + worker &* workerBytes
        let runs = mine.assumingMemoryBound(to: Run.self)
        let rows = (mine + gatherOffset).assumingMemoryBound(to: E.self)
        let columns = (mine + columnOffset).assumingMemoryBound(to: E.self)
        let sum = sums + (part &* job.shape.groups &+ group) &* partial
        let sumRow = columnPanels &* Tile<E>.columns
        let pixels = job.shape.images &* job.shape.output.count
        let channels = job.shape.groupChannels
        let inPixels = job.shape.input.count
        let source = Source<E>(
            base: job.input + group &* channels &* inPixels, image: job.shape.channels &* inPixels, channel: inPixels,
            extent: job.shape.input, step: job.shape.stride)
        let firstPanel = divide(rowPart &* rowPanels, by: rowParts)
        let lastPanel = divide((rowPart &+ 1) &* rowPanels, by: rowParts)
        let firstChunk = divide(part &* chunks, by: parts)
        let lastChunk = divide((part &+ 1) &* chunks, by: parts)

        var chunk = firstChunk
        while chunk < lastChunk {
            let first = chunk &* chunkPixels
            let count = Swift.min(chunkPixels, pixels &- first)
            let runCount = Grid(extent: job.shape.output).list(first: first, count: count, into: runs)
            transpose(first: first, count: count, group: group, into: columns)
            var panel = firstPanel
            while panel < lastPanel {
                let row = panel &* height
                let validRows = Swift.min(height, depth &- row)
                var r = 0
                while r < validRows {
                    let tap = divide(row &+ r, by: channels)
                    let channel = row &+ r &- tap &* channels
                    let some = Swift.min(channels &- channel, validRows &- r)
                    source.gather(
                        runs, runCount, columns: count, tap: job.taps[tap], firstChannel: channel, channels: some,
                        into: rows + r &* chunkRow, row: chunkRow)
                    r &+= some
                }
                var c = 0
                while c < columnPanels {
                    TileHeight<E>.accumulate(
                        height: height, depth: count, a: rows, b: columns + c &* chunkPixels &* Tile<E>.columns,
                        c: sum + (row &* sumRow &+ c &* Tile<E>.columns), cRow: sumRow, validRows: validRows,
                        onto: chunk > firstChunk)
                    c &+= 1
                }
                panel &+= 1
            }
            chunk &+= 1
        }
    }

    /// out[panel · chunkPixels · columns + pixel · columns + filter in panel], zeros for filters that are not there.
    private func transpose(first: Int, count: Int, group: Int, into out: UnsafeMutablePointer<E>) {
        let perImage = job.shape.output.count
        let filters = job.shape.groupFilters
        let wide = Tile<E>.columns
        var done = 0
        while done < count {
            let image = divide(first &+ done, by: perImage)
            let pixel = first &+ done &- image &* perImage
            let some = Swift.min(count &- done, perImage &- pixel)
            let blocks = some &- remainder(some, by: E.Lanes.width)
            var f = 0
            while f < columnPanels &* wide {
                let to = out + (divide(f, by: wide) &* chunkPixels &* wide &+ done &* wide &+ remainder(f, by: wide))
                let valid = Swift.min(E.Lanes.width, filters &- f)
                let from =
                    job.doutput
                    + ((image &* job.shape.filters &+ group &* filters &+ Swift.min(f, filters &- 1)) &* perImage
                        &+ pixel)
                var j = 0
                while j < blocks {
                    E.Lanes.transpose(
                        from + j, stride: perImage, valid: Swift.max(0, valid), into: to + j &* wide, outStride: wide)
                    j &+= E.Lanes.width
                }
                var i = 0
                while i < E.Lanes.width {
                    if i < valid {
                        spread(from + (i &* perImage &+ blocks), to + (blocks &* wide &+ i), some &- blocks)
                    } else {
                        clear(to + (blocks &* wide &+ i), some &- blocks)
                    }
                    i &+= 1
                }
                f &+= E.Lanes.width
            }
            done &+= some
        }
    }

    /// to[j · columns] = 0
    @inline(__always)
    private func clear(_ to: UnsafeMutablePointer<E>, _ count: Int) {
        var j = 0
        while j < count {
            to[j &* Tile<E>.columns] = 0
            j &+= 1
        }
    }

    /// to[j · columns] = from[j]
    @inline(__always)
    private func spread(_ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>, _ count: Int) {
        let wide = Tile<E>.columns
        var j = 0
        while j &+ 4 <= count {
            let a = from[j]
            let b = from[j &+ 1]
            let c = from[j &+ 2]
            let d = from[j &+ 3]
            to[j &* wide] = a
            to[(j &+ 1) &* wide] = b
            to[(j &+ 2) &* wide] = c
            to[(j &+ 3) &* wide] = d
            j &+= 4
        }
        while j < count {
            to[j &* wide] = from[j]
            j &+= 1
        }
    }
}

/// Adds the partial sums in their order and puts them in the weights' order: some channels of one panel of filters, whose
/// taps are interleaved in a block that the first-level cache holds.
private struct CombineParts<E: Real>: ParallelTask {
    let job: WeightGradient<E>
    let depth: Int
    let columnPanels: Int
    let partial: Int
    let parts: Int
    let sums: UnsafePointer<E>
    let channelsAtOnce: Int
    let scratch: UnsafeMutableRawPointer  // of each worker: 128 rows of totals, or one channel's
    let workerBytes: Int

    func run(_ index: Int, worker: Int) {
        let channels = job.shape.groupChannels
        let blocks = pieces(channels, channelsAtOnce)
        let group = divide(index, by: columnPanels &* blocks)
        let panel = divide(remainder(index, by: columnPanels &* blocks), by: blocks)
        let first = remainder(index, by: blocks) &* channelsAtOnce
        let end = Swift.min(channels, first &+ channelsAtOnce)
        let wide = Tile<E>.columns
        let sumRow = columnPanels &* wide
        let filters = job.shape.groupFilters
        let taps = job.shape.kernel.count
        let from = sums + (group &* partial &+ panel &* wide)
        var tap = 0
        // Rows whose distance is a power of two share sets of the cache: they are read once.
        let totals = (scratch + worker &* workerBytes).assumingMemoryBound(to: E.self)
        while tap < taps {
            var c = first
            while c < end {
                total(from + (tap &* channels &+ c) &* sumRow, into: totals + ((c &- first) &* taps &+ tap) &* wide)
                c &+= 1
            }
            tap &+= 1
        }
        let out = job.dweight + ((group &* filters &+ panel &* wide) &* depth &+ first &* taps)
        var f = 0
        while f < Swift.min(wide, filters &- panel &* wide) {
            let to = out + f &* depth
            var k = 0
            while k < (end &- first) &* taps {
                to[k] = totals[k &* wide &+ f]
                k &+= 1
            }
            f &+= 1
        }
    }

    @inline(__always)
    private func total(_ from: UnsafePointer<E>, into to: UnsafeMutablePointer<E>) {
        let distance = job.shape.groups &* partial
        let width = E.Lanes.width
        var left = E.Lanes.load(from)
        var right = E.Lanes.load(from + width)
        var p = 1
        while p < parts {
            left = left + E.Lanes.load(from + p &* distance)
            right = right + E.Lanes.load(from + (p &* distance &+ width))
            p &+= 1
        }
        left.store(to)
        right.store(to + width)
    }
}

extension TileHeight {
    /// c = a · b, or += when `onto`: a's rows lie chunkRow apart as they are, b is packed; all columns are stored.
    @inline(never)
    static func accumulate(
        height: Int, depth: Int, a: UnsafePointer<E>, b: UnsafePointer<E>, c: UnsafeMutablePointer<E>, cRow: Int,
        validRows: Int, onto: Bool
    ) {
        switch height {
        case 14: if Tile<E>.isWide { accumulate(Height<14>(), depth, a, b, c, cRow, validRows, onto) }
        case 13: if Tile<E>.isWide { accumulate(Height<13>(), depth, a, b, c, cRow, validRows, onto) }
        case 11: if Tile<E>.isWide { accumulate(Height<11>(), depth, a, b, c, cRow, validRows, onto) }
        case 8: if Tile<E>.isWide { accumulate(Height<8>(), depth, a, b, c, cRow, validRows, onto) }
        case 6: if !Tile<E>.isWide { accumulate(Height<6>(), depth, a, b, c, cRow, validRows, onto) }
        default: accumulate(Height<4>(), depth, a, b, c, cRow, validRows, onto)
        }
    }

    @inline(__always)
    private static func accumulate<let rows: Int>(
        _ height: Height<rows>, _ depth: Int, _ a: UnsafePointer<E>, _ b: UnsafePointer<E>,
        _ c: UnsafeMutablePointer<E>, _ cRow: Int, _ validRows: Int, _ onto: Bool
    ) {
        RegisterTile<E, rows>.multiply(
            depth: depth, a: a, aRow: chunkRow, aDepth: 1, b: b, bDepth: Tile<E>.columns, c: c, cRow: cRow,
            validRows: validRows, validColumns: Tile<E>.columns, accumulate: onto, epilogue: .nothing)
    }
}
