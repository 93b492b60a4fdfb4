import CSpinetail

/// Average pooling of arrays with channels last: lanes are channels. Rows of results of all images are shared out; each
/// result adds up what it sees, forward pixels of its window, backward the windows that see it, each divided.
struct ChannelsLastAverage<E: Real>: ParallelTask {
    let shape: PoolingShape
    let backward: Bool
    let result: UnsafeMutablePointer<E>
    let source: UnsafePointer<E>
    let rows: Int
    let rowsPerTask: Int

    static func run(
        _ shape: PoolingShape, backward: Bool, result: UnsafeMutablePointer<E>, source: UnsafePointer<E>
    ) -> Int32 {
        let results = backward ? shape.input : shape.output
        let rows = shape.images &* results.d &* results.h
        let sums =
            backward
            ? Swift.max(1, divide(shape.output.count &* shape.windowWork, by: shape.input.count))
            : shape.windowWork
        let perRow = results.w &* shape.channels &* (sums &+ 2)
        let rowsPerTask = Swift.max(1, divide(1 << 16, by: perRow))
        return parallel(
            pieces(rows, rowsPerTask), cost: rows &* perRow / 8,
            ChannelsLastAverage(
                shape: shape, backward: backward, result: result, source: source, rows: rows, rowsPerTask: rowsPerTask))
    }

    func run(_ index: Int, worker: Int) {
        let results = backward ? shape.input : shape.output
        let sources = backward ? shape.output : shape.input
        var row = index &* rowsPerTask
        let end = Swift.min(rows, row &+ rowsPerTask)
        while row < end {
            let layer = divide(row, by: results.h)
            let h = row &- layer &* results.h
            let image = divide(layer, by: results.d)
            let d = layer &- image &* results.d
            let from = source + image &* sources.count &* shape.channels
            var to = result + row &* results.w &* shape.channels
            let (ds, hs) = (axis(shape.d, d), axis(shape.h, h))
            var w = 0
            while w < results.w {
                if backward { gather(from, to, ds, hs, axis(shape.w, w)) } else { average(from, to, d, h, w, ds, hs) }
                to += shape.channels
                w &+= 1
            }
            row &+= 1
        }
    }

    /// What a result sees along an axis: positions of the input, or windows.
    @inline(__always) private func axis(_ axis: PoolingAxis, _ index: Int) -> (from: Int, to: Int) {
        if backward { return axis.seeing(index) }
        if axis.adaptive {
            let first = axis.start(index)
            return (first, first &+ axis.inside(index).to)
        }
        return axis.seen(index)
    }

    @inline(__always)
    private func average(
        _ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>, _ d: Int, _ h: Int, _ w: Int,
        _ ds: (from: Int, to: Int), _ hs: (from: Int, to: Int)
    ) {
        let width = E.Lanes.width
        let ws = axis(shape.w, w)
        let seen = (ds.to &- ds.from) &* (hs.to &- hs.from) &* (ws.to &- ws.from)
        let divisor = E.Lanes(repeating: E(shape.divisor(d, h, w, seen: seen)))
        var c = 0
        while c < shape.channels {
            let count = Swift.min(width, shape.channels &- c)
            var sum = E.Lanes.zero
            var y = ds.from
            while y < ds.to {
                var x = hs.from
                while x < hs.to {
                    let line = from + (((y &* shape.input.h &+ x) &* shape.input.w &+ ws.from) &* shape.channels &+ c)
                    sum = sum + add(line, ws.to &- ws.from, count)
                    x &+= 1
                }
                y &+= 1
            }
            (sum / divisor).storeUpTo(to + c, count)
            c &+= width
        }
    }

    /// The sum of neighbouring pixels' lanes.
    @inline(__always) private func add(_ line: UnsafePointer<E>, _ pixels: Int, _ count: Int) -> E.Lanes {
        var sum = E.Lanes.zero
        var p = line
        var i = 0
        if count == E.Lanes.width {
            while i < pixels {
                sum = sum + .load(p)
                p += shape.channels
                i &+= 1
            }
            return sum
        }
        while i < pixels {
            sum = sum + .load(p, count: count, fill: 0)
            p += shape.channels
            i &+= 1
        }
        return sum
    }

    @inline(__always)
    private func gather(
        _ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>, _ ds: (from: Int, to: Int), _ hs: (from: Int, to: Int),
        _ ws: (from: Int, to: Int)
    ) {
        let width = E.Lanes.width
        fill(to, shape.channels, 0)
        var y = ds.from
        while y < ds.to {
            var x = hs.from
            while x < hs.to {
                var w = ws.from
                while w < ws.to {
                    let line = from + ((y &* shape.output.h &+ x) &* shape.output.w &+ w) &* shape.channels
                    let divisor = E.Lanes(repeating: E(shape.divisor(y, x, w, seen: seen(y, x, w))))
                    var c = 0
                    while c < shape.channels {
                        let count = Swift.min(width, shape.channels &- c)
                        let share = E.Lanes.loadUpTo(line + c, count) / divisor
                        (E.Lanes.loadUpTo(UnsafePointer(to) + c, count) + share).storeUpTo(to + c, count)
                        c &+= width
                    }
                    w &+= 1
                }
                x &+= 1
            }
            y &+= 1
        }
    }

    /// How many elements window (d, h, w) sees.
    @inline(__always) private func seen(_ d: Int, _ h: Int, _ w: Int) -> Int {
        let (ds, hs, ws) = (shape.d.inside(d), shape.h.inside(h), shape.w.inside(w))
        return (ds.to &- ds.from) &* (hs.to &- hs.from) &* (ws.to &- ws.from)
    }
}
