import CSpinetail

extension PoolingShape {
    /// Windows of two elements along the width and one or two rows, side by side: what networks use most.
    var isHalving: Bool {
        !d.adaptive && d.kernel == 1 && d.stride == 1 && d.padding == 0 && w.isHalved
            && (h.isHalved || h.kernel == 1 && h.stride == 1 && h.padding == 0) && w.input < 1 << 23
    }
}

extension PoolingAxis {
    fileprivate var isHalved: Bool {
        kernel == 2 && stride == 2 && padding == 0 && dilation == 1 && 2 &* output <= input
    }
}

/// Two rows of two neighbours each, a vector of windows: their maxima and which of the four they are, the first of equals.
private struct Four<V: Lanes> {
    let a, b, c, d: V

    /// The sum is NaN where an element is, and for opposite infinities.
    @inline(__always) var mayHoldNaN: Bool { V.anyBeyond((a + b) + (c + d), V.Scalar.infinity) }

    /// `below` is the offset of the second row.
    @inline(__always) func maximum(below: V.Scalar) -> (value: V, place: V) {
        let upper = V.max(b, a)
        let lower = V.max(d, c)
        let one = V(repeating: 1)
        let first = V.select(V.less(a, b), one, .zero)
        let row = V(repeating: below)
        let second = V.select(V.less(c, d), row + one, row)
        return (V.max(lower, upper), V.select(V.less(upper, lower), second, first))
    }
}

struct MaximumOfHalves<E: Real>: ParallelTask {
    let shape: PoolingShape
    let output: UnsafeMutablePointer<E>
    let indices: UnsafeMutablePointer<Int32>?
    let input: UnsafePointer<E>
    let rows: Int
    let rowsPerTask: Int

    func run(_ index: Int, worker: Int) {
        var row = index &* rowsPerTask
        let end = Swift.min(rows, row &+ rowsPerTask)
        if let narrow = NarrowHalves<E>(shape) {
            // Planes of even extents follow each other without gaps.
            while row &+ narrow.rows <= end {
                several(narrow, row &* shape.output.w)
                row &+= narrow.rows
            }
        }
        var h = remainder(row, by: shape.output.h)
        var rest = divide(row, by: shape.output.h)
        var d = remainder(rest, by: shape.output.d)
        rest = divide(rest, by: shape.output.d)
        var plane = input + rest &* shape.input.count
        while row < end {
            let first = (d &* shape.input.h &+ h &* shape.h.kernel) &* shape.input.w
            one(plane + first, first, row &* shape.output.w)
            row &+= 1
            h &+= 1
            if h == shape.output.h {
                h = 0
                d &+= 1
                if d == shape.output.d {
                    d = 0
                    plane += shape.input.count
                }
            }
        }
    }

    /// One row of results, from place `first` of its plane on.
    @inline(__always) private func one(_ p: UnsafePointer<E>, _ first: Int, _ target: Int) {
        let width = E.Lanes.width
        let below = shape.h.kernel == 2 ? shape.input.w : 0
        var x = 0
        while x < shape.output.w {
            let count = Swift.min(width, shape.output.w &- x)
            let q = p + 2 &* x
            let four = count == width ? pairs(q, below) : pairs(q, below, 2 &* count)
            finish(four, q, target &+ x, place: first &+ 2 &* x, below, count)
            x &+= width
        }
    }

    /// The results from element `target` on, of several narrow rows.
    @inline(__always) private func several(_ narrow: NarrowHalves<E>, _ target: Int) {
        let width = E.Lanes.width
        let p = input + 4 &* target
        let (v, w) = (E.Lanes.load(p), E.Lanes.load(p + width))
        let (x, y) = (E.Lanes.load(p + 2 &* width), E.Lanes.load(p + 3 &* width))
        let even = (E.Lanes.unzipEven(v, w), E.Lanes.unzipEven(x, y))
        let odd = (E.Lanes.unzipOdd(v, w), E.Lanes.unzipOdd(x, y))
        let four = Four(
            a: E.Lanes.permute(even.0, even.1, narrow.upper), b: E.Lanes.permute(odd.0, odd.1, narrow.upper),
            c: E.Lanes.permute(even.0, even.1, narrow.lower), d: E.Lanes.permute(odd.0, odd.1, narrow.lower))
        let base = 4 &* remainder(target, by: shape.output.count)
        let result = four.maximum(below: E(shape.input.w))
        if four.mayHoldNaN {
            var i = 0
            while i < width {
                let at = target &+ i
                let plane = divide(at, by: shape.output.count)
                let inside = at &- plane &* shape.output.count
                let x = remainder(inside, by: shape.output.w)
                let place = 4 &* inside &- 2 &* x
                careful(input + (plane &* shape.input.count &+ place), place, at, shape.input.w)
                i &+= 1
            }
            return
        }
        result.value.store(output + target)
        if let indices {
            (result.place + narrow.ramp).storeIndices(indices + target, base: base, step: 0, count: width)
        }
    }

    @inline(__always)
    private func finish(
        _ four: Four<E.Lanes>, _ p: UnsafePointer<E>, _ target: Int, place: Int, _ below: Int, _ count: Int
    ) {
        if four.mayHoldNaN {
            var i = 0
            while i < count {
                careful(p + 2 &* i, place &+ 2 &* i, target &+ i, below)
                i &+= 1
            }
            return
        }
        let result = four.maximum(below: E(below))
        result.value.storeUpTo(output + target, count)
        if let indices { result.place.storeIndices(indices + target, base: place, step: 2, count: count) }
    }

    @inline(__always) private func pairs(_ p: UnsafePointer<E>, _ below: Int) -> Four<E.Lanes> {
        let width = E.Lanes.width
        let (v, w) = (E.Lanes.load(p), E.Lanes.load(p + width))
        let (x, y) = (E.Lanes.load(p + below), E.Lanes.load(p + (below &+ width)))
        return Four(a: .unzipEven(v, w), b: .unzipOdd(v, w), c: .unzipEven(x, y), d: .unzipOdd(x, y))
    }

    /// The same, reading `count` elements of a row.
    @inline(__always) private func pairs(_ p: UnsafePointer<E>, _ below: Int, _ count: Int) -> Four<E.Lanes> {
        let width = E.Lanes.width
        let v = E.Lanes.loadUpTo(p, count)
        let w = E.Lanes.loadUpTo(p + width, count &- width)
        let x = E.Lanes.loadUpTo(p + below, count)
        let y = E.Lanes.loadUpTo(p + (below &+ width), count &- width)
        return Four(a: .unzipEven(v, w), b: .unzipOdd(v, w), c: .unzipEven(x, y), d: .unzipOdd(x, y))
    }

    /// One window that may hold NaN: the last NaN wins, else the first of the largest.
    private func careful(_ p: UnsafePointer<E>, _ place: Int, _ target: Int, _ below: Int) {
        var best = p[0]
        var at = 0
        for i in 1..<4 {
            let offset = (i & 1) &+ (i >> 1) &* below
            if below == 0 && i > 1 { break }
            if p[offset] > best || p[offset].isNaN {
                best = p[offset]
                at = offset
            }
        }
        output[target] = best
        if let indices { indices[target] = Int32(truncatingIfNeeded: place &+ at) }
    }
}

/// Where rows of results fill a vector several times: a vector of results takes four vectors of input.
struct NarrowHalves<E: Real> {
    let rows: Int  // of results in a vector
    let upper, lower: E.Lanes.Mask  // places of the windows' rows among unzipped elements
    let top, bottom: E.Lanes.Mask  // places of the input's elements among zipped windows' rows
    let ramp: E.Lanes  // places in the plane, from a multiple of the width on

    init?(_ shape: PoolingShape) {
        let width = E.Lanes.width
        let w = shape.output.w
        let count = shape.output.count
        if w >= width || remainder(width, by: w) != 0 || shape.input.w != 2 &* w
            || shape.input.h != 2 &* shape.output.h || shape.input.d != shape.output.d
            || remainder(count, by: width) != 0 && remainder(width, by: count) != 0
        {
            return nil
        }
        rows = divide(width, by: w)
        var tables = InlineArray<4, InlineArray<16, Int32>>(repeating: InlineArray<16, Int32>(repeating: 0))
        var places = InlineArray<16, E>(repeating: 0)
        var i = 0
        while i < width {
            let x = remainder(i, by: w)
            let lane = i &- x &+ i
            tables[unchecked: 0][unchecked: i] = Int32(truncatingIfNeeded: lane)
            tables[unchecked: 1][unchecked: i] = Int32(truncatingIfNeeded: lane &+ w)
            tables[unchecked: 2][unchecked: i] = Self.zipped(i, w)
            tables[unchecked: 3][unchecked: i] = Self.zipped(width &+ i, w)
            places[unchecked: i] = E(4 &* remainder(i, by: count) &- 2 &* x)
            i &+= 1
        }
        upper = Self.table(tables[unchecked: 0])
        lower = Self.table(tables[unchecked: 1])
        top = Self.table(tables[unchecked: 2])
        bottom = Self.table(tables[unchecked: 3])
        ramp = withUnsafePointer(to: &places) { .load(UnsafeRawPointer($0).assumingMemoryBound(to: E.self)) }
    }

    /// Where element `index` of the input is among the zipped upper rows of windows and the lower ones behind them.
    private static func zipped(_ index: Int, _ w: Int) -> Int32 {
        let row = divide(index, by: 2 &* w)
        let column = index &- row &* 2 &* w
        return Int32(truncatingIfNeeded: (row >> 1) &* 2 &* w &+ column &+ (row & 1) &* E.Lanes.width)
    }

    private static func table(_ values: InlineArray<16, Int32>) -> E.Lanes.Mask {
        withUnsafePointer(to: values) { E.Lanes.places(UnsafeRawPointer($0).assumingMemoryBound(to: Int32.self)) }
    }
}
