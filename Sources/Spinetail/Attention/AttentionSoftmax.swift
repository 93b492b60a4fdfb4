import CSpinetail

/// The running softmax of one block of queries: per lane, the largest score so far, the sum of exponentials relative to
/// it, the block's largest score, and the factor that takes older sums to the new reference.
struct SoftmaxState<E: Real> {
    let largest: UnsafeMutablePointer<E>
    let sum: UnsafeMutablePointer<E>
    let blockLargest: UnsafeMutablePointer<E>
    let factor: UnsafeMutablePointer<E>
    let index: UnsafeMutablePointer<E>  // 0, 1, …: the lanes' numbers

    static var elements: Int { 5 &* AttentionBlock<E>.queries &+ 16 }

    init(_ memory: UnsafeMutablePointer<E>) {
        let lanes = AttentionBlock<E>.queries
        largest = memory
        sum = memory + lanes
        blockLargest = memory + 2 &* lanes
        index = memory + 3 &* lanes
        factor = memory + 4 &* lanes  // last: a tile may read a few factors beyond the last lane
    }

    func reset() {
        var i = 0
        while i < AttentionBlock<E>.queries {
            largest[i] = -E.infinity
            sum[i] = 0
            blockLargest[i] = -E.infinity
            index[i] = E(i)
            factor[i] = 1
            i &+= 1
        }
    }

    /// Adds the mask and hides keys after the query, for one vector of queries; raises its blockLargest.
    /// `hiddenFrom`: key number minus the vector's first query, of the first key given.
    @inline(__always)
    func mask(
        vector: Int, scores: UnsafeMutablePointer<E>, mask: UnsafePointer<E>?, keys: Int, causal: Bool, hiddenFrom: Int
    ) {
        let width = E.Lanes.width
        let lanes = E.Lanes.load(index)
        let hidden = E.Lanes(repeating: -E.infinity)
        var most = E.Lanes.load(blockLargest + vector &* width)
        var p = scores + vector &* width
        var k = 0
        while k < keys {
            var s = E.Lanes.load(p)
            if let mask { s = s + E.Lanes.load(mask + (k &* AttentionBlock<E>.queries &+ vector &* width)) }
            if causal {
                s = E.Lanes.select(E.Lanes.less(lanes, E.Lanes(repeating: E(hiddenFrom &+ k))), hidden, s)
            }
            s.store(p)
            most = E.Lanes.max(most, s)
            p += AttentionBlock<E>.queries
            k &+= 1
        }
        most.store(blockLargest + vector &* width)
    }

    /// Scores of one vector of queries become exponentials relative to the new largest score, and join its sum.
    @inline(__always)
    func exponentiate(vector: Int, scores: UnsafeMutablePointer<E>, keys: Int) {
        let width = E.Lanes.width
        let at = vector &* width
        let old = E.Lanes.load(largest + at)
        let hidden = E.Lanes(repeating: -E.infinity)
        let new = E.Lanes.max(old, E.Lanes.load(blockLargest + at))
        hidden.store(blockLargest + at)
        new.store(largest + at)
        // Where nothing has been seen yet any finite reference will do.
        let reference = E.Lanes.select(E.Lanes.equal(new, hidden), .zero, new)
        let scale = PowerOfTwo<E>.of(old - reference)
        scale.store(factor + at)
        var total = E.Lanes.load(sum + at) * scale
        var p = scores + at
        var k = 0
        while k < keys {
            let power = PowerOfTwo<E>.of(E.Lanes.load(p) - reference)
            power.store(p)
            total = total + power
            p += AttentionBlock<E>.queries
            k &+= 1
        }
        total.store(sum + at)
    }
}
