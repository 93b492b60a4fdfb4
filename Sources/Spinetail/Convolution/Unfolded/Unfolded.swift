import CSpinetail

/// A convolution of few pixels and many weights as products with the unfolded images, one row for each pixel of the output:
/// (channel, tap) lie in it as in a filter, so that the weights, by far the largest operand, are read where they stand, and
/// their gradient is stored where it belongs. For one group.
struct Unfolded<E: Real> {
    let shape: ConvolutionShape
    let taps: UnsafePointer<Tap>
    let group: Int

    @inline(__always) var pixels: Int { shape.images &* shape.output.count }
    @inline(__always) var channels: Int { shape.groupChannels }
    @inline(__always) var filters: Int { shape.groupFilters }
    @inline(__always) var depth: Int { channels &* shape.kernel.count }
    /// Rows, up to the vectors that transpose them, and the distance from one to the next, which no power of two divides.
    @inline(__always) var rows: Int { roundUp(pixels, E.Lanes.width) }
    @inline(__always) var pitch: Int { roundUp(depth, E.Lanes.width) &+ E.Lanes.width }
    @inline(__always) var filterPitch: Int { roundUp(filters, E.Lanes.width) &+ E.Lanes.width }
    /// Elements of the weights, and of anything as large, before this group's.
    @inline(__always) var weightOffset: Int { group &* filters &* depth }

    @inline(__always) func images(_ base: UnsafePointer<E>) -> Source<E> {
        let count = shape.input.count
        return Source(
            base: base + group &* channels &* count, image: shape.channels &* count, channel: count,
            extent: shape.input, step: shape.stride)
    }
}

extension ConvolutionShape {
    /// Whether packing the weights, or summing up their gradient, would take longer than what it is for.
    func isFew(upTo most: Int) -> Bool {
        let pixels = images &* output.count
        return algorithm != Int(SPINETAIL_CONVOLUTION_WINOGRAD) && !channelsLast && pixels <= most
            && 2 &* pixels <= groupFilters &+ 64 && groupChannels &* kernel.count >= 64 && groupFilters >= 64
            && kernel.count <= 128
    }

    /// For every group: the unfolded images, and memory for a matrix of pixels and filters.
    private func unfolded<E: Real>(
        _ body: (Unfolded<E>, UnsafeMutablePointer<E>, UnsafeMutablePointer<E>) -> Int32
    ) -> Int32 {
        let tapBytes = roundUp(kernel.count &* MemoryLayout<Tap>.stride, 64)
        guard let tapMemory = Scratch.take(tapBytes) else { return Status.noMemory }
        defer { Scratch.give(tapMemory) }
        let taps = tapMemory.assumingMemoryBound(to: Tap.self)
        listTaps(into: taps)
        var job = Unfolded<E>(shape: self, taps: UnsafePointer(taps), group: 0)
        let unfoldedElements = job.rows &* job.pitch
        let size = MemoryLayout<E>.size
        // The last vector of pixels of the last image may begin anywhere.
        let matrixElements = (job.rows &+ E.Lanes.width) &* job.filterPitch
        guard let memory = Scratch.take((unfoldedElements &+ matrixElements) &* size) else {
            return Status.noMemory
        }
        defer { Scratch.give(memory) }
        let pixels = memory.assumingMemoryBound(to: E.self)
        while job.group < groups {
            let status = body(job, pixels, pixels + unfoldedElements)
            if status != Status.ok { return status }
            job = Unfolded(shape: self, taps: UnsafePointer(taps), group: job.group &+ 1)
        }
        return Status.ok
    }

    func forwardFew<E: Real>(
        result: UnsafeMutablePointer<E>, source: UnsafePointer<E>, weight: UnsafePointer<E>, bias: UnsafePointer<E>?,
        relu: Bool
    ) -> Int32 {
        unfolded { (job: Unfolded<E>, pixels, sums) in
            var epilogue = Epilogue<E>.nothing
            epilogue.relu = relu
            if let bias {
                epilogue.bias = .perColumn
                epilogue.values = bias + job.group &* job.filters
            }
            let status = UnfoldChannels(job: job, source: job.images(source), out: pixels).run()
            if status != Status.ok { return status }
            let product = Product<E>(
                rows: job.pixels, columns: job.filters, depth: job.depth,
                a: Matrix(base: pixels, rowStride: job.pitch, columnStride: 1),
                b: Matrix(base: weight + job.weightOffset, rowStride: 1, columnStride: job.depth), c: sums,
                cRow: job.filterPitch, accumulate: false, epilogue: epilogue
            ).run()
            if product != Status.ok { return product }
            return TurnFilters(job: job, images: result, matrix: sums, inward: false).run()
        }
    }

    func backwardInputFew<E: Real>(
        result: UnsafeMutablePointer<E>, source: UnsafePointer<E>, weight: UnsafePointer<E>, bias: UnsafePointer<E>?,
        relu: Bool
    ) -> Int32 {
        unfolded { (job: Unfolded<E>, pixels, gradients) in
            let status = TurnFilters(
                job: job, images: UnsafeMutablePointer(mutating: source), matrix: gradients, inward: true
            ).run()
            if status != Status.ok { return status }
            let product = Product<E>(
                rows: job.pixels, columns: job.depth, depth: job.filters,
                a: Matrix(base: gradients, rowStride: job.filterPitch, columnStride: 1),
                b: Matrix(base: weight + job.weightOffset, rowStride: job.depth, columnStride: 1), c: pixels,
                cRow: job.pitch, accumulate: false, epilogue: .nothing
            ).run()
            if product != Status.ok { return product }
            return FoldChannels(
                job: job, result: result + job.group &* job.channels &* job.shape.input.count,
                bias: bias.map { $0 + job.group &* job.channels }, relu: relu, rows: pixels
            ).run()
        }
    }

    func backwardWeightFew<E: Real>(
        dweight: UnsafeMutablePointer<E>, doutput: UnsafePointer<E>, input: UnsafePointer<E>
    ) -> Int32 {
        unfolded { (job: Unfolded<E>, pixels, gradients) in
            var status = UnfoldChannels(job: job, source: job.images(input), out: pixels).run()
            if status != Status.ok { return status }
            status = TurnFilters(
                job: job, images: UnsafeMutablePointer(mutating: doutput), matrix: gradients, inward: true
            ).run()
            if status != Status.ok { return status }
            return Product<E>(
                rows: job.filters, columns: job.depth, depth: job.pixels,
                a: Matrix(base: gradients, rowStride: 1, columnStride: job.filterPitch),
                b: Matrix(base: pixels, rowStride: job.pitch, columnStride: 1), c: dweight + job.weightOffset,
                cRow: job.depth, accumulate: false, epilogue: .nothing
            ).run()
        }
    }
}
