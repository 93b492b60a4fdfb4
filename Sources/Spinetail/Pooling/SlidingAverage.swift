import CSpinetail

extension PoolingShape {
    /// Windows of one size that make lines of reasonable length.
    var slides: Bool {
        !d.adaptive && d.dilation == 1 && h.dilation == 1 && w.dilation == 1 && w.padding <= w.kernel
            && w.kernel <= 2 &* w.input &+ 16 && (w.output &- 1) &* w.stride < w.input &+ w.padding
    }

    /// What the sums of a row of windows are divided by, apart from each window's own part, which `columnDivisor` gives.
    @inline(__always) func rowDivisor(_ d: Int, _ h: Int) -> Int {
        if divisor != 0 { return divisor }
        if countPadding { return self.d.counted(d) &* self.h.counted(h) }
        let (ds, hs) = (self.d.seen(d), self.h.seen(h))
        return (ds.to &- ds.from) &* (hs.to &- hs.from)
    }

    @inline(__always) func columnDivisor(_ w: Int) -> Int {
        if divisor != 0 { return 1 }
        if countPadding { return self.w.counted(w) }
        let ws = self.w.seen(w)
        return ws.to &- ws.from
    }
}

/// Average pooling with windows of one size, and its gradient. Each row of results is made from a line: the sums down the
/// columns of all rows of the source that it sees, with zeros around them. Then windows are summed along the line. Several
/// lines take turns, so that what is read at any offset has been stored for long.
struct SlidingAverage<E: Real>: ParallelTask {
    let shape: PoolingShape
    let backward: Bool
    let result: UnsafeMutablePointer<E>
    let source: UnsafePointer<E>
    let rows: Int  // of results, in all planes
    let rowsPerTask: Int
    let line: Int  // elements of a line
    let divisors: UnsafePointer<E>  // of the columns of windows, ones behind them
    let scratch: UnsafeMutablePointer<E>

    private static var lines: Int { 8 }

    static func run(
        _ shape: PoolingShape, backward: Bool, result: UnsafeMutablePointer<E>, source: UnsafePointer<E>
    ) -> Int32 {
        let width = E.Lanes.width
        let (input, output) = (shape.w.input, shape.w.output)
        let columns = roundUp(output, width)
        let reach = shape.w.stride <= 2 ? columns &* shape.w.stride : (output &- 1) &* shape.w.stride
        let forwards = Swift.max(shape.w.padding &+ input, reach &+ shape.w.kernel)
        let backwards = Swift.max(reach, roundUp(input, width)) &+ 2 &* shape.w.kernel
        let line = roundUp(Swift.max(forwards, backwards) &+ 2 &* width, width)
        let workers = workerLimit()
        let elements = columns &+ workers &* (lines &+ 1) &* line
        guard let memory = Scratch.take(elements &* MemoryLayout<E>.size) else { return Status.noMemory }
        defer { Scratch.give(memory) }
        let divisors = memory.assumingMemoryBound(to: E.self)
        var x = 0
        while x < columns {
            (divisors + x).initialize(to: x < output ? E(shape.columnDivisor(x)) : 1)
            x &+= 1
        }
        let results = backward ? shape.input : shape.output
        let rows = shape.planes &* results.d &* results.h
        let down =
            backward
            ? pieces(shape.d.kernel, shape.d.stride) &* pieces(shape.h.kernel, shape.h.stride)
            : shape.d.kernel &* shape.h.kernel
        let perRow = results.w &* shape.w.kernel &+ Swift.min(down, 1 << 20) &* (backward ? output : input) &+ 64
        let rowsPerTask = Swift.max(1, divide(1 << 17, by: perRow))
        return parallel(
            pieces(rows, rowsPerTask), cost: rows &* perRow / 16, workers: workers,
            SlidingAverage(
                shape: shape, backward: backward, result: result, source: source, rows: rows, rowsPerTask: rowsPerTask,
                line: line, divisors: UnsafePointer(divisors), scratch: divisors + columns))
    }

    func run(_ index: Int, worker: Int) {
        let memory = scratch + worker &* (Self.lines &+ 1) &* line
        fill(memory, (Self.lines &+ 1) &* line, 0)
        let results = backward ? shape.input : shape.output
        let planeElements = backward ? shape.output.count : shape.input.count
        var row = index &* rowsPerTask
        let end = Swift.min(rows, row &+ rowsPerTask)
        var h = remainder(row, by: results.h)
        let layer = divide(row, by: results.h)
        var d = remainder(layer, by: results.d)
        var plane = source + divide(layer, by: results.d) &* planeElements
        var factors = InlineArray<8, E>(repeating: 1)
        while row < end {
            let count = Swift.min(Self.lines, end &- row)
            var i = 0
            while i < count {
                let to = memory + i &* line
                if backward {
                    collect(plane, d, h, to, spare: memory + Self.lines &* line)
                } else {
                    collect(plane, d, h, to)
                    factors[unchecked: i] = E(shape.rowDivisor(d, h))
                }
                h &+= 1
                if h == results.h {
                    h = 0
                    d &+= 1
                    if d == results.d {
                        d = 0
                        plane += planeElements
                    }
                }
                i &+= 1
            }
            i = 0
            while i < count {
                let from = UnsafePointer(memory + i &* line)
                let to = result + (row &+ i) &* results.w
                if backward {
                    sum(from + Swift.max(0, shape.w.padding &+ 1 &- shape.w.kernel), to)
                } else {
                    average(from, to, factors[unchecked: i])
                }
                i &+= 1
            }
            row &+= count
        }
    }

    // MARK: - Down the columns

    /// The rows of the input that windows (d, h, …) see.
    @inline(__always)
    private func collect(_ plane: UnsafePointer<E>, _ d: Int, _ h: Int, _ line: UnsafeMutablePointer<E>) {
        let (ds, hs) = (shape.d.seen(d), shape.h.seen(h))
        let first = plane + (ds.from &* shape.input.h &+ hs.from) &* shape.input.w
        total(first, ds.to &- ds.from, hs.to &- hs.from, shape.input, line + shape.w.padding)
    }

    /// The rows of the output's gradient whose windows see row (d, h) of the input, each divided, and spread by the stride.
    @inline(__always)
    private func collect(
        _ plane: UnsafePointer<E>, _ d: Int, _ h: Int, _ line: UnsafeMutablePointer<E>, spare: UnsafeMutablePointer<E>
    ) {
        let (ds, hs) = (shape.d.seeing(d), shape.h.seeing(h))
        let margin = Swift.max(0, shape.w.kernel &- 1 &- shape.w.padding)
        let stride = shape.w.stride
        let to = stride == 1 ? line + margin : spare
        if ds.from >= ds.to || hs.from >= hs.to { return fill(line + margin, (shape.output.w &- 1) &* stride &+ 1, 0) }
        let first = plane + (ds.from &* shape.output.h &+ hs.from) &* shape.output.w
        let factor = shape.rowDivisor(ds.from, hs.from)
        var alike = true
        var y = ds.from
        while y < ds.to {
            var x = hs.from
            while x < hs.to {
                if shape.rowDivisor(y, x) != factor { alike = false }
                x &+= 1
            }
            y &+= 1
        }
        if alike {
            total(first, ds.to &- ds.from, hs.to &- hs.from, shape.output, to, divisor: E(factor))
        } else {
            fill(to, shape.output.w, 0)
            y = ds.from
            while y < ds.to {
                var x = hs.from
                while x < hs.to {
                    let row = plane + (y &* shape.output.h &+ x) &* shape.output.w
                    total(row, 1, 1, shape.output, to, divisor: E(shape.rowDivisor(y, x)), onto: true)
                    x &+= 1
                }
                y &+= 1
            }
        }
        if stride > 1 { spread(UnsafePointer(spare), line + margin) }
    }

    /// Sums down `layers` × `rows` rows of planes of the extent, divided by the columns' divisors and `divisor` if there is one.
    @inline(__always)
    private func total(
        _ first: UnsafePointer<E>, _ layers: Int, _ rows: Int, _ extent: Space, _ to: UnsafeMutablePointer<E>,
        divisor: E? = nil, onto: Bool = false
    ) {
        let width = E.Lanes.width
        var x = 0
        while x < extent.w {
            let count = Swift.min(width, extent.w &- x)
            var sum = E.Lanes.zero
            var layer = first + x
            var y = 0
            while y < layers {
                var p = layer
                var k = 0
                if count == width {
                    while k < rows {
                        sum = sum + .load(p)
                        p += extent.w
                        k &+= 1
                    }
                } else {
                    while k < rows {
                        sum = sum + .load(p, count: count, fill: 0)
                        p += extent.w
                        k &+= 1
                    }
                }
                layer += extent.h &* extent.w
                y &+= 1
            }
            if let divisor { sum = sum / (E.Lanes.load(divisors + x) * E.Lanes(repeating: divisor)) }
            if onto { sum = sum + E.Lanes.loadUpTo(UnsafePointer(to) + x, count) }
            sum.storeUpTo(to + x, count)
            x &+= width
        }
    }

    /// Elements `stride` apart, with the zeros between them that are there.
    @inline(__always) private func spread(_ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>) {
        let width = E.Lanes.width
        var x = 0
        if shape.w.stride == 2 {
            while x < shape.output.w {
                let value = E.Lanes.loadUpTo(from + x, shape.output.w &- x)
                E.Lanes.zipLow(value, .zero).store(to + 2 &* x)
                E.Lanes.zipHigh(value, .zero).store(to + (2 &* x &+ width))
                x &+= width
            }
            return
        }
        while x < shape.output.w {
            to[x &* shape.w.stride] = from[x]
            x &+= 1
        }
    }

    // MARK: - Along a line

    /// The input's gradient: sums of windows of a line, one at each element.
    @inline(__always) private func sum(_ line: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>) {
        let width = E.Lanes.width
        var x = 0
        while x < shape.input.w {
            var sum = E.Lanes.load(line + x)
            var k = 1
            while k < shape.w.kernel {
                sum = sum + .load(line + (x &+ k))
                k &+= 1
            }
            sum.storeUpTo(to + x, shape.input.w &- x)
            x &+= width
        }
    }

    @inline(__always) private func average(_ line: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>, _ factor: E) {
        let width = E.Lanes.width
        let factors = E.Lanes(repeating: factor)
        var x = 0
        if shape.w.stride > 2 {
            while x < shape.output.w {
                to[x] = sum(line + x &* shape.w.stride) / (divisors[x] * factor)
                x &+= 1
            }
            return
        }
        while x < shape.output.w {
            var sum = take(line + x &* shape.w.stride)
            var k = 1
            while k < shape.w.kernel {
                sum = sum + take(line + (x &* shape.w.stride &+ k))
                k &+= 1
            }
            (sum / (.load(divisors + x) * factors)).storeUpTo(to + x, shape.output.w &- x)
            x &+= width
        }
    }

    @inline(__always) private func take(_ p: UnsafePointer<E>) -> E.Lanes {
        shape.w.stride == 1 ? .load(p) : .loadSecond(p)
    }

    /// The sum of one window.
    @inline(__always) private func sum(_ p: UnsafePointer<E>) -> E {
        let width = E.Lanes.width
        var sum = E.Lanes.zero
        var k = 0
        while k < shape.w.kernel {
            sum = sum + .loadUpTo(p + k, shape.w.kernel &- k)
            k &+= width
        }
        return sum.sum()
    }
}
