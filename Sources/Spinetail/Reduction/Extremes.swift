import CSpinetail

/// Which end is sought.
protocol Extremity {
    static var isLargest: Bool { get }
}
enum Largest: Extremity {
    @inline(__always) static var isLargest: Bool { true }
}
enum Smallest: Extremity {
    @inline(__always) static var isLargest: Bool { false }
}

extension Lanes {
    /// The larger (smaller) of x and the best so far; NaN wins and stays.
    @inline(__always) static func extreme<O: Extremity>(_ end: O.Type, _ x: Self, _ best: Self) -> Self {
        select(equal(x, x), O.isLargest ? max(x, best) : min(x, best), x)
    }

    /// The extreme of all lanes.
    @inline(__always) func extreme<O: Extremity>(_ end: O.Type) -> Scalar {
        let odd = Self.select(Self.equal(self, self), Self.zero, self).sum()  // 0, or NaN if there is one
        return odd.isNaN ? odd : O.isLargest ? largest() : smallest()
    }
}

extension Extremity {
    /// Nothing is worse than this.
    @inline(__always) static func worst<E: Real>(_ type: E.Type) -> E { isLargest ? -E.infinity : E.infinity }
    @inline(__always) static func isBetter(_ x: Double, _ y: Double) -> Bool {
        (isLargest ? x > y : x < y) || (x.isNaN && !y.isNaN)
    }
}

/// The largest or smallest of f(x).
struct ExtremeFold<E: Real, O: Extremity, T: Term>: Fold {
    typealias V = E.Lanes
    static var rows: Int { 1024 }
    static var cost: Int { 2 }

    @inline(__always) static func ofRow(_ p: UnsafePointer<E>, _ n: Int) -> E {
        let worst = O.worst(E.self)
        var a = V(repeating: worst), b = a, c = a, d = a
        var i = 0
        while i &+ 4 &* V.width <= n {
            a = V.extreme(O.self, T.of(V.load(p + i)), a)
            b = V.extreme(O.self, T.of(V.load(p + i + V.width)), b)
            c = V.extreme(O.self, T.of(V.load(p + i + 2 &* V.width)), c)
            d = V.extreme(O.self, T.of(V.load(p + i + 3 &* V.width)), d)
            i &+= 4 &* V.width
        }
        while i &+ V.width <= n {
            a = V.extreme(O.self, T.of(V.load(p + i)), a)
            i &+= V.width
        }
        // An element of the line itself fills what is missing: |-∞| would not be the worst.
        if i < n { b = V.extreme(O.self, T.of(V.load(p + i, count: n &- i, fill: p[i])), b) }
        a = V.extreme(O.self, b, a)
        c = V.extreme(O.self, d, c)
        return V.extreme(O.self, c, a).extreme(O.self)
    }

    func row(_ p: UnsafePointer<E>, _ n: Int, first: Int) -> Partial { Partial(a: Self.ofRow(p, n).double) }

    /// The extremes of the columns, into `best`.
    @inline(__always) static func ofColumns(
        _ p: UnsafePointer<E>, _ n: Int, _ pitch: Int, _ count: Int, _ best: UnsafeMutablePointer<E>
    ) {
        var r = 0
        while r < n {
            let q = p + r &* pitch
            let some = Swift.min(8, n &- r)
            var j = 0
            while j < count {
                let left = count &- j
                let whole = left >= V.width
                var m = r == 0 ? V(repeating: O.worst(E.self)) : V.load(best + j)
                if whole && some == 8 {
                    m = V.extreme(O.self, T.of(V.load(q + j)), m)
                    m = V.extreme(O.self, T.of(V.load(q + j + pitch)), m)
                    m = V.extreme(O.self, T.of(V.load(q + j + 2 &* pitch)), m)
                    m = V.extreme(O.self, T.of(V.load(q + j + 3 &* pitch)), m)
                    m = V.extreme(O.self, T.of(V.load(q + j + 4 &* pitch)), m)
                    m = V.extreme(O.self, T.of(V.load(q + j + 5 &* pitch)), m)
                    m = V.extreme(O.self, T.of(V.load(q + j + 6 &* pitch)), m)
                    m = V.extreme(O.self, T.of(V.load(q + j + 7 &* pitch)), m)
                } else {
                    var k = 0
                    while k < some {
                        m = V.extreme(O.self, T.of(V.part(q + j + k &* pitch, whole, left, 0)), m)
                        k &+= 1
                    }
                }
                m.store(best + j)
                j &+= V.width
            }
            r &+= some
        }
    }

    func columns(_ p: UnsafePointer<E>, _ n: Int, pitch: Int, count: Int, _ scratch: UnsafeMutableRawPointer) {
        Self.ofColumns(p, n, pitch, count, scratch.table(0, E.self))
    }

    func column(_ scratch: UnsafeMutableRawPointer, _ j: Int, _ n: Int, first: Int) -> Partial {
        Partial(a: scratch.table(0, E.self)[j].double)
    }

    func merge(_ x: Partial, _ y: Partial) -> Partial { O.isBetter(y.a, x.a) ? y : x }
    func finish(_ x: Partial) -> E { E(x.a) }
}

/// The largest or smallest, and the index of the first of them: rows are searched once the value is known.
struct PlaceFold<E: Real, O: Extremity>: Fold {
    typealias V = E.Lanes
    static var rows: Int { 1024 }
    static var cost: Int { 3 }

    func row(_ p: UnsafePointer<E>, _ n: Int, first: Int) -> Partial {
        // Blocks, so that only the one with the result is searched.
        var best = E.nan
        var block = -1
        var i = 0
        while i < n {
            let value = ExtremeFold<E, O, Plain>.ofRow(p + i, Swift.min(2048, n &- i))
            if block < 0 || O.isBetter(value.double, best.double) {
                best = value
                block = i
            }
            i &+= 2048
        }
        let place = block &+ Self.find(best, p + block, Swift.min(2048, n &- block))
        return Partial(a: best.double, index: first &+ place)
    }

    private static func find(_ value: E, _ p: UnsafePointer<E>, _ n: Int) -> Int {
        let wanted = V(repeating: value)
        var i = 0
        while i < n {
            let x = V.part(p + i, i &+ V.width <= n, n &- i, value)
            let lane = value.isNaN ? V.firstLane(V.beats(x, V(repeating: E.infinity))) : V.firstLane(V.equal(x, wanted))
            if lane < V.width { return Swift.min(i &+ lane, n &- 1) }
            i &+= V.width
        }
        return 0
    }

    func columns(_ p: UnsafePointer<E>, _ n: Int, pitch: Int, count: Int, _ scratch: UnsafeMutableRawPointer) {
        let best = scratch.table(0, E.self), place = scratch.table(1, E.self)
        var r = 0
        while r < n {
            let some = Swift.min(8, n &- r)
            var j = 0
            while j < count {
                let left = count &- j
                var m = r == 0 ? V(repeating: -E.infinity) : V.load(best + j)
                var at = r == 0 ? V.zero : V.load(place + j)
                var k = 0
                while k < some {
                    let x = V.part(p + (r &+ k) &* pitch + j, left >= V.width, left, 0)
                    let y = O.isLargest ? x : V.negate(x)
                    let wins = V.beats(y, m)
                    m = V.select(wins, y, m)
                    at = V.select(wins, V(repeating: E(r &+ k)), at)
                    k &+= 1
                }
                m.store(best + j)
                at.store(place + j)
                j &+= V.width
            }
            r &+= some
        }
        let indices = scratch.table(2, Int32.self)
        var j = 0
        while j < count {
            V.load(place + j).storeIndices(indices + j, base: 0, step: 0)
            j &+= V.width
        }
    }

    func column(_ scratch: UnsafeMutableRawPointer, _ j: Int, _ n: Int, first: Int) -> Partial {
        let best = scratch.table(0, E.self)[j].double
        return Partial(
            a: O.isLargest ? best : -best,
            index: first &+ Int(truncatingIfNeeded: scratch.table(2, Int32.self)[j]))
    }

    func merge(_ x: Partial, _ y: Partial) -> Partial { O.isBetter(y.a, x.a) ? y : x }
    func finish(_ x: Partial) -> E { E(x.a) }
}
