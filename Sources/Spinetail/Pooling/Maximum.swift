import CSpinetail

@c @implementation
public func spinetail_max_pool_forward(
    _ output: Descriptor, _ indices: Descriptor?, _ input: Descriptor, _ parameters: UnsafePointer<spinetail_pooling>
) -> spinetail_status {
    var shape = PoolingShape()
    let status = shape.read(output: output, 1, input: input, 3, parameters, 4)
    if status != Status.ok { return status }
    if let indices {
        if indices.dtype != Int32(SPINETAIL_INT32) { return Status.dtype(2) }
        if !indices.hasShape(of: output) { return Status.shape(2) }
        if !(shape.channelsLast ? indices.isChannelsLast : indices.isContiguous) { return Status.layout(2) }
        if shape.input.count >= 1 << 31 { return Status.shape(3) }
    }
    if output.holds(Float.self) { return forward(Float.self, shape, output, indices, input) }
    if output.holds(Double.self) { return forward(Double.self, shape, output, indices, input) }
    return Status.dtype(1)
}

private func forward<E: Real>(
    _ type: E.Type, _ shape: PoolingShape, _ output: Descriptor, _ indices: Descriptor?, _ input: Descriptor
) -> Int32 {
    guard let y = output.pointer(E.self), let x = input.pointer(E.self) else { return Status.ok }
    if indices != nil && shape.input.count >= 1 << 31 { return Status.shape(3) }
    let places = indices.flatMap { $0.pointer(Int32.self) }
    if shape.channelsLast { return ChannelsLastMaximum<E>.run(shape, y, places, UnsafePointer(x)) }
    let rows = shape.planes &* shape.output.d &* shape.output.h
    let perRow = shape.output.w &* shape.windowWork
    var rowsPerTask = Swift.max(1, divide(1 << 17, by: perRow))
    if shape.isHalving {
        if let narrow = NarrowHalves<E>(shape) { rowsPerTask = roundUp(rowsPerTask, narrow.rows) }
        return parallel(
            pieces(rows, rowsPerTask), cost: rows &* perRow / 16,
            MaximumOfHalves<E>(
                shape: shape, output: y, indices: places, input: UnsafePointer(x), rows: rows, rowsPerTask: rowsPerTask)
        )
    }
    var task = MaximumRows<E>(
        shape: shape, output: y, indices: places, input: UnsafePointer(x), rows: rows, rowsPerTask: rowsPerTask)
    guard let lines = MaximumLines<E>(shape) else {
        return parallel(pieces(rows, rowsPerTask), cost: rows &* perRow, task)
    }
    let workers = workerLimit()
    guard let memory = Scratch.take(workers &* lines.bytes) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    task.lines = lines
    task.scratch = memory
    return parallel(
        pieces(rows, rowsPerTask), cost: rows &* (perRow / 16 &+ shape.output.w / 4 &+ 16), workers: workers, task)
}

/// Rows of the output.
struct MaximumRows<E: Real>: ParallelTask {
    let shape: PoolingShape
    let output: UnsafeMutablePointer<E>
    let indices: UnsafeMutablePointer<Int32>?
    let input: UnsafePointer<E>
    let rows: Int
    let rowsPerTask: Int
    var lines: MaximumLines<E>? = nil
    var scratch: UnsafeMutableRawPointer? = nil

    func run(_ index: Int, worker: Int) {
        var row = index &* rowsPerTask
        let end = Swift.min(rows, row &+ rowsPerTask)
        if let lines, let scratch {
            let values = (scratch + worker &* lines.bytes).assumingMemoryBound(to: E.self)
            if indices == nil {
                run(lines, row, end, values, places: false)
            } else {
                run(lines, row, end, values, places: true)
            }
            return
        }
        var here = start(row)
        while row < end {
            single(here, from: 0, to: shape.output.w, row &* shape.output.w)
            here.next(shape, 1)
            row &+= 1
        }
    }

    @inline(__always) func start(_ row: Int) -> PoolingRow<E> {
        let layer = divide(row, by: shape.output.h)
        let image = divide(layer, by: shape.output.d)
        return PoolingRow(
            plane: input + image &* shape.input.count, d: layer &- image &* shape.output.d,
            h: row &- layer &* shape.output.h)
    }

    /// Windows `from` to `to` of a row one by one, wherever they lie; `target` is the row's first result.
    func single(_ row: PoolingRow<E>, from: Int, to: Int, _ target: Int) {
        let (ds, hs) = (shape.d.inside(row.d), shape.h.inside(row.h))
        let (d0, h0) = (shape.d.start(row.d), shape.h.start(row.h))
        var w = from
        while w < to {
            one(row.plane, d0, h0, w, ds, hs, output + target, indices.map { $0 + target })
            w &+= 1
        }
    }

    /// The last NaN wins, else the first of the largest.
    @inline(never)
    private func one(
        _ plane: UnsafePointer<E>, _ d0: Int, _ h0: Int, _ w: Int, _ ds: (from: Int, to: Int),
        _ hs: (from: Int, to: Int), _ out: UnsafeMutablePointer<E>, _ places: UnsafeMutablePointer<Int32>?
    ) {
        let ws = shape.w.inside(w)
        let w0 = shape.w.start(w)
        var best = 0 - E.infinity
        var place = -1
        var kd = ds.from
        while kd < ds.to {
            var kh = hs.from
            while kh < hs.to {
                let line =
                    ((d0 &+ kd &* shape.d.dilation) &* shape.input.h &+ h0 &+ kh &* shape.h.dilation) &* shape.input.w
                    &+ w0
                var kw = ws.from
                while kw < ws.to {
                    let at = line &+ kw &* shape.w.dilation
                    let value = plane[at]
                    if place < 0 || value > best || value.isNaN {
                        best = value
                        place = at
                    }
                    kw &+= 1
                }
                kh &+= 1
            }
            kd &+= 1
        }
        out[w] = best
        if let places { places[w] = Int32(truncatingIfNeeded: place) }
    }
}

@c @implementation
public func spinetail_max_pool_backward(
    _ dinput: Descriptor, _ doutput: Descriptor, _ indices: Descriptor
) -> spinetail_status {
    var shape = PoolingShape()
    let status = shape.readPlanes(output: doutput, 2, input: dinput, 1)
    if status != Status.ok { return status }
    if indices.dtype != Int32(SPINETAIL_INT32) { return Status.dtype(3) }
    if !indices.hasShape(of: doutput) { return Status.shape(3) }
    if !(shape.channelsLast ? indices.isChannelsLast : indices.isContiguous) { return Status.layout(3) }
    if dinput.holds(Float.self) { return backward(Float.self, shape, dinput, doutput, indices) }
    if dinput.holds(Double.self) { return backward(Double.self, shape, dinput, doutput, indices) }
    return Status.dtype(1)
}

private func backward<E: Real>(
    _ type: E.Type, _ shape: PoolingShape, _ dinput: Descriptor, _ doutput: Descriptor, _ indices: Descriptor
) -> Int32 {
    guard let dx = dinput.pointer(E.self) else {
        return doutput.count == 0 ? Status.ok : Status.index(3)
    }
    guard let dy = doutput.pointer(E.self), let places = indices.pointer(Int32.self) else {
        fill(dx, dinput.count, 0)
        return Status.ok
    }
    let inside = shape.input.count
    let outside = shape.output.count
    let planesPerTask = Swift.max(1, divide(1 << 15, by: inside &+ outside))
    var wrong: Int64 = 0
    let status = withUnsafeMutablePointer(to: &wrong) { wrong in
        if shape.channelsLast {
            return ChannelsLastSpread<E>(
                shape: shape, dinput: dx, doutput: UnsafePointer(dy), indices: UnsafePointer(places), wrong: wrong
            ).run()
        }
        return parallel(
            pieces(shape.planes, planesPerTask),
            cost: shape.planes &* (inside / 8 &+ (SpreadHalves<E>(shape) == nil ? outside : outside / 4)),
            SpreadMaximum<E>(
                halves: SpreadHalves<E>(shape), dinput: dx, doutput: UnsafePointer(dy), indices: UnsafePointer(places),
                planes: shape.planes,
                planesPerTask: planesPerTask, inside: inside, outside: outside, wrong: wrong))
    }
    return status == Status.ok && wrong != 0 ? Status.index(3) : status
}

struct SpreadMaximum<E: Real>: ParallelTask {
    let halves: SpreadHalves<E>?
    let dinput: UnsafeMutablePointer<E>
    let doutput: UnsafePointer<E>
    let indices: UnsafePointer<Int32>
    let planes: Int
    let planesPerTask: Int
    let inside: Int
    let outside: Int
    let wrong: UnsafeMutablePointer<Int64>

    func run(_ index: Int, worker: Int) {
        var plane = index &* planesPerTask
        let end = Swift.min(planes, plane &+ planesPerTask)
        if let halves, halves.spread(self, plane, end) { return }
        while plane < end {
            let dx = dinput + plane &* inside
            let dy = doutput + plane &* outside
            let places = indices + plane &* outside
            fill(dx, inside, 0)
            var beyond = false
            var i = 0
            while i < outside {
                let place = Int(truncatingIfNeeded: places[i])
                if place >= 0 && place < inside {
                    dx[place] = dx[place] + dy[i]
                } else if place != -1 {
                    beyond = true
                }
                i &+= 1
            }
            if beyond { spinetail_atomic_store(wrong, 1) }
            plane &+= 1
        }
    }
}
