import CSpinetail

/// The gradient to the weights of a convolution whose arrays have their channels next to each other: a product with the
/// pixels for its depth. Its rows are (tap, channel), packed; its columns are filters, read from doutput as they stand. A
/// task makes some rows over all pixels, so there are no partial sums.
struct ChannelsLastGradient<E: Real> {
    let job: ChannelsLast<E>  // its source is the input, its grid the output's pixels
    let doutput: UnsafePointer<E>
    let dweight: UnsafeMutablePointer<E>

    @inline(__always) static var chunk: Int { 256 }
    @inline(__always) var filters: Int { job.resultChannels }

    func run() -> Int32 {
        if job.isDepthwise { return runDepthwise() }
        if job.isPointwise && job.groups == 1 {
            return Product<E>(
                rows: filters, columns: job.channels, depth: job.pixels,
                a: Matrix(base: doutput, rowStride: 1, columnStride: filters),
                b: Matrix(base: job.source, rowStride: job.channels, columnStride: 1), c: dweight, cRow: job.channels,
                accumulate: false, epilogue: .nothing
            ).run()
        }
        let size = MemoryLayout<E>.size
        let panels = pieces(job.depth, Tile<E>.columns)
        let wanted = pieces(8, Swift.max(1, panels &* job.groups))
        let parts = Swift.max(1, Swift.min(wanted, job.rows / (2 &* DirectPanel<E>.highest)))
        let spanBytes = roundUp(Tile<E>.columns &* MemoryLayout<Span>.stride, 64)
        let rows = roundUp(pieces(job.rows, parts), Tile<E>.columns)
        let workerBytes = spanBytes &+ (Self.chunk &+ rows) &* Tile<E>.columns &* size
        let workers = workerLimit()
        guard let scratch = Scratch.take(workers &* workerBytes) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        return parallel(
            job.groups &* panels &* parts, cost: job.pixels &* filters &* job.depth / 50, workers: workers,
            GradientPanel(
                gradient: self, panels: panels, parts: parts, rows: rows, scratch: scratch, spanBytes: spanBytes,
                workerBytes: workerBytes))
    }
}

private struct GradientPanel<E: Real>: ParallelTask {
    let gradient: ChannelsLastGradient<E>
    let panels: Int
    let parts: Int
    let rows: Int  // of a part
    let scratch: UnsafeMutableRawPointer
    let spanBytes: Int
    let workerBytes: Int

    func run(_ index: Int, worker: Int) {
        let job = gradient.job
        let wide = Tile<E>.columns
        let row = remainder(index, by: parts) &* rows
        let count = Swift.min(rows, job.rows &- row)
        if count <= 0 { return }
        let rest = divide(index, by: parts)
        let group = divide(rest, by: panels)
        let from = remainder(rest, by: panels) &* wide
        let to = Swift.min(job.depth, from &+ wide)
        let memory = scratch + worker &* workerBytes
        let spans = memory.assumingMemoryBound(to: Span.self)
        let pixels = (memory + spanBytes).assumingMemoryBound(to: E.self)
        let sums = pixels + ChannelsLastGradient<E>.chunk &* wide
        let spanCount = job.listSpans(from: from, to: to, group: group, into: spans)
        let cut = RowCut(to &- from, highest: DirectPanel<E>.highest)
        let narrowCut = RowCut(to &- from, highest: DirectPanel<E>.highestNarrow)
        let filter = group &* job.rows &+ row
        var first = 0
        while first < job.pixels {
            let some = Swift.min(ChannelsLastGradient<E>.chunk, job.pixels &- first)
            job.pack(first: first, count: some, spans, spanCount, into: pixels, pitch: wide)
            var column = 0
            while column < count {
                let columns = Swift.min(wide, count &- column)
                var strip = DirectPanel<E>(
                    depth: some, a: pixels, aRow: 1, aDepth: wide,
                    b: gradient.doutput + (first &* gradient.filters &+ filter &+ column), bRow: gradient.filters,
                    c: sums + column, cRow: rows, columns: columns, accumulate: first > 0, epilogue: .nothing,
                    fetches: false, ahead: pixels, aheadEnd: pixels)
                strip.run(columns <= E.Lanes.width ? narrowCut : cut, copy: nil)
                column &+= columns
            }
            first &+= some
        }
        store(sums, from: from, to: to, filter: filter, count: count)
    }

    /// Filter by filter: their weights lie at distances that share the cache's sets.
    private func store(_ sums: UnsafePointer<E>, from: Int, to: Int, filter: Int, count: Int) {
        let job = gradient.job
        var r = 0
        while r < count {
            let out = gradient.dweight + (filter &+ r) &* job.depth
            var tap = divide(from, by: job.channels)
            var channel = from &- tap &* job.channels
            var k = 0
            while k < to &- from {
                out[channel &* job.kernel &+ job.taps[tap].place] = sums[k &* rows &+ r]
                k &+= 1
                channel &+= 1
                if channel == job.channels {
                    channel = 0
                    tap &+= 1
                }
            }
            r &+= 1
        }
    }
}

extension ChannelsLastGradient {
    /// A task takes one vector of channels through all pixels.
    fileprivate func runDepthwise() -> Int32 {
        let width = E.Lanes.width
        let workers = workerLimit()
        let workerBytes = roundUp(job.tapCount &* MemoryLayout<E.Lanes>.stride, 64)
        guard let scratch = Scratch.take(workers &* workerBytes) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        return parallel(
            pieces(job.groups, width), cost: job.pixels &* job.groups &* job.tapCount / 20, workers: workers,
            DepthwiseGradient(gradient: self, scratch: scratch, workerBytes: workerBytes))
    }
}

private struct DepthwiseGradient<E: Real>: ParallelTask {
    let gradient: ChannelsLastGradient<E>
    let scratch: UnsafeMutableRawPointer
    let workerBytes: Int

    func run(_ index: Int, worker: Int) {
        let job = gradient.job
        let width = E.Lanes.width
        let channel = index &* width
        let valid = Swift.min(width, job.groups &- channel)
        let sums = (scratch + worker &* workerBytes).assumingMemoryBound(to: E.self)
        fill(sums, job.tapCount &* width, 0)
        var line = 0
        while line < job.images &* job.grid.d &* job.grid.h {
            let h = remainder(line, by: job.grid.h)
            let plane = divide(line, by: job.grid.h)
            let d = remainder(plane, by: job.grid.d)
            let image = divide(plane, by: job.grid.d)
            let dy = gradient.doutput + (line &* job.grid.w &* job.groups &+ channel)
            var t = 0
            while t < job.tapCount {
                let offset = job.taps[t].offset
                let z = d &* job.step.d &+ offset.d
                let y = h &* job.step.h &+ offset.h
                if z >= 0 && z < job.extent.d && y >= 0 && y < job.extent.h {
                    let row = (image &* job.extent.d &+ z) &* job.extent.h &+ y
                    let x = job.source + (row &* job.extent.w &* job.groups &+ channel)
                    let before = E.Lanes.load(sums + t &* width)
                    (before + sum(dy, x, offset.w, valid)).store(sums + t &* width)
                }
                t &+= 1
            }
            line &+= 1
        }
        var t = 0
        while t < job.tapCount {
            var c = 0
            while c < valid {
                gradient.dweight[(channel &+ c) &* job.kernel &+ job.taps[t].place] = sums[t &* width &+ c]
                c &+= 1
            }
            t &+= 1
        }
    }

    /// Σ of dy[w] · x[w · step + offset] over a row, in four chains.
    @inline(never)
    private func sum(_ dy: UnsafePointer<E>, _ x: UnsafePointer<E>, _ offset: Int, _ valid: Int) -> E.Lanes {
        let job = gradient.job
        let last = job.extent.w &- 1 &- offset
        let to = last < 0 ? 0 : Swift.min(job.grid.w, divide(last, by: job.step.w) &+ 1)
        var w = offset < 0 ? pieces(0 &- offset, job.step.w) : 0
        var sums = InlineArray<4, E.Lanes> { _ in .zero }
        while w &+ 4 <= to {
            for i in 0..<4 {
                sums[unchecked: i] = term(dy, x, w &+ i, offset, valid, sums[unchecked: i])
            }
            w &+= 4
        }
        while w < to {
            sums[unchecked: 0] = term(dy, x, w, offset, valid, sums[unchecked: 0])
            w &+= 1
        }
        return (sums[unchecked: 0] + sums[unchecked: 1]) + (sums[unchecked: 2] + sums[unchecked: 3])
    }

    @inline(__always)
    private func term(
        _ dy: UnsafePointer<E>, _ x: UnsafePointer<E>, _ w: Int, _ offset: Int, _ valid: Int, _ sum: E.Lanes
    ) -> E.Lanes {
        let groups = gradient.job.groups
        let a = dy + w &* groups
        let b = x + (w &* gradient.job.step.w &+ offset) &* groups
        return E.Lanes.fma(E.Lanes.loadUpTo(a, valid), E.Lanes.loadUpTo(b, valid), sum)
    }
}

extension ConvolutionShape {
    func weightGradientChannelsLast<E: Real>(
        dweight: UnsafeMutablePointer<E>, doutput: UnsafePointer<E>, input: UnsafePointer<E>
    ) -> Int32 {
        let tapCount = kernel.count
        guard let memory = Scratch.take(tapCount &* MemoryLayout<Tap>.stride) else { return Status.noMemory }
        defer { Scratch.give(memory) }
        let taps = memory.assumingMemoryBound(to: Tap.self)
        listTaps(into: taps)
        let job = ChannelsLast<E>(
            source: input, extent: self.input, step: stride, images: images, grid: output, taps: taps,
            tapCount: tapCount, kernel: tapCount, groups: groups, channels: groupChannels, rows: groupFilters,
            weights: Weights(base: UnsafePointer(dweight), groupStride: 0, rowStride: 0, channelStride: 0),
            result: dweight, resultExtent: output, resultStep: .ones, bias: nil, relu: false)
        return ChannelsLastGradient(job: job, doutput: doutput, dweight: dweight).run()
    }
}
