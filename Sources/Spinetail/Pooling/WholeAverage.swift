import CSpinetail

extension PoolingShape {
    /// One window that holds the plane.
    var isWhole: Bool {
        !d.adaptive && output.count == 1 && d.dilation == 1 && h.dilation == 1 && w.dilation == 1
            && d.padding == 0 && h.padding == 0 && w.padding == 0 && d.kernel == d.input && h.kernel == h.input
            && w.kernel == w.input
    }
}

/// The averages of whole planes, four at a time.
struct WholeAverage<E: Real>: ParallelTask {
    let output: UnsafeMutablePointer<E>
    let input: UnsafePointer<E>
    let planes: Int
    let planesPerTask: Int  // a multiple of 4
    let elements: Int
    let divisor: E

    static func run(_ shape: PoolingShape, _ output: UnsafeMutablePointer<E>, _ input: UnsafePointer<E>) -> Int32 {
        let elements = shape.input.count
        let planesPerTask = 4 &* Swift.max(1, divide(1 << 15, by: elements))
        return parallel(
            pieces(shape.planes, planesPerTask), cost: shape.planes &* (elements / 16 &+ 4),
            WholeAverage(
                output: output, input: input, planes: shape.planes, planesPerTask: planesPerTask, elements: elements,
                divisor: E(shape.divisor != 0 ? shape.divisor : elements)))
    }

    func run(_ index: Int, worker: Int) {
        var plane = index &* planesPerTask
        let end = Swift.min(planes, plane &+ planesPerTask)
        while plane < end {
            let p = input + plane &* elements
            let count = end &- plane
            // Where there are fewer than four, planes are read again.
            let q = p + (count > 1 ? elements : 0)
            let r = p + (count > 2 ? 2 &* elements : 0)
            let s = p + (count > 3 ? 3 &* elements : 0)
            var sums = InlineArray<4, E>(repeating: 0)
            withUnsafeMutablePointer(to: &sums) {
                four(p, q, r, s, UnsafeMutableRawPointer($0).assumingMemoryBound(to: E.self))
            }
            var i = 0
            while i < 4 && i < count {
                output[plane &+ i] = sums[unchecked: i] / divisor
                i &+= 1
            }
            plane &+= 4
        }
    }

    @inline(__always)
    private func four(
        _ p: UnsafePointer<E>, _ q: UnsafePointer<E>, _ r: UnsafePointer<E>, _ s: UnsafePointer<E>,
        _ sums: UnsafeMutablePointer<E>
    ) {
        let width = E.Lanes.width
        var (a, b, c, d) = (E.Lanes.zero, E.Lanes.zero, E.Lanes.zero, E.Lanes.zero)
        var i = 0
        while i &+ width <= elements {
            a = a + .load(p + i)
            b = b + .load(q + i)
            c = c + .load(r + i)
            d = d + .load(s + i)
            i &+= width
        }
        if i < elements {
            a = a + .load(p + i, count: elements &- i, fill: 0)
            b = b + .load(q + i, count: elements &- i, fill: 0)
            c = c + .load(r + i, count: elements &- i, fill: 0)
            d = d + .load(s + i, count: elements &- i, fill: 0)
        }
        E.Lanes.storeSums(sums, a, b, c, d)
    }
}

/// Every element of a plane gets its share.
struct SpreadWhole<E: Real>: ParallelTask {
    let dinput: UnsafeMutablePointer<E>
    let doutput: UnsafePointer<E>
    let planes: Int
    let planesPerTask: Int
    let elements: Int
    let divisor: E

    static func run(_ shape: PoolingShape, _ dinput: UnsafeMutablePointer<E>, _ doutput: UnsafePointer<E>) -> Int32 {
        let elements = shape.input.count
        let planesPerTask = Swift.max(1, divide(1 << 16, by: elements))
        return parallel(
            pieces(shape.planes, planesPerTask), cost: shape.planes &* (elements / 16 &+ 4),
            SpreadWhole(
                dinput: dinput, doutput: doutput, planes: shape.planes, planesPerTask: planesPerTask,
                elements: elements, divisor: E(shape.divisor != 0 ? shape.divisor : elements)))
    }

    func run(_ index: Int, worker: Int) {
        var plane = index &* planesPerTask
        let end = Swift.min(planes, plane &+ planesPerTask)
        while plane < end {
            fill(dinput + plane &* elements, elements, doutput[plane] / divisor)
            plane &+= 1
        }
    }
}
