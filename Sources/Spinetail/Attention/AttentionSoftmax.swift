import CSpinetail

/// The running softmax of one block of queries: per lane, the largest score so far, the sum of exponentials relative to
/// it, the block's largest score, and the factor that takes older sums to the new reference.
struct SoftmaxState<E: Real> {
    let largest: UnsafeMutablePointer<E>
    let sum: UnsafeMutablePointer<E>
    let blockLargest: UnsafeMutablePointer<E>
    let factor: UnsafeMutablePointer<E>

    static var elements: Int { 4 &* AttentionBlock<E>.queries &+ 16 }

    init(_ memory: UnsafeMutablePointer<E>) {
        let lanes = AttentionBlock<E>.queries
        largest = memory
        sum = memory + lanes
        blockLargest = memory + 2 &* lanes
        factor = memory + 3 &* lanes  // last: a tile may read a few factors beyond the last lane
    }

    func reset() {
        var i = 0
        while i < AttentionBlock<E>.queries {
            largest[i] = -E.infinity
            sum[i] = 0
            blockLargest[i] = -E.infinity
            factor[i] = 1
            i &+= 1
        }
    }

    /// Caps the scores of one vector of queries, adds distances and the mask and hides what is not in the band, for the
    /// block's keys `from` ..< `end`; raises its blockLargest.
    @inline(never)
    func adjust(
        vector: Int, scores: UnsafeMutablePointer<E>, terms: BlockTerms<E>, mask: UnsafePointer<E>?, from: Int, end: Int
    ) {
        let first = vector &* E.Lanes.width
        let hidden = E.Lanes(repeating: -E.infinity)
        var most = E.Lanes.load(blockLargest + first)
        var k = from
        while k < end {
            let at = k &* AttentionBlock<E>.queries &+ first
            var s = E.Lanes.load(scores + at)
            if terms.caps { s = terms.capped(terms.ratio(s)) }
            s = terms.biased(s, row: first, key: k)
            if let mask { s = s + E.Lanes.load(mask + at) }
            if terms.hides { s = terms.hidden(s, row: first, key: k, as: hidden) }
            s.store(scores + at)
            most = E.Lanes.max(most, s)
            k &+= 1
        }
        most.store(blockLargest + first)
    }

    /// Scores of one vector of queries become exponentials relative to the new largest score, and join its sum: the
    /// block's own are summed first, since each step of one long chain would be rounded to the whole sum's size.
    @inline(__always)
    func exponentiate(vector: Int, scores: UnsafeMutablePointer<E>, from: Int, end: Int) {
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
        var total = E.Lanes.zero
        var p = scores + (from &* AttentionBlock<E>.queries &+ at)
        var k = from
        while k < end {
            let power = PowerOfTwo<E>.of(E.Lanes.load(p) - reference)
            power.store(p)
            total = total + power
            p += AttentionBlock<E>.queries
            k &+= 1
        }
        E.Lanes.fma(E.Lanes.load(sum + at), scale, total).store(sum + at)
    }
}
