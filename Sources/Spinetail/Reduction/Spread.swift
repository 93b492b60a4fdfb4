import CSpinetail

/// Σ (x - mean)² / divisor: a chunk is read twice, the second time with its own mean taken off, and chunks are merged
/// by Chan's formula. Of a chunk, `a` is the mean, `b` the sum of squares, `index` the number of elements.
struct SpreadFold<E: Real>: Fold {
    typealias V = E.Lanes
    let divisor: Double
    static var rows: Int { 128 }
    static var cost: Int { 4 }

    /// Four deviations' sum and sum of squares.
    @inline(__always) private static func four(
        _ p: UnsafePointer<E>, _ pitch: Int, _ centre: V, _ sum: inout PreciseSum<V>, _ squares: inout PreciseSum<V>
    ) {
        let a = V.load(p) - centre, b = V.load(p + pitch) - centre
        let c = V.load(p + 2 &* pitch) - centre, d = V.load(p + 3 &* pitch) - centre
        sum.add((a + b) + (c + d))
        squares.add(V.fma(a, a, b * b) + V.fma(c, c, d * d))
    }

    /// The mean and the sum of squares around it, from those around a centre close to it.
    @inline(__always) private static func moved(_ centre: E, _ sum: Double, _ squares: Double, _ n: Int) -> Partial {
        let shift = sum / Double(n)
        return Partial(a: centre.double + shift, b: Swift.max(squares - sum * shift, 0), index: n)
    }

    func row(_ p: UnsafePointer<E>, _ n: Int, first: Int) -> Partial {
        let total = settled(SumFold<E, Plain>(divisor: 1).row(p, n, first: first))
        let mean = E(total / Double(n))
        let centre = V(repeating: mean)
        var sum = PreciseSum<V>(), squares = PreciseSum<V>()
        var i = 0
        while i &+ 4 &* V.width <= n {
            Self.four(p + i, V.width, centre, &sum, &squares)
            i &+= 4 &* V.width
        }
        while i < n {
            let x = V.part(p + i, i &+ V.width <= n, n &- i, mean) - centre
            sum.add(x)
            squares.add(x * x)
            i &+= V.width
        }
        let deviation = (total - total == 0) ? 0 : Double.nan  // an infinity leaves no spread that is a number
        let result = Self.moved(mean, settled(sum.total), settled(squares.total), n)
        return Partial(a: result.a, b: result.b + deviation, index: n)
    }

    func columns(_ p: UnsafePointer<E>, _ n: Int, pitch: Int, count: Int, _ scratch: UnsafeMutableRawPointer) {
        let a = scratch.table(0, Double.self), b = scratch.table(1, Double.self)
        let squares = scratch.table(2, Double.self), lost = scratch.table(3, Double.self)
        let centres = scratch.table(4, E.self)
        let sums = SumFold<E, Plain>(divisor: 1)
        sums.columns(p, n, pitch: pitch, count: count, scratch)
        var j = 0
        while j < count {
            centres[j] = E(settled(sums.column(scratch, j, n, first: 0)) / Double(n))
            j &+= 1
        }
        scratch.clear(4, count)
        var r = 0
        while r < n {
            let many = r &+ 4 <= n
            j = 0
            while j < count {
                let q = p + r &* pitch + j
                let left = count &- j
                let centre = V.part(centres + j, left >= V.width, left, 0)
                var s = PreciseSum<V>(a, b, j), t = PreciseSum<V>(squares, lost, j)
                if many && left >= V.width {
                    Self.four(q, pitch, centre, &s, &t)
                } else {
                    var k = 0
                    while k < (many ? 4 : 1) {
                        let x = V.part(q + k &* pitch, left >= V.width, left, 0) - centre
                        s.add(x)
                        t.add(x * x)
                        k &+= 1
                    }
                }
                s.store(a, b, j)
                t.store(squares, lost, j)
                j &+= V.width
            }
            r &+= many ? 4 : 1
        }
    }

    func column(_ scratch: UnsafeMutableRawPointer, _ j: Int, _ n: Int, first: Int) -> Partial {
        Self.moved(
            scratch.table(4, E.self)[j], scratch.table(0, Double.self)[j], scratch.table(2, Double.self)[j], n)
    }

    func merge(_ x: Partial, _ y: Partial) -> Partial {
        let total = Double(x.index &+ y.index)
        let delta = y.a - x.a
        let share = Double(y.index) / total
        return Partial(
            a: x.a + delta * share, b: x.b + y.b + delta * delta * (Double(x.index) * share),
            index: x.index &+ y.index)
    }

    func finish(_ x: Partial) -> E { E(x.b / divisor) }
}

/// log Σ eˣ: the largest element first, then the sum of powers below it. `a` is that element, `b` the sum.
struct LogSumExpFold<E: Real>: Fold {
    typealias V = E.Lanes
    static var rows: Int { 128 }
    static var cost: Int { 12 }

    func row(_ p: UnsafePointer<E>, _ n: Int, first: Int) -> Partial {
        let top = ExtremeFold<E, Largest, Plain>.ofRow(p, n)
        if top - top != 0 { return Partial(a: top.double) }  // NaN or infinite, and so is the result
        let shift = V(repeating: top)
        var sum = PreciseSum<V>()
        var i = 0
        while i &+ 2 &* V.width <= n {
            sum.add(V.expNonPositive(V.load(p + i) - shift) + V.expNonPositive(V.load(p + i + V.width) - shift))
            i &+= 2 &* V.width
        }
        while i < n {
            sum.add(V.expNonPositive(V.part(p + i, i &+ V.width <= n, n &- i, -E.infinity) - shift))
            i &+= V.width
        }
        return Partial(a: top.double, b: settled(sum.total))
    }

    func columns(_ p: UnsafePointer<E>, _ n: Int, pitch: Int, count: Int, _ scratch: UnsafeMutableRawPointer) {
        let a = scratch.table(0, Double.self), b = scratch.table(1, Double.self)
        let tops = scratch.table(2, E.self)
        ExtremeFold<E, Largest, Plain>.ofColumns(p, n, pitch, count, tops)
        scratch.clear(2, count)
        var r = 0
        while r < n {
            var j = 0
            while j < count {
                let left = count &- j
                var sum = PreciseSum<V>(a, b, j)
                let x = V.part(p + r &* pitch + j, left >= V.width, left, 0)
                sum.add(V.expNonPositive(x - V.part(tops + j, left >= V.width, left, 0)))
                sum.store(a, b, j)
                j &+= V.width
            }
            r &+= 1
        }
    }

    func column(_ scratch: UnsafeMutableRawPointer, _ j: Int, _ n: Int, first: Int) -> Partial {
        let top = scratch.table(2, E.self)[j]
        let sum = Partial(
            a: scratch.table(0, Double.self)[j], b: PreciseSum<V>.isDouble ? scratch.table(1, Double.self)[j] : 0)
        return Partial(a: top.double, b: top - top == 0 ? settled(sum) : 0)
    }

    func merge(_ x: Partial, _ y: Partial) -> Partial {
        let best = Largest.isBetter(y.a, x.a) ? y : x
        if best.a - best.a != 0 { return best }
        return Partial(a: best.a, b: x.b * exp(x.a - best.a) + y.b * exp(y.a - best.a))
    }

    func finish(_ x: Partial) -> E { x.a - x.a == 0 ? E(x.a + log(x.b)) : E(x.a) }
}
