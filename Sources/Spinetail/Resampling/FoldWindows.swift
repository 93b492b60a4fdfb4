import CSpinetail

/// The windows along one axis of images, and along a row of columns.
private struct WindowAxis {
    var extent = 0
    var count = 0
    var kernel = 0
    var stride = 0
    var padding = 0
    var dilation = 0

    init(_ extent: Int, _ kernel: Int64, _ stride: Int64, _ padding: Int64, _ dilation: Int64) {
        self.extent = extent
        self.kernel = Int(truncatingIfNeeded: kernel)
        self.stride = Int(truncatingIfNeeded: stride)
        self.padding = Int(truncatingIfNeeded: padding)
        self.dilation = Int(truncatingIfNeeded: dilation)
        let limit = 1 << 30
        if self.kernel < 1 || self.stride < 1 || self.padding < 0 || self.dilation < 1 || self.kernel > limit
            || self.stride > limit || self.padding > limit || self.dilation > limit || extent > limit
        {
            self.kernel = 0
            return
        }
        let room = extent &+ 2 &* self.padding &- self.dilation &* (self.kernel &- 1) &- 1
        count = room < 0 ? 0 : divide(room, by: self.stride) &+ 1
    }

    /// Where element `tap` of window 0 lies.
    @inline(__always) func start(_ tap: Int) -> Int { tap &* dilation &- padding }

    /// The windows whose element `tap` lies inside the image.
    @inline(__always) func inside(_ tap: Int) -> (from: Int, to: Int) {
        let first = start(tap)
        let from = first < 0 ? Swift.min(count, pieces(0 &- first, stride)) : 0
        let to = first >= extent ? 0 : Swift.min(count, pieces(extent &- first, stride))
        return (from, Swift.max(from, to))
    }
}

private struct WindowShape {
    var planes = 0
    var h: WindowAxis
    var w: WindowAxis

    init(_ x: Descriptor, _ p: UnsafePointer<spinetail_windows>) {
        let q = p.pointee
        planes = x.extent(0) &* x.extent(1)
        h = WindowAxis(x.extent(2), q.kernel.0, q.stride.0, q.padding.0, q.dilation.0)
        w = WindowAxis(x.extent(3), q.kernel.1, q.stride.1, q.padding.1, q.dilation.1)
    }

    var kernel: Int { h.kernel &* w.kernel }
    var windows: Int { h.count &* w.count }

    func check(_ x: Descriptor, _ i: Int32, _ columns: Descriptor, _ c: Int32) -> Int32 {
        if x.rank != 4 { return Status.rank(i) }
        if columns.rank != 3 { return Status.rank(c) }
        if x.dtype != columns.dtype { return Status.dtype(2) }
        if !x.isContiguous { return Status.layout(i) }
        if !columns.isContiguous { return Status.layout(c) }
        if h.kernel == 0 || w.kernel == 0 { return Status.parameter(3) }
        if columns.extent(0) != x.extent(0) || columns.extent(2) != windows
            || divide(columns.extent(1), by: kernel) != x.extent(1) || remainder(columns.extent(1), by: kernel) != 0
        {
            return Status.shape(c)
        }
        return Status.ok
    }
}

@c @implementation
public func spinetail_unfold(
    _ columns: Descriptor, _ input: Descriptor, _ parameters: UnsafePointer<spinetail_windows>
) -> spinetail_status {
    let shape = WindowShape(input, parameters)
    let status = shape.check(input, 2, columns, 1)
    if status != Status.ok { return status }
    if input.holds(Float.self) { return unfold(Float.self, shape, columns, input) }
    if input.holds(Double.self) { return unfold(Double.self, shape, columns, input) }
    return Status.dtype(2)
}

private func unfold<E: Real>(
    _ type: E.Type, _ shape: WindowShape, _ columns: Descriptor, _ input: Descriptor
) -> Int32 {
    guard let y = columns.pointer(E.self) else { return Status.ok }
    guard let x = input.pointer(E.self) else {
        fill(y, columns.count, 0)
        return Status.ok
    }
    let lines = shape.planes &* shape.kernel
    let perTask = Swift.max(1, divide(1 << 16, by: shape.windows))
    return parallel(
        pieces(lines, perTask), cost: lines &* shape.windows / 4,
        UnfoldLines<E>(shape: shape, columns: y, input: UnsafePointer(x), lines: lines, perTask: perTask))
}

/// Lines of the columns: one element of the kernel, in all windows of a plane.
private struct UnfoldLines<E: Real>: ParallelTask {
    let shape: WindowShape
    let columns: UnsafeMutablePointer<E>
    let input: UnsafePointer<E>
    let lines: Int
    let perTask: Int

    func run(_ index: Int, worker: Int) {
        var line = index &* perTask
        let end = Swift.min(lines, line &+ perTask)
        while line < end {
            let tap = remainder(line, by: shape.kernel)
            let plane = input + divide(line, by: shape.kernel) &* shape.h.extent &* shape.w.extent
            let i = divide(tap, by: shape.w.kernel)
            let j = remainder(tap, by: shape.w.kernel)
            let hs = shape.h.inside(i)
            let ws = shape.w.inside(j)
            let out = columns + line &* shape.windows
            fill(out, hs.from &* shape.w.count, 0)
            var y = hs.from
            while y < hs.to {
                let row = shape.h.start(i) &+ y &* shape.h.stride
                let to = out + y &* shape.w.count
                fill(to, ws.from, 0)
                if ws.to > ws.from {
                    let first = row &* shape.w.extent &+ shape.w.start(j) &+ ws.from &* shape.w.stride
                    take(plane + first, to + ws.from, ws.to &- ws.from)
                }
                fill(to + ws.to, shape.w.count &- ws.to, 0)
                y &+= 1
            }
            fill(out + hs.to &* shape.w.count, (shape.h.count &- hs.to) &* shape.w.count, 0)
            line &+= 1
        }
    }

    @inline(__always) private func take(_ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>, _ count: Int) {
        if shape.w.stride == 1 { return copyRow(x, y, count) }
        pickRow(x, y, count, step: shape.w.stride)
    }
}

@c @implementation
public func spinetail_fold(
    _ output: Descriptor, _ columns: Descriptor, _ parameters: UnsafePointer<spinetail_windows>
) -> spinetail_status {
    let shape = WindowShape(output, parameters)
    let status = shape.check(output, 1, columns, 2)
    if status != Status.ok { return status }
    if output.holds(Float.self) { return fold(Float.self, shape, output, columns) }
    if output.holds(Double.self) { return fold(Double.self, shape, output, columns) }
    return Status.dtype(1)
}

private func fold<E: Real>(
    _ type: E.Type, _ shape: WindowShape, _ output: Descriptor, _ columns: Descriptor
) -> Int32 {
    guard let y = output.pointer(E.self) else { return Status.ok }
    guard let x = columns.pointer(E.self) else {
        fill(y, output.count, 0)
        return Status.ok
    }
    let rows = shape.planes &* shape.h.extent
    let work = shape.w.extent &+ divide(shape.kernel &* shape.windows, by: shape.h.extent)
    let perTask = Swift.max(1, divide(1 << 16, by: work))
    return parallel(
        pieces(rows, perTask), cost: rows &* work / 2,
        FoldRows<E>(shape: shape, output: y, columns: UnsafePointer(x), rows: rows, perTask: perTask))
}

/// Rows of the image: each gathers what stands for it, the kernel's elements in order.
private struct FoldRows<E: Real>: ParallelTask {
    let shape: WindowShape
    let output: UnsafeMutablePointer<E>
    let columns: UnsafePointer<E>
    let rows: Int
    let perTask: Int

    func run(_ index: Int, worker: Int) {
        var row = index &* perTask
        let end = Swift.min(rows, row &+ perTask)
        while row < end {
            let h = remainder(row, by: shape.h.extent)
            let plane = columns + divide(row, by: shape.h.extent) &* shape.kernel &* shape.windows
            let out = output + row &* shape.w.extent
            fill(out, shape.w.extent, 0)
            var i = 0
            while i < shape.h.kernel {
                let from = h &- shape.h.start(i)
                let y = divide(Swift.max(0, from), by: shape.h.stride)
                if from >= 0 && y &* shape.h.stride == from && y < shape.h.count {
                    let line = plane + (i &* shape.w.kernel &* shape.windows &+ y &* shape.w.count)
                    var j = 0
                    while j < shape.w.kernel {
                        let ws = shape.w.inside(j)
                        if ws.to > ws.from {
                            add(
                                line + (j &* shape.windows &+ ws.from),
                                out + (shape.w.start(j) &+ ws.from &* shape.w.stride), ws.to &- ws.from)
                        }
                        j &+= 1
                    }
                }
                i &+= 1
            }
            row &+= 1
        }
    }

    @inline(__always) private func add(_ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>, _ count: Int) {
        var i = 0
        if shape.w.stride == 1 {
            while i &+ E.Lanes.width <= count {
                (E.Lanes.load(y + i) + E.Lanes.load(x + i)).store(y + i)
                i &+= E.Lanes.width
            }
        }
        while i < count {
            y[i &* shape.w.stride] = y[i &* shape.w.stride] + x[i]
            i &+= 1
        }
    }
}
