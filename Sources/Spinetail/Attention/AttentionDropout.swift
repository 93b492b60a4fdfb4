import CSpinetail

/// Which weights are kept. The weight of key k in query q, of head h in all, is element (h · keys + k) · (queries
/// rounded up to 32) + q of the random numbers, whatever the blocks are: the backward pass makes the same choice again.
/// Packed sequences are counted through.
struct AttentionDropout {
    var active = false
    var threshold: UInt32 = 0
    /// What kept weights are multiplied by.
    var factor = 1.0
    var seed: Int64 = 0
    var offset: Int64 = 0

    /// Random words for one key: up to 31 before the block's first query, and a vector after its last.
    static var words: Int { 160 }

    init() {}

    init(probability: Double, seed: Int64, offset: Int64) {
        active = probability > 0
        let some = probability < 1
        threshold = some ? UInt32(truncatingIfNeeded: spinetail_threshold(probability)) : 0
        factor = some ? 1 / (1 - probability) : 0
        self.seed = seed
        self.offset = offset
    }

    /// What each weight of a block is multiplied by: out[k · AttentionBlock.queries + i].
    @inline(never)
    func fill<E: Real>(
        _ problem: AttentionProblem<E>, batch: Int, head: Int, query: Int, queries: Int, key: Int, keys: Int,
        words: UnsafeMutablePointer<UInt32>, into out: UnsafeMutablePointer<E>
    ) {
        let kept = E.Lanes(repeating: E(factor))
        let padded = (problem.allQueries &+ 31) & ~31
        let heads = problem.packed == nil ? batch &* problem.heads &+ head : head
        let query = query &+ problem.queryOrigin
        let first = query & ~31
        let origin = words + (query &- first)
        var k = 0
        while k < keys {
            let row = (heads &* problem.allKeys &+ problem.keyOrigin &+ key &+ k) &* padded
            var q = first
            while q < query &+ queries {
                spinetail_philox(seed, offset, Int64(truncatingIfNeeded: (row &+ q) >> 2), words + (q &- first))
                q &+= 32
            }
            var i = 0
            while i < queries {
                E.Lanes.select(E.Lanes.atLeast(origin + i, threshold), kept, .zero)
                    .store(out + (k &* AttentionBlock<E>.queries &+ i))
                i &+= E.Lanes.width
            }
            k &+= 1
        }
    }

    /// weights = weights · kept, a block of them.
    @inline(never)
    static func multiply<E: Real>(
        _ weights: UnsafeMutablePointer<E>, by kept: UnsafePointer<E>, vectors: Int, keys: Int
    ) {
        var k = 0
        while k < keys {
            let at = k &* AttentionBlock<E>.queries
            var i = 0
            while i < vectors &* E.Lanes.width {
                (E.Lanes.load(weights + at + i) * E.Lanes.load(kept + at + i)).store(weights + at + i)
                i &+= E.Lanes.width
            }
            k &+= 1
        }
    }
}
