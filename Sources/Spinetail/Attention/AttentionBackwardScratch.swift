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
    /// The soft-cap's derivatives.
    let capSlopes: UnsafeMutablePointer<E>
    let words: UnsafeMutablePointer<UInt32>
    let dqueries: UnsafeMutablePointer<E>
    let dkeys: UnsafeMutablePointer<E>
    let dvalues: UnsafeMutablePointer<E>
    let keys: UnsafeMutablePointer<E>
    let ones: UnsafeMutablePointer<E>
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
        capSlopes = carve(&next, p.softcap > 0 ? blockKeys &* lanes : 0)
        words = next.assumingMemoryBound(to: UInt32.self)
        next += AttentionDropout.words &* 4
        dqueries = carve(&next, p.queries &* paddedWidth)
        dkeys = carve(&next, chunkKeys &* paddedWidth)
        dvalues = carve(&next, chunkKeys &* paddedValueWidth)
        keys = carve(&next, padsQueries ? blockKeys &* paddedWidth : 0)
        ones = carve(&next, BackwardScratch.rowsOfOnes)
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
        let logarithms = g.lse.rows(batch, head)
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
    func differentiate(vector: Int, query: Int, keys: Int, masked: Bool, dropped: Bool, terms: BlockTerms<E>) {
        let width = E.Lanes.width
        let first = vector &* width
        let reference = E.Lanes.load(lse + (query &+ first))
        let shift = E.Lanes.load(delta + (query &+ first))
        let from = terms.band.firstKey(first)
        let end = terms.band.endKey(first &+ width &- 1, keys)
        // Tiles of keys that reach beyond what these queries see find zeros there.
        hide(first, from: Swift.max(0, from &- AttentionBlock<E>.outputRows), end: Swift.min(from, keys), terms)
        hide(first, from: Swift.max(from, end), end: Swift.min(keys, end &+ AttentionBlock<E>.outputRows), terms)
        var k = from
        while k < end {
            let at = k &* AttentionBlock<E>.queries &+ first
            var s = E.Lanes.load(weights + at)
            if terms.caps {
                let ratio = terms.ratio(s)
                s = terms.capped(ratio)
                E.Lanes.fma(E.Lanes.negate(ratio), ratio, E.Lanes(repeating: 1)).store(capSlopes + at)
            }
            s = terms.biased(s, row: first, key: k)
            if masked { s = s + E.Lanes.load(mask + at) }
            let power = PowerOfTwo<E>.of(s - reference)
            var gradient = E.Lanes.load(dscores + at)
            var used = power
            if dropped {
                let kept = E.Lanes.load(kept + at)
                gradient = gradient * kept
                used = used * kept
            }
            var d = power * (gradient - shift)
            if terms.hides {
                used = terms.hidden(used, row: first, key: k, as: .zero)
                d = terms.hidden(d, row: first, key: k, as: .zero)
            }
            used.store(weights + at)
            d.store(dscores + at)
            k &+= 1
        }
    }

    @inline(__always)
    private func hide(_ first: Int, from: Int, end: Int, _ terms: BlockTerms<E>) {
        var k = from
        while k < end {
            let at = k &* AttentionBlock<E>.queries &+ first
            E.Lanes.zero.store(weights + at)
            E.Lanes.zero.store(dscores + at)
            if terms.caps { E.Lanes.zero.store(capSlopes + at) }
            k &+= 1
        }
    }

    /// The scores' gradients of a block, which are the mask's, queries down and keys along.
    func storeMask(_ out: UnsafeMutablePointer<E>, row: Int, rows: Int, keys: Int, band: Band) {
        var r = 0
        while r < rows {
            let end = band.endKey(r, keys)
            var k = band.firstKey(r)
            while k < end {
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
