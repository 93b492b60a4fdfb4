import CSpinetail

/// Scratch of one worker for the forward pass.
struct ForwardScratch<E: Real> {
    let queries: UnsafeMutablePointer<E>
    let scores: UnsafeMutablePointer<E>
    let sums: UnsafeMutablePointer<E>
    /// Keys, then values, of one block; the queries' rows before that. Where they are widened or padded.
    let values: UnsafeMutablePointer<E>
    let mask: UnsafeMutablePointer<E>
    let stage: UnsafeMutablePointer<E>
    let kept: UnsafeMutablePointer<E>
    let words: UnsafeMutablePointer<UInt32>
    let state: SoftmaxState<E>
    let keyCopy: HeadCopy<E>?
    let valueCopy: HeadCopy<E>?

    static func sizes(
        _ p: AttentionProblem<E>
    ) -> (queries: Int, scores: Int, sums: Int, values: Int, mask: Int, stage: Int, kept: Int) {
        let lanes = AttentionBlock<E>.queries
        let keys = Swift.min(roundUp(p.keys, E.Lanes.width), AttentionBlock<E>.keys)
        let padded = roundUp(p.valueWidth, E.Lanes.width)
        let masked = p.mask.kind != .none
        return (
            p.width &* lanes, (keys &+ 1) &* lanes &+ 16, lanes &* padded, blockElements(p, keys: keys),
            masked ? keys &* lanes : 0, masked ? E.Lanes.width &* AttentionBlock<E>.keys : 0,
            p.dropout.active ? keys &* lanes : 0
        )
    }

    private static func blockElements(_ p: AttentionProblem<E>, keys: Int) -> Int {
        let padded = roundUp(p.valueWidth, E.Lanes.width)
        if p.widens {
            return Swift.max(keys, AttentionBlock<E>.queries)
                &* Swift.max(padded, roundUp(p.width, E.Lanes.width))
        }
        return padded == p.valueWidth ? 0 : keys &* padded
    }

    private static func copies(_ p: AttentionProblem<E>, workers: Int) -> (keys: Int, values: Int) {
        (
            HeadCopy.elements(p.key, p, width: p.width, aligned: false, workers: workers),
            HeadCopy.elements(p.value, p, width: p.valueWidth, aligned: true, workers: workers)
        )
    }

    static func bytes(_ p: AttentionProblem<E>, workers: Int) -> Int {
        let s = sizes(p)
        let copies = copies(p, workers: workers)
        let elements =
            s.queries &+ s.scores &+ s.sums &+ s.values &+ s.mask &+ s.stage &+ s.kept &+ AttentionDropout.words
            &+ SoftmaxState<E>.elements &+ copies.keys &+ copies.values
        return roundUp(
            elements &* MemoryLayout<E>.size &+ 11 &* 64 &+ 2 &* HeadCopy<E>.stateBytes, 4096) &+ 128
    }

    init(_ memory: UnsafeMutableRawPointer, _ p: AttentionProblem<E>, workers: Int) {
        let s = Self.sizes(p)
        var next = memory
        queries = carve(&next, s.queries)
        scores = carve(&next, s.scores)
        sums = carve(&next, s.sums)
        values = carve(&next, s.values)
        mask = carve(&next, s.mask)
        stage = carve(&next, s.stage)
        kept = carve(&next, s.kept)
        words = next.assumingMemoryBound(to: UInt32.self)
        next += AttentionDropout.words &* 4
        state = SoftmaxState(carve(&next, SoftmaxState<E>.elements))
        let copies = Self.copies(p, workers: workers)
        keyCopy = HeadCopy(&next, copies.keys)
        valueCopy = HeadCopy(&next, copies.values)
    }
}

/// The next `count` elements of a block of scratch, on a cache line of their own.
func carve<E: Real>(_ next: inout UnsafeMutableRawPointer, _ count: Int) -> UnsafeMutablePointer<E> {
    let result = next.assumingMemoryBound(to: E.self)
    next += (count &* MemoryLayout<E>.size &+ 63) & ~63
    return result
}
