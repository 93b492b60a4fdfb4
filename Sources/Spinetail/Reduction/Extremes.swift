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

    /// Elements before the first whole vector that is aligned.
    @inline(__always) static func unaligned(_ p: UnsafePointer<Scalar>) -> Int {
        let size = MemoryLayout<Scalar>.size
        let over = Int(bitPattern: UInt(bitPattern: p)) & (width &* size &- 1)
        return ((width &* size &- over) & (width &* size &- 1)) >> (size == 8 ? 3 : 2)
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

    @inline(__always) static func ofRow(_ p: UnsafePointer<E>, _ n: Int) -> E { lanes(p, n).extreme(O.self) }

    /// The extremes of the lanes of a row. Vectors may overlap, so the loop's are whole and aligned.
    @inline(__always) static func lanes(_ p: UnsafePointer<E>, _ n: Int) -> V {
        // An element of the line itself fills what is missing: |-∞| would not be the worst.
        if n < V.width { return T.of(V.load(p, count: n, fill: p[0])) }
        var a = T.of(V.load(p)), b = T.of(V.load(p + (n &- V.width)))
        var i = V.unaligned(p)
        if i &+ 4 &* V.width <= n {
            var c = a, d = a
            while i &+ 4 &* V.width <= n {
                a = V.extreme(O.self, T.of(V.load(p + i)), a)
                b = V.extreme(O.self, T.of(V.load(p + i + V.width)), b)
                c = V.extreme(O.self, T.of(V.load(p + i + 2 &* V.width)), c)
                d = V.extreme(O.self, T.of(V.load(p + i + 3 &* V.width)), d)
                i &+= 4 &* V.width
            }
            a = V.extreme(O.self, c, a)
            b = V.extreme(O.self, d, b)
        }
        while i &+ V.width <= n {
            a = V.extreme(O.self, T.of(V.load(p + i)), a)
            i &+= V.width
        }
        return V.extreme(O.self, b, a)
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

    func rows(
        _ p: UnsafePointer<E>, _ count: Int, _ n: Int, pitch: Int, limit: UnsafePointer<E>,
        _ values: UnsafeMutablePointer<E>?, _ indices: UnsafeMutablePointer<Int64>?, _ scratch: UnsafeMutableRawPointer
    ) -> Bool {
        guard n <= RowBlock<V>.longest, let values else { return false }
        let block = RowBlock<V>(scratch, n)
        var i = 0
        while i < count {
            let some = Swift.min(V.width, count &- i)
            let best = Self.ofRows(p + i &* pitch, some, n, pitch, limit, block)
            if some == V.width { best.store(values + i) } else { best.store(values + i, count: some) }
            i &+= some
        }
        return true
    }

    /// The extremes of up to `width` rows, one in each lane.
    @inline(__always) static func ofRows(
        _ p: UnsafePointer<E>, _ count: Int, _ n: Int, _ pitch: Int, _ limit: UnsafePointer<E>, _ block: RowBlock<V>
    ) -> V {
        var r = 0
        while r < count {
            let q = p + r &* pitch
            let lanes = n < V.width ? T.of(block.first(q, limit, q[0])) : lanes(q, n)
            lanes.store(block.vectors + r &* V.width)
            r &+= 1
        }
        return block.merged { V.extreme(O.self, $0, $1) }
    }

    func merge(_ x: Partial, _ y: Partial) -> Partial { O.isBetter(y.a, x.a) ? y : x }
    func finish(_ x: Partial) -> E { E(x.a) }
}
