// Softmax along an axis that is not the last: a vector holds neighbouring columns, and runs down the axis.

extension Lanes {
    /// A whole vector, or its first lanes.
    @inline(__always) static func load(_ p: UnsafePointer<Scalar>, columns: Int, fill: Scalar) -> Self {
        columns == width ? load(p) : load(p, count: columns, fill: fill)
    }
    @inline(__always) func store(_ p: UnsafeMutablePointer<Scalar>, columns: Int) {
        if columns == Self.width { store(p) } else { store(p, count: columns) }
    }
}

struct SoftmaxColumns<E: Real>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let x: UnsafePointer<E>
    let work: LineWork
    let logarithm: Bool

    func run(_ index: Int, worker: Int) {
        var (line, end) = work.range(index)
        while line < end {
            let (offset, columns) = work.columns(line)
            if columns == Strip<E.Lanes>.width {
                strip(offset)
            } else {
                var column = 0
                while column < columns {
                    block(offset &+ column, Swift.min(E.Lanes.width, columns &- column))
                    column &+= E.Lanes.width
                }
            }
            line &+= 1
        }
    }

    @inline(__always) private func strip(_ offset: Int) {
        typealias S = Strip<E.Lanes>
        let x = x + offset
        let y = y + offset
        let length = work.size &* work.inner
        var top = S(repeating: -E.infinity)
        var i = 0
        while i < length {
            top = S.max(top, S.load(x + i))
            i &+= work.inner
        }
        var sum = S(repeating: 0)
        i = 0
        while i < length {
            let e = S.expNonPositive(S.load(x + i) - top)
            if !logarithm { e.store(y + i) }
            sum = sum + e
            i &+= work.inner
        }
        i = 0
        if logarithm {
            let log = S.log(sum)
            while i < length {
                (S.load(x + i) - top - log).store(y + i)
                i &+= work.inner
            }
        } else {
            let one = E.Lanes.one
            let factor = S(one / sum.a, one / sum.b, one / sum.c, one / sum.d)
            while i < length {
                (S.load(y + i) * factor).store(y + i)
                i &+= work.inner
            }
        }
    }

    @inline(__always) private func block(_ offset: Int, _ columns: Int) {
        let x = x + offset
        let y = y + offset
        let length = work.size &* work.inner
        var top = E.Lanes(repeating: -E.infinity)
        var i = 0
        while i < length {
            top = E.Lanes.max(top, E.Lanes.load(x + i, columns: columns, fill: 0))
            i &+= work.inner
        }
        var sum = E.Lanes.zero
        i = 0
        while i < length {
            let e = E.Lanes.expNonPositive(E.Lanes.load(x + i, columns: columns, fill: 0) - top)
            if !logarithm { e.store(y + i, columns: columns) }
            sum = sum + e
            i &+= work.inner
        }
        i = 0
        if logarithm {
            let log = E.Lanes.log(sum)
            while i < length {
                (E.Lanes.load(x + i, columns: columns, fill: 0) - top - log).store(y + i, columns: columns)
                i &+= work.inner
            }
        } else {
            let factor = E.Lanes.one / sum
            while i < length {
                (E.Lanes.load(y + i, columns: columns, fill: 0) * factor).store(y + i, columns: columns)
                i &+= work.inner
            }
        }
    }
}

struct SoftmaxColumnsBackward<E: Real>: ParallelTask {
    let dx: UnsafeMutablePointer<E>
    let dy: UnsafePointer<E>
    let y: UnsafePointer<E>
    let work: LineWork
    let logarithm: Bool

    func run(_ index: Int, worker: Int) {
        var (line, end) = work.range(index)
        while line < end {
            let (offset, columns) = work.columns(line)
            if columns == Strip<E.Lanes>.width {
                strip(offset)
            } else {
                var column = 0
                while column < columns {
                    block(offset &+ column, Swift.min(E.Lanes.width, columns &- column))
                    column &+= E.Lanes.width
                }
            }
            line &+= 1
        }
    }

    @inline(__always) private func strip(_ offset: Int) {
        typealias S = Strip<E.Lanes>
        let length = work.size &* work.inner
        let dx = dx + offset
        let dy = dy + offset
        let y = y + offset
        var sum = S(repeating: 0)
        var i = 0
        while i < length {
            let g = S.load(dy + i)
            sum = logarithm ? sum + g : S.fma(S.load(y + i), g, sum)
            i &+= work.inner
        }
        i = 0
        while i < length {
            let g = S.load(dy + i)
            let p = S.load(y + i)
            let d = logarithm ? g - S.expNonPositive(p) * sum : p * (g - sum)
            d.store(dx + i)
            i &+= work.inner
        }
    }

    @inline(__always) private func block(_ offset: Int, _ columns: Int) {
        let length = work.size &* work.inner
        let dx = dx + offset
        let dy = dy + offset
        let y = y + offset
        var sum = E.Lanes.zero
        var i = 0
        while i < length {
            let g = E.Lanes.load(dy + i, columns: columns, fill: 0)
            sum = logarithm ? sum + g : E.Lanes.fma(E.Lanes.load(y + i, columns: columns, fill: 0), g, sum)
            i &+= work.inner
        }
        i = 0
        while i < length {
            let g = E.Lanes.load(dy + i, columns: columns, fill: 0)
            let p = E.Lanes.load(y + i, columns: columns, fill: 0)
            let d = logarithm ? g - E.Lanes.expNonPositive(p) * sum : p * (g - sum)
            d.store(dx + i, columns: columns)
            i &+= work.inner
        }
    }
}
