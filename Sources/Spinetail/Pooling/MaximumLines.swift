import CSpinetail

/// Max pooling of rows: a line of maxima down the columns that a row of results sees, with -Inf around it, and then maxima
/// along the line. Some lines are made before they are read, since what has just been stored cannot be read at any offset.
struct MaximumLines<E: Real> {
    let shape: PoolingShape
    let together: Int  // lines
    let segment: Int  // results of one line
    let segments: Int  // of a row
    let length: Int  // of a line

    /// Nil for windows that are not of one size, far apart, or wide, or of which one may lie in the padding alone.
    init?(_ shape: PoolingShape) {
        let (w, width) = (shape.w, E.Lanes.width)
        if w.adaptive || w.stride > 2 && w.output > 1 || w.dilation > 1 && w.padding > 0 || w.output < 1 { return nil }
        let reach = (w.kernel &- 1) &* w.dilation
        // Places within a window are counted in the element type, exactly up to 2²⁴.
        let rows =
            Swift.min(shape.d.kernel &* shape.d.dilation, shape.input.d) &* shape.input.h
            &+ Swift.min(shape.h.kernel &* shape.h.dilation, shape.input.h)
        if reach > 4096 || rows &* shape.input.w >= 1 << 24 { return nil }
        self.shape = shape
        segment = Swift.min(shape.output.w, 1024)
        segments = pieces(shape.output.w, segment)
        length = roundUp(segment, width) &* Swift.min(w.stride, 2) &+ roundUp(reach, width) &+ width
        together = Swift.max(1, Swift.min(8, divide(4096, by: length)))
    }

    var bytes: Int { roundUp(2 &* together &* length &* MemoryLayout<E>.size, 64) }
}

/// Where a row of results, or a part of it, begins.
struct PoolingRow<E: Real> {
    var plane: UnsafePointer<E>
    var d: Int
    var h: Int
    var segment = 0

    @inline(__always) mutating func next(_ shape: PoolingShape, _ segments: Int) {
        segment &+= 1
        if segment < segments { return }
        segment = 0
        h &+= 1
        if h < shape.output.h { return }
        h = 0
        d &+= 1
        if d < shape.output.d { return }
        d = 0
        plane += shape.input.count
    }
}

extension MaximumRows {
    func run(_ made: MaximumLines<E>, _ row: Int, _ end: Int, _ values: UnsafeMutablePointer<E>, places: Bool) {
        let labels = values + made.together &* made.length
        var filled = start(row)
        var finished = filled
        var unit = row &* made.segments
        let last = end &* made.segments
        while unit < last {
            let some = Swift.min(made.together, last &- unit)
            var corners = InlineArray<8, Int> { _ in 0 }  // or -1 for lines that are of no use
            var i = 0
            while i < some {
                let line = i &* made.length
                corners[unchecked: i] = fillLine(made, filled, values + line, labels + line, places: places)
                filled.next(shape, made.segments)
                i &+= 1
            }
            i = 0
            while i < some {
                let line = i &* made.length
                let first = finished.segment &* made.segment
                let count = Swift.min(made.segment, shape.output.w &- first)
                let row = divide(unit &+ i, by: made.segments)
                let target = row &* shape.output.w &+ first
                let corner = corners[unchecked: i]
                if corner >= 0 {
                    finish(UnsafePointer(values + line), labels + line, corner, target, count, places: places)
                } else {
                    single(finished, from: first, to: first &+ count, target &- first)
                }
                finished.next(shape, made.segments)
                i &+= 1
            }
            unit &+= some
        }
    }

    /// Returns where the first row begins that a row of results sees; -1 where there is none, or perhaps a NaN.
    @inline(__always)
    private func fillLine(
        _ made: MaximumLines<E>, _ row: PoolingRow<E>, _ line: UnsafeMutablePointer<E>,
        _ labels: UnsafeMutablePointer<E>, places: Bool
    ) -> Int {
        let width = E.Lanes.width
        let (ds, hs) = (shape.d.inside(row.d), shape.h.inside(row.h))
        if ds.from == ds.to || hs.from == hs.to { return -1 }
        let high = shape.h.dilation &* shape.input.w
        let deep = shape.d.dilation &* shape.input.h &* shape.input.w
        let window = WindowElements<E>(
            counts: Space(ds.to &- ds.from, hs.to &- hs.from, 1), steps: Space(deep, high, 0),
            places: (E(deep), E(high), 0))
        let d = shape.d.start(row.d) &+ ds.from &* shape.d.dilation
        let corner = (d &* shape.input.h &+ shape.h.start(row.h) &+ hs.from &* shape.h.dilation) &* shape.input.w
        let p = row.plane + corner
        let begin = row.segment &* made.segment &* shape.w.stride &- shape.w.padding
        let room = begin &+ made.length &- width
        let end = Swift.min(shape.input.w, room)
        var x = Swift.min(Swift.max(0, begin), room)
        var sum = E.Lanes.zero
        // What lies outside is the last of equals.
        border(line, labels, 0, x &- begin, places: places)
        while x < end {
            let to = x &- begin
            if x &+ 2 &* width <= end {
                sum = sum + columns(Vectors<2>.self, window, p, x, width, line + to, labels + to, places: places)
                x &+= 2 &* width
            } else {
                let valid = Swift.min(width, end &- x)
                sum = sum + columns(Vectors<1>.self, window, p, x, valid, line + to, labels + to, places: places)
                x &+= width
            }
        }
        border(line, labels, x &- begin, made.length, places: places)
        return E.Lanes.anyBeyond(sum, E.infinity) ? -1 : corner
    }

    @inline(__always)
    private func border(
        _ line: UnsafeMutablePointer<E>, _ labels: UnsafeMutablePointer<E>, _ from: Int, _ to: Int, places: Bool
    ) {
        if from >= to { return }
        fill(line + from, to &- from, 0 - E.infinity)
        if places { fill(labels + from, to &- from, E(shape.input.w)) }
    }

    @inline(__always)
    private func columns<let vectors: Int>(
        _ some: Vectors<vectors>.Type, _ window: WindowElements<E>, _ p: UnsafePointer<E>, _ x: Int, _ valid: Int,
        _ line: UnsafeMutablePointer<E>, _ labels: UnsafeMutablePointer<E>, places: Bool
    ) -> E.Lanes {
        let width = E.Lanes.width
        var best = InlineArray<vectors, E.Lanes> { _ in .zero }
        var at = InlineArray<vectors, E.Lanes> { _ in .zero }
        let sum = window.maxima(some, p + x, valid, places: places, &best, &at)
        for i in 0..<vectors {
            best[unchecked: i].store(line + i &* width)
            if places {
                let column = E.Lanes.ramp + E.Lanes(repeating: E(x &+ i &* width))
                (at[unchecked: i] + column).store(labels + i &* width)
            }
        }
        return sum
    }

    @inline(__always)
    private func finish(
        _ line: UnsafePointer<E>, _ labels: UnsafePointer<E>, _ corner: Int, _ target: Int, _ count: Int,
        places: Bool
    ) {
        let width = E.Lanes.width
        var x = 0
        while x < count {
            let valid = Swift.min(width, count &- x)
            var p = line + x &* shape.w.stride
            var q = labels + x &* shape.w.stride
            var best = take(p)
            var at = places ? take(q) : .zero
            var k = 1
            while k < shape.w.kernel {
                p += shape.w.dilation
                let value = take(p)
                if places {
                    q += shape.w.dilation
                    let place = take(q)
                    let equal = E.Lanes.select(E.Lanes.equal(best, value), E.Lanes.min(place, at), at)
                    at = E.Lanes.select(E.Lanes.less(best, value), place, equal)
                }
                best = E.Lanes.max(value, best)
                k &+= 1
            }
            best.storeUpTo(output + (target &+ x), valid)
            if places, let indices { at.storeIndices(indices + (target &+ x), base: corner, step: 0, count: valid) }
            x &+= width
        }
    }

    @inline(__always) private func take(_ p: UnsafePointer<E>) -> E.Lanes {
        shape.w.stride == 1 ? .load(p) : .loadSecond(p)
    }
}
