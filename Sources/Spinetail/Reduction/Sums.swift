import CSpinetail

/// What is summed.
protocol Term {
    static func of<V: Lanes>(_ x: V) -> V
}
enum Plain: Term {
    @inline(__always) static func of<V: Lanes>(_ x: V) -> V { x }
}
enum Magnitude: Term {
    @inline(__always) static func of<V: Lanes>(_ x: V) -> V { V.abs(x) }
}

/// Σ f(x) / divisor: eight vectors are added as a tree in their own precision, and the trees precisely.
struct SumFold<E: Real, T: Term>: Fold {
    typealias V = E.Lanes
    let divisor: Double
    static var rows: Int { 1024 }
    static var cost: Int { 2 }

    /// Eight vectors, `pitch` elements apart.
    @inline(__always) static func eight(_ p: UnsafePointer<E>, _ pitch: Int, _ whole: Bool, _ left: Int) -> V {
        let a = T.of(V.part(p, whole, left, 0)) + T.of(V.part(p + pitch, whole, left, 0))
        let b = T.of(V.part(p + 2 &* pitch, whole, left, 0)) + T.of(V.part(p + 3 &* pitch, whole, left, 0))
        let q = p + 4 &* pitch
        let c = T.of(V.part(q, whole, left, 0)) + T.of(V.part(q + pitch, whole, left, 0))
        let d = T.of(V.part(q + 2 &* pitch, whole, left, 0)) + T.of(V.part(q + 3 &* pitch, whole, left, 0))
        return (a + b) + (c + d)
    }

    func row(_ p: UnsafePointer<E>, _ n: Int, first: Int) -> Partial {
        var sum = PreciseSum<V>()
        var i = 0
        while i &+ 8 &* V.width <= n {
            sum.add(Self.eight(p + i, V.width, true, 0))
            i &+= 8 &* V.width
        }
        while i < n {
            sum.add(T.of(V.part(p + i, i &+ V.width <= n, n &- i, 0)))
            i &+= V.width
        }
        return sum.total
    }

    func columns(_ p: UnsafePointer<E>, _ n: Int, pitch: Int, count: Int, _ scratch: UnsafeMutableRawPointer) {
        let a = scratch.table(0, Double.self), b = scratch.table(1, Double.self)
        scratch.clear(2, count)
        var r = 0
        while r < n {
            let many = r &+ 8 <= n
            let q = p + r &* pitch
            var j = 0
            while j < count {
                var sum = PreciseSum<V>(a, b, j)
                let left = count &- j
                if left >= V.width {
                    sum.add(many ? Self.eight(q + j, pitch, true, 0) : T.of(V.load(q + j)))
                } else {
                    sum.add(many ? Self.eight(q + j, pitch, false, left) : T.of(V.load(q + j, count: left, fill: 0)))
                }
                sum.store(a, b, j)
                j &+= V.width
            }
            r &+= many ? 8 : 1
        }
    }

    func column(_ scratch: UnsafeMutableRawPointer, _ j: Int, _ n: Int, first: Int) -> Partial {
        Partial(
            a: scratch.table(0, Double.self)[j],
            b: PreciseSum<V>.isDouble ? scratch.table(1, Double.self)[j] : 0)
    }

    func merge(_ x: Partial, _ y: Partial) -> Partial { addPrecisely(x, y) }
    func finish(_ x: Partial) -> E { E(settled(x) / divisor) }
}

/// Σ x² / divisor or its root, squared in float64, so that float32 neither overflows nor vanishes.
struct SquaresFold<E: Real>: Fold {
    typealias V = E.Lanes
    let divisor: Double
    let isNorm: Bool
    static var rows: Int { 1024 }
    static var cost: Int { 3 }

    @inline(__always) private static func add(_ x: V, _ sum: inout PreciseSum<V>) {
        let low = x.low
        sum.a = DoubleLanes.fma(low, low, sum.a)
        if !PreciseSum<V>.isDouble { sum.b = DoubleLanes.fma(x.high, x.high, sum.b) }
    }

    func row(_ p: UnsafePointer<E>, _ n: Int, first: Int) -> Partial {
        var s = PreciseSum<V>(), t = PreciseSum<V>(), u = PreciseSum<V>(), v = PreciseSum<V>()
        var i = 0
        while i &+ 4 &* V.width <= n {
            Self.add(V.load(p + i), &s)
            Self.add(V.load(p + i + V.width), &t)
            Self.add(V.load(p + i + 2 &* V.width), &u)
            Self.add(V.load(p + i + 3 &* V.width), &v)
            i &+= 4 &* V.width
        }
        while i < n {
            Self.add(V.part(p + i, i &+ V.width <= n, n &- i, 0), &s)
            i &+= V.width
        }
        return Partial(a: (((s.a + t.a) + (u.a + v.a)) + ((s.b + t.b) + (u.b + v.b))).sum())
    }

    func columns(_ p: UnsafePointer<E>, _ n: Int, pitch: Int, count: Int, _ scratch: UnsafeMutableRawPointer) {
        let a = scratch.table(0, Double.self), b = scratch.table(1, Double.self)
        scratch.clear(2, count)
        var r = 0
        while r < n {
            let some = Swift.min(4, n &- r)
            var j = 0
            while j < count {
                var sum = PreciseSum<V>(a, b, j)
                var k = 0
                while k < some {
                    Self.add(V.part(p + (r &+ k) &* pitch + j, j &+ V.width <= count, count &- j, 0), &sum)
                    k &+= 1
                }
                sum.store(a, b, j)
                j &+= V.width
            }
            r &+= some
        }
    }

    func column(_ scratch: UnsafeMutableRawPointer, _ j: Int, _ n: Int, first: Int) -> Partial {
        Partial(a: scratch.table(0, Double.self)[j])
    }

    func merge(_ x: Partial, _ y: Partial) -> Partial { Partial(a: x.a + y.a) }
    func finish(_ x: Partial) -> E { isNorm ? E(Double.sqrt(x.a)) : E(x.a / divisor) }
}
