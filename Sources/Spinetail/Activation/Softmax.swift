import CSpinetail

// Softmax along an axis of a contiguous array, seen as (outer, size, inner). With inner = 1 a row is contiguous and one
// vector runs along it; otherwise neighbouring lanes are neighbouring columns. Rows are never cut, so the result does not
// depend on threads. A row that holds NaN or +∞, or nothing but -∞, becomes NaN, as in PyTorch.

/// The three factors of an array's extents around one axis.
struct AxisSplit {
    var outer = 1
    var size = 1
    var inner = 1

    init?(_ array: Descriptor, axis: Int64) {
        let axis = Int(truncatingIfNeeded: axis)
        if axis < 0 || axis >= array.rank { return nil }
        var i = 0
        while i < array.rank {
            let extent = array.extent(i)
            if i < axis { outer = outer &* extent } else if i == axis { size = extent } else { inner = inner &* extent }
            i &+= 1
        }
    }
}

@c @implementation
public func spinetail_softmax_forward(
    _ output: Descriptor, _ input: Descriptor, _ axis: Int64, _ logarithm: Int64
) -> spinetail_status {
    if output.dtype != input.dtype { return Status.dtype(1) }
    if !output.hasShape(of: input) { return Status.shape(1) }
    if !output.isContiguous { return Status.layout(1) }
    if !input.isContiguous { return Status.layout(2) }
    guard let split = AxisSplit(input, axis: axis) else { return Status.parameter(3) }
    if input.holds(Float.self) { return softmax(Float.self, output, input, split, logarithm != 0) }
    if input.holds(Double.self) { return softmax(Double.self, output, input, split, logarithm != 0) }
    return Status.dtype(2)
}

@c @implementation
public func spinetail_softmax_backward(
    _ dinput: Descriptor, _ doutput: Descriptor, _ output: Descriptor, _ axis: Int64, _ logarithm: Int64
) -> spinetail_status {
    if dinput.dtype != output.dtype { return Status.dtype(1) }
    if doutput.dtype != output.dtype { return Status.dtype(2) }
    if !dinput.hasShape(of: output) { return Status.shape(1) }
    if !doutput.hasShape(of: output) { return Status.shape(2) }
    if !dinput.isContiguous { return Status.layout(1) }
    if !doutput.isContiguous { return Status.layout(2) }
    if !output.isContiguous { return Status.layout(3) }
    guard let split = AxisSplit(output, axis: axis) else { return Status.parameter(4) }
    if output.holds(Float.self) { return softmaxBackward(Float.self, dinput, doutput, output, split, logarithm != 0) }
    if output.holds(Double.self) { return softmaxBackward(Double.self, dinput, doutput, output, split, logarithm != 0) }
    return Status.dtype(3)
}

private func softmax<E: Real>(
    _ type: E.Type, _ output: Descriptor, _ input: Descriptor, _ split: AxisSplit, _ logarithm: Bool
) -> Int32 {
    guard let y = output.pointer(E.self), let x = input.pointer(E.self) else { return Status.ok }
    let work = LineWork(split, width: Strip<E.Lanes>.width)
    let cost = (input.count >> 10) &* 350 &* (MemoryLayout<E>.size >> 2)
    if split.inner == 1 {
        let task = SoftmaxRows<E>(y: y, x: UnsafePointer(x), work: work, logarithm: logarithm)
        if split.size > longRow { return parallel(work.pieces, cost: cost, SoftmaxLongRows<E>(rows: task)) }
        return parallel(work.pieces, cost: cost, task)
    }
    let task = SoftmaxColumns<E>(y: y, x: UnsafePointer(x), work: work, logarithm: logarithm)
    return parallel(work.pieces, cost: cost, task)
}

private func softmaxBackward<E: Real>(
    _ type: E.Type, _ dinput: Descriptor, _ doutput: Descriptor, _ output: Descriptor, _ split: AxisSplit,
    _ logarithm: Bool
) -> Int32 {
    guard let dx = dinput.pointer(E.self), let dy = doutput.pointer(E.self), let y = output.pointer(E.self) else {
        return Status.ok
    }
    let work = LineWork(split, width: Strip<E.Lanes>.width)
    let cost = (output.count >> 10) &* (logarithm ? 350 : 200) &* (MemoryLayout<E>.size >> 2)
    if split.inner == 1 {
        let task = SoftmaxRowsBackward<E>(
            dx: dx, dy: UnsafePointer(dy), y: UnsafePointer(y), work: work, logarithm: logarithm)
        return parallel(work.pieces, cost: cost, task)
    }
    let task = SoftmaxColumnsBackward<E>(
        dx: dx, dy: UnsafePointer(dy), y: UnsafePointer(y), work: work, logarithm: logarithm)
    return parallel(work.pieces, cost: cost, task)
}

/// How lines along an axis are dealt out: a line is a row, or a strip of columns.
struct LineWork {
    let size: Int
    let inner: Int
    let blocks: Int  // lines in one outer index
    let lines: Int
    let linesPerPiece: Int
    let width: Int

    init(_ split: AxisSplit, width: Int) {
        size = split.size
        inner = split.inner
        self.width = split.inner == 1 ? 1 : width
        blocks = Spinetail.pieces(split.inner, self.width)
        lines = split.outer &* blocks
        let elements = Swift.max(1, split.size &* self.width)
        linesPerPiece = Swift.max(1, divide(elementwiseGrain, by: elements))
    }

    var pieces: Int { Spinetail.pieces(lines, linesPerPiece) }

    /// The lines of a piece.
    @inline(__always) func range(_ piece: Int) -> (first: Int, end: Int) {
        let first = piece &* linesPerPiece
        return (first, Swift.min(lines, first &+ linesPerPiece))
    }

    /// Where a block of columns starts, and how many columns it has.
    @inline(__always) func columns(_ line: Int) -> (offset: Int, count: Int) {
        let outer = divide(line, by: blocks)
        let column = (line &- outer &* blocks) &* width
        return (outer &* size &* inner &+ column, Swift.min(width, inner &- column))
    }
}

// MARK: - Rows

struct SoftmaxRows<E: Real>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let x: UnsafePointer<E>
    let work: LineWork
    let logarithm: Bool

    // The next row's largest element is found before this row is finished: it fills the wait for the row's sum.
    func run(_ index: Int, worker: Int) {
        let (first, end) = work.range(index)
        rows(first, end)
    }

    func rows(_ first: Int, _ end: Int) {
        var line = first
        if line >= end { return }
        let fetch = RowFetch(work.size)
        var top = rowLargest(x + line &* work.size, work.size)
        while line < end {
            let from = x + line &* work.size
            let to = y + line &* work.size
            let sum =
                logarithm
                ? rowExponentialSum(from, to, work.size, top, fetch) : rowExponentials(from, to, work.size, top, fetch)
            let next = line &+ 1 < end ? rowLargest(from + work.size, work.size) : top
            if logarithm {
                rowSubtract(from, to, work.size, top, logarithm: sum)
            } else {
                rowScale(to, work.size, 1 / sum)
            }
            top = next
            line &+= 1
        }
    }
}

/// The largest of a row; where there is a NaN, any value.
@inline(__always) func rowLargest<E: Real>(_ x: UnsafePointer<E>, _ count: Int) -> E {
    let width = E.Lanes.width
    let least = E.Lanes(repeating: -E.infinity)
    var a = least, b = least, c = least, d = least
    var i = 0
    while i &+ 4 &* width <= count {
        a = E.Lanes.max(a, E.Lanes.load(x + i))
        b = E.Lanes.max(b, E.Lanes.load(x + i + width))
        c = E.Lanes.max(c, E.Lanes.load(x + i + 2 &* width))
        d = E.Lanes.max(d, E.Lanes.load(x + i + 3 &* width))
        i &+= 4 &* width
    }
    while i &+ width <= count {
        a = E.Lanes.max(a, E.Lanes.load(x + i))
        i &+= width
    }
    if i < count { b = E.Lanes.max(b, E.Lanes.load(x + i, count: count &- i, fill: -E.infinity)) }
    return E.Lanes.max(E.Lanes.max(a, b), E.Lanes.max(c, d)).largest()
}

/// How far ahead of a row's exponentials the memory is asked for that comes next, in elements: reading the exponentials' own
/// rows, the processor has time for it, and what follows finds it in the cache.
struct RowFetch {
    let input, output: Int

    /// For a sweep over rows that are read twice before they are written, once a row ahead of the other.
    @inline(__always) init(_ columns: Int) {
        let fits = columns <= 65_536
        input = columns <= 4096 ? 2 &* columns : fits ? columns : 0
        output = fits ? columns : 0
    }

    /// For rows that are finished before the next begins.
    @inline(__always) init(single columns: Int) {
        input = columns <= 65_536 ? columns : 0
        output = input
    }
}

/// Stores exp(x - top) and returns the sum.
@inline(__always) func rowExponentials<E: Real>(
    _ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>, _ count: Int, _ top: E, _ fetch: RowFetch
) -> E {
    exponentials(x, y, count, top, fetch, stores: true)
}

/// The sum of exp(x - top). `y` is the row that will be written, if there is one.
@inline(__always) func rowExponentialSum<E: Real>(
    _ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>?, _ count: Int, _ top: E, _ fetch: RowFetch
) -> E {
    exponentials(x, y ?? UnsafeMutablePointer(mutating: x), count, top, fetch, stores: false)
}

/// The sum of exp(x - top), blocks' sums added in float64, and if it `stores` the exponentials themselves.
@inline(__always) private func exponentials<E: Real>(
    _ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>, _ count: Int, _ top: E, _ fetch: RowFetch, stores: Bool
) -> E {
    var sum = 0.0
    var i = 0
    while i < count {
        let some = Swift.min(momentBlock, count &- i)
        sum += blockExponentials(x + i, y + i, some, top, fetch, stores: stores).double
        i &+= some
    }
    return E(sum)
}

/// 2 to the power (x - top) · log₂e: one product more than the difference has rounded already. Strips that hold powers
/// too small for normal numbers, such as masked logits', go the long way.
@inline(__always) private func blockExponentials<E: Real>(
    _ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>, _ count: Int, _ top: E, _ fetch: RowFetch, stores: Bool
) -> E {
    typealias V = E.Lanes
    typealias S = Strip<V>
    let shift = S(repeating: top), log2e = S(repeating: 1.44269504088896340736)
    var sums = S(repeating: 0)
    var i = 0
    while i &+ S.width <= count {
        S.fetch(x + (i &+ fetch.input))
        S.fetch(UnsafePointer(y) + (i &+ fetch.output))
        let d = S.load(x + i) - shift
        let t = d * log2e
        let e: S
        if V.anyBelow(V.min(V.min(t.a, t.b), V.min(t.c, t.d)), V.exp2Low) {
            e = S.expNonPositive(d)
        } else {
            e = S(V.exp2(t.a), V.exp2(t.b), V.exp2(t.c), V.exp2(t.d))
        }
        if stores { e.store(y + i) }
        sums = sums + e
        i &+= S.width
    }
    while i &+ V.width <= count {
        let e = V.expNonPositive(V.load(x + i) - shift.a)
        if stores { e.store(y + i) }
        sums.a = sums.a + e
        i &+= V.width
    }
    if i < count {
        let e = V.expNonPositive(V.load(x + i, count: count &- i, fill: -E.infinity) - shift.a)
        if stores { e.store(y + i, count: count &- i) }
        sums.b = sums.b + e
    }
    return ((sums.a + sums.b) + (sums.c + sums.d)).sum()
}

@inline(__always) func rowScale<E: Real>(_ y: UnsafeMutablePointer<E>, _ count: Int, _ factor: E) {
    let width = E.Lanes.width
    let factor = E.Lanes(repeating: factor)
    var i = 0
    while i &+ width <= count {
        (E.Lanes.load(y + i) * factor).store(y + i)
        i &+= width
    }
    if i < count { (E.Lanes.load(y + i, count: count &- i, fill: 0) * factor).store(y + i, count: count &- i) }
}

/// y = (x - top) - log(sum)
@inline(__always) func rowSubtract<E: Real>(
    _ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>, _ count: Int, _ top: E, logarithm sum: E
) {
    let width = E.Lanes.width
    let top = E.Lanes(repeating: top), log = E.Lanes.log(E.Lanes(repeating: sum))
    var i = 0
    while i &+ width <= count {
        (E.Lanes.load(x + i) - top - log).store(y + i)
        i &+= width
    }
    if i < count { (E.Lanes.load(x + i, count: count &- i, fill: 0) - top - log).store(y + i, count: count &- i) }
}

private struct SoftmaxRowsBackward<E: Real>: ParallelTask {
    let dx: UnsafeMutablePointer<E>
    let dy: UnsafePointer<E>
    let y: UnsafePointer<E>
    let work: LineWork
    let logarithm: Bool

    func run(_ index: Int, worker: Int) {
        let (line, end) = work.range(index)
        if logarithm { rows(line, end, true) } else { rows(line, end, false) }
    }

    /// The next row's sum is made before this row is written, so that neither waits for the other.
    @inline(__always) private func rows(_ first: Int, _ end: Int, _ logarithm: Bool) {
        var line = first
        if line >= end { return }
        var own = sum(line &* work.size, logarithm)
        while line < end {
            let next = line &+ 1 < end ? sum((line &+ 1) &* work.size, logarithm) : own
            write(line &* work.size, E.Lanes(repeating: own.sum()), logarithm)
            own = next
            line &+= 1
        }
    }

    /// Σ y·dy, or for the logarithm Σ dy, spread over the lanes.
    @inline(__always) private func sum(_ start: Int, _ logarithm: Bool) -> E.Lanes {
        let width = E.Lanes.width
        let end = start &+ work.size
        var a = E.Lanes.zero, b = E.Lanes.zero, c = E.Lanes.zero, d = E.Lanes.zero
        var i = start
        while i &+ 4 &* width <= end {
            a = add(i, true, 0, logarithm, a)
            b = add(i &+ width, true, 0, logarithm, b)
            c = add(i &+ 2 &* width, true, 0, logarithm, c)
            d = add(i &+ 3 &* width, true, 0, logarithm, d)
            i &+= 4 &* width
        }
        while i &+ width <= end {
            a = add(i, true, 0, logarithm, a)
            i &+= width
        }
        if i < end { b = add(i, false, end &- i, logarithm, b) }
        return (a + b) + (c + d)
    }

    @inline(__always)
    private func add(_ i: Int, _ whole: Bool, _ rest: Int, _ logarithm: Bool, _ sum: E.Lanes) -> E.Lanes {
        let g = E.Lanes.take(dy + i, whole, rest)
        return logarithm ? sum + g : E.Lanes.fma(E.Lanes.take(y + i, whole, rest), g, sum)
    }

    /// dx = y · (dy - sum), or for the logarithm dy - exp(y) · sum.
    @inline(__always) private func write(_ start: Int, _ sum: E.Lanes, _ logarithm: Bool) {
        let width = E.Lanes.width
        let end = start &+ work.size
        var i = start
        while i &+ 2 &* width <= end {
            vector(i, true, 0, sum, logarithm)
            vector(i &+ width, true, 0, sum, logarithm)
            i &+= 2 &* width
        }
        while i < end {
            if end &- i >= width {
                vector(i, true, 0, sum, logarithm)
            } else {
                vector(i, false, end &- i, sum, logarithm)
            }
            i &+= width
        }
    }

    @inline(__always)
    private func vector(_ i: Int, _ whole: Bool, _ rest: Int, _ sum: E.Lanes, _ logarithm: Bool) {
        let g = E.Lanes.take(dy + i, whole, rest)
        let p = E.Lanes.take(y + i, whole, rest)
        let d = logarithm ? g - E.Lanes.expNonPositive(p) * sum : p * (g - sum)
        d.put(dx + i, whole, rest)
    }
}
