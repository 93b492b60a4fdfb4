import CSpinetail

/// Elements of one piece of work, in whole planes.
private let placeGrain = 32_768

@c @implementation
public func spinetail_augment_place(
    _ output: Descriptor, _ input: Descriptor, _ rows: Descriptor, _ columns: Descriptor, _ mean: Descriptor,
    _ factor: Descriptor, _ fill: Descriptor
) -> spinetail_status {
    if output.rank != 4 { return Status.rank(1) }
    if input.rank != 4 { return Status.rank(2) }
    if rows.rank != 2 || rows.dtype != Int32(SPINETAIL_INT32) { return Status.dtype(3) }
    if columns.rank != 2 || columns.dtype != Int32(SPINETAIL_INT32) { return Status.dtype(4) }
    let channels = input.extent(1)
    if output.extent(0) != input.extent(0) || output.extent(1) != channels { return Status.shape(1) }
    if rows.extent(0) != input.extent(0) || rows.extent(1) != output.extent(2) { return Status.shape(3) }
    if columns.extent(0) != input.extent(0) || columns.extent(1) != output.extent(3) { return Status.shape(4) }
    if mean.rank != 1 || mean.extent(0) != channels || mean.dtype != output.dtype { return Status.shape(5) }
    if factor.rank != 1 || factor.extent(0) != channels || factor.dtype != output.dtype { return Status.shape(6) }
    if fill.rank != 1 || fill.extent(0) != channels || fill.dtype != output.dtype { return Status.shape(7) }
    if !output.isContiguous { return Status.layout(1) }
    if !input.isContiguous { return Status.layout(2) }
    if !rows.isContiguous { return Status.layout(3) }
    if !columns.isContiguous { return Status.layout(4) }
    if !mean.isContiguous || !factor.isContiguous || !fill.isContiguous { return Status.layout(5) }
    if input.dtype != output.dtype && input.dtype != Int32(SPINETAIL_UINT8) { return Status.dtype(2) }
    if output.holds(Float.self) { return place(Float.self, output, input, rows, columns, mean, factor, fill) }
    if output.holds(Double.self) { return place(Double.self, output, input, rows, columns, mean, factor, fill) }
    return Status.dtype(1)
}

private func place<E: Real>(
    _ type: E.Type, _ output: Descriptor, _ input: Descriptor, _ rows: Descriptor, _ columns: Descriptor,
    _ mean: Descriptor, _ factor: Descriptor, _ fill: Descriptor
) -> Int32 {
    guard let y = output.pointer(type), let r = rows.pointer(Int32.self), let c = columns.pointer(Int32.self),
        let m = mean.pointer(type), let f = factor.pointer(type), let e = fill.pointer(type)
    else { return Status.ok }
    let height = input.extent(2)
    let width = input.extent(3)
    if !within(r, rows.count, from: -0x8000_0000, to: height) { return Status.index(3) }
    if !within(c, columns.count, from: -0x8000_0000, to: width) { return Status.index(4) }
    let plane = Swift.max(1, output.extent(2) &* output.extent(3))
    let planes = output.extent(0) &* output.extent(1)
    let each = Swift.max(1, divide(placeGrain, by: plane))
    let isBytes = input.dtype == Int32(SPINETAIL_UINT8)
    let task = Place(
        y: y, x: isBytes ? nil : UnsafePointer(input.pointer(type)),
        bytes: isBytes ? UnsafePointer(input.pointer(UInt8.self)) : nil, rows: UnsafePointer(r),
        columns: UnsafePointer(c), mean: UnsafePointer(m), factor: UnsafePointer(f), fill: UnsafePointer(e),
        channels: Swift.max(1, input.extent(1)), planes: planes, each: each, height: height, width: width,
        outHeight: output.extent(2), outWidth: output.extent(3))
    return parallel(pieces(planes, each), cost: planes &* plane / 4, task)
}

private struct Place<E: Real>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let x: UnsafePointer<E>?
    let bytes: UnsafePointer<UInt8>?
    let rows, columns: UnsafePointer<Int32>
    let mean, factor, fill: UnsafePointer<E>
    let channels, planes, each, height, width, outHeight, outWidth: Int

    func run(_ index: Int, worker: Int) {
        var plane = index &* each
        let end = Swift.min(planes, plane &+ each)
        while plane < end {
            if let x {
                lines(plane) { x[$0] }
            } else if let bytes {
                lines(plane) { E(Int(bytes[$0])) }
            } else {
                lines(plane) { _ in 0 }
            }
            plane &+= 1
        }
    }

    /// Columns that are one run, up or down, between columns of nothing: where it begins and ends, and its first place.
    private func span(_ at: UnsafePointer<Int32>) -> (start: Int, end: Int, from: Int, step: Int) {
        var start = 0
        while start < outWidth && at[start] < 0 { start &+= 1 }
        if start == outWidth { return (outWidth, outWidth, 0, 1) }
        let from = Int(at[start])
        let step = start &+ 1 < outWidth && Int(at[start &+ 1]) == from &- 1 ? -1 : 1
        var end = start
        while end < outWidth && Int(at[end]) == from &+ (end &- start) &* step && at[end] >= 0 { end &+= 1 }
        var rest = end
        while rest < outWidth && at[rest] < 0 { rest &+= 1 }
        let last = from &+ (end &- start &- 1) &* step
        if rest < outWidth || from < 0 || last < 0 || from >= width || last >= width { return (0, 0, 0, 0) }
        return (start, end, from, step)
    }

    @inline(__always) private func lines(_ plane: Int, _ load: (Int) -> E) {
        // Planes are numbered below the product of two extents: the divisor is at least 1.
        let image = divide(plane, by: channels)
        let channel = plane &- image &* channels
        let mean = self.mean[channel]
        let factor = self.factor[channel]
        let nothing = fill[channel]
        let at = columns + image &* outWidth
        let span = self.span(at)
        var i = 0
        while i < outHeight {
            let to = y + (plane &* outHeight &+ i) &* outWidth
            let row = Int(rows[image &* outHeight &+ i])
            let line = (plane &* height &+ row) &* width
            var j = 0
            if row < 0 || row >= height {
                while j < outWidth {
                    to[j] = nothing
                    j &+= 1
                }
            } else if span.step == 0 {
                while j < outWidth {
                    let column = Int(at[j])
                    to[j] = column < 0 || column >= width ? nothing : (load(line &+ column) - mean) * factor
                    j &+= 1
                }
            } else {
                while j < span.start {
                    to[j] = nothing
                    j &+= 1
                }
                let from = line &+ span.from
                let count = span.end &- span.start
                let out = to + span.start
                var k = 0
                if span.step > 0 {
                    while k < count {
                        out[k] = (load(from &+ k) - mean) * factor
                        k &+= 1
                    }
                } else {
                    while k < count {
                        out[k] = (load(from &- k) - mean) * factor
                        k &+= 1
                    }
                }
                j = span.end
                while j < outWidth {
                    to[j] = nothing
                    j &+= 1
                }
            }
            i &+= 1
        }
    }
}
