import CSpinetail

/// Indices of either width.
private struct Indices {
    let narrow: UnsafePointer<Int32>?
    let wide: UnsafePointer<Int64>?
    let count: Int

    init(_ array: Descriptor) {
        count = array.count
        let is32 = array.dtype == Int32(SPINETAIL_INT32)
        narrow = is32 ? UnsafePointer(array.pointer(Int32.self)) : nil
        wide = is32 ? nil : UnsafePointer(array.pointer(Int64.self))
    }

    @inline(__always) func at(_ i: Int) -> Int {
        if let narrow { return Int(truncatingIfNeeded: narrow[i]) }
        if let wide { return Int(truncatingIfNeeded: wide[i]) }
        return 0
    }

    func allBelow(_ limit: Int) -> Bool {
        var good = true
        var i = 0
        while i < count {
            let index = at(i)
            good = good && index >= 0 && index < limit
            i &+= 1
        }
        return good
    }

    static func check(_ array: Descriptor, _ argument: Int32) -> Int32 {
        if array.dtype != Int32(SPINETAIL_INT32) && array.dtype != Int32(SPINETAIL_INT64) {
            return Status.dtype(argument)
        }
        return array.isContiguous ? Status.ok : Status.layout(argument)
    }
}

@c @implementation
public func spinetail_embedding_forward(
    _ output: Descriptor, _ indices: Descriptor, _ weight: Descriptor
) -> spinetail_status {
    let status = Indices.check(indices, 2)
    if status != 0 { return status }
    if output.dtype != weight.dtype { return Status.dtype(1) }
    if weight.rank != 2 { return Status.rank(3) }
    let columns = weight.extent(1)
    let picked = Indices(indices)
    if output.count != picked.count &* columns { return Status.shape(1) }
    if !output.isContiguous { return Status.layout(1) }
    if !weight.isContiguous { return Status.layout(3) }
    if !picked.allBelow(weight.extent(0)) { return Status.index(2) }
    guard let y = output.pointee.data, let w = weight.pointee.data else { return Status.ok }
    let bytes = columns &* weight.itemSize
    if bytes < 1 { return Status.ok }
    let grain = Swift.max(1, 65_536 / bytes)
    let task = Gather(y: y, w: UnsafeRawPointer(w), indices: picked, rows: weight.extent(0), bytes: bytes, grain: grain)
    return parallel((picked.count &+ grain &- 1) / grain, cost: picked.count &* (10 &+ bytes / 16), task)
}

private struct Gather: ParallelTask {
    let y: UnsafeMutableRawPointer
    let w: UnsafeRawPointer
    let indices: Indices
    let rows, bytes, grain: Int

    func run(_ index: Int, worker: Int) {
        var i = index &* grain
        let end = Swift.min(indices.count, i &+ grain)
        while i < end {
            // Looked at again: another thread may have changed the indices since they were checked.
            let row = indices.at(i)
            if row >= 0 && row < rows { memcpy(y + i &* bytes, w + row &* bytes, bytes) }
            i &+= 1
        }
    }
}

@c @implementation
public func spinetail_embedding_backward(
    _ dweight: Descriptor, _ doutput: Descriptor, _ indices: Descriptor, _ padding: Int64, _ byFrequency: Int64
) -> spinetail_status {
    let status = Indices.check(indices, 3)
    if status != 0 { return status }
    if dweight.dtype != doutput.dtype { return Status.dtype(1) }
    if dweight.rank != 2 { return Status.rank(1) }
    let picked = Indices(indices)
    if doutput.count != picked.count &* dweight.extent(1) { return Status.shape(2) }
    if !dweight.isContiguous { return Status.layout(1) }
    if !doutput.isContiguous { return Status.layout(2) }
    if !picked.allBelow(dweight.extent(0)) { return Status.index(3) }
    if dweight.holds(Float.self) { return scatter(Float.self, dweight, doutput, picked, padding, byFrequency != 0) }
    if dweight.holds(Double.self) { return scatter(Double.self, dweight, doutput, picked, padding, byFrequency != 0) }
    return Status.dtype(1)
}

private func scatter<E: Real>(
    _ type: E.Type, _ dweight: Descriptor, _ doutput: Descriptor, _ indices: Indices, _ padding: Int64,
    _ byFrequency: Bool
) -> Int32 {
    guard let w = dweight.pointer(type) else { return Status.ok }
    let bytes = dweight.count &* MemoryLayout<E>.size
    let clearing = Clear(memory: w, bytes: bytes)
    let status = parallel(pieces(bytes, Clear.grain), cost: bytes / 16, clearing)
    guard status == Status.ok, let g = doutput.pointer(type) else { return status }
    let rows = dweight.extent(0)
    let columns = dweight.extent(1)
    var counts: UnsafeMutablePointer<Int>? = nil
    guard let memory = Scratch.take(byFrequency ? rows &* 8 : 0) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    if byFrequency {
        let table = memory.assumingMemoryBound(to: Int.self)
        memset(table, 0, rows &* 8)
        var i = 0
        while i < indices.count {
            let row = indices.at(i)
            if row >= 0 && row < rows { table[row] &+= 1 }
            i &+= 1
        }
        counts = table
    }
    // Pieces own columns, and where there are few columns, ranges of rows: no two write the same place, and each adds in
    // the order of the indices.
    let strips = (columns &+ 63) / 64
    let ranges = strips >= 4 || indices.count &* columns < 65_536 ? 1 : 4
    let task = Scatter(
        w: w, g: UnsafePointer(g), indices: indices, counts: counts, padding: Int(truncatingIfNeeded: padding),
        rows: rows, columns: columns, ranges: ranges)
    return parallel(strips &* ranges, cost: indices.count &* columns / 2, task)
}

private struct Clear: ParallelTask {
    static var grain: Int { 1 << 18 }
    let memory: UnsafeMutableRawPointer
    let bytes: Int

    func run(_ index: Int, worker: Int) {
        let start = index &* Self.grain
        memset(memory + start, 0, Swift.min(Self.grain, bytes &- start))
    }
}

private struct Scatter<E: Real>: ParallelTask {
    let w: UnsafeMutablePointer<E>
    let g: UnsafePointer<E>
    let indices: Indices
    let counts: UnsafeMutablePointer<Int>?
    let padding, rows, columns, ranges: Int

    func run(_ index: Int, worker: Int) {
        typealias V = E.Lanes
        let strip = ranges == 1 ? index : index >> 2
        let range = ranges == 1 ? 0 : index & 3
        let firstRow = ranges == 1 ? 0 : rows &* range / 4
        let endRow = ranges == 1 ? rows : rows &* (range &+ 1) / 4
        let first = strip &* 64
        let width = Swift.min(64, columns &- first)
        var i = 0
        while i < indices.count {
            let row = indices.at(i)
            if row >= firstRow && row < endRow && row != padding {
                let to = w + row &* columns + first
                let from = g + i &* columns + first
                var factor = V(repeating: 1)
                if let counts { factor = V(repeating: 1 / E(counts[row])) }
                var k = 0
                while k < width {
                    let rest = width &- k
                    let whole = rest >= V.width
                    V.fma(V.take(from + k, whole, rest), factor, V.take(to + k, whole, rest)).put(to + k, whole, rest)
                    k &+= V.width
                }
            }
            i &+= 1
        }
    }
}
