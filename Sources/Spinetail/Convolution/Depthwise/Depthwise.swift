import CSpinetail

/// Convolution of each channel on its own, and its gradient to the input: result rows as sums of shifted rows of a padded
/// plane, vectors along the width. `result` and `source` are what the names say in either direction.
struct Depthwise<E: Real> {
    let shape: ConvolutionShape
    let result: UnsafeMutablePointer<E>
    let source: UnsafePointer<E>
    let weight: UnsafePointer<E>
    let bias: UnsafePointer<E>?
    let relu: Bool
    let backward: Bool
}

extension Depthwise {
    func run() -> Int32 {
        if let status = runSquare() { return status }
        let extent = backward ? shape.input : shape.output
        let step = backward ? Space.ones : shape.stride
        let plane = DepthwisePlane<E>(
            result: extent, kernel: shape.kernel, dilation: shape.dilation, stepH: step.h, stepW: step.w)
        let workers = workerLimit()
        let offsetBytes = roundUp(shape.kernel.count &* 8, 64)
        guard let scratch = Scratch.take(offsetBytes &+ workers &* plane.bytes) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        let offsets = scratch.assumingMemoryBound(to: Int.self)
        plane.listOffsets(shape.dilation, flipped: backward, into: offsets)
        let tasks = shape.images &* shape.groups &* extent.d &* plane.bands
        return parallel(
            tasks, cost: shape.images &* shape.filters &* extent.count &* (shape.kernel.count &+ 4) / 32,
            workers: workers,
            DepthwiseBand(
                job: self, plane: plane, extent: extent, offsets: UnsafePointer(offsets),
                scratch: scratch + offsetBytes))
    }
}

private struct DepthwiseBand<E: Real>: ParallelTask {
    let job: Depthwise<E>
    let plane: DepthwisePlane<E>
    let extent: Space
    let offsets: UnsafePointer<Int>
    let scratch: UnsafeMutableRawPointer

    func run(_ index: Int, worker: Int) {
        let band = remainder(index, by: plane.bands)
        var rest = divide(index, by: plane.bands)
        let d = remainder(rest, by: extent.d)
        rest = divide(rest, by: extent.d)
        let channel = remainder(rest, by: job.shape.groups)
        let image = divide(rest, by: job.shape.groups)
        let first = band &* plane.rows
        let rows = Swift.min(plane.rows, extent.h &- first)
        let padded = (scratch + worker &* plane.bytes).assumingMemoryBound(to: E.self)
        let multiplier = job.shape.groupFilters
        let taps = job.shape.kernel.count
        let area = extent.h &* extent.w
        let shape = job.shape

        if !job.backward {
            let from =
                job.source + ((image &* shape.channels &+ channel) &* shape.input.d &+ d)
                &* (shape.input.h &* shape.input.w)
            plane.load(
                from, shape.input, top: shape.padding.h, left: shape.padding.w, first: first &* plane.stepH, padded)
            var m = 0
            while m < multiplier {
                let filter = channel &* multiplier &+ m
                let to =
                    job.result + (((image &* shape.filters &+ filter) &* extent.d &+ d) &* area &+ first &* extent.w)
                sum(
                    padded, job.weight + filter &* taps, to, rows: rows, start: job.bias?[filter] ?? 0, onto: false,
                    relu: job.relu)
                m &+= 1
            }
            return
        }
        let to = job.result + (((image &* shape.channels &+ channel) &* extent.d &+ d) &* area &+ first &* extent.w)
        var m = 0
        while m < multiplier {
            let filter = channel &* multiplier &+ m
            let from =
                job.source + ((image &* shape.filters &+ filter) &* shape.output.d &+ d)
                &* (shape.output.h &* shape.output.w)
            plane.loadSpread(
                from, shape.output, stride: shape.stride,
                top: (shape.kernel.h &- 1) &* shape.dilation.h &- shape.padding.h,
                left: (shape.kernel.w &- 1) &* shape.dilation.w &- shape.padding.w, first: first, padded)
            sum(
                padded, job.weight + filter &* taps, to, rows: rows, start: job.bias?[channel] ?? 0, onto: m > 0,
                relu: job.relu && m &+ 1 == multiplier)
            m &+= 1
        }
    }

    /// Four vectors of the result at a time, in whatever rows they lie.
    private func sum(
        _ padded: UnsafePointer<E>, _ weight: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>, rows: Int, start: E,
        onto: Bool, relu: Bool
    ) {
        let vectors = rows &* pieces(extent.w, E.Lanes.width)
        let taps = job.shape.kernel.count
        let begin = E.Lanes(repeating: start)
        var place = Place(from: padded, to: to, left: extent.w)
        var v = 0
        while v < vectors {
            // Past the last vector the place stays where it is, with nothing left to store.
            let p = place
            advance(&place, stay: v &+ 1 >= vectors)
            let q = place
            advance(&place, stay: v &+ 2 >= vectors)
            let r = place
            advance(&place, stay: v &+ 3 >= vectors)
            let s = place
            advance(&place, stay: v &+ 4 >= vectors)
            var a = begin
            var b = begin
            var c = begin
            var d = begin
            if onto {
                a = part(p.to, p.left)
                b = part(q.to, q.left)
                c = part(r.to, r.left)
                d = part(s.to, s.left)
            }
            var t = 0
            while t < taps {
                let value = E.Lanes(repeating: weight[t])
                let offset = offsets[t]
                a = E.Lanes.fma(value, .load(p.from + offset), a)
                b = E.Lanes.fma(value, .load(q.from + offset), b)
                c = E.Lanes.fma(value, .load(r.from + offset), c)
                d = E.Lanes.fma(value, .load(s.from + offset), d)
                t &+= 1
            }
            if relu {
                a = E.Lanes.max(.zero, a)
                b = E.Lanes.max(.zero, b)
                c = E.Lanes.max(.zero, c)
                d = E.Lanes.max(.zero, d)
            }
            put(a, p.to, p.left)
            put(b, q.to, q.left)
            put(c, r.to, r.left)
            put(d, s.to, s.left)
            v &+= 4
        }
    }

    /// Where a vector of the result is read and written, and how many elements its row has from there on.
    private struct Place {
        var from: UnsafePointer<E>
        var to: UnsafeMutablePointer<E>
        var left: Int
    }

    @inline(__always) private func advance(_ place: inout Place, stay: Bool) {
        let width = E.Lanes.width
        if stay {
            place.left = 0
        } else if place.left > width {
            place.from += width
            place.to += width
            place.left &-= width
        } else {
            place.from += plane.stepH &* plane.row &+ place.left &- extent.w
            place.to += place.left
            place.left = extent.w
        }
    }

    @inline(__always) private func part(_ p: UnsafePointer<E>, _ count: Int) -> E.Lanes {
        if count <= 0 { return .zero }
        return count >= E.Lanes.width ? .load(p) : .load(p, count: count, fill: 0)
    }

    @inline(__always) private func put(_ value: E.Lanes, _ p: UnsafeMutablePointer<E>, _ count: Int) {
        if count <= 0 { return }
        if count >= E.Lanes.width { value.store(p) } else { value.store(p, count: count) }
    }
}
