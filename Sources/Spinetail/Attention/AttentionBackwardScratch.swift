import CSpinetail

/// Scratch of one worker for the backward pass: one head of queries prepared, one block of weights, sums for its keys.
struct BackwardScratch<E: Real> {
    let paddedWidth: Int
    let paddedValueWidth: Int
    let chunkKeys: Int
    /// Blocks of queries, and of outputs' gradients, along the lanes.
    let queries: UnsafeMutablePointer<E>
    let doutputs: UnsafeMutablePointer<E>
    /// Per query: log-sum-exp in units of ln 2, and Σ doutput · output.
    let lse: UnsafeMutablePointer<E>
    let delta: UnsafeMutablePointer<E>
    let weights: UnsafeMutablePointer<E>
    let dscores: UnsafeMutablePointer<E>
    let mask: UnsafeMutablePointer<E>
    let stage: UnsafeMutablePointer<E>
    /// What the block's weights are multiplied by under dropout.
    let kept: UnsafeMutablePointer<E>
    let words: UnsafeMutablePointer<UInt32>
    let dqueries: UnsafeMutablePointer<E>
    let dkeys: UnsafeMutablePointer<E>
    let dvalues: UnsafeMutablePointer<E>
    let keys: UnsafeMutablePointer<E>
    let ones: UnsafeMutablePointer<E>
    let index: UnsafeMutablePointer<E>
    private let paddedQueries: UnsafeMutablePointer<E>
    private let paddedDoutputs: UnsafeMutablePointer<E>
    // What prepare() found, in memory because the scratch itself is a value.
    private let rows: UnsafeMutablePointer<PreparedRows<E>>

    /// Sums are added to what there is: a factor of 1 for each row of a product, and for what a tile reads beyond it.
    private static var rowsOfOnes: Int { AttentionBlock<E>.keys &+ 16 }

    static func chunkKeys(_ p: AttentionProblem<E>, chunks: Int) -> Int {
        let blocks = pieces(p.keys, AttentionBlock<E>.keys)
        return blocks <= 1 ? p.keys : pieces(blocks, chunks) &* AttentionBlock<E>.keys
    }

    static func bytes(_ p: AttentionProblem<E>, chunks: Int) -> Int {
        var next = UnsafeMutableRawPointer(bitPattern: 4096)
        guard let start = next else { return 0 }
        _ = BackwardScratch(start, p, chunks: chunks, end: &next)
        return roundUp(next.map { $0 - start } ?? 0, 4096) &+ 128
    }

    init(_ memory: UnsafeMutableRawPointer, _ p: AttentionProblem<E>, chunks: Int) {
        var end: UnsafeMutableRawPointer? = nil
        self.init(memory, p, chunks: chunks, end: &end)
        var i = 0
        while i < Self.rowsOfOnes {
            ones[i] = 1
            i &+= 1
        }
        i = 0
        while i < AttentionBlock<E>.queries {
            index[i] = E(i)
            i &+= 1
        }
    }

    /// Only divides the memory up.
    private init(
        _ memory: UnsafeMutableRawPointer, _ p: AttentionProblem<E>, chunks: Int, end: inout UnsafeMutableRawPointer?
    ) {
        let lanes = AttentionBlock<E>.queries
        let width = E.Lanes.width
        let blockKeys = Swift.min(roundUp(p.keys, width), AttentionBlock<E>.keys)
        let blockedQueries = roundUp(p.queries, lanes)
        let padsQueries = roundUp(p.width, width) != p.width
        let padsValues = roundUp(p.valueWidth, width) != p.valueWidth
        paddedWidth = roundUp(p.width, width)
        paddedValueWidth = roundUp(p.valueWidth, width)
        chunkKeys = Self.chunkKeys(p, chunks: chunks)
        let masked = p.mask.kind != .none
        var next = memory
        queries = carve(&next, blockedQueries &* p.width)
        doutputs = carve(&next, blockedQueries &* p.valueWidth)
        lse = carve(&next, blockedQueries)
        delta = carve(&next, blockedQueries)
        // Tiles may read a few rows beyond the last key.
        weights = carve(&next, (blockKeys &+ AttentionBlock<E>.outputRows) &* lanes &+ 16)
        dscores = carve(&next, (blockKeys &+ AttentionBlock<E>.outputRows) &* lanes &+ 16)
        mask = carve(&next, masked ? blockKeys &* lanes : 0)
        stage = carve(&next, masked ? width &* AttentionBlock<E>.keys : 0)
        kept = carve(&next, p.dropout.active ? blockKeys &* lanes : 0)
        words = next.assumingMemoryBound(to: UInt32.self)
        next += AttentionDropout.words &* 4
        dqueries = carve(&next, p.queries &* paddedWidth)
        dkeys = carve(&next, chunkKeys &* paddedWidth)
        dvalues = carve(&next, chunkKeys &* paddedValueWidth)
        keys = carve(&next, padsQueries ? blockKeys &* paddedWidth : 0)
        ones = carve(&next, BackwardScratch.rowsOfOnes)
        index = carve(&next, lanes)
        paddedQueries = carve(&next, padsQueries ? p.queries &* paddedWidth : 0)
        paddedDoutputs = carve(&next, padsValues ? p.queries &* paddedValueWidth : 0)
        rows = next.assumingMemoryBound(to: PreparedRows<E>.self)
        end = next + MemoryLayout<PreparedRows<E>>.stride
    }

    @inline(__always) var queryRows: UnsafePointer<E> { rows.pointee.query.base }
    @inline(__always) var queryRow: Int { rows.pointee.query.row }
    @inline(__always) var doutputRows: UnsafePointer<E> { rows.pointee.doutput.base }
    @inline(__always) var doutputRow: Int { rows.pointee.doutput.row }

    /// Packs one head of queries and of outputs' gradients, and what each query needs of its row.
    func prepare(_ p: AttentionProblem<E>, _ g: AttentionGradients<E>, _ batch: Int, _ head: Int) {
        let lanes = AttentionBlock<E>.queries
        let query = p.query.rows(batch, head)
        let doutput = g.doutput.rows(batch, head)
        let output = g.output.rows(batch, head)
        rows.initialize(
            to: PreparedRows(
                query: PaddedRows(
                    query, row: p.query.row, count: p.queries, width: p.width, paddedWidth: paddedWidth,
                    buffer: paddedQueries),
                doutput: PaddedRows(
                    doutput, row: g.doutput.row, count: p.queries, width: p.valueWidth, paddedWidth: paddedValueWidth,
                    buffer: paddedDoutputs)))
        let logarithms = g.lse + (batch &* p.heads &+ head) &* p.queries
        var first = 0
        while first < p.queries {
            let count = Swift.min(lanes, p.queries &- first)
            let vectors = (count &+ E.Lanes.width &- 1) / E.Lanes.width
            AttentionPacking<E>.transpose(
                query + first &* p.query.row, row: p.query.row, count: count, depth: p.width, vectors: vectors,
                factor: E(p.scale * PowerOfTwo<E>.log2e), into: queries + first &* p.width)
            AttentionPacking<E>.transpose(
                doutput + first &* g.doutput.row, row: g.doutput.row, count: count, depth: p.valueWidth,
                vectors: vectors, factor: 1, into: doutputs + first &* p.valueWidth)
            var i = first
            while i < first &+ lanes {
                let inside = i < p.queries
                // A query that saw nothing has weight 0 everywhere.
                let seen = inside && logarithms[i] != -E.infinity
                lse[i] = seen ? E(logarithms[i].double * PowerOfTwo<E>.log2e) : E.infinity
                delta[i] = inside ? dot(doutput + i &* g.doutput.row, output + i &* g.output.row, p.valueWidth) : 0
                i &+= 1
            }
            first &+= lanes
        }
    }

    /// Scores of one vector of queries become weights, and the weights' gradients become those of the scores.
    @inline(never)
    func differentiate(vector: Int, query: Int, keys: Int, masked: Bool, dropped: Bool, clip: CausalClip) {
        let width = E.Lanes.width
        let stride = AttentionBlock<E>.queries
        let first = vector &* width
        let reference = E.Lanes.load(lse + (query &+ first))
        let shift = E.Lanes.load(delta + (query &+ first))
        let numbers = E.Lanes.load(index)
        let seen = clip.keysSeen(keys, first: first, width: width)
        var weight = weights + first
        var dscore = dscores + first
        var bias = mask + first
        var factor = kept + first
        var k = 0
        while k < seen {
            var s = E.Lanes.load(weight)
            if masked { s = s + E.Lanes.load(bias) }
            let power = PowerOfTwo<E>.of(s - reference)
            var gradient = E.Lanes.load(dscore)
            var used = power
            if dropped {
                let kept = E.Lanes.load(factor)
                gradient = gradient * kept
                used = used * kept
            }
            var d = power * (gradient - shift)
            if clip.active {
                let hidden = E.Lanes.less(numbers, E.Lanes(repeating: E(k &- clip.start &- first)))
                used = E.Lanes.select(hidden, .zero, used)
                d = E.Lanes.select(hidden, .zero, d)
            }
            used.store(weight)
            d.store(dscore)
            weight += stride
            dscore += stride
            bias += stride
            factor += stride
            k &+= 1
        }
        // Tiles of keys that reach beyond what these queries see find zeros there.
        let end = Swift.min(keys, seen &+ AttentionBlock<E>.outputRows)
        while k < end {
            E.Lanes.zero.store(weight)
            E.Lanes.zero.store(dscore)
            weight += stride
            dscore += stride
            k &+= 1
        }
    }

    /// The scores' gradients of a block, which are the mask's, queries down and keys along.
    func storeMask(_ out: UnsafeMutablePointer<E>, row: Int, rows: Int, keys: Int, clip: CausalClip) {
        var r = 0
        while r < rows {
            let seen = clip.keysSeen(keys, first: r, width: 1)
            var k = 0
            while k < seen {
                out[r &* row &+ k] = dscores[k &* AttentionBlock<E>.queries &+ r]
                k &+= 1
            }
            r &+= 1
        }
    }
}

struct PreparedRows<E: Real> {
    var query: PaddedRows<E>
    var doutput: PaddedRows<E>
}

func dot<E: Real>(_ a: UnsafePointer<E>, _ b: UnsafePointer<E>, _ count: Int) -> E {
    let width = E.Lanes.width
    var sum = E.Lanes.zero
    var i = 0
    while i &+ width <= count {
        sum = E.Lanes.fma(E.Lanes.load(a + i), E.Lanes.load(b + i), sum)
        i &+= width
    }
    if i < count {
        sum = E.Lanes.fma(
            E.Lanes.load(a + i, count: count &- i, fill: 0), E.Lanes.load(b + i, count: count &- i, fill: 0), sum)
    }
    return sum.sum()
}
