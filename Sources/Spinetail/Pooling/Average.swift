import CSpinetail

@c @implementation
public func spinetail_average_pool_forward(
    _ output: Descriptor, _ input: Descriptor, _ parameters: UnsafePointer<spinetail_pooling>
) -> spinetail_status {
    var shape = PoolingShape()
    let status = shape.read(output: output, 1, input: input, 2, parameters, 3)
    if status != Status.ok { return status }
    if shape.channelsLast && shape.hasGaps { return Status.parameter(3) }
    if output.holds(Float.self) { return forward(Float.self, shape, output, input) }
    if output.holds(Double.self) { return forward(Double.self, shape, output, input) }
    return Status.dtype(1)
}

private func forward<E: Real>(
    _ type: E.Type, _ shape: PoolingShape, _ output: Descriptor, _ input: Descriptor
) -> Int32 {
    guard let y = output.pointer(E.self), let x = input.pointer(E.self) else { return Status.ok }
    if shape.channelsLast {
        return ChannelsLastAverage<E>.run(shape, backward: false, result: y, source: UnsafePointer(x))
    }
    let rows = shape.planes &* shape.output.d &* shape.output.h
    let perRow = shape.output.w &* shape.windowWork
    let rowsPerTask = Swift.max(1, divide(1 << 17, by: perRow))
    if shape.isPairs {
        return parallel(
            pieces(rows, rowsPerTask), cost: rows &* perRow / 8,
            AveragePairs<E>(
                output: y, input: UnsafePointer(x), rows: rows, rowsPerTask: rowsPerTask, width: shape.output.w,
                kernel: shape.h.kernel, divisor: E(shape.pairDivisor)))
    }
    if shape.isWhole { return WholeAverage<E>.run(shape, y, UnsafePointer(x)) }
    if shape.slides { return SlidingAverage<E>.run(shape, backward: false, result: y, source: UnsafePointer(x)) }
    return parallel(
        pieces(rows, rowsPerTask), cost: rows &* perRow / 4,
        AverageRows<E>(shape: shape, output: y, input: UnsafePointer(x), rows: rows, rowsPerTask: rowsPerTask))
}

extension PoolingShape {
    /// Whether windows are dilated, as no average's are.
    var hasGaps: Bool { d.dilation > 1 || h.dilation > 1 || w.dilation > 1 }

    /// What the sum of the window at (d, h, w), which sees `seen` elements, is divided by.
    @inline(__always) func divisor(_ d: Int, _ h: Int, _ w: Int, seen: Int) -> Int {
        if divisor != 0 { return divisor }
        if !countPadding || self.d.adaptive { return seen }
        return self.d.counted(d) &* self.h.counted(h) &* self.w.counted(w)
    }
}

/// Rows of the output, window by window: adaptive ones of several sizes.
private struct AverageRows<E: Real>: ParallelTask {
    let shape: PoolingShape
    let output: UnsafeMutablePointer<E>
    let input: UnsafePointer<E>
    let rows: Int
    let rowsPerTask: Int

    func run(_ index: Int, worker: Int) {
        var row = index &* rowsPerTask
        let end = Swift.min(rows, row &+ rowsPerTask)
        while row < end {
            let h = remainder(row, by: shape.output.h)
            let rest = divide(row, by: shape.output.h)
            let d = remainder(rest, by: shape.output.d)
            let plane = input + divide(rest, by: shape.output.d) &* shape.input.count
            run(plane, d: d, h: h, output + row &* shape.output.w)
            row &+= 1
        }
    }

    @inline(__always)
    private func run(_ plane: UnsafePointer<E>, d: Int, h: Int, _ out: UnsafeMutablePointer<E>) {
        let ds = shape.d.inside(d)
        let hs = shape.h.inside(h)
        let corner = (shape.d.start(d) &* shape.input.h &+ shape.h.start(h)) &* shape.input.w
        var w = 0
        while w < shape.output.w {
            let ws = shape.w.inside(w)
            let seen = (ds.to &- ds.from) &* (hs.to &- hs.from) &* (ws.to &- ws.from)
            let total = sum(plane + (corner &+ shape.w.start(w)), ds, hs, ws)
            out[w] = total / E(shape.divisor(d, h, w, seen: seen))
            w &+= 1
        }
    }

    /// The sum of one window, along its rows.
    private func sum(
        _ from: UnsafePointer<E>, _ ds: (from: Int, to: Int), _ hs: (from: Int, to: Int), _ ws: (from: Int, to: Int)
    ) -> E {
        let width = E.Lanes.width
        var total = E.Lanes.zero
        var rest: E = 0
        var kd = ds.from
        while kd < ds.to {
            var kh = hs.from
            while kh < hs.to {
                let line = from + (kd &* shape.input.h &+ kh) &* shape.input.w
                var kw = ws.from
                while kw &+ width <= ws.to {
                    total = total + E.Lanes.load(line + kw)
                    kw &+= width
                }
                while kw < ws.to {
                    rest = rest + line[kw]
                    kw &+= 1
                }
                kh &+= 1
            }
            kd &+= 1
        }
        return total.sum() + rest
    }
}

@c @implementation
public func spinetail_average_pool_backward(
    _ dinput: Descriptor, _ doutput: Descriptor, _ parameters: UnsafePointer<spinetail_pooling>
) -> spinetail_status {
    var shape = PoolingShape()
    let status = shape.read(output: doutput, 2, input: dinput, 1, parameters, 3)
    if status != Status.ok { return status }
    if shape.channelsLast && shape.hasGaps { return Status.parameter(3) }
    if dinput.holds(Float.self) { return backward(Float.self, shape, dinput, doutput) }
    if dinput.holds(Double.self) { return backward(Double.self, shape, dinput, doutput) }
    return Status.dtype(1)
}

private func backward<E: Real>(
    _ type: E.Type, _ shape: PoolingShape, _ dinput: Descriptor, _ doutput: Descriptor
) -> Int32 {
    guard let dx = dinput.pointer(E.self) else { return Status.ok }
    guard let dy = doutput.pointer(E.self) else {
        fill(dx, dinput.count, 0)
        return Status.ok
    }
    if shape.channelsLast {
        return ChannelsLastAverage<E>.run(shape, backward: true, result: dx, source: UnsafePointer(dy))
    }
    if shape.isPairs {
        let rows = shape.planes &* shape.output.d &* shape.output.h
        let perRow = shape.output.w &* shape.windowWork
        let rowsPerTask = Swift.max(1, divide(1 << 17, by: perRow))
        return parallel(
            pieces(rows, rowsPerTask), cost: rows &* perRow / 8,
            SpreadPairs<E>(
                dinput: dx, doutput: UnsafePointer(dy), rows: rows, rowsPerTask: rowsPerTask, width: shape.output.w,
                kernel: shape.h.kernel, divisor: E(shape.pairDivisor)))
    }
    if shape.isWhole { return SpreadWhole<E>.run(shape, dx, UnsafePointer(dy)) }
    if shape.slides { return SlidingAverage<E>.run(shape, backward: true, result: dx, source: UnsafePointer(dy)) }
    let work = shape.input.count &+ shape.output.count &* shape.windowWork
    let planesPerTask = Swift.max(1, divide(1 << 16, by: work))
    return parallel(
        pieces(shape.planes, planesPerTask), cost: shape.planes &* work / 4,
        SpreadAverage<E>(shape: shape, dinput: dx, doutput: UnsafePointer(dy), planesPerTask: planesPerTask))
}

private struct SpreadAverage<E: Real>: ParallelTask {
    let shape: PoolingShape
    let dinput: UnsafeMutablePointer<E>
    let doutput: UnsafePointer<E>
    let planesPerTask: Int

    func run(_ index: Int, worker: Int) {
        var plane = index &* planesPerTask
        let end = Swift.min(shape.planes, plane &+ planesPerTask)
        while plane < end {
            let dx = dinput + plane &* shape.input.count
            var dy = doutput + plane &* shape.output.count
            fill(dx, shape.input.count, 0)
            var d = 0
            while d < shape.output.d {
                var h = 0
                while h < shape.output.h {
                    row(dx, dy, d: d, h: h)
                    dy += shape.output.w
                    h &+= 1
                }
                d &+= 1
            }
            plane &+= 1
        }
    }

    private func row(_ dx: UnsafeMutablePointer<E>, _ dy: UnsafePointer<E>, d: Int, h: Int) {
        let ds = shape.d.inside(d)
        let hs = shape.h.inside(h)
        let corner = (shape.d.start(d) &* shape.input.h &+ shape.h.start(h)) &* shape.input.w
        var w = 0
        while w < shape.output.w {
            let ws = shape.w.inside(w)
            let seen = (ds.to &- ds.from) &* (hs.to &- hs.from) &* (ws.to &- ws.from)
            let share = dy[w] / E(shape.divisor(d, h, w, seen: seen))
            let to = dx + (corner &+ shape.w.start(w))
            var kd = ds.from
            while kd < ds.to {
                var kh = hs.from
                while kh < hs.to {
                    add(share, to + (kd &* shape.input.h &+ kh) &* shape.input.w, from: ws.from, to: ws.to)
                    kh &+= 1
                }
                kd &+= 1
            }
            w &+= 1
        }
    }

    @inline(__always) private func add(_ share: E, _ line: UnsafeMutablePointer<E>, from: Int, to: Int) {
        let width = E.Lanes.width
        let shares = E.Lanes(repeating: share)
        var i = from
        while i &+ width <= to {
            (E.Lanes.load(line + i) + shares).store(line + i)
            i &+= width
        }
        while i < to {
            line[i] = line[i] + share
            i &+= 1
        }
    }
}
