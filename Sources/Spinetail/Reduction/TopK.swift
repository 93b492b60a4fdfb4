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
    let workers = workerLimit()
    guard let memory = Scratch.take(workers &* k &* 16) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let group = Swift.max(1, divide(16_384, by: n))
    let task = TopTask<E>(
        x: UnsafePointer(x), y: y, places: places, scratch: memory, rows: rows, n: n, k: k, group: group,
        largest: largest)
    return parallel(pieces(rows, group), cost: rows &* (n / 8 &+ k &* 20), workers: workers, task)
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

private struct TopTask<E: Real>: ParallelTask {
    typealias V = E.Lanes
    let x: UnsafePointer<E>
    let y: UnsafeMutablePointer<E>
    let places: UnsafeMutablePointer<Int64>
    let scratch: UnsafeMutableRawPointer
    let rows, n, k, group: Int
    let largest: Bool

    func run(_ index: Int, worker: Int) {
        let memory = scratch + worker &* k &* 16
        let heap = Heap(
            keys: memory.assumingMemoryBound(to: Int64.self),
            places: (memory + k &* 8).assumingMemoryBound(to: Int.self))
        var row = index &* group
        let end = Swift.min(rows, row &+ group)
        while row < end {
            select(x + row &* n, heap)
            let y = self.y + row &* k, places = self.places + row &* k
            var i = 0
            while i < k {
                // Looked at again: another thread may have changed the input meanwhile, but not the places.
                y[i] = (x + row &* n)[heap.places[i]]
                places[i] = Int64(truncatingIfNeeded: heap.places[i])
                i &+= 1
            }
            row &+= 1
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
        while i < n {
            let left = n &- i
            let worst = x[heap.places[0]]
            let bar = V(repeating: worst)
            // The bar itself stands where elements are missing: it does not beat itself.
            let some = V.part(x + i, left >= V.width, left, worst)
            var lane = V.firstLane(largest ? V.beats(some, bar) : V.beats(bar, some))
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
            i &+= V.width
        }
        heap.sort(k)
    }
}
