import CSpinetail

/// The largest or smallest, and the index of the first of them.
struct PlaceFold<E: Real, O: Extremity>: Fold {
    typealias V = E.Lanes
    static var rows: Int { 1024 }
    static var cost: Int { 3 }

    /// What each lane has found, and where: numbers below 2²⁴, which float32 holds.
    struct Found {
        var best: V
        var place: V

        /// Looks at a vector of elements that stand at `at`. Those that come later have to be better.
        @inline(__always) mutating func see(_ x: V, _ at: V) {
            let wins = O.isLargest ? V.beats(x, best) : V.beats(V.negate(x), V.negate(best))
            best = V.select(wins, x, best)
            place = V.select(wins, at, place)
        }
    }

    /// The extremes of the lanes of a row of at least one vector. Vectors may overlap, so that all are whole.
    @inline(__always) private static func lanes(_ p: UnsafePointer<E>, _ n: Int) -> (V, V, V, V) {
        let step = V(repeating: E(2 &* V.width))
        var a = Found(best: V.load(p), place: V.ramp)
        var i = V.unaligned(p)
        var at = V.ramp + V(repeating: E(i)), next = at + V(repeating: E(V.width))
        var b = a
        while i &+ 2 &* V.width <= n {
            a.see(V.load(p + i), at)
            b.see(V.load(p + i + V.width), next)
            at = at + step
            next = next + step
            i &+= 2 &* V.width
        }
        if i &+ V.width <= n { a.see(V.load(p + i), at) }
        b.see(V.load(p + (n &- V.width)), V.ramp + V(repeating: E(n &- V.width)))
        return (a.best, a.place, b.best, b.place)
    }

    /// The places of lanes that hold the row's extreme, infinity in the others.
    @inline(__always) private static func held(_ best: V, _ place: V, _ value: E) -> V {
        let none = V(repeating: E.infinity)
        return value.isNaN
            ? V.select(V.equal(best, best), none, place) : V.select(V.equal(best, V(repeating: value)), place, none)
    }

    func row(_ p: UnsafePointer<E>, _ n: Int, first: Int) -> Partial {
        if n < V.width {
            let x = V.load(p, count: n, fill: p[0])
            let value = x.extreme(O.self)
            return Partial(a: value.double, index: first &+ Self.first(x, value, n))
        }
        let (a, atA, b, atB) = Self.lanes(p, n)
        let value = V.extreme(O.self, b, a).extreme(O.self)
        let place = V.min(Self.held(a, atA, value), Self.held(b, atB, value)).smallest()
        return Partial(a: value.double, index: first &+ Self.index(place.double, n))
    }

    /// A place as a whole number below n; infinite where another thread has changed the row meanwhile.
    @inline(__always) private static func index(_ place: Double, _ n: Int) -> Int {
        place < Double(n) ? Int(truncatingIfNeeded: spinetail_whole(place)) : n &- 1
    }

    /// The first of n lanes that holds the value, which may be NaN.
    @inline(__always) private static func first(_ x: V, _ value: E, _ n: Int) -> Int {
        let lane =
            value.isNaN
            ? V.firstLane(V.beats(x, V(repeating: E.infinity))) : V.firstLane(V.equal(x, V(repeating: value)))
        return Swift.min(lane, n &- 1)
    }

    func rows(
        _ p: UnsafePointer<E>, _ count: Int, _ n: Int, pitch: Int, limit: UnsafePointer<E>,
        _ values: UnsafeMutablePointer<E>?, _ indices: UnsafeMutablePointer<Int64>?, _ scratch: UnsafeMutableRawPointer
    ) -> Bool {
        if n > RowBlock<V>.longest { return false }
        let block = RowBlock<V>(scratch, n)
        let bests = scratch.table(1, E.self), places = scratch.table(2, E.self), best = scratch.table(3, E.self)
        var i = 0
        while i < count {
            let some = Swift.min(V.width, count &- i)
            let q = p + i &* pitch
            if n <= V.width {
                ExtremeFold<E, O, Plain>.ofRows(q, some, n, pitch, limit, block).store(best)
                var r = 0
                while r < some {
                    let x = block.first(q + r &* pitch, limit, best[r])
                    if let indices { indices[i &+ r] = Int64(truncatingIfNeeded: Self.first(x, best[r], n)) }
                    r &+= 1
                }
            } else {
                Self.long(q, some, n, pitch, block, bests, places, best)
                if let indices {
                    var r = 0
                    while r < some {
                        indices[i &+ r] = Int64(truncatingIfNeeded: Self.index(block.vectors[r].double, n))
                        r &+= 1
                    }
                }
            }
            if let values { memcpy(values + i, best, some &* MemoryLayout<E>.stride) }
            i &+= some
        }
        return true
    }

    /// Rows of more than one vector: their extremes into `best`, where they are into the block's first vector.
    @inline(__always) private static func long(
        _ p: UnsafePointer<E>, _ count: Int, _ n: Int, _ pitch: Int, _ block: RowBlock<V>,
        _ bests: UnsafeMutablePointer<E>, _ places: UnsafeMutablePointer<E>, _ best: UnsafeMutablePointer<E>
    ) {
        let half = V.width &* V.width
        var r = 0
        while r < count {
            let (a, atA, b, atB) = lanes(p + r &* pitch, n)
            a.store(bests + r &* V.width)
            b.store(bests + half + r &* V.width)
            atA.store(places + r &* V.width)
            atB.store(places + half + r &* V.width)
            V.extreme(O.self, b, a).store(block.vectors + r &* V.width)
            r &+= 1
        }
        block.merged { V.extreme(O.self, $0, $1) }.store(best)
        r = 0
        while r < count {
            let k = r &* V.width
            let a = held(V.load(bests + k), V.load(places + k), best[r])
            let b = held(V.load(bests + half + k), V.load(places + half + k), best[r])
            V.min(a, b).store(block.vectors + k)
            r &+= 1
        }
        block.merged { V.min($0, $1) }.store(block.vectors)
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
            V.load(place + j).storeIndices(indices + j, base: 0, step: 0, count: V.width)
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
