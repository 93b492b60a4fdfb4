import CSpinetail

@c @implementation
public func spinetail_running(
    _ output: Descriptor, _ input: Descriptor, _ axis: Int64, _ operation: Int64, _ reverse: Int64
) -> spinetail_status {
    if !output.hasShape(of: input) { return Status.shape(1) }
    if !output.isContiguous { return Status.layout(1) }
    if !input.isContiguous { return Status.layout(2) }
    if axis < 0 || axis >= Int64(truncatingIfNeeded: Swift.max(1, input.rank)) { return Status.parameter(3) }
    let isProduct = operation == Int64(SPINETAIL_RUNNING_PRODUCT)
    if !isProduct && operation != Int64(SPINETAIL_RUNNING_SUM) { return Status.parameter(4) }
    let plan = RunningLines(input, Int(truncatingIfNeeded: axis), reverse: reverse != 0)
    switch Int(truncatingIfNeeded: input.dtype) {
    case Int(SPINETAIL_FLOAT32): return running(Float.self, output, input, plan, isProduct)
    case Int(SPINETAIL_FLOAT64): return running(Double.self, output, input, plan, isProduct)
    case Int(SPINETAIL_INT8): return running(whole: Int8.self, output, input, plan, isProduct)
    case Int(SPINETAIL_UINT8), Int(SPINETAIL_BOOL): return running(whole: UInt8.self, output, input, plan, isProduct)
    case Int(SPINETAIL_INT32): return running(whole: Int32.self, output, input, plan, isProduct)
    case Int(SPINETAIL_INT64): return running(whole: Int64.self, output, input, plan, isProduct)
    default: return Status.dtype(2)
    }
}

private func running<E: Real>(
    _ type: E.Type, _ output: Descriptor, _ input: Descriptor, _ plan: RunningLines, _ isProduct: Bool
) -> Int32 {
    if output.dtype != input.dtype { return Status.dtype(1) }
    guard plan.size > 0, let y = output.pointer(type), let x = input.pointer(type) else { return Status.ok }
    if isProduct { return plan.run(RunningTask<E, RunningProduct>(y: y, x: UnsafePointer(x), plan: plan), cost: 1) }
    return plan.run(RunningTask<E, RunningSum>(y: y, x: UnsafePointer(x), plan: plan), cost: 1)
}

private func running<T: FixedWidthInteger>(
    whole type: T.Type, _ output: Descriptor, _ input: Descriptor, _ plan: RunningLines, _ isProduct: Bool
) -> Int32 {
    if output.dtype != Int32(SPINETAIL_INT64) { return Status.dtype(1) }
    guard plan.size > 0, let y = output.pointer(Int64.self), let x = input.pointer(type) else { return Status.ok }
    let isBool = input.dtype == Int32(SPINETAIL_BOOL)
    return plan.run(
        RunningWholeTask<T>(y: y, x: UnsafePointer(x), plan: plan, isProduct: isProduct, isBool: isBool), cost: 1)
}

/// The lines of a C-contiguous array along an axis, (outer, n, inner), cut into pieces: some of `outer` where the lines
/// are rows, else strips of columns.
struct RunningLines {
    static var strip: Int { 256 }
    var outer = 1
    var n = 1
    var inner = 1
    let isReversed: Bool
    let group, strips: Int

    init(_ array: Descriptor, _ axis: Int, reverse: Bool) {
        var k = 0
        while k < array.rank {
            if k < axis { outer = outer &* array.extent(k) }
            if k == axis { n = array.extent(k) }
            if k > axis { inner = inner &* array.extent(k) }
            k &+= 1
        }
        isReversed = reverse
        strips = pieces(inner, Self.strip)
        group = Swift.max(1, divide(32_768, by: Swift.max(1, n &* Swift.min(inner, Self.strip))))
    }

    var size: Int { outer &* n &* inner }

    func run<Task: ParallelTask>(_ task: Task, cost: Int) -> Int32 {
        parallel(pieces(outer, group) &* strips, cost: size &* cost / 2, task)
    }

    /// The lines of a piece: those of `outer` from `first` to `end`, and columns from `from` on, `count` of them.
    @inline(__always) func piece(_ index: Int) -> (first: Int, end: Int, from: Int, count: Int) {
        let first = divide(index, by: strips) &* group
        let from = remainder(index, by: strips) &* Self.strip
        return (first, Swift.min(outer, first &+ group), from, Swift.min(Self.strip, inner &- from))
    }

    /// Element number r of a line, counted from its start or from its end.
    @inline(__always) func at(_ r: Int) -> Int { isReversed ? n &- 1 &- r : r }
}

protocol RunningJoin {
    static var neutral: Double { get }
    static func join(_ a: DoubleLanes, _ b: DoubleLanes) -> DoubleLanes
    /// Lane i joins the lanes 0 ... i.
    static func scan(_ a: DoubleLanes) -> DoubleLanes
}
enum RunningSum: RunningJoin {
    @inline(__always) static var neutral: Double { 0 }
    @inline(__always) static func join(_ a: DoubleLanes, _ b: DoubleLanes) -> DoubleLanes { spinetail_add_f64(a, b) }
    @inline(__always) static func scan(_ a: DoubleLanes) -> DoubleLanes { spinetail_running_sum_f64(a) }
}
enum RunningProduct: RunningJoin {
    @inline(__always) static var neutral: Double { 1 }
    @inline(__always) static func join(_ a: DoubleLanes, _ b: DoubleLanes) -> DoubleLanes {
        spinetail_multiply_f64(a, b)
    }
    @inline(__always) static func scan(_ a: DoubleLanes) -> DoubleLanes { spinetail_running_product_f64(a) }
}

private struct RunningTask<E: Real, O: RunningJoin>: ParallelTask {
    typealias D = DoubleLanes
    typealias V = E.Lanes
    let y: UnsafeMutablePointer<E>
    let x: UnsafePointer<E>
    let plan: RunningLines

    func run(_ index: Int, worker: Int) {
        let (first, end, from, count) = plan.piece(index)
        var i = first
        while i < end {
            let start = i &* plan.n &* plan.inner &+ from
            if plan.inner == 1 {
                if plan.isReversed { backwards(start) } else { forwards(start) }
            } else {
                columns(start, count)
            }
            i &+= 1
        }
    }

    /// As many elements as there are float64 lanes, fewer at the end of a line; neutral ones after them.
    @inline(__always) private func load(_ p: UnsafePointer<E>, _ count: Int) -> D {
        count >= D.width ? V.loadWide(p) : V.load(p, count: count, fill: E(O.neutral)).low
    }
    @inline(__always) private func store(_ d: D, _ p: UnsafeMutablePointer<E>, _ count: Int) {
        V.narrow(d, d).store(p, count: Swift.min(count, D.width))
    }

    private func forwards(_ start: Int) {
        var carry = D(repeating: O.neutral)
        var i = 0
        while i < plan.n {
            let sums = O.join(carry, O.scan(load(x + start + i, plan.n &- i)))
            store(sums, y + start + i, plan.n &- i)
            carry = spinetail_last_f64(sums)
            i &+= D.width
        }
    }

    private func backwards(_ start: Int) {
        var carry = D(repeating: O.neutral)
        var end = plan.n
        while end >= D.width {
            end &-= D.width
            let sums = O.join(carry, O.scan(spinetail_reverse_f64(V.loadWide(x + start + end))))
            store(spinetail_reverse_f64(sums), y + start + end, D.width)
            carry = spinetail_last_f64(sums)
        }
        if end > 0 {
            let sums = O.join(carry, O.scan(spinetail_reverse_f64(load(x + start, end))))
            store(spinetail_reverse_f64(sums), y + start, end)
        }
    }

    /// Up to a strip of columns; what has been joined so far stays in float64.
    private func columns(_ start: Int, _ count: Int) {
        var j = 0
        while j &+ 4 &* D.width <= count {
            var a = D(repeating: O.neutral), b = a, c = a, d = a
            var r = 0
            while r < plan.n {
                let at = start &+ plan.at(r) &* plan.inner &+ j
                a = O.join(a, V.loadWide(x + at))
                b = O.join(b, V.loadWide(x + at + D.width))
                c = O.join(c, V.loadWide(x + at + 2 &* D.width))
                d = O.join(d, V.loadWide(x + at + 3 &* D.width))
                store(a, y + at, D.width)
                store(b, y + at + D.width, D.width)
                store(c, y + at + 2 &* D.width, D.width)
                store(d, y + at + 3 &* D.width, D.width)
                r &+= 1
            }
            j &+= 4 &* D.width
        }
        while j < count {
            var a = D(repeating: O.neutral)
            var r = 0
            while r < plan.n {
                let at = start &+ plan.at(r) &* plan.inner &+ j
                a = O.join(a, load(x + at, count &- j))
                store(a, y + at, count &- j)
                r &+= 1
            }
            j &+= D.width
        }
    }
}

private struct RunningWholeTask<T: FixedWidthInteger>: ParallelTask {
    let y: UnsafeMutablePointer<Int64>
    let x: UnsafePointer<T>
    let plan: RunningLines
    let isProduct, isBool: Bool

    @inline(__always) private func value(_ i: Int) -> Int64 {
        isBool ? (x[i] == 0 ? 0 : 1) : Int64(truncatingIfNeeded: x[i])
    }

    func run(_ index: Int, worker: Int) {
        let (first, end, from, count) = plan.piece(index)
        var i = first
        while i < end {
            let start = i &* plan.n &* plan.inner &+ from
            var r = 0
            while r < plan.n {
                let at = start &+ plan.at(r) &* plan.inner
                let before = r == 0 ? at : start &+ plan.at(r &- 1) &* plan.inner
                var j = 0
                while j < count {
                    if r == 0 {
                        y[at &+ j] = value(at &+ j)
                    } else if isProduct {
                        y[at &+ j] = y[before &+ j] &* value(at &+ j)
                    } else {
                        y[at &+ j] = y[before &+ j] &+ value(at &+ j)
                    }
                    j &+= 1
                }
                r &+= 1
            }
            i &+= 1
        }
    }
}
