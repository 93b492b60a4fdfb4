import CSpinetail

/// How the numbers of heads are stored, and how they come into lanes. A `count` of `width` or more means a whole vector.
protocol RotaryFormat {
    associatedtype Number
    associatedtype E: Real
    static func load(_ p: UnsafePointer<Number>, _ count: Int) -> E.Lanes
    static func store(_ lanes: E.Lanes, _ p: UnsafeMutablePointer<Number>, _ count: Int)
    /// What stands first and second in each of `count` pairs.
    static func loadPairs(_ p: UnsafePointer<Number>, _ count: Int) -> (first: E.Lanes, second: E.Lanes)
}

extension RotaryFormat {
    @inline(__always) static func storePairs(
        _ first: E.Lanes, _ second: E.Lanes, _ p: UnsafeMutablePointer<Number>, _ count: Int
    ) {
        let width = E.Lanes.width
        let numbers = 2 &* count
        store(E.Lanes.zipLow(first, second), p, numbers)
        if numbers > width { store(E.Lanes.zipHigh(first, second), p + width, numbers &- width) }
    }
}

enum RotaryPlain<E: Real>: RotaryFormat {
    typealias Number = E

    @inline(__always) static func load(_ p: UnsafePointer<E>, _ count: Int) -> E.Lanes {
        count >= E.Lanes.width ? E.Lanes.load(p) : E.Lanes.load(p, count: count, fill: 0)
    }

    @inline(__always) static func store(_ lanes: E.Lanes, _ p: UnsafeMutablePointer<E>, _ count: Int) {
        if count >= E.Lanes.width { lanes.store(p) } else { lanes.store(p, count: count) }
    }

    @inline(__always) static func loadPairs(_ p: UnsafePointer<E>, _ count: Int) -> (first: E.Lanes, second: E.Lanes) {
        if count >= E.Lanes.width { return (E.Lanes.loadSecond(p), E.Lanes.loadSecond(p + 1)) }
        return (E.Lanes.loadSecond(p, count: count), E.Lanes.loadSecond(p + 1, count: count))
    }
}

/// 16-bit numbers, turned in float32 and rounded once.
enum RotaryHalf<H: HalfFormat>: RotaryFormat {
    typealias E = Float

    @inline(__always) static func load(_ p: UnsafePointer<UInt16>, _ count: Int) -> FloatLanes {
        H.load(p, count: count)
    }

    @inline(__always) static func store(_ lanes: FloatLanes, _ p: UnsafeMutablePointer<UInt16>, _ count: Int) {
        H.store(lanes, p, count: count)
    }

    @inline(__always) static func loadPairs(
        _ p: UnsafePointer<UInt16>, _ count: Int
    ) -> (first: FloatLanes, second: FloatLanes) {
        let pairs =
            count >= FloatLanes.width
            ? spinetail_load_pairs(p) : spinetail_load_part_pairs(p, Int64(truncatingIfNeeded: 2 &* count))
        return (H.first(pairs), H.second(pairs))
    }
}
