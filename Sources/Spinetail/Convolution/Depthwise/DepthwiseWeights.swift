import CSpinetail

/// The gradient to depthwise weights: for each filter and kernel position the product of doutput's plane with the padded
/// plane shifted. Images go to a few partial sums, whose number depends on the shape alone.
struct DepthwiseWeights<E: Real> {
    let shape: ConvolutionShape
    let dweight: UnsafeMutablePointer<E>
    let doutput: UnsafePointer<E>
    let input: UnsafePointer<E>
}

extension DepthwiseWeights {
    func run() -> Int32 {
        if let status = runSquare() { return status }
        let plane = DepthwisePlane<E>(
            result: shape.output, kernel: shape.kernel, dilation: shape.dilation, stepH: shape.stride.h,
            stepW: shape.stride.w)
        let taps = shape.kernel.count
        let parts = Swift.min(shape.images, pieces(8, shape.groups))
        let workers = workerLimit()
        let offsetBytes = roundUp(taps &* 8, 64)
        let sumBytes = roundUp(parts &* shape.filters &* taps &* MemoryLayout<E>.size, 64)
        guard let scratch = Scratch.take(offsetBytes &+ sumBytes &+ workers &* plane.bytes) else {
            return Status.noMemory
        }
        defer { Scratch.give(scratch) }
        let offsets = scratch.assumingMemoryBound(to: Int.self)
        plane.listOffsets(shape.dilation, flipped: false, into: offsets)
        let sums = (scratch + offsetBytes).assumingMemoryBound(to: E.self)
        let status = parallel(
            parts &* shape.groups,
            cost: shape.images &* shape.filters &* shape.output.count &* (taps &+ 4) / 32, workers: workers,
            SumPlanes(
                job: self, plane: plane, offsets: UnsafePointer(offsets), parts: parts, sums: sums,
                scratch: scratch + (offsetBytes &+ sumBytes)))
        if status != Status.ok { return status }
        let count = shape.filters &* taps
        var i = 0
        while i < count {
            var total = sums[i]
            var p = 1
            while p < parts {
                total = total + sums[p &* count &+ i]
                p &+= 1
            }
            dweight[i] = total
            i &+= 1
        }
        return Status.ok
    }
}

private struct SumPlanes<E: Real>: ParallelTask {
    let job: DepthwiseWeights<E>
    let plane: DepthwisePlane<E>
    let offsets: UnsafePointer<Int>
    let parts: Int
    let sums: UnsafeMutablePointer<E>
    let scratch: UnsafeMutableRawPointer

    func run(_ index: Int, worker: Int) {
        let shape = job.shape
        let channel = remainder(index, by: shape.groups)
        let number = divide(index, by: shape.groups)
        let multiplier = shape.groupFilters
        let taps = shape.kernel.count
        let sum = sums + (number &* shape.filters &+ channel &* multiplier) &* taps
        let padded = (scratch + worker &* plane.bytes).assumingMemoryBound(to: E.self)
        let area = shape.output.h &* shape.output.w
        fill(sum, multiplier &* taps, 0)
        var image = divide(number &* shape.images, by: parts)
        let lastImage = divide((number &+ 1) &* shape.images, by: parts)
        while image < lastImage {
            var d = 0
            while d < shape.output.d {
                let from =
                    job.input + ((image &* shape.channels &+ channel) &* shape.input.d &+ d)
                    &* (shape.input.h &* shape.input.w)
                var first = 0
                while first < shape.output.h {
                    let rows = Swift.min(plane.rows, shape.output.h &- first)
                    plane.load(
                        from, shape.input, top: shape.padding.h, left: shape.padding.w, first: first &* plane.stepH,
                        padded)
                    var m = 0
                    while m < multiplier {
                        let filter = channel &* multiplier &+ m
                        let dy =
                            job.doutput
                            + (((image &* shape.filters &+ filter) &* shape.output.d &+ d) &* area &+ first
                                &* shape.output.w)
                        add(padded, dy, rows: rows, to: sum + m &* taps)
                        m &+= 1
                    }
                    first &+= plane.rows
                }
                d &+= 1
            }
            image &+= 1
        }
    }

    private func add(_ padded: UnsafePointer<E>, _ dy: UnsafePointer<E>, rows: Int, to sum: UnsafeMutablePointer<E>) {
        let taps = job.shape.kernel.count
        var t = 0
        while t < taps {
            if taps &- t > 3 {
                add(Several<9>(), padded, dy, rows: rows, first: t, to: sum)
                t &+= 9
            } else {
                add(Several<3>(), padded, dy, rows: rows, first: t, to: sum)
                t &+= 3
            }
        }
    }

    /// How many kernel positions are summed side by side.
    private struct Several<let count: Int> {}

    @inline(__always)
    private func add<let count: Int>(
        _ several: Several<count>, _ padded: UnsafePointer<E>, _ dy: UnsafePointer<E>, rows: Int, first: Int,
        to sum: UnsafeMutablePointer<E>
    ) {
        let width = E.Lanes.width
        let extent = job.shape.output.w
        let last = job.shape.kernel.count &- 1
        var totals = InlineArray<count, E.Lanes>(repeating: .zero)
        var at = InlineArray<count, Int>(repeating: 0)
        for i in 0..<count { at[unchecked: i] = offsets[Swift.min(first &+ i, last)] }
        var y = 0
        while y < rows {
            let line = padded + y &* plane.stepH &* plane.row
            let grad = dy + y &* extent
            var x = 0
            while x &+ width <= extent {
                let g = E.Lanes.load(grad + x)
                for i in 0..<count {
                    totals[unchecked: i] = E.Lanes.fma(g, .load(line + (x &+ at[unchecked: i])), totals[unchecked: i])
                }
                x &+= width
            }
            if x < extent {
                let rest = extent &- x
                let g = E.Lanes.load(grad + x, count: rest, fill: 0)
                for i in 0..<count {
                    totals[unchecked: i] = E.Lanes.fma(
                        g, .load(line + (x &+ at[unchecked: i]), count: rest, fill: 0), totals[unchecked: i])
                }
            }
            y &+= 1
        }
        for i in 0..<count {
            if first &+ i <= last { sum[first &+ i] = sum[first &+ i] + totals[unchecked: i].sum() }
        }
    }
}
