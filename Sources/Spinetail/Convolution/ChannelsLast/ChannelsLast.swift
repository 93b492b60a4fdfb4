import CSpinetail

/// A convolution, or one phase of the gradient to its input, over arrays whose channels lie next to each other in memory:
/// result[pixel, row] = g(bias[row] + Σ over taps and channels of weights[row, channel, tap] · source[pixel seen through the
/// tap, channel]). As a matrix product it has pixels for its rows, which need no transposition, and filters for its columns.
struct ChannelsLast<E: Real> {
    var source: UnsafePointer<E>
    var extent: Space  // of the source
    var step: Space  // source pixels per pixel of the grid
    var images: Int
    var grid: Space
    var taps: UnsafeMutablePointer<Tap>
    var tapCount: Int
    var kernel: Int  // taps that the weights hold
    var groups: Int
    var channels: Int  // of one group
    var rows: Int  // of one group
    var weights: Weights<E>
    var result: UnsafeMutablePointer<E>
    var resultExtent: Space
    var resultStep: Space  // result pixels per pixel of the grid
    var bias: UnsafePointer<E>?
    var relu: Bool
    /// With relu, what results are at most.
    var most = E.infinity
    /// Weights that have been packed before, what is added to results, as they lie, and what is done to them at last.
    var prepared: UnsafePointer<E>? = nil
    var residual: UnsafePointer<E>? = nil
    var finish: Finish<E>? = nil

    @inline(__always) var sourceChannels: Int { groups &* channels }
    @inline(__always) var resultChannels: Int { groups &* rows }
    @inline(__always) var depth: Int { tapCount &* channels }
    @inline(__always) var pixels: Int { images &* grid.count }
    /// Whether the grid's pixels follow each other in the result.
    @inline(__always) var isNatural: Bool { resultStep == .ones && grid == resultExtent }

    /// Element of the result where a pixel of the grid begins.
    @inline(__always) func place(_ image: Int, _ d: Int, _ h: Int, _ w: Int) -> Int {
        let row = (image &* resultExtent.d &+ d &* resultStep.d) &* resultExtent.h &+ h &* resultStep.h
        return (row &* resultExtent.w &+ w &* resultStep.w) &* resultChannels
    }

    func run() -> Int32 {
        if images == 0 || grid.count == 0 || rows == 0 || groups == 0 { return Status.ok }
        if isDepthwise { return runDepthwise() }
        return isPointwise && groups == 1 && prepared == nil ? runProduct() : runBlocks()
    }

    var isDepthwise: Bool { Self.isDepthwise(groups: groups, channels: channels, rows: rows) }
    static func isDepthwise(groups: Int, channels: Int, rows: Int) -> Bool { channels == 1 && rows == 1 && groups > 1 }

    /// Whether it is a 1×1 convolution that takes every pixel.
    var isPointwise: Bool {
        kernel == 1 && tapCount == 1 && step == .ones && isNatural && grid == extent
            && taps.pointee.offset == Space(0, 0, 0)
    }

    /// That is a product of the arrays as they stand.
    private func runProduct() -> Int32 {
        var epilogue = Epilogue<E>.nothing
        epilogue.relu = relu
        if let bias {
            epilogue.bias = .perColumn
            epilogue.values = bias
        }
        return Product<E>(
            rows: pixels, columns: rows, depth: channels,
            a: Matrix(base: source, rowStride: channels, columnStride: 1),
            b: Matrix(base: weights.base, rowStride: weights.channelStride, columnStride: weights.rowStride),
            c: result, cRow: rows, accumulate: false, epilogue: epilogue
        ).run()
    }
}

extension ConvolutionShape {
    func forwardChannelsLast<E: Real>(
        result: UnsafeMutablePointer<E>, source: UnsafePointer<E>, weight: UnsafePointer<E>, bias: UnsafePointer<E>?,
        relu: Bool
    ) -> Int32 {
        withTaps { taps in
            channelsLast(taps, result: result, source: source, weight: weight, bias: bias, relu: relu).run()
        }
    }

    @inline(__always)
    func withTaps(_ body: (UnsafeMutablePointer<Tap>) -> Int32) -> Int32 {
        guard let memory = Scratch.take(kernel.count &* MemoryLayout<Tap>.stride) else { return Status.noMemory }
        defer { Scratch.give(memory) }
        let taps = memory.assumingMemoryBound(to: Tap.self)
        listTaps(into: taps)
        return body(taps)
    }

    func channelsLast<E: Real>(
        _ taps: UnsafeMutablePointer<Tap>, result: UnsafeMutablePointer<E>, source: UnsafePointer<E>,
        weight: UnsafePointer<E>, bias: UnsafePointer<E>?, relu: Bool
    ) -> ChannelsLast<E> {
        let tapCount = kernel.count
        return ChannelsLast<E>(
            source: source, extent: input, step: stride, images: images, grid: output, taps: taps, tapCount: tapCount,
            kernel: tapCount, groups: groups, channels: groupChannels, rows: groupFilters,
            weights: Weights(
                base: weight, groupStride: groupFilters &* groupChannels &* tapCount,
                rowStride: groupChannels &* tapCount, channelStride: tapCount),
            result: result, resultExtent: output, resultStep: .ones, bias: bias, relu: relu)
    }

    /// Input positions that share their remainder by the stride see the same taps: one job for each such phase.
    func backwardChannelsLast<E: Real>(
        result: UnsafeMutablePointer<E>, source: UnsafePointer<E>, weight: UnsafePointer<E>, bias: UnsafePointer<E>?,
        relu: Bool
    ) -> Int32 {
        let kernelCount = kernel.count
        guard let memory = Scratch.take(kernelCount &* MemoryLayout<Tap>.stride) else { return Status.noMemory }
        defer { Scratch.give(memory) }
        let taps = memory.assumingMemoryBound(to: Tap.self)
        var job = ChannelsLast<E>(
            source: source, extent: output, step: .ones, images: images, grid: .ones, taps: taps, tapCount: 0,
            kernel: kernelCount, groups: groups, channels: groupFilters, rows: groupChannels,
            weights: Weights(
                base: weight, groupStride: groupFilters &* groupChannels &* kernelCount, rowStride: kernelCount,
                channelStride: groupChannels &* kernelCount),
            result: result, resultExtent: input, resultStep: stride, bias: bias, relu: relu)
        let phases = Space(
            Swift.min(stride.d, input.d), Swift.min(stride.h, input.h), Swift.min(stride.w, input.w))
        var phase = 0
        while phase < phases.count {
            let w = remainder(phase, by: phases.w)
            let h = remainder(divide(phase, by: phases.w), by: phases.h)
            let d = divide(phase, by: phases.w &* phases.h)
            job.grid = Space(
                pieces(input.d &- d, stride.d), pieces(input.h &- h, stride.h), pieces(input.w &- w, stride.w))
            job.result = result + ((d &* input.h &+ h) &* input.w &+ w) &* channels
            job.tapCount = listTaps(phase: Space(d, h, w), into: taps)
            // Backwards, so that offsets rise and neighbouring taps see neighbouring pixels.
            var i = 0
            while i < job.tapCount / 2 {
                let other = job.tapCount &- 1 &- i
                swap(&taps[i], &taps[other])
                i &+= 1
            }
            let status = job.run()
            if status != Status.ok { return status }
            phase &+= 1
        }
        return Status.ok
    }
}

extension UnsafePointer where Pointee == spinetail_array {
    /// Batch, spatial axes, channels in memory, without gaps; as with `isContiguous`, extents of 1 may have any stride.
    var isChannelsLast: Bool {
        var expected = itemSize
        var axis = 1
        repeat {
            let size = extent(axis)
            if size != 1 && byteStride(axis) != expected { return count == 0 }
            expected = expected &* size
            axis = axis == 1 ? rank &- 1 : axis == 2 ? 0 : axis &- 1
        } while axis > 0
        return extent(0) == 1 || byteStride(0) == expected || count == 0
    }
}
