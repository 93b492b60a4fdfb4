import CSpinetail

/// The gradient of maxima of `MaximumOfHalves`: as long as all places lie in the windows that follow from the extents, whole
/// rows of the input's gradient are written at once, zeros and all.
struct SpreadHalves<E: Real> {
    let shape: PoolingShape
    let tall: Bool
    let narrow: NarrowHalves<E>?

    /// Whether the extents are those of such windows.
    init?(_ shape: PoolingShape) {
        if shape.input.w != 2 &* shape.output.w || shape.input.d != shape.output.d || shape.input.w >= 1 << 23 {
            return nil
        }
        tall = shape.input.h == 2 &* shape.output.h
        if !tall && shape.input.h != shape.output.h { return nil }
        self.shape = shape
        narrow = tall ? NarrowHalves<E>(shape) : nil
    }

    /// Planes `first ..< last`; false, with some rows written, if a place lies elsewhere.
    func spread(_ job: SpreadMaximum<E>, _ first: Int, _ last: Int) -> Bool {
        let w = shape.output.w
        var at = first &* job.outside
        let end = last &* job.outside
        var good = true
        if let narrow {
            let width = E.Lanes.width
            while at &+ width <= end {
                several(narrow, job, at, &good)
                at &+= width
            }
        }
        // Rows: `at` and what is written before it count through all planes, in which rows lie alike.
        var start = remainder(at, by: job.outside)
        while at < end {
            if !good { return false }
            let place = tall ? 4 &* start : 2 &* start
            one(job, at, place: place, &good)
            at &+= w
            start &+= w
            if start == job.outside { start = 0 }
        }
        return good
    }

    /// One row of windows, from element `at` on.
    @inline(__always) private func one(_ job: SpreadMaximum<E>, _ at: Int, place: Int, _ good: inout Bool) {
        let width = E.Lanes.width
        let row = shape.input.w
        let to = job.dinput + (tall ? 4 &* at : 2 &* at)
        let ones = E.Lanes(repeating: 1)
        var wrong = E.Lanes.zero
        var x = 0
        while x < shape.output.w {
            let count = Swift.min(width, shape.output.w &- x)
            let g = E.Lanes.loadUpTo(job.doutput + (at &+ x), count)
            let offset = E.Lanes.loadIndices(
                job.indices + (at &+ x), base: place &+ 2 &* x, step: 2, count: count)
            let a = E.Lanes.equal(offset, .zero)
            let b = E.Lanes.equal(offset, ones)
            var missed = E.Lanes.select(a, .zero, E.Lanes.select(b, .zero, ones))
            store(E.Lanes.select(a, g, .zero), E.Lanes.select(b, g, .zero), to + 2 &* x, count)
            if tall {
                let c = E.Lanes.equal(offset, E.Lanes(repeating: E(row)))
                let d = E.Lanes.equal(offset, E.Lanes(repeating: E(row &+ 1)))
                missed = E.Lanes.select(c, .zero, E.Lanes.select(d, .zero, missed))
                store(E.Lanes.select(c, g, .zero), E.Lanes.select(d, g, .zero), to + (row &+ 2 &* x), count)
            }
            if count == width {
                wrong = wrong + missed
            } else {
                wrong = wrong + E.Lanes.select(E.Lanes.less(.ramp, E.Lanes(repeating: E(count))), missed, .zero)
            }
            x &+= width
        }
        if E.Lanes.anyBeyond(wrong, 0) { good = false }
    }

    /// Takes turns between two vectors of `count` lanes.
    @inline(__always)
    private func store(_ a: E.Lanes, _ b: E.Lanes, _ p: UnsafeMutablePointer<E>, _ count: Int) {
        let width = E.Lanes.width
        if count == width {
            E.Lanes.zipLow(a, b).store(p)
            E.Lanes.zipHigh(a, b).store(p + width)
            return
        }
        E.Lanes.zipLow(a, b).storeUpTo(p, 2 &* count)
        if 2 &* count > width { E.Lanes.zipHigh(a, b).storeUpTo(p + width, 2 &* count &- width) }
    }

    /// A vector of windows in several narrow rows.
    @inline(__always)
    private func several(_ narrow: NarrowHalves<E>, _ job: SpreadMaximum<E>, _ at: Int, _ good: inout Bool) {
        let width = E.Lanes.width
        let row = shape.input.w
        let g = E.Lanes.load(job.doutput + at)
        let base = 4 &* remainder(at, by: job.outside)
        let offset =
            E.Lanes.loadIndices(job.indices + at, base: base, step: 0, count: width) - narrow.ramp
        let ones = E.Lanes(repeating: 1)
        let a = E.Lanes.equal(offset, .zero)
        let b = E.Lanes.equal(offset, ones)
        let c = E.Lanes.equal(offset, E.Lanes(repeating: E(row)))
        let d = E.Lanes.equal(offset, E.Lanes(repeating: E(row &+ 1)))
        let missed = E.Lanes.select(a, .zero, E.Lanes.select(b, .zero, ones))
        if E.Lanes.anyBeyond(E.Lanes.select(c, .zero, E.Lanes.select(d, .zero, missed)), 0) { good = false }
        let (s, t) = (E.Lanes.select(a, g, .zero), E.Lanes.select(b, g, .zero))
        let (u, v) = (E.Lanes.select(c, g, .zero), E.Lanes.select(d, g, .zero))
        let (upperLow, lowerLow) = (E.Lanes.zipLow(s, t), E.Lanes.zipLow(u, v))
        let (upperHigh, lowerHigh) = (E.Lanes.zipHigh(s, t), E.Lanes.zipHigh(u, v))
        let to = job.dinput + 4 &* at
        E.Lanes.permute(upperLow, lowerLow, narrow.top).store(to)
        E.Lanes.permute(upperLow, lowerLow, narrow.bottom).store(to + width)
        E.Lanes.permute(upperHigh, lowerHigh, narrow.top).store(to + 2 &* width)
        E.Lanes.permute(upperHigh, lowerHigh, narrow.bottom).store(to + 3 &* width)
    }
}
