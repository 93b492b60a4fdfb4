import CSpinetail

/// Max pooling of arrays with channels last: lanes are channels.
struct ChannelsLastMaximum<E: Real>: ParallelTask {
    let shape: PoolingShape
    let output: UnsafeMutablePointer<E>
    let indices: UnsafeMutablePointer<Int32>?
    let input: UnsafePointer<E>
    let rows: Int
    let rowsPerTask: Int

    static func run(
        _ shape: PoolingShape, _ output: UnsafeMutablePointer<E>, _ indices: UnsafeMutablePointer<Int32>?,
        _ input: UnsafePointer<E>
    ) -> Int32 {
        // Places are counted from a window's first in the element type, exactly up to 2²⁴.
        if shape.input.count >= 1 << 24 { return Status.layout(3) }
        let rows = shape.images &* shape.output.d &* shape.output.h
        let perRow = shape.output.w &* shape.channels &* (shape.windowWork &+ 2)
        let rowsPerTask = Swift.max(1, divide(1 << 16, by: perRow))
        return parallel(
            pieces(rows, rowsPerTask), cost: rows &* perRow / 16,
            ChannelsLastMaximum(
                shape: shape, output: output, indices: indices, input: input, rows: rows, rowsPerTask: rowsPerTask))
    }

    func run(_ index: Int, worker: Int) {
        if indices == nil { run(index, places: false) } else { run(index, places: true) }
    }

    @inline(__always) private func run(_ index: Int, places: Bool) {
        var row = index &* rowsPerTask
        let end = Swift.min(rows, row &+ rowsPerTask)
        while row < end {
            let layer = divide(row, by: shape.output.h)
            let h = row &- layer &* shape.output.h
            let image = divide(layer, by: shape.output.d)
            let d = layer &- image &* shape.output.d
            let from = input + image &* shape.input.count &* shape.channels
            var target = row &* shape.output.w &* shape.channels
            var w = 0
            while w < shape.output.w {
                one(from, d, h, w, target, places: places)
                target &+= shape.channels
                w &+= 1
            }
            row &+= 1
        }
    }

    @inline(__always)
    private func one(_ from: UnsafePointer<E>, _ d: Int, _ h: Int, _ w: Int, _ target: Int, places: Bool) {
        let width = E.Lanes.width
        let (ds, hs, ws) = (shape.d.inside(d), shape.h.inside(h), shape.w.inside(w))
        if ds.from >= ds.to || hs.from >= hs.to || ws.from >= ws.to {
            fill(output + target, shape.channels, 0 - E.infinity)
            var c = 0
            while c < shape.channels {
                if let indices { indices[target &+ c] = -1 }
                c &+= 1
            }
            return
        }
        let corner = (shape.d.start(d), shape.h.start(h), shape.w.start(w))
        let first = place(corner.0, corner.1, corner.2, ds.from, hs.from, ws.from)
        let (wide, high) = (shape.w.dilation, shape.h.dilation &* shape.input.w)
        let deep = shape.d.dilation &* shape.input.h &* shape.input.w
        let window = WindowElements<E>(
            counts: Space(ds.to &- ds.from, hs.to &- hs.from, ws.to &- ws.from),
            steps: Space(deep &* shape.channels, high &* shape.channels, wide &* shape.channels),
            places: (E(deep), E(high), E(wide)))
        let start = from + first &* shape.channels
        var c = 0
        while c < shape.channels {
            let four = c &+ 4 &* width <= shape.channels
            let count = four ? 4 &* width : Swift.min(width, shape.channels &- c)
            let done =
                four
                ? several(Vectors<4>.self, window, start + c, width, first, target &+ c, places: places)
                : several(Vectors<1>.self, window, start + c, count, first, target &+ c, places: places)
            if !done { careful(from, corner, ds, hs, ws, c, count, target) }
            c &+= count
        }
    }

    /// Vectors of channels of one window; false, with nothing stored, where there may be a NaN.
    @inline(__always)
    private func several<let vectors: Int>(
        _ some: Vectors<vectors>.Type, _ window: WindowElements<E>, _ start: UnsafePointer<E>, _ valid: Int,
        _ first: Int, _ target: Int, places: Bool
    ) -> Bool {
        let width = E.Lanes.width
        var best = InlineArray<vectors, E.Lanes> { _ in .zero }
        var at = InlineArray<vectors, E.Lanes> { _ in .zero }
        if E.Lanes.anyBeyond(window.maxima(some, start, valid, places: places, &best, &at), E.infinity) { return false }
        for i in 0..<vectors {
            let to = target &+ i &* width
            best[unchecked: i].storeUpTo(output + to, valid)
            if places, let indices { at[unchecked: i].storeIndices(indices + to, base: first, step: 0, count: valid) }
        }
        return true
    }

    @inline(__always)
    private func place(_ d0: Int, _ h0: Int, _ w0: Int, _ kd: Int, _ kh: Int, _ kw: Int) -> Int {
        ((d0 &+ kd &* shape.d.dilation) &* shape.input.h &+ h0 &+ kh &* shape.h.dilation) &* shape.input.w &+ w0
            &+ kw &* shape.w.dilation
    }

    /// `count` channels of one window, one by one: the last NaN wins, else the first of the largest.
    @inline(never) private func careful(
        _ from: UnsafePointer<E>, _ corner: (Int, Int, Int), _ ds: (from: Int, to: Int), _ hs: (from: Int, to: Int),
        _ ws: (from: Int, to: Int), _ first: Int, _ count: Int, _ target: Int
    ) {
        var c = first
        while c < first &+ count {
            var best = 0 - E.infinity
            var at = -1
            var kd = ds.from
            while kd < ds.to {
                var kh = hs.from
                while kh < hs.to {
                    var kw = ws.from
                    while kw < ws.to {
                        let here = place(corner.0, corner.1, corner.2, kd, kh, kw)
                        let value = from[here &* shape.channels &+ c]
                        if at < 0 || value > best || value.isNaN {
                            best = value
                            at = here
                        }
                        kw &+= 1
                    }
                    kh &+= 1
                }
                kd &+= 1
            }
            output[target &+ c] = best
            if let indices { indices[target &+ c] = Int32(truncatingIfNeeded: at) }
            c &+= 1
        }
    }
}

/// Its gradient: a task has some channels of an image to itself.
struct ChannelsLastSpread<E: Real>: ParallelTask {
    let shape: PoolingShape
    let dinput: UnsafeMutablePointer<E>
    let doutput: UnsafePointer<E>
    let indices: UnsafePointer<Int32>
    let wrong: UnsafeMutablePointer<Int64>

    private static var together: Int { 64 }
    @inline(__always) private var blocks: Int { pieces(shape.channels, Self.together) }

    func run() -> Int32 {
        parallel(
            shape.images &* blocks,
            cost: shape.images &* shape.channels &* (shape.input.count / 8 &+ shape.output.count), self)
    }

    func run(_ index: Int, worker: Int) {
        let image = divide(index, by: blocks)
        let first = (index &- image &* blocks) &* Self.together
        let count = Swift.min(Self.together, shape.channels &- first)
        let to = dinput + (image &* shape.input.count &* shape.channels &+ first)
        if count == shape.channels {
            fill(to, shape.input.count &* count, 0)
        } else {
            var pixel = 0
            while pixel < shape.input.count {
                fill(to + pixel &* shape.channels, count, 0)
                pixel &+= 1
            }
        }
        var beyond = false
        var at = image &* shape.output.count &* shape.channels &+ first
        var pixel = 0
        while pixel < shape.output.count {
            var c = 0
            while c < count {
                let place = Int(truncatingIfNeeded: indices[at &+ c])
                if place >= 0 && place < shape.input.count {
                    let p = to + (place &* shape.channels &+ c)
                    p.pointee = p.pointee + doutput[at &+ c]
                } else if place != -1 {
                    beyond = true
                }
                c &+= 1
            }
            at &+= shape.channels
            pixel &+= 1
        }
        if beyond { spinetail_atomic_store(wrong, 1) }
    }
}
