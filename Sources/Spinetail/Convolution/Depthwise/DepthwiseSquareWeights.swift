import CSpinetail

extension DepthwiseWeights {
    /// Adds up in registers all that `images` say about a channel's 3×3 filter, where there is a way without a copy.
    func runSquare() -> Int32? {
        if !shape.isSquare(E.self) || shape.images &* shape.channels &* shape.output.count == 0 { return nil }
        if shape.isSame {
            if RowWindows<E>.fit(shape.output) { return run(RowWindows<E>(shape.output)) }
            guard let memory = Scratch.take(FlatWindows<E>.bytes(shape.output)) else { return Status.noMemory }
            defer { Scratch.give(memory) }
            return run(FlatWindows<E>(shape.output, memory))
        }
        if !shape.isHalving { return nil }
        let bytes = StridedWindows<E>.bytes(shape.input, shape.output)
        guard let memory = Scratch.take(bytes) else { return Status.noMemory }
        defer { Scratch.give(memory) }
        return run(StridedWindows<E>(shape.input, shape.output, shape.padding, memory))
    }

    private func run<W: Windows>(_ windows: W) -> Int32 where W.E == E {
        let each = shape.output.h &* shape.output.w &* shape.images &* shape.output.d
        let together = Swift.max(1, divide(1 << 13, by: each))
        return parallel(
            pieces(shape.channels, together), cost: shape.channels &* each / 4,
            CorrelatePlanes(job: self, windows: windows, together: together))
    }
}

private struct CorrelatePlanes<W: Windows>: ParallelTask {
    let job: DepthwiseWeights<W.E>
    let windows: W
    let together: Int

    func run(_ index: Int, worker: Int) {
        let shape = job.shape
        var channel = index &* together
        let last = Swift.min(shape.channels, channel &+ together)
        while channel < last {
            var sums = WindowProducts<W.E>(doutput: job.doutput)
            var image = 0
            while image < shape.images {
                var d = 0
                while d < shape.output.d {
                    let plane = (image &* shape.channels &+ channel) &* shape.output.d &+ d
                    sums.doutput = job.doutput + plane &* (shape.output.h &* shape.output.w)
                    let from = job.input + plane &* (shape.input.h &* shape.input.w)
                    windows.feed(from, 0, windows.units, &sums)
                    d &+= 1
                }
                image &+= 1
            }
            for t in 0..<9 { job.dweight[channel &* 9 &+ t] = sums.totals[unchecked: t].sum() }
            channel &+= 1
        }
    }
}

private struct WindowProducts<E: Real>: WindowSink {
    var totals = InlineArray<9, E.Lanes>(repeating: .zero)
    var doutput: UnsafePointer<E>

    init(doutput: UnsafePointer<E>) { self.doutput = doutput }

    @inline(__always) mutating func take(_ window: InlineArray<9, E.Lanes>, _ place: Int, count: Int) {
        let p = doutput + place
        let g = count == E.Lanes.width ? E.Lanes.load(p) : .load(p, count: count, fill: 0)
        for t in 0..<9 {
            totals[unchecked: t] = E.Lanes.fma(g, window[unchecked: t], totals[unchecked: t])
        }
    }

    @inline(__always) func fetch(_ place: Int) { spinetail_prefetch(doutput + place) }
}
