import CSpinetail

@c @implementation
public func spinetail_top(
    _ values: Descriptor, _ indices: Descriptor, _ input: Descriptor, _ largest: Int64
) -> spinetail_status {
    if input.rank != 2 { return Status.rank(3) }
    let k = values.extent(1)
    if values.dtype != input.dtype { return Status.dtype(1) }
    if !values.hasShape(input.extent(0), k) || k > input.extent(1) { return Status.shape(1) }
    if indices.dtype != Int32(SPINETAIL_INT64) { return Status.dtype(2) }
    if !indices.hasShape(of: values) { return Status.shape(2) }
    if !values.isContiguous { return Status.layout(1) }
    if !indices.isContiguous { return Status.layout(2) }
    if !input.isContiguous { return Status.layout(3) }
    if input.holds(Float.self) { return top(Float.self, values, indices, input, largest: largest != 0) }
    if input.holds(Double.self) { return top(Double.self, values, indices, input, largest: largest != 0) }
    return Status.dtype(3)
}

private func top<E: Real>(
    _ type: E.Type, _ values: Descriptor, _ indices: Descriptor, _ input: Descriptor, largest: Bool
) -> Int32 {
    guard let y = values.pointer(type), let places = indices.pointer(Int64.self), let x = input.pointer(type) else {
        return Status.ok
    }
    let rows = input.extent(0), n = input.extent(1), k = values.extent(1)
    if k == 0 { return Status.ok }
    let way = TopWay.best(n, k, width: E.Lanes.width)
    let workers = workerLimit()
    let own = roundUp(way.bytes(E.self, n, k), 64)
    guard let memory = Scratch.take(workers &* own) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let group = Swift.max(1, divide(16_384, by: n))
    let task = TopTask<E>(
        x: UnsafePointer(x), y: y, places: places, scratch: memory, own: own, rows: rows, n: n, k: k, group: group,
        way: way, largest: largest)
    return parallel(pieces(rows, group), cost: rows &* way.cost(n, k), workers: workers, task)
}

/// How the best of a row are found.
private enum TopWay {
    /// Rows of one or two vectors: each element is compared with all others, and their number is its place.
    case ranks
    /// Few of many: a heap of the best so far, and a vector is looked at closer if one of it beats the worst of them.
    case heap
    /// Many: by radix.
    case radix

    static func best(_ n: Int, _ k: Int, width: Int) -> TopWay {
        if n <= 2 &* width { return .ranks }
        return k &* 128 > n &+ 8000 && n < 1 << 32 ? .radix : .heap
    }

    func bytes<E: Real>(_ type: E.Type, _ n: Int, _ k: Int) -> Int {
        switch self {
        case .ranks: return 4 &* E.Lanes.width &* 8
        case .heap: return k &* 16
        case .radix: return E.dtype == Float.dtype ? TopOrder<UInt32>.bytes(n, k) : TopOrder<UInt64>.bytes(n, k)
        }
    }

    /// Nanoseconds for a row.
    func cost(_ n: Int, _ k: Int) -> Int {
        switch self {
        case .ranks: return n &* 2
        case .heap: return n / 3 &+ k &* 120
        case .radix: return 5000 &+ n &* 4 &+ k &* 12
        }
    }
}

/// The best elements of a row so far, a heap with the worst of them on top: the smaller key is worse, and of equal ones
/// the later.
private struct Heap {
    let keys: UnsafeMutablePointer<Int64>
    let places: UnsafeMutablePointer<Int>

    @inline(__always) func isWorse(_ a: Int, _ b: Int) -> Bool {
        keys[a] < keys[b] || (keys[a] == keys[b] && places[a] > places[b])
    }

    @inline(__always) private func swap(_ a: Int, _ b: Int) {
        let key = keys[a], place = places[a]
        keys[a] = keys[b]
        places[a] = places[b]
        keys[b] = key
        places[b] = place
    }

    /// Lets the element at `start` sink among the first `count`.
    func sink(_ start: Int, _ count: Int) {
        var node = start
        while true {
            var worst = 2 &* node &+ 1
            if worst >= count { return }
            if worst &+ 1 < count && isWorse(worst &+ 1, worst) { worst &+= 1 }
            if !isWorse(worst, node) { return }
            swap(worst, node)
            node = worst
        }
    }

    func build(_ count: Int) {
        var node = count / 2
        while node > 0 {
            node &-= 1
            sink(node, count)
        }
    }

    /// The best first.
    func sort(_ count: Int) {
        var rest = count
        while rest > 1 {
            rest &-= 1
            swap(0, rest)
            sink(0, rest)
        }
    }
}

extension Real {
    /// The places of the k best of n elements in order, by radix.
    @inline(__always) static func topOrder(
        _ memory: UnsafeMutableRawPointer, _ x: UnsafePointer<Self>, _ n: Int, _ k: Int, _ largest: Bool
    ) -> UnsafePointer<UInt32> {
        if dtype == Float.dtype {
            let row = UnsafeRawPointer(x).assumingMemoryBound(to: Float.self)
            return TopOrder<UInt32>(memory, n, k).select(row, n, k, largest: largest)
        }
        let row = UnsafeRawPointer(x).assumingMemoryBound(to: Double.self)
        return TopOrder<UInt64>(memory, n, k).select(row, n, k, largest: largest)
    }
}

private struct TopTask<E: Real>: ParallelTask {
    typealias V = E.Lanes
    let x: UnsafePointer<E>
    let y: UnsafeMutablePointer<E>
    let places: UnsafeMutablePointer<Int64>
    let scratch: UnsafeMutableRawPointer
    let own, rows, n, k, group: Int
    let way: TopWay
    let largest: Bool

    func run(_ index: Int, worker: Int) {
        let memory = scratch + worker &* own
        var row = index &* group
        let end = Swift.min(rows, row &+ group)
        while row < end {
            let x = self.x + row &* n, y = self.y + row &* k, places = self.places + row &* k
            switch way {
            case .ranks: rank(x, y, places, memory.assumingMemoryBound(to: E.self))
            case .heap:
                let heap = Heap(
                    keys: memory.assumingMemoryBound(to: Int64.self),
                    places: (memory + k &* 8).assumingMemoryBound(to: Int.self))
                select(x, heap)
                put(x, y, places, heap.places)
            case .radix: put(x, y, places, E.topOrder(memory, x, n, k, largest))
            }
            row &+= 1
        }
    }

    @inline(__always) private func put<I: FixedWidthInteger>(
        _ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>, _ places: UnsafeMutablePointer<Int64>,
        _ found: UnsafePointer<I>
    ) {
        var i = 0
        while i < k {
            // Looked at again: another thread may have changed the input meanwhile, but not the places.
            y[i] = x[Int(truncatingIfNeeded: found[i])]
            places[i] = Int64(truncatingIfNeeded: found[i])
            i &+= 1
        }
    }

    /// The element at i stands behind all better ones, and behind equal ones before it.
    private func rank(
        _ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>, _ places: UnsafeMutablePointer<Int64>,
        _ memory: UnsafeMutablePointer<E>
    ) {
        let row = memory + 2 &* V.width
        var first = 0
        while first < n {
            let left = n &- first
            V.part(x + first, left >= V.width, left, 0).store(row + first)
            first &+= V.width
        }
        first = 0
        let one = V(repeating: 1)
        while first < n {
            let own = V.load(row + first)
            let at = V.ramp + V(repeating: E(first))
            var rank = V.zero
            var i = 0
            while i < n {
                let other = V(repeating: row[i])
                let better = largest ? V.beats(other, own) : V.beats(own, other)
                let worse = largest ? V.beats(own, other) : V.beats(other, own)
                let after = V.less(V(repeating: E(i)), at)
                rank = rank + V.select(after, V.select(worse, V.zero, one), V.select(better, one, V.zero))
                i &+= 1
            }
            rank.store(memory + first)
            first &+= V.width
        }
        let limit = E(k)
        var i = 0
        while i < n {
            if memory[i] < limit {
                let place = Int(truncatingIfNeeded: spinetail_whole(memory[i].double))
                y[place] = row[i]
                places[place] = Int64(truncatingIfNeeded: i)
            }
            i &+= 1
        }
    }

    /// Whole numbers that order as the elements do: NaN above all, both zeros alike; upside down for the smallest.
    @inline(__always) private func key(_ value: E) -> Int64 {
        let number = value.double + 0
        let bits = Int64(bitPattern: number.bitPattern)
        let ordered = number.isNaN ? Int64.max : bits ^ Int64(bitPattern: UInt64(bitPattern: bits &>> 63) &>> 1)
        return largest ? ordered : ~ordered
    }

    private func select(_ x: UnsafePointer<E>, _ heap: Heap) {
        var i = 0
        while i < k {
            heap.keys[i] = key(x[i])
            heap.places[i] = i
            i &+= 1
        }
        heap.build(k)
        var bar = V(repeating: x[heap.places[0]])
        while i < n {
            let left = n &- i
            // The bar itself stands where elements are missing: it does not beat itself.
            let some = left >= V.width ? V.load(x + i) : V.load(x + i, count: left, fill: x[heap.places[0]])
            var lane = V.firstLane(largest ? V.beats(some, bar) : V.beats(bar, some))
            if lane < V.width {
                let end = Swift.min(V.width, left)
                while lane < end {
                    let fresh = key(x[i &+ lane])
                    if fresh > heap.keys[0] {
                        heap.keys[0] = fresh
                        heap.places[0] = i &+ lane
                        heap.sink(0, k)
                    }
                    lane &+= 1
                }
                bar = V(repeating: x[heap.places[0]])
            }
            i &+= V.width
        }
        heap.sort(k)
    }
}
