import CSpinetail

/// Work on planes, each of which can be cut into units.
protocol PlaneKernel {
    var units: Int { get }
    var shape: ConvolutionShape { get }
    func run(_ plane: Int, channel: Int, _ first: Int, _ last: Int)
}

/// Runs a kernel over planes of so many results, several small ones or a part of a large one to each task.
private func overPlanes<Kernel: PlaneKernel>(_ planes: Int, _ elements: Int, _ kernel: Kernel) -> Int32 {
    let bands = Swift.min(kernel.units, pieces(elements, 1 << 16))
    let together = Swift.max(1, divide(1 << 13, by: elements))
    let tasks = bands > 1 ? planes &* bands : pieces(planes, together)
    return parallel(
        tasks, cost: planes &* elements / 4,
        PlaneTask(kernel: kernel, planes: planes, bands: bands, together: together))
}

private struct PlaneTask<Kernel: PlaneKernel>: ParallelTask {
    let kernel: Kernel
    let planes: Int
    let bands: Int
    let together: Int

    func run(_ index: Int, worker: Int) {
        let units = kernel.units
        let depth = kernel.shape.output.d
        let channels = kernel.shape.channels
        if bands > 1 {
            let plane = divide(index, by: bands)
            let band = index &- plane &* bands
            kernel.run(
                plane, channel: remainder(divide(plane, by: depth), by: channels),
                divide(band &* units, by: bands), divide((band &+ 1) &* units, by: bands))
            return
        }
        // A small plane takes no longer than a few divisions.
        var plane = index &* together
        let last = Swift.min(planes, plane &+ together)
        let layer = divide(plane, by: depth)
        var channel = remainder(layer, by: channels)
        var left = depth &- (plane &- layer &* depth)
        while plane < last {
            kernel.run(plane, channel: channel, 0, units)
            plane &+= 1
            left &-= 1
            if left == 0 {
                left = depth
                channel &+= 1
                if channel == channels { channel = 0 }
            }
        }
    }
}

extension ConvolutionShape {
    /// Depthwise with one 3×3 filter a channel, where masked loads are instructions.
    func isSquare<E: Real>(_ type: E.Type) -> Bool {
        Tile<E>.isWide && kernel == Space(1, 3, 3) && dilation.h == 1 && dilation.w == 1 && filters == channels
    }
    var isSame: Bool {
        stride.h == 1 && stride.w == 1 && padding.h == 1 && padding.w == 1 && input == output
    }
    var isHalving: Bool { stride.h == 2 && stride.w == 2 }
}

extension Depthwise {
    /// Runs with the 3×3 filter in registers and no copy of the plane, where there is such a way.
    func runSquare() -> Int32? {
        if !shape.isSquare(E.self) { return nil }
        let extent = backward ? shape.input : shape.output
        let planes = shape.images &* shape.channels &* extent.d
        let elements = extent.h &* extent.w
        if planes == 0 || elements == 0 { return nil }
        if let pairs = PairedPlanes(self) { return pairs.run() }
        if shape.isSame {
            if RowWindows<E>.fit(extent) {
                return overPlanes(planes, elements, WindowPlanes(job: self, windows: RowWindows<E>(extent)))
            }
            guard let memory = Scratch.take(FlatWindows<E>.bytes(extent)) else { return Status.noMemory }
            defer { Scratch.give(memory) }
            return overPlanes(planes, elements, WindowPlanes(job: self, windows: FlatWindows<E>(extent, memory)))
        }
        if !shape.isHalving { return nil }
        if backward {
            if shape.padding.h != 1 || shape.padding.w != 1 { return nil }
            let width = shape.output.w
            guard let memory = Scratch.take(width &* MemoryLayout<E>.size) else { return Status.noMemory }
            defer { Scratch.give(memory) }
            let zeros = memory.assumingMemoryBound(to: E.self)
            fill(zeros, width, 0)
            return overPlanes(planes, elements, SpreadPlanes(job: self, zeros: zeros))
        }
        guard let memory = Scratch.take(StridedWindows<E>.bytes(shape.input, extent)) else { return Status.noMemory }
        defer { Scratch.give(memory) }
        let windows = StridedWindows<E>(shape.input, extent, shape.padding, memory)
        return overPlanes(planes, elements, WindowPlanes(job: self, windows: windows))
    }

    /// A channel's filter, each weight in all lanes, perhaps turned round.
    @inline(__always) func weights(_ channel: Int, turned: Bool) -> InlineArray<9, E.Lanes> {
        var lanes = InlineArray<9, E.Lanes>(repeating: .zero)
        for t in 0..<9 {
            lanes[unchecked: t] = E.Lanes(repeating: weight[channel &* 9 &+ (turned ? 8 &- t : t)])
        }
        return lanes
    }
}

/// Sums of windows, forward or (the filter turned round) to the input of stride 1.
private struct WindowPlanes<W: Windows>: PlaneKernel {
    let job: Depthwise<W.E>
    let windows: W

    var units: Int { windows.units }
    var shape: ConvolutionShape { job.shape }

    func run(_ plane: Int, channel: Int, _ first: Int, _ last: Int) {
        let from = job.backward ? job.shape.output : job.shape.input
        let to = job.backward ? job.shape.input : job.shape.output
        var sums = WindowSums<W.E>(
            weight: job.weights(channel, turned: job.backward),
            start: W.E.Lanes(repeating: job.bias?[channel] ?? 0), relu: job.relu,
            to: job.result + plane &* (to.h &* to.w))
        windows.feed(job.source + plane &* (from.h &* from.w), first, last, &sums)
    }
}

private struct WindowSums<E: Real>: WindowSink {
    let weight: InlineArray<9, E.Lanes>
    let start: E.Lanes
    let relu: Bool
    let to: UnsafeMutablePointer<E>

    @inline(__always) mutating func take(_ window: InlineArray<9, E.Lanes>, _ place: Int, count: Int) {
        var sum = start
        for t in 0..<9 { sum = E.Lanes.fma(weight[unchecked: t], window[unchecked: t], sum) }
        if relu { sum = E.Lanes.max(.zero, sum) }
        if count == E.Lanes.width { sum.store(to + place) } else { sum.store(to + place, count: count) }
    }

    @inline(__always) func fetch(_ place: Int) { spinetail_prefetch_write(to + place) }
}
